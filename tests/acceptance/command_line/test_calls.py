"""Calls on the command line: explain them, intervene, and try drafts and probes."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.acceptance.cli_site import USHER, Shell, Site, running_site, wait_for
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
- name: long wait
  pattern: {room: {name: [{prefix: "slow-"}]}}
  agent_name: sleeper
  answer_timeout_s: 600
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Any) -> Iterator[Site]:
    """One site for all stories of this module: each has callers of its own."""
    folder = tmp_path_factory.mktemp("site")
    path = folder / "usher.db"
    path.write_bytes(sqlite_template.read_bytes())
    with running_site(folder, Database(make_url(f"sqlite:///{path}")), RULES, ("support-es",)) as running:
        yield replace(running, terminal=Shell(folder, running.terminal.environment))


def _until(site: Site, identity: str, status: str) -> Any:
    """Return the latest dispatch of that participant once it has reached `status`."""

    def found() -> Any:
        rows = site.database.execute("SELECT * FROM dispatches WHERE participant_identity = :who", who=identity)
        return rows[-1] if rows and rows[-1]["status"] == status else None

    return wait_for(found, f"{identity} to be {status}")


def _event(site: Site, identity: str, event_type: str = "participant_joined") -> Any:
    """Return the event of that participant once it is stored."""

    def found() -> Any:
        query = "SELECT * FROM events WHERE participant_identity = :who AND type = :type"
        return site.database.execute(query, who=identity, type=event_type)

    return wait_for(found, f"{event_type} of {identity}")[0]


def test_a_call_is_shown_whole_by_any_of_its_names(site: Site) -> None:
    # Given a Spanish caller whose agent came
    sid = site.livekit.post("join", room="support-1", identity="ana", metadata='{"language": "es"}')["sid"]
    dispatch = _until(site, "ana", "joined")
    # When somebody asks for the call by identity, SID, dispatch or event
    for reference in ("ana", sid, dispatch["id"], dispatch["event_id"]):
        why = site.terminal.run("explain", reference)
        # Then the rules, the steps and the times are there, within 80 columns
        assert why.code == 0
        assert max(map(len, why.lines)) <= 80
        text = " ".join(why.out.split())
        for part in (
            "yes spanish support",
            "ana joined room support-1",
            "support-es joined",
            "ana in room support-1",
        ):
            assert part in text, part
    shown = site.terminal.run("dispatches", "show", dispatch["id"])
    assert dispatch["livekit_dispatch_id"] in shown.out
    assert '"language": "es"' in shown.out
    document = site.terminal.json("dispatches", "show", dispatch["id"])
    assert document["timeline"]["call"]["state"] == "answered"
    assert document["dispatch"]["calls"][0]["outcome"] == "accepted"
    listed = site.terminal.run("events", "list", "--identity", "ana")
    assert dispatch["event_id"] in listed.out


def test_why_no_agent_joined_is_shown_with_what_was_found(site: Site) -> None:
    # Given a caller in English, that no rule matches, and one whose agent has no worker
    site.livekit.post("join", room="lobby", identity="ben", metadata='{"language": "en"}')
    site.livekit.post("join", room="empty-7", identity="cleo")
    _event(site, "ben")
    shown = " ".join(site.terminal.run("explain", "ben").out.split())
    for part in ("participant.metadata.language", 'expected "es"', 'found "en"'):
        assert part in shown
    assert "no agent joined ben, because no rule matched." in shown
    _until(site, "cleo", "no_show")
    shown = " ".join(site.terminal.run("explain", "cleo").out.split())
    assert "ghost did not join: no worker is seen to have taken it; no other agent to ask" in shown
    # And a caller that is not known is reported
    nobody = site.terminal.run("explain", "nobody")
    assert (nobody.code, nobody.out) == (1, "")
    assert "nothing is stored about 'nobody'" in nobody.err


def test_a_dispatch_is_cancelled_withdrawn_and_redriven(site: Site) -> None:
    # Given a caller who waits for an agent without worker
    site.livekit.post("join", room="slow-1", identity="dora")
    waiting = _until(site, "dora", "dispatched")
    # When it would be cancelled
    tried = site.terminal.run("dispatches", "cancel", "--identity", "dora", "--dry-run")
    assert "1 would be cancelled" in tried.out
    assert _until(site, "dora", "dispatched")
    # Then without LiveKit's settings nothing is done, and it is said what is missing
    blind = site.terminal.run("dispatches", "cancel", waiting["id"], LIVEKIT_URL="", LIVEKIT_API_SECRET="")
    assert blind.code == 2
    assert [line.strip() for line in blind.err.splitlines()[1:]] == [
        "LIVEKIT_URL: is missing",
        "LIVEKIT_API_SECRET: is missing",
    ]
    assert _until(site, "dora", "dispatched")
    # When it is cancelled, then it is so at LiveKit, too, and who did it is written down
    done = site.terminal.run("dispatches", "cancel", waiting["id"], "--by", "maria")
    assert (done.code, done.lines[-1]) == (0, "1 cancelled")
    changes = site.terminal.json("dispatches", "show", waiting["id"])["dispatch"]["changes"]
    assert (changes[-1]["to_state"], changes[-1]["changed_by"]) == ("cancelled", "maria")
    asked = site.livekit.dispatches("slow-1")  # more than one where these commands took long
    assert all(one["deleted"] is not None for one in asked)
    # When it is cancelled once more, then that is refused
    again = site.terminal.run("dispatches", "cancel", waiting["id"])
    assert again.code == 1
    assert "refused: is cancelled" in " ".join(again.out.split())
    # When its agent has a worker at last, and it is driven again
    site.livekit.post("workers", agent_name="sleeper")
    driven = site.terminal.run("dispatches", "redrive", "--identity", "dora", "--by", "maria")
    assert driven.lines[-1] == "1 redriven"
    # Then the running Usher brings the agent
    assert _until(site, "dora", "joined")["id"] != waiting["id"]
    assert site.terminal.json("dispatches", "show", waiting["id"])["dispatch"]["status"] == "cancelled"
    # And ids that do not exist are reported, with nothing done
    assert site.terminal.run("dispatches", "redrive", "unknown").code == 1


def test_an_event_is_replayed_with_the_current_rules(site: Site) -> None:
    # Given a caller that no rule matched, and a rule made since
    site.livekit.post("join", room="vip-1", identity="eve")
    event = _event(site, "eve")
    assert event["outcome"] == "no_match"
    more = RULES + '- name: vip\n  pattern: {room: {name: [{prefix: "vip-"}]}}\n  agent_name: support-es\n'
    assert site.terminal.run("rules", "apply", "-", stdin=more).code == 0
    # When the event is replayed
    tried = site.terminal.run("events", "replay", "--identity", "eve", "--dry-run")
    assert "1 would be replayed" in tried.out
    done = site.terminal.run("events", "replay", event["id"], "--by", "maria")
    assert done.lines[-1] == "1 replayed"
    # Then the running Usher brings the agent, and the call shows the replay
    _until(site, "eve", "joined")
    shown = " ".join(site.terminal.run("explain", "eve").out.split())
    assert "replayed" in shown
    # And an end is not replayed
    site.livekit.post("leave", room="vip-1", identity="eve")
    refused = site.terminal.run("events", "replay", _event(site, "eve", "participant_left")["id"])
    assert refused.code == 1
    assert "reports an end" in " ".join(refused.out.split())


def test_lists_are_narrowed_exported_and_read_by_programs(site: Site) -> None:
    site.livekit.post("join", room="support-2", identity="fay", metadata='{"language": "es"}')
    dispatch = _until(site, "fay", "joined")
    # Every filter finds it
    for options in (
        ["--room", "support-2"],
        ["--agent", "support-es", "--status", "joined"],
        ["--rule", "spanish support", "--since", "1h"],
        ["--search", dispatch["participant_sid"]],
    ):
        found = site.terminal.json("dispatches", "list", *options)
        assert dispatch["id"] in [one["id"] for one in found], options
    assert site.terminal.json("dispatches", "list", "--until", "1h") == []
    assert site.terminal.run("dispatches", "list", "--agent", "none").out == "No dispatch matches.\n"
    assert len(site.terminal.json("events", "list", "--limit", "1")) == 1
    # Exports have all of it
    text = site.terminal.run("dispatches", "export", "--format", "csv", "--identity", "fay").out
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["id"], row["participant_identity"], row["status"]) == (dispatch["id"], "fay", "joined")
    written = site.terminal.run("events", "export", "--identity", "fay", "-o", "events.jsonl")
    assert written.err == "1 events written to events.jsonl\n"
    (line,) = (site.terminal.folder / "events.jsonl").read_text().splitlines()
    assert json.loads(line)["body"]["participant"]["identity"] == "fay"
    assert "turnPassword" not in line
    assert site.terminal.run("events", "export", "-o", "nowhere/events.csv").code == 2


def test_a_closed_pipe_is_no_error(site: Site) -> None:
    command = f"{USHER} events list --limit 100000 | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], env=site.terminal.everything(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode in {0, 1}
    assert "Error" not in done.stderr
    assert "Traceback" not in done.stderr


def test_webhooks_are_made_up_and_posted(site: Site) -> None:
    # When a phone call is made up
    made = site.terminal.run(
        "trigger", "--sip", "--to", "+15557654321", "--from", "+34600999888", "--attribute", "sip.h.x=y", "--json"
    )
    # Then the running Usher takes it
    assert made.code == 0
    assert (made.json["status"], made.json["answer"]) == (200, {"status": "accepted"})
    sid = made.json["event"]["participant"]["sid"]
    (event,) = site.terminal.json("events", "list", "--phone", "+34600999888")
    assert (event["participant_sid"], event["participant_kind"]) == (sid, "SIP")
    # And once more the same participant, it knows it
    same = ["--identity", "gus", "--sid", "PA_gus", "--room", "r", "--room-sid", "RM_r"]
    assert site.terminal.run("trigger", "participant_joined", *same).out == '200 {"status":"accepted"}\n'
    assert site.terminal.run("trigger", "participant_joined", *same).out == '200 {"status":"duplicate"}\n'
    assert site.terminal.run("trigger", "participant_left", *same).out == '200 {"status":"accepted"}\n'
    # And signed with another key, it is refused
    forged = site.terminal.run("trigger", "--identity", "gus", LIVEKIT_API_SECRET="another secret of good length....")
    assert forged.code == 1
    assert forged.out.startswith("401 ")


def test_a_probe_shows_whether_an_agent_joins(site: Site) -> None:
    came = site.terminal.run("probe", "support-es", "--json")
    assert came.code == 0
    assert came.json[0]["arrived"] is True
    assert 0 < came.json[0]["milliseconds_to_agent"] < 20_000
    # And one without worker does not, with the cause
    absent = site.terminal.run("probe", "support-es", "ghost", "--timeout", "1")
    assert absent.code == 1
    assert "ghost did not join: no agent came within 1 s" in " ".join(absent.out.split())
    # And no throw-away room is left, nor was any made by a dispatch
    assert site.livekit.rooms("usher-probe-") == []
    probes = site.livekit.dispatches("usher-probe-")
    assert len(probes) == 3
    assert not any(one["created_room"] for one in probes)


def test_a_draft_is_tried_on_the_traffic_that_was(site: Site) -> None:
    site.livekit.post("join", room="support-3", identity="hugo", metadata='{"language": "es"}')
    _until(site, "hugo", "joined")
    draft = site.terminal.write("draft.yaml", RULES.replace("agent_name: support-es", "agent_name: support-es-2"))
    # When the draft is tried, then it says who would get another agent, with examples
    shown = site.terminal.run("simulate", draft, "--since", "1h", "--fail-on-change")
    assert shown.code == 1
    assert "another agent" in shown.out
    assert "support-es → support-es-2" in shown.out
    document = site.terminal.json("simulate", draft, "--since", "1h")
    assert document["changes"] >= 1
    assert document["groups"][0]["agents_after"] == ["support-es-2"]
    # And the rules of now change nothing
    now = site.terminal.run("rules", "export")
    same = site.terminal.run("simulate", "-", "--since", "1h", "--fail-on-change", stdin=now.out)
    assert (same.code, "0 would be served differently" in same.out) == (0, True)


def test_calls_are_found_listed_and_exported_without_a_rule_too(site: Site) -> None:
    # Given a caller that a rule matched and one that none did
    terminal = site.terminal
    for identity, room, metadata in (("Greta.Find", "slow-greta", "{}"), ("harry.find", "lobby-find", '{"tier": 7}')):
        sent = ["--identity", identity, "--room", room, "--metadata", metadata]
        assert terminal.run("trigger", "participant_joined", *sent).code == 0
        _event(site, identity)
    # Then they are found by how a name begins, without case, and by their metadata
    (found,) = terminal.json("calls", "list", "--find", "GRETA")
    assert found["participant_identity"] == "Greta.Find"
    (found,) = terminal.json("calls", "list", "--metadata", "tier=7", "--since", "yesterday")
    assert (found["participant_identity"], found["state"]) == ("harry.find", "no_match")
    assert "harry.find" in terminal.run("calls", "list", "-q", "lobby-f").out
    # When the list is exported, then it has columns for people
    (row,) = csv.DictReader(io.StringIO(terminal.run("calls", "export", "-q", "lobby-find").out))
    assert (row["caller"], row["state"], row["agents_asked"]) == ("harry.find", "no_match", "")
    # And a call is explained by how its caller's name begins, if that is one caller
    assert "harry.find" in terminal.run("explain", "HARRY.f").out
    for identity in ("harriet.find", "harris.find"):
        sent = ["--identity", identity, "--room", "lobby-find"]
        assert terminal.run("trigger", "participant_joined", *sent).code == 0
        _event(site, identity)
    several = terminal.run("explain", "harri")
    assert several.code == 1
    assert "'harriet.find'" in several.err
    wrong = terminal.run("calls", "list", "--metadata", "tier")
    assert wrong.code == 2
    assert "FIELD=VALUE" in wrong.err


def test_an_ended_call_is_listed_with_when_its_agent_joined(site: Site) -> None:
    # Given a call that has its agent
    site.livekit.post("join", room="support-olga", identity="olga", metadata='{"language": "es"}')
    _until(site, "olga", "joined")
    listings = [("calls", "list", "-q", "olga"), ("dispatches", "list", "--identity", "olga")]
    for words in listings:
        assert re.search(r"(answered|joined) after \d", site.terminal.run(*words).out)
    # When the caller leaves, then the time is not said to be that of the call
    site.livekit.post("leave", room="support-olga", identity="olga")
    _until(site, "olga", "ended")
    for words in listings:
        assert re.search(r"ended, joined after \d", site.terminal.run(*words).out)


def test_a_name_that_no_dispatch_has_is_noted_with_the_nearest(site: Site) -> None:
    site.livekit.post("join", room="support-nina", identity="nina", metadata='{"language": "es"}')
    _until(site, "nina", "joined")
    for command in ("calls", "dispatches"):
        listed = site.terminal.run(command, "list", "--agent", "suport-es", "--rule", "unheard of")
        assert listed.code == 0
        assert "No dispatch names the agent 'suport-es'; did you mean 'support-es'?" in " ".join(listed.err.split())
        assert "No dispatch names the rule 'unheard of'; see: usher rules list" in " ".join(listed.err.split())
    paused = site.terminal.run("agents", "pause", "suport-es", "1h")
    assert paused.code == 0
    assert "no dispatch has asked for 'suport-es' before; is 'support-es' meant?" in " ".join(paused.err.split())
