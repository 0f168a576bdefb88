"""Rules as code on the command line, without any LiveKit settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.cli_site import Shell
from tests.conftest import Database

RULES = """
rules:
- name: spanish support
  description: Spanish speakers of the support department
  pattern: {participant: {metadata: {department: [support], language: [es, ca]}}}
  agent_name: support-es
  metadata: {greeting: "Hola ${participant.identity}"}
- name: phone
  priority: 50
  pattern: {participant: {kind: [SIP], attributes: {sip.trunkPhoneNumber: ["+15557654321"]}}}
  agent_name: phone-agent
"""

TEN_MISTAKES = """
rules:
- name: one
  descripton: what it is for
  pattern: {room: {name: [x]}}
  agent_name: a
- name: two
  pattern: {participant: {metadata: {language: es}}}
  agent_name: b
- name: three
  pattern: {room: {name: [{prefx: x}]}}
  agent_name: c
  priority: high
- name: three
  pattern: {room: {name: [x]}}
  agent_name: d
  scope: rom
- name: five
  pattern: {room: {name: [x]}}
  agent_name: e
  rollout_percent: 120
  timezone: Europe/Madird
- name: six
  pattern: {room: {name: [x]}}
  agent_name: ""
  recover: maybe
"""

DOUBTFUL = """
rules:
- {name: all, pattern: {event: [participant_joined]}, agent_name: a}
- {name: late, pattern: {room: {name: [x]}}, agent_name: b}
- {name: odd, pattern: {room: {nmae: [x]}}, agent_name: b, priority: 1}
"""


@pytest.fixture
def terminal(tmp_path: Path, sqlite_database: Database) -> Shell:
    return Shell(tmp_path, {"DATABASE_URL": sqlite_database.text})


def test_a_file_with_ten_mistakes_is_reported_in_ten_lines(tmp_path: Path) -> None:
    # Given a rules file with ten mistakes, and no database
    terminal = Shell(tmp_path, {"DATABASE_URL": "sqlite:///nowhere/usher.db"})
    file = terminal.write("rules.yaml", TEN_MISTAKES)
    # When it is checked
    answer = terminal.run("rules", "check", file)
    # Then the answer is no, and each mistake is a line with its place and what to write instead
    assert answer.code == 1
    assert len(answer.lines) == 10, answer.out
    assert all(line.startswith("rules.yaml: rules[") for line in answer.lines)
    for place, hint in (
        ("rules[0].descripton", "Did you mean 'description'?"),
        ("rules[2].pattern", "prefix"),
        ("rules[3].name", "is also the name of rules[2]"),
        ("rules[3].scope", "Did you mean 'room'?"),
        ("rules[4].timezone", "Did you mean 'Europe/Madrid'?"),
    ):
        assert any(place in line and hint in line for line in answer.lines), (place, answer.out)
    # And the same as JSON
    document = terminal.run("rules", "check", file, "--json").json
    assert (document["usable"], len(document["problems"])) == (False, 10)
    # And it is not applied
    assert terminal.run("rules", "apply", file).code == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "must have the key `rules`"),
        (b"rules: [", "line"),
        (b"\xff\xfe", "is not UTF-8"),
        (b'{"rules": [}', "is not JSON"),
        (b"rules: 5", "must be a list"),
    ],
)
def test_what_is_no_rules_file_is_reported(tmp_path: Path, content: bytes, problem: str) -> None:
    terminal = Shell(tmp_path)
    (tmp_path / "draft").write_bytes(content)
    answer = terminal.run("rules", "check", "draft")
    assert answer.code == 1
    assert problem in answer.out
    assert terminal.run("rules", "check", "missing.yaml").out.startswith("missing.yaml: cannot be read: No such file")


def test_rules_go_in_and_out_as_a_file(tmp_path: Path, database: Database) -> None:
    terminal = Shell(tmp_path, {"DATABASE_URL": database.text})
    file = terminal.write("rules.yaml", RULES)
    assert terminal.run("rules", "list").out == "No rules yet. Write a rules file and run: usher rules apply FILE\n"
    # When a file is only tried
    tried = terminal.run("rules", "apply", file, "--dry-run")
    # Then the difference is shown and nothing is there
    assert "+ spanish support (created)" in tried.out
    assert "2 created" in tried.lines[-1]
    assert "--expect-version 0" in tried.err
    assert terminal.json("rules", "list") == []
    # When it is applied
    applied = terminal.run("rules", "apply", file, "--by", "maria", "--expect-version", "0")
    assert (applied.code, applied.lines[-1]) == (0, "the rules are at version 2")
    # Then they are listed in the order in which they are tried
    assert [rule["name"] for rule in terminal.json("rules", "list")] == ["phone", "spanish support"]
    listed = terminal.run("rules", "list")
    assert max(map(len, listed.lines)) <= 80
    assert "→ support-es" in listed.out
    shown = terminal.run("rules", "show", "phone")
    assert "phone-agent" in shown.out
    assert "created by maria" in shown.out
    # And an export applied again changes nothing
    terminal.run("rules", "export", "-o", "export.yaml")
    again = terminal.run("rules", "apply", "export.yaml", "--delete")
    assert again.lines == ["2 unchanged"]
    exported = terminal.run("rules", "export", "-f", "json")
    assert terminal.run("rules", "apply", "-", stdin=exported.out).lines == ["2 unchanged"]


def test_edits_are_attributed_noticed_and_taken_back(terminal: Shell) -> None:
    file = terminal.write("rules.yaml", RULES)
    terminal.run("rules", "apply", file, "--by", "maria")
    # Given an edit by somebody else since a dry run at version 2
    changed = terminal.write("changed.yaml", RULES.replace("phone-agent", "night-phone"))
    terminal.run("rules", "apply", changed, "--by", "otto")
    # When what was tried is applied
    late = terminal.run("rules", "apply", file, "--expect-version", "2")
    # Then it is refused, naming who was faster
    assert late.code == 2
    assert "the rules were edited meanwhile" in late.err
    assert "otto: update 'phone'" in late.err
    # When a rule is deleted by leaving it out
    only = terminal.write("only.yaml", RULES.split("- name: phone", maxsplit=1)[0])
    assert "1 kept" in terminal.run("rules", "apply", only).out
    deleted = terminal.run("rules", "apply", only, "--delete", "--by", "otto")
    assert "- phone (deleted)" in deleted.out
    # Then the history shows all of it, newest first
    history = terminal.json("rules", "history", "phone")
    assert [(one["change"], one["changed_by"]) for one in history] == [
        ("delete", "otto"),
        ("update", "otto"),
        ("insert", "maria"),
    ]
    assert terminal.run("rules", "history", "--before", str(2**63)).code == 2
    shown = terminal.run("rules", "history")
    assert 'agent_name: "phone-agent" → "night-phone"' in " ".join(shown.out.split())
    # And all of it can be taken back
    tried = terminal.run("rules", "revert", "2", "--dry-run")
    assert "+ phone (created)" in tried.out
    assert len(terminal.json("rules", "list")) == 1
    assert terminal.run("rules", "revert", "2", "--by", "maria").lines[-1] == "the rules are at version 5"
    assert terminal.run("rules", "apply", file).lines == ["2 unchanged"]
    # And versions and rules that do not exist are reported
    assert terminal.run("rules", "revert", "99").code == 1
    assert "versions are 0 to 5" in terminal.run("rules", "revert", "99").err
    missing = terminal.run("rules", "show", "phon")
    assert (missing.code, missing.err) == (1, "usher: no rule is named 'phon'; did you mean 'phone'?\n")
    misspelt = terminal.run("rules", "show", "Pohne")
    assert (misspelt.code, misspelt.err) == (1, "usher: no rule is named 'Pohne'; did you mean 'phone'?\n")


def test_a_rule_is_tried_on_an_event_from_a_file(terminal: Shell) -> None:
    file = terminal.write("rules.yaml", RULES)
    terminal.run("rules", "apply", file)
    fabricated = terminal.run(
        "trigger", "--identity", "ana", "--metadata", '{"department": "support", "language": "es"}', "--dry-run"
    )
    event = terminal.write("event.json", fabricated.out)
    # When the rule matches
    yes = terminal.run("rules", "test", "spanish support", "--event", event)
    # Then the agent and its metadata are shown
    assert yes.code == 0
    assert yes.lines[0] == "yes rule 'spanish support' sends support-es to ana"
    assert '"greeting":"Hola ana"' in yes.out
    # When another does not
    no = terminal.run("rules", "test", "phone", "--event", event)
    assert no.code == 1
    assert [line.strip() for line in no.lines[1:]] == ["at participant.kind", 'expected "SIP"', 'found "STANDARD"']
    # And from a file alone, with the event from standard input, no database is needed
    nowhere = {"DATABASE_URL": "sqlite:///nowhere.db"}
    tried = terminal.run(
        "rules", "test", "spanish support", "--file", file, "--event", "-", "--json", stdin=fabricated.out, **nowhere
    )
    assert (tried.code, tried.json["served"], json.loads(tried.json["metadata"])) == (0, True, {"greeting": "Hola ana"})
    # And what is no event is reported
    for content, problem in (("{", "is not JSON"), ("[]", "not a JSON object"), ("{}", "names no `event`")):
        wrong = terminal.run("rules", "test", "phone", "--event", terminal.write("wrong.json", content))
        assert wrong.code == 2
        assert problem in wrong.err
    assert terminal.run("rules", "test", "phone", "--event", "missing.json").code == 2
    assert "no event has the id" in terminal.run("rules", "test", "phone", "--event", "unknown").err


def test_a_bad_row_written_with_sql_is_named_and_disturbs_no_other(terminal: Shell, sqlite_database: Database) -> None:
    terminal.run("rules", "apply", terminal.write("rules.yaml", RULES))
    sqlite_database.execute(
        "INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('bad', :pattern, 'x')",
        pattern='{"room": {"name": [{"prefx": "a"}]}}',
    )
    listed = terminal.run("rules", "list")
    assert "cannot be used" in listed.out
    assert "1 cannot be used" in listed.err
    by_name = {rule["name"]: rule for rule in terminal.json("rules", "list")}
    assert by_name["phone"]["problems"] == []
    assert "prefx" in by_name["bad"]["problems"][0]
    assert "cannot be used" in terminal.run("rules", "show", "bad").out


def test_rules_that_are_probably_wrong_are_warned_about_but_not_refused(terminal: Shell) -> None:
    # Given a rule that is never reached, and one for a field that LiveKit does not send
    file = terminal.write("rules.yaml", DOUBTFUL)
    checked = terminal.run("rules", "check", file)
    assert checked.code == 0
    assert "rules.yaml: warning: rule 'late': is never reached: the earlier rule 'all'" in checked.err
    assert "rules.yaml: warning: rule 'odd': room.nmae: is not a field" in checked.err
    planned = terminal.json("rules", "apply", file, "--dry-run")
    assert {name: len(lines) for name, lines in planned["warnings"].items()} == {"odd": 1, "late": 1}
    applied = terminal.run("rules", "apply", file)
    assert applied.code == 0
    assert "warning: rule 'late': is never reached: the earlier rule 'all'" in applied.err
    # When another edit follows, then only what it makes worse is warned about
    assert "warning" not in terminal.run("rules", "apply", "rules.yaml").err
    # And of another file, what a rule that stands already does to its own
    later = "rules:\n- {name: later, pattern: {room: {name: [x]}}, agent_name: b}\n"
    other = terminal.write("other.yaml", later)
    assert "rule 'later': is never reached" in terminal.run("rules", "apply", other, "--dry-run").err
    warned = {rule["name"]: len(rule["warnings"]) for rule in terminal.json("rules", "list")}
    assert warned == {"odd": 1, "all": 0, "late": 1}
    assert "warning: is never reached" in " ".join(terminal.run("rules", "list").out.split())


def test_a_database_without_schema_is_refused_with_the_command_to_run(tmp_path: Path) -> None:
    terminal = Shell(tmp_path, {"DATABASE_URL": "sqlite:///usher.db"})
    # Given no database, every command that reads says what to run, and makes none by the way
    for command in (
        ("rules", "list"),
        ("events", "list"),
        ("dispatches", "list"),
        ("explain", "ana"),
        ("users", "list"),
    ):
        answer = terminal.run(*command)
        assert answer.code == 2
        assert answer.err == "usher: there is no database at usher.db yet (see DATABASE_URL); run: usher migrate up\n"
    assert list(tmp_path.iterdir()) == []
    # And an empty one is not taken for one
    (tmp_path / "usher.db").touch()
    assert "run: usher migrate up" in terminal.run("rules", "list").err
    assert terminal.run("migrate", "up").code == 0
    assert terminal.run("rules", "list").code == 0
