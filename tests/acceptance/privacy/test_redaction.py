"""`USHER_REDACT` from outside: what it names is nowhere, whichever way it arrives and wherever one looks."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx2
import pytest

from app.errors import SettingsError
from app.settings import read_settings
from tests.acceptance.privacy.api_user import admin_client
from tests.acceptance.test_webhook import PATH, signed
from tests.conftest import Database
from tests.harness.dump import dump
from tests.harness.serving import Serving, serving, until

SECRET = "s3cr3t-4711"
PHONE = "+34600111222"
REDACT = (
    "participant.name,participant.metadata.ssn,participant.attributes.ssn,participant.phone,room.metadata.owner,room.metadata.ssn,"
    "participant.attributes.usher.context,track.name"
)
WRITTEN = {
    "JSON": '{"ssn": "%s", "tier": "gold"}',
    "NaN": '{"ssn": "%s", "a": NaN}',
    "infinite": '{"ssn": "%s", "a": 1e400}',
    "comma": '{"ssn": "%s",}',
    "BOM": '\ufeff{"ssn": "%s"}',
    "quotes": "{'ssn': '%s'}",
    "text": '"{\\"ssn\\": \\"%s\\"}"',
}


def caller(number: int, **participant: Any) -> dict[str, Any]:
    return {
        "sid": f"PA_{number}",
        "identity": f"caller-{number}",
        "state": "ACTIVE",
        "name": SECRET,
        "attributes": {"ssn": SECRET, "sip.phoneNumber": PHONE, "sip.ruleID": "SDR_1", "tier": "gold"},
        **participant,
    }


def webhooks() -> list[dict[str, Any]]:
    """Return a webhook for each place at which participants and rooms are described."""
    room = {"sid": "RM_1", "name": "support-1", "metadata": json.dumps({"owner": SECRET})}
    found: list[dict[str, Any]] = [{"event": "room_started", "room": room}]
    for number, form in enumerate(WRITTEN.values()):
        kind = ("SIP", "STANDARD", "CONNECTOR")[number % 3]
        metadata = form.replace("%s", SECRET)
        found.append(
            {
                "event": "participant_joined",
                "room": {**room, "sid": f"RM_{number}", "name": f"support-{number}", "metadata": metadata},
                "participant": caller(number, kind=kind, metadata=metadata),
            }
        )
        found.append({"event": "participant_left", "room": room, "participant": caller(90 + number, metadata=metadata)})
        job = {"id": f"AJ_{number}", "room": room, "participant": caller(number, metadata=metadata)}
        found += [{"event": event, "job": job} for event in ("agent_job_started", "agent_job_ended")]
        ingress = {
            "ingressId": "IN_1",
            "streamKey": SECRET,
            "participantName": SECRET,
            "participantMetadata": metadata,
            "state": {"tracks": [{"name": SECRET}]},
        }
        found.append({"event": "ingress_started", "ingressInfo": ingress})
    egress = {"egressId": "EG_1", "roomName": "support-1", "track": {"file": {"s3": {"secret": SECRET, "bucket": "b"}}}}
    found.append({"event": "egress_started", "egressInfo": egress})
    track = {"event": "track_published", "room": room, "participant": caller(1), "track": {"name": SECRET}}
    return [*found, track]


async def every_answer(client: httpx2.AsyncClient, database: Database) -> str:
    """Return what the lists of the API, each event and dispatch, explanations, trials and open pages answer."""
    rule = {"name": "t", "pattern": {"participant": {"metadata": {"ssn": [{"exists": True}]}}}, "agent_name": "a"}
    answers = [await client.get(f"/api/v1/{name}?limit=200") for name in ("events", "dispatches", "calls")]
    answers += [await client.get(path) for path in ("/readyz", "/healthz", "/metrics", "/api/v1/health")]
    for row in database.execute("SELECT id FROM events"):
        answers.append(await client.get(f"/api/v1/events/{row['id']}"))
        answers.append(await client.get(f"/api/v1/calls/{row['id']}"))
        answers.append(await client.get("/api/v1/explain", params={"of": row["id"]}))
    for row in database.execute("SELECT id FROM dispatches"):
        answers.append(await client.get(f"/api/v1/dispatches/{row['id']}"))
    answers.append(await client.post("/api/v1/rules/test", json={"rule": rule, "limit": 50}))
    answers.append(await client.post("/api/v1/simulate", json={"rules": [rule]}))
    assert {answer.status_code for answer in answers} == {200}
    return "".join(answer.text for answer in answers)


@pytest.fixture
def rules(database: Database) -> None:
    pattern = json.dumps({"event": [{"exists": True}], "participant": {"role": [{"exists": True}]}})
    anything = json.dumps({"event": [{"anything-but": "participant_joined"}]})
    whole = json.dumps({"all": {"$eval": "participant"}, "room": {"$eval": "room"}})
    insert = "INSERT INTO routing_rules (name, pattern, agent_name, metadata, on_match, scope) VALUES "
    database.execute(f"{insert} ('whole', :p, 'ana', :m, 'continue', 'participant')", p=pattern, m=whole)
    database.execute(f"{insert} ('plain', :p, 'ben', NULL, 'continue', 'participant')", p=pattern)
    database.execute(f"{insert} ('other', :p, 'eva', NULL, 'continue', 'room')", p=anything)


@pytest.mark.usefixtures("rules")
async def test_what_is_redacted_is_nowhere(database: Database, capfd: pytest.CaptureFixture[str]) -> None:
    async with (
        serving(database.text, USHER_REDACT=REDACT, USHER_SWEEP_INTERVAL="1") as running,
        await admin_client(running) as client,
    ):
        # Given agents, and callers that join at LiveKit with a secret in every place that is redacted
        simulator = running.simulator
        simulator.add_worker("ana")
        for number, form in enumerate(WRITTEN.values()):
            metadata = form.replace("%s", SECRET)
            attributes = {"ssn": SECRET, "sip.phoneNumber": PHONE, "usher.context": SECRET}
            simulator.join(f"hall-{number}", f"guest-{number}", name=SECRET, metadata=metadata, attributes=attributes)
        # And webhooks of every kind that describe such callers
        for number, content in enumerate(webhooks()):
            body = json.dumps({**content, "id": f"EV_{number}", "createdAt": str(int(time.time()))}).encode()
            assert (await client.post(PATH, content=body, headers=signed(body))).status_code == 200
        # And a token server that asks for such a caller, also with mistakes
        decided = await _decide(client)
        await until(lambda: len(simulator.ledger.dispatches) >= len(WRITTEN))
        # When an operator looks at all of it, and replays and retries some
        for row in database.execute("SELECT id FROM events WHERE type = 'participant_joined' LIMIT 3"):
            assert (await client.post(f"/api/v1/events/{row['id']}/replay")).status_code == 200
        shown = await every_answer(client, database)
        sent = _sent(running)
    stored, logged = dump(database), "".join(capfd.readouterr())
    # Then the secret is in no table, answer, line of the log, or call to LiveKit, and the rest is
    places = {"stored": stored, "shown": shown, "sent": sent, "decided": decided, "logged": logged}
    for place, found in places.items():
        for secret in (SECRET, PHONE):
            assert secret not in found, (place, found[max(0, found.find(secret) - 300) :][:400])
        assert "gold" in found or place == "logged"


def _sent(running: Serving) -> str:
    return json.dumps([(one.metadata, dict(one.attributes)) for one in running.simulator.ledger.dispatches])


async def _decide(client: httpx2.AsyncClient) -> str:
    answers = []
    for form in WRITTEN.values():
        metadata = form.replace("%s", SECRET)
        participant: dict[str, Any] = {"identity": "ana", "name": SECRET, "kind": "SIP", "metadata": metadata}
        participant["attributes"] = {"ssn": SECRET, "sip.phoneNumber": PHONE}
        order: dict[str, Any] = {"participant": participant, "room": {"name": "hall", "metadata": metadata}}
        answers.append(await client.post("/api/v1/decide", json=order))
        assert answers[-1].status_code == 200
        order["participant"]["attributes"]["ssn"] = [SECRET]
        order["participant"]["kind"] = SECRET
        answers.append(await client.post("/api/v1/decide", json=order))
        assert answers[-1].status_code == 422
    return "".join(answer.text for answer in answers)


def test_a_path_that_identifies_calls_cannot_be_redacted() -> None:
    for path in ("participant.kind", "job.room.name", "participant.identity"):
        with pytest.raises(SettingsError, match=path):
            read_settings({"USHER_REDACT": path}, without_livekit=True)
