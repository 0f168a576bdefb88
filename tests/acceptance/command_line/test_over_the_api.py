"""Commands with `--server` and `--token`: the same answers as from the database, from a machine that has none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

import pytest
from sqlalchemy.engine import make_url

from app.cli.main import COMMANDS
from app.cli.remote.server import LARGEST_BODY, Server
from app.server.api.framework.endpoint import RULES_FILE_MAX_BYTES
from tests.acceptance.cli_site import Answer, Shell, Site, Terminal, running_site, wait_for
from tests.conftest import Database

RULES = """
rules:
- name: spanish support
  pattern: {participant: {metadata: {language: [es]}}}
  agent_name: support-es
- name: no worker
  priority: 200
  pattern: {room: {name: [{prefix: "empty-"}]}}
  agent_name: ghost
  answer_timeout_s: 1
  max_attempts: 1
"""
LOOKUP = (
    "INSERT INTO lookups (name, pattern, url) "
    """VALUES ('crm', '{"participant": {"kind": ["SIP"]}}', 'https://crm.example.com/usher')"""
)


@dataclass
class Remote:
    """A site with a terminal beside its database, and one that knows nothing but its URL and a token."""

    site: Site
    here: Terminal
    terminal: Terminal

    def run(self, *arguments: str, **environment: str) -> Answer:
        return self.terminal.run(*arguments, **environment)

    def json(self, *arguments: str) -> Any:
        return self.terminal.json(*arguments)


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Any) -> Iterator[Remote]:
    folder, elsewhere = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    path = folder / "usher.db"
    path.write_bytes(sqlite_template.read_bytes())
    with running_site(folder, Database(make_url(f"sqlite:///{path}")), RULES, ("support-es",)) as site:
        site.terminal.run("users", "add", "maria", "--role", "admin")
        token = site.terminal.json("users", "token", "maria")["token"]
        site.database.execute(LOOKUP)
        for room, identity, metadata in (("support-1", "ana", '{"language": "es"}'), ("empty-1", "bob/b", "")):
            site.livekit.post("join", room=room, identity=identity, metadata=metadata)
        wait_for(lambda: _statuses(site) == {"joined", "no_show"}, "both calls to be decided")
        here = Shell(site.terminal.folder, site.terminal.environment)
        terminal = Shell(elsewhere, {"USHER_URL": site.url, "USHER_TOKEN": token})
        assert terminal.run("rules", "list").code == 0  # so that the token is listed as used in whichever test is first
        yield Remote(site, here, terminal)


def _statuses(site: Site) -> set[str]:
    return {row["status"] for row in site.database.execute("SELECT status FROM dispatches")}


READS = (
    "calls list", "calls list -q bob --state no_show --since 1h", "calls export", "calls export --format jsonl",
    "events list --type participant_joined", "events export", "events export --format csv",
    "dispatches list --status no_show", "dispatches export --format csv", "explain ana", "explain bob/b",
    "rules list", "rules show spanish support", "rules export", "rules export --format json", "rules history",
    "agents list", "agents limit ghost", "lookups list", "notifications list", "people export ana", "people reads",
    "users list", "users tokens", "users sessions maria", "users logins --since 1h",
)  # fmt: skip


@pytest.mark.parametrize("command", READS)
def test_a_command_prints_the_same_over_the_api_as_from_the_database(remote: Remote, command: str) -> None:
    words = command.split() if command != "rules show spanish support" else ["rules", "show", "spanish support"]
    flags = [] if "export" in words else ["--json"]
    here, there = remote.here.run(*words, *flags), remote.run(*words, *flags)
    assert (there.code, _stable(there.out)) == (here.code, _stable(here.out))


@pytest.mark.parametrize("command", ["calls list", "explain bob/b", "rules list", "agents list", "users tokens"])
def test_a_table_is_the_same_over_the_api(remote: Remote, command: str) -> None:
    here, there = remote.here.run(*command.split()), remote.run(*command.split())
    assert _stable(there.out) == _stable(here.out)
    assert there.err == here.err


def test_a_saved_view_filters_the_list_of_calls(remote: Remote) -> None:
    view = {"name": "No agent", "query": "state=no_show", "shared": True}
    Server(remote.site.url, remote.terminal.environment["USHER_TOKEN"]).send("POST", "/views", view)
    for terminal in (remote.here, remote.terminal):
        assert [one["name"] for one in terminal.json("calls", "views")] == ["No agent"]
        found = terminal.json("calls", "list", "--view", "No agent")
        assert [call["participant_identity"] for call in found] == ["bob/b"]
        assert terminal.json("calls", "list", "--view", "No agent", "--find", "ana") == []
        joined = terminal.json("calls", "list", "--view", "No agent", "--state", "answered")
        assert [call["participant_identity"] for call in joined] == ["ana"]
        assert "bob/b" in terminal.run("calls", "export", "--view", "No agent").out
        missing = terminal.run("calls", "list", "--view", "no agnet")
        assert missing.code == 1
        assert "did you mean 'No agent'" in missing.err
    remote.site.database.execute("UPDATE saved_views SET query = 'state=no_shwo'")
    refused = remote.run("calls", "list", "--view", "No agent")
    assert refused.code == 2
    assert "Did you mean 'no_show'" in refused.err
    assert remote.here.run("calls", "list", "--user", "maria").code == 2
    assert remote.run("calls", "views", "--user", "maria").code == 2
    assert "did you mean 'maria'" in remote.here.run("calls", "views", "--user", "mariah").err


def test_a_view_is_saved_and_deleted_over_the_api_and_at_the_database(remote: Remote) -> None:
    # Given a name as a keyboard writes it, and as some files and systems do
    name, in_parts = "Después", normalize("NFD", "Después")
    assert name != in_parts
    for terminal, whose in ((remote.terminal, ()), (remote.here, ("--user", "maria"))):
        filters = ("--state", "no_show", "--range", "today", "--metadata", "language=es")
        view = terminal.json("calls", "save-view", in_parts, *filters, *whose)
        assert (view["name"], view["owner"], view["shared"]) == (name, "maria", False)
        assert view["query"] == "state=no_show&metadata=language%3Des&range=today"
        again = terminal.run("calls", "save-view", name, "--find", "ana", *whose)
        assert (again.code, "already have a view named 'Después'" in again.err) == (2, True)
        assert "to save these filters in its place: --replace" in again.err
        assert terminal.json("calls", "save-view", name, "--find", "ana", "--replace", "--shared", *whose)["shared"]
        replaced = terminal.json("calls", "save-view", name, *filters, "--replace", *whose)
        assert (replaced["id"], replaced["query"], replaced["shared"]) == (view["id"], view["query"], True)
        for spelling in (name, in_parts):
            assert terminal.run("calls", "list", "--view", spelling, *whose).code == 0
        wrong = terminal.run("calls", "delete-view", "Despues", *whose)
        assert (wrong.code, "did you mean 'Después'" in wrong.err) == (1, True)
        assert terminal.run("calls", "delete-view", in_parts, *whose).code == 0
        assert name not in [one["name"] for one in terminal.json("calls", "views", *whose)]
        assert "at least one filter" in terminal.run("calls", "save-view", "all", *whose).err
        two = terminal.run("calls", "save-view", "two", "--state", "ended", "--state", "failed", *whose)
        assert (two.code, "one state" in two.err) == (2, True)
    assert "--user: is needed" in remote.here.run("calls", "save-view", "x", "--find", "ana").err
    assert "--user: is not possible" in remote.run("calls", "save-view", "x", "--find", "ana", "--user", "eva").err


def _stable(text: str) -> str:
    """Return what was printed without what each request changes: when a token was last used, when it was exported."""
    kept = (line for line in text.splitlines() if '"last_used_at"' not in line and '"exported_at"' not in line)
    return "\n".join(line.split(" used ")[0] for line in kept)


def test_one_event_or_dispatch_is_shown_the_same(remote: Remote) -> None:
    event = remote.json("events", "list", "--type", "participant_joined", "--identity", "ana")[0]["id"]
    dispatch = remote.json("dispatches", "list", "--identity", "ana")[0]["id"]
    for words in (("events", "show", event), ("dispatches", "show", dispatch)):
        assert remote.run(*words).out == remote.here.run(*words).out
        assert remote.json(*words) == remote.here.json(*words)


def test_rules_are_edited_over_the_api_in_the_name_of_the_tokens_user(remote: Remote) -> None:
    file = remote.terminal.write(
        "more.yaml", RULES + "- {name: vip, pattern: {room: {name: [vip]}}, agent_name: vip}\n"
    )
    tried = remote.run("rules", "apply", file, "--dry-run")
    assert "+ vip (created)" in tried.out
    assert "1 created, 2 unchanged" in tried.out
    assert "--expect-version" in tried.err
    applied = remote.run("rules", "apply", file, "--why", "for the launch")
    assert "the rules are at version" in applied.out
    change = remote.json("rules", "history")[0]
    assert (change["rule"], change["changed_by"], change["why"]) == ("vip", "maria", "for the launch")
    paused = remote.json("rules", "pause", "vip", "--until", "2h")
    assert paused["paused_until"] is not None
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.search(rf"paused_until: null → \"{time}\"", remote.run("rules", "history", "vip").out)
    assert re.search(rf"^paused_until +{time} *$", remote.run("rules", "show", "vip").out, re.MULTILINE)
    assert remote.json("rules", "resume", "vip")["paused_until"] is None
    assert remote.run("rules", "test", "vip", "--event", _join_of(remote, "ana")).code == 1
    assert remote.run("rules", "test", "spanish support", "--event", _join_of(remote, "ana")).code == 0
    stale = remote.run(
        "rules", "apply", remote.terminal.write("old.yaml", "rules: []"), "--delete", "--expect-version", "1"
    )
    assert stale.code == 2
    assert "version" in stale.err
    tried = remote.run("rules", "revert", str(change["id"] - 1), "--dry-run")
    assert (tried.code, "Nothing was changed." in tried.err) == (0, True)
    assert remote.run("rules", "revert", str(change["id"] - 1)).code == 0
    assert remote.run("rules", "show", "vip").code == 1
    simulated = remote.run("simulate", remote.terminal.write("none.yaml", "rules: []"), "--delete", "--since", "1h")
    assert "no agent" in simulated.out


def test_a_change_set_is_undone_over_the_api_and_at_the_database(remote: Remote) -> None:
    more = RULES.replace("answer_timeout_s: 1", "answer_timeout_s: 4").replace("[es]", "[es, ca]")
    file = remote.terminal.write("both.yaml", more)
    for terminal, name in ((remote.terminal, "maria"), (remote.here, "cli")):
        before = terminal.run("rules", "export").out
        assert remote.run("rules", "apply", file).code == 0
        change_set = terminal.json("rules", "history")[0]["change_set"]
        assert f"change set {change_set}" in terminal.run("rules", "history", "--limit", "2").out
        tried = terminal.run("rules", "undo", change_set, "--dry-run")
        assert (tried.code, "answer_timeout_s: 4 → 1" in tried.out) == (0, True)
        assert f"Nothing was changed. To undo this: usher rules undo {change_set}\n" in tried.err
        assert terminal.run("rules", "export").out != before
        wrong = terminal.run("rules", "undo", f"{change_set}x")
        assert (wrong.code, f"did you mean '{change_set}'" in wrong.err) == (1, True)
        by = () if terminal is remote.terminal else ("--by", name)
        assert "2 changed" in terminal.run("rules", "undo", change_set, *by).out
        assert terminal.run("rules", "export").out == before
        again = terminal.run("rules", "undo", change_set, "--dry-run").lines
        assert again == ["nothing to undo: all of it is as it was before the change set"]
        change = terminal.json("rules", "history")[0]
        assert (change["changed_by"], change["why"]) == (name, f"undo of {change_set}")
    # And what was changed since is refused by name, or stays
    assert remote.run("rules", "apply", file).code == 0
    change_set = remote.json("rules", "history")[0]["change_set"]
    later = remote.terminal.write("later.yaml", more.replace("answer_timeout_s: 4", "answer_timeout_s: 6"))
    assert remote.run("rules", "apply", later).code == 0
    for terminal in (remote.terminal, remote.here):
        tried = terminal.run("rules", "undo", change_set, "--dry-run")
        assert (tried.code, "answer_timeout_s: 4 → 6" in tried.out) == (1, True)
        assert f"usher rules undo {change_set} --skip-changed" in tried.err
        refused = terminal.run("rules", "undo", change_set)
        assert (refused.code, "'no worker'" in refused.err) == (2, True)
        assert terminal.run("rules", "undo", change_set, "--dry-run", "--skip-changed").code == 0
    skipped = remote.run("rules", "undo", change_set, "--skip-changed")
    assert (skipped.code, "1 changed" in skipped.out) == (0, True)
    assert remote.run("rules", "undo", change_set, "--skip-changed").code == 0  # nothing is left to undo
    assert remote.json("rules", "show", "no worker")["answer_timeout_s"] == 6


def _join_of(remote: Remote, identity: str) -> str:
    found = remote.json("events", "list", "--type", "participant_joined", "--identity", identity)
    return str(found[0]["id"])


def test_agents_and_calls_are_changed_over_the_api(remote: Remote) -> None:
    assert remote.json("agents", "pause", "ghost", "2h", "--note", "deploy")["note"] == "deploy"
    assert "out of service until" in remote.here.run("agents", "limit", "ghost").out
    history = " ".join(remote.run("agents", "history", "ghost").out.split())
    assert re.search(r"_until: none → \d{4}-\d\d-\d\d \d\d:\d\d:\d\d note: none → deploy", history)
    assert "in service" in remote.run("agents", "resume", "ghost").out
    assert "out of service until it is resumed" in remote.run("agents", "pause", "ghost").out
    ends = "out_of_service_until: none → until it is put back"
    assert ends in " ".join(remote.run("agents", "history", "ghost").out.split())
    after = remote.json("agents", "history", "ghost")[0]["after"]
    assert after["out_of_service_until"].startswith("9999-12-31")
    assert "in service" in remote.run("agents", "resume", "ghost").out
    assert remote.json("agents", "limit", "ghost", "--max-calls", "3")["max_calls"] == 3
    assert remote.json("agents", "history", "ghost")[0]["changed_by"] == "maria"
    probed = remote.run("probe", "ghost", "--timeout", "0.5", "--json")
    assert (probed.code, [one["agent_name"] for one in json.loads(probed.out)]) == (1, ["ghost"])
    assert "did not join" in remote.run("probe", "ghost", "--timeout", "0.5").out
    assert "--timeout" in remote.run("probe", "ghost", "--timeout", "600").err
    # And a name that nothing knows is said to be one, and forgotten
    [known] = {rule["agent_name"] for rule in remote.json("rules", "list") if rule["name"] == "no worker"}
    mistyped = remote.run("probe", f"{known}x", "--timeout", "0.5")
    unknown = f"No rule names the agent '{known}x', and it has never joined; did you mean '{known}'?"
    assert unknown in " ".join(mistyped.err.split())
    assert "never joined, and nothing names it" in " ".join(remote.here.run("agents", "list").out.split())
    refused = remote.run("agents", "forget", known)
    assert (refused.code, "cannot be forgotten; named by: the rule 'no worker'" in refused.err) == (2, True)
    assert remote.run("agents", "forget", f"{known}x").out == f"{known}x is forgotten\n"
    again = remote.here.run("agents", "forget", f"{known}x")
    assert (again.code, f"did you mean '{known}'" in again.err) == (1, True)
    for terminal in (remote.terminal, remote.here):
        of_nothing = terminal.run("calls", "list", "--agent", f"{known}x")
        assert f"did you mean '{known}'" in of_nothing.err
    assert "--dev: is not possible with --server" in remote.run("probe", "ghost", "--dev").err
    failed = remote.json("dispatches", "list", "--status", "no_show")[0]["id"]
    tried = remote.json("dispatches", "redrive", failed, "--dry-run")
    assert tried["done"] == {failed: "would be redriven"}
    done = remote.json("dispatches", "redrive", "--status", "no_show", "--identity", "bob/b")
    assert done["done"][failed].startswith("as dispatch ")
    assert remote.run("dispatches", "redrive", "01a00000-0000-7000-8000-000000000000").code == 1
    join = _join_of(remote, "ana")
    would, replayed = (remote.json("events", "replay", join, *dry_run) for dry_run in (("--dry-run",), ()))
    assert would["done"] == {join: "would be replayed"}
    assert " as event " in replayed["done"][join]


def test_users_are_managed_over_the_api(remote: Remote) -> None:
    added = remote.run("users", "add", "tom", "--role", "viewer")
    assert f"{remote.site.url}/console/password/" in added.out
    token = remote.json("users", "token", "tom", "--role", "viewer", "--expires", "2d")
    seen = remote.run("calls", "list", USHER_TOKEN=token["token"])
    assert seen.code == 0
    refused = remote.run("agents", "limit", "ghost", "--max-calls", "1", USHER_TOKEN=token["token"])
    assert refused.code == 2
    assert "editor" in refused.err
    assert remote.run("users", "revoke", token["id"]).code == 0
    gone = remote.run("calls", "list", USHER_TOKEN=token["token"])
    assert gone.code == 2
    assert "refuses the token" in gone.err
    assert remote.json("users", "role", "tom", "editor")["role"] == "editor"
    assert remote.json("users", "disable", "tom")["disabled"] is True
    assert remote.run("users", "delete", "tom", "--yes").code == 0
    missing = remote.run("users", "role", "mariana", "editor")
    assert missing.code == 1
    assert "did you mean 'maria'" in missing.err


def test_a_person_is_erased_over_the_api(remote: Remote) -> None:
    remote.site.livekit.post("join", room="lobby", identity="carla", metadata="")
    wait_for(lambda: _join_of_or_none(remote, "carla"), "the join of carla")
    tried = remote.json("people", "erase", "carla", "--dry-run")
    assert tried["dry_run"] is True
    assert tried["events"] >= 1
    refused = remote.run("people", "erase", "carla", "--yes")
    assert refused.code == 1
    assert "in a call now" in refused.err


def _join_of_or_none(remote: Remote, identity: str) -> Any:
    return remote.json("events", "list", "--identity", identity)


def test_wrong_uses_are_refused_in_plain_words(remote: Remote) -> None:
    url = remote.site.url
    for words, environment, part in (
        (["calls", "list", "--server", "usher.example.com"], {}, "--server: must be the URL of a running Usher"),
        (["calls", "list"], {"USHER_TOKEN": ""}, "--token: is needed, or USHER_TOKEN"),
        (["calls", "list", "--token", "x"], {"USHER_URL": ""}, "--token: needs --server"),
        (["calls", "list", "--token", "usher_wrong"], {}, "refuses the token"),
        (["calls", "list", "--server", "http://127.0.0.1:1"], {}, "cannot be reached"),
        (["calls", "list", "--server", f"{url}/console"], {}, "has no such API"),
        (["calls", "list", "--since", "tomorrow"], {}, "--since"),
        (["agents", "limit", "ghost", "--max-calls", "1", "--by", "eve"], {}, "--by: is not possible with --server"),
        (["dispatches", "cancel", "--status", "pending", "--database-only"], {}, "--database-only"),
        (["simulate", "-", "--against-then"], {}, "--against-then: is not possible with --server"),
        (["--server", url, "migrate", "up"], {}, "this command works on this machine"),
        (["--server", url, "serve"], {}, "this command works on this machine"),
        (["users", "password", "maria", "--server", url], {}, "No such option"),
        (["--server", url, "users", "password", "maria"], {}, "this command works on this machine"),
    ):
        answer = remote.terminal.run(*words, stdin="rules: []", **environment)
        assert answer.code == 2, words
        assert part in " ".join(answer.err.split()), (words, answer.err)


def test_errors_of_requests_name_options_and_arguments(remote: Remote) -> None:
    join = remote.terminal.write("join.json", json.dumps({"event": "room_started", "room": {"name": "x", "sid": "RM"}}))
    for words, part in (
        (["calls", "list", "--project", "x", "--since", "1900-01-01T00:00"], "--since: must be between the years"),
        (["explain", ""], "REF: string should have at least 1 character"),
        (["dispatches", "cancel", "a b"], "DISPATCH: must be the id of a dispatch"),
        (["probe", "ghost", "a\nb"], "AGENT: must have 1 to 256 printable characters"),
        (["agents", "pause", ""], "AGENT: must have 1 to 256 printable characters"),
        (["users", "add", "a\nb"], "NAME: must be printable"),
        (["users", "add", "", "--role", "viewer"], "NAME: string should have"),
        (["users", "add", "bob", "--role", "viewer", "--project", "x"], "--project: 'x' is none of"),
        (["users", "token", "maria", "--name", ""], "--name: string should have"),
        (["users", "token", "maria", "--expires", "9999d"], "--expires: input should be less than or equal to 3650"),
        (["probe", "ghost", "--project", "x"], "--project: must be one of the configured projects: default"),
        (["probe", "ghost", "--timeout", "500"], "--timeout: input should be less than or equal to 30"),
        (["agents", "pause", "ghost", "--substitute", "ghost"], "--substitute: must be another agent"),
        (["people", "export", ""], "PERSON: string should have"),
        (["lookups", "test", "crm", "--event", join, "--project", "x"], "--project: must be one of the configured"),
    ):
        answer = remote.terminal.run(*words)
        assert (answer.code, part in " ".join(answer.err.split())) == (2, True), (words, answer.err)
        assert not re.search(r"\b(body|query):", answer.err), answer.err


def test_the_same_is_refused_in_the_same_words_at_the_database(remote: Remote) -> None:
    for words in (
        ["probe", "ghost", "a\nb"],
        ["agents", "pause", ""],
        ["users", "add", "a\nb"],
        ["events", "list", "--since", "1900-01-01T00:00"],
        ["users", "end-session", "nosuch"],
    ):
        here, over_the_api = remote.here.run(*words), remote.terminal.run(*words)
        assert (here.code, here.err) == (over_the_api.code, over_the_api.err)
    assert "no session has the id 'nosuch'" in remote.here.run("users", "end-session", "nosuch").err


def test_an_empty_option_selects_nothing_rather_than_everything(remote: Remote) -> None:
    changing = [["dispatches", "cancel"], ["dispatches", "redrive"], ["events", "replay"]]
    for words in (*changing, ["events", "list", "--json"], ["dispatches", "list", "--json"]):
        options = ["--identity", "--room", "--phone"] + (["--agent", "--rule"] if words[0] == "dispatches" else [])
        for option in options:
            more = ["--dry-run"] if words in changing else []
            here, over_the_api = (one.run(*words, *more, option, "") for one in (remote.here, remote.terminal))
            assert (here.code, here.out, here.err) == (over_the_api.code, over_the_api.out, over_the_api.err), words
            assert here.out in {"Nothing matches.\n", "[]\n"}, (words, option, here.out)
        for terminal in (remote.here, remote.terminal):
            answer = terminal.run(*words, "--search", "")
            assert (answer.code, "--search: must not be empty" in answer.err) == (2, True), answer.err


def test_a_project_that_nothing_knows_is_named_where_nothing_is_found(remote: Remote) -> None:
    for words in (["events", "list"], ["calls", "list"], ["dispatches", "list"], ["people", "erase", "x"]):
        for terminal in (remote.here, remote.terminal):
            answer = terminal.run(*words, "--project", "defualt")
            # What changes something refuses it, and what lists notes it
            named = "no livekit project 'defualt' is configured; did you mean 'default'?"
            assert named in answer.err.lower(), (words, answer)


@pytest.mark.parametrize("name", ["", "a\nb"])
def test_what_no_path_can_name_is_not_found(remote: Remote, name: str) -> None:
    for words in (
        ["events", "show"],
        ["events", "replay"],
        ["dispatches", "show"],
        ["incidents", "mute"],
        ["users", "revoke"],
        ["users", "end-session"],
        ["lookups", "test", "--event", "x"],
    ):
        answer = remote.terminal.run(*words, name)
        assert (answer.code, f"nothing has the name or id {name!r}" in answer.err) == (1, True), (words, answer.err)


def test_a_file_that_is_too_large_for_a_request_is_refused_before_it_is_sent(remote: Remote) -> None:
    assert LARGEST_BODY == RULES_FILE_MAX_BYTES
    each = {"pattern": {}, "description": "x" * 2000, "agent_name": "a"}
    rules = [{"name": f"rule {one}", **each} for one in range(4_200)]
    file = remote.terminal.write("large.json", json.dumps({"rules": rules}))
    for words in (["rules", "apply", file], ["simulate", file]):
        answer = remote.terminal.run(*words)
        expected = "takes requests of 8.0 MiB at most, and this one has 8."
        assert (answer.code, expected in answer.err) == (2, True), answer.err[:500]


def test_the_history_of_a_deleted_rule_is_found_by_its_name(remote: Remote) -> None:
    remote.site.database.execute("INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('short', '{}', 'a')")
    remote.site.database.execute("DELETE FROM routing_rules WHERE name = 'short'")
    found = remote.json("rules", "history", "short")
    assert [one["change"] for one in found] == ["delete", "insert"]
    assert found == remote.here.json("rules", "history", "short")
    for terminal in (remote.terminal, remote.here):
        answer = terminal.run("rules", "history", "shirt")
        assert (answer.code, "no rule is or was named 'shirt'" in answer.err) == (1, True), answer.err


def test_a_draft_of_some_thousand_rules_is_tried(remote: Remote) -> None:
    rules = [{"name": f"rule {one}", "pattern": {"room": {"name": [f"room {one}"]}}, "agent_name": "a"}
             for one in range(9_000)]  # fmt: skip
    file = remote.terminal.write("many.json", json.dumps({"rules": rules}))
    assert remote.json("simulate", file)["changes"] == 0
    assert "9000 created" in remote.run("rules", "apply", "--dry-run", file).out


def test_arguments_that_are_no_utf8_are_refused(remote: Remote) -> None:
    answer = remote.run("calls", "list", "--metadata", "name=\udcff")
    assert (answer.code, "not UTF-8" in answer.err) == (2, True), answer.err


def test_the_options_stand_before_or_after_the_command(remote: Remote) -> None:
    given = ("--server", remote.site.url, "--token", remote.terminal.environment["USHER_TOKEN"])
    nothing = {"USHER_URL": "", "USHER_TOKEN": ""}
    before = remote.terminal.run(*given, "rules", "list", "--json", **nothing)
    after = remote.terminal.run("rules", "list", "--json", *given, **nothing)
    assert before.code == after.code == 0
    assert json.loads(before.out) == json.loads(after.out)


def test_every_command_but_those_of_this_machine_takes_a_server(remote: Remote) -> None:
    local = {"demo", "serve", "doctor", "migrate", "backup", "restore", "trigger", "call", "storage"}
    for name in COMMANDS.keys() - local:
        leaves = _leaves(remote, name)
        assert leaves
        missing = {leaf for leaf in leaves if "--server" not in remote.run(*leaf.split(), "--help").out}
        assert missing <= {"rules check", "users password"}, missing


def _leaves(remote: Remote, name: str) -> list[str]:
    text = remote.run(name, "--help").out
    if "COMMAND [ARGS]" not in text:
        return [name]
    listed = text.partition("Commands")[2].splitlines()
    return [f"{name} {line.split()[1]}" for line in listed if line.startswith("│ ") and line[2] != " "]
