"""Thousands of webhooks, each a little wrong: no defect, no forgery, no secret."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from app.simulator import SIMULATOR_KEY, SIMULATOR_SECRET
from app.simulator.webhooks import sign
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

RECORDED = sorted((Path(__file__).parents[2] / "data" / "webhooks").glob("*.json"))
MUTATIONS = 3000
ODD: list[Any] = [
    None, True, False, 0, -1, 2**63, 2**64, 1e308, -0.0, "", "\0", "\ud800", "x" * 700, "😀", "1" * 19, "0x1", "true",
    [], {}, [[]], {"": {}}, {"$eval": "1/0"}, [1, "a", None], {"sid": {}}, "ACTIVE", "SIP", "AGENT", "room_finished",
]  # fmt: skip

NAMES = ["event", "sid", "name", "kind", "metadata", "\0", "\ud800", ""]


def mutated(document: Any, chance: random.Random) -> Any:
    """Return a copy with one thing changed somewhere."""
    copy = json.loads(json.dumps(document))
    places = [(copy, key) for key in copy]
    for container, key in places:
        value = container[key]
        if isinstance(value, dict):
            places += [(value, name) for name in value]
        elif isinstance(value, list):
            places += [(value, index) for index in range(len(value))]
    container, key = chance.choice(places)
    match chance.randrange(4):
        case 0:
            del container[key]
        case 1 if isinstance(container, dict):
            container[chance.choice(["event", "sid", "name", "kind", "metadata", "\0", "\ud800", ""])] = chance.choice(
                ODD
            )
        case _:
            container[key] = chance.choice(ODD)
    return copy


def damaged(body: bytes, chance: random.Random) -> bytes:
    """Return other bytes than `body`."""
    place = chance.randrange(len(body))
    match chance.randrange(3):
        case 0:
            return body[:place]
        case 1:
            return body[:place] + bytes([body[place] ^ (1 << chance.randrange(8))]) + body[place + 1 :]
        case _:
            return body[:place] + bytes(chance.randrange(256) for _ in range(4)) + body[place:]


@in_virtual_time
async def test_no_mutation_is_a_defect_or_a_forgery(database: Database) -> None:
    chance = random.Random(20261122)
    documents = [json.loads(path.read_text("utf-8")) for path in RECORDED]
    assert len(documents) >= 5
    answers: Counter[tuple[str, int]] = Counter()
    async with World(database) as world:
        schedule = world.simulator.schedule
        world.rule(pattern={"event": ["participant_joined", "participant_left", "room_started", "track_published"]})
        world.rule("kinds", "second", {"participant": {"kind": ["AGENT", "SIP", "STANDARD"]}}, scope="participant")
        stored = 0
        for number in range(MUTATIONS if database.kind == "sqlite" else MUTATIONS // 3):
            body = json.dumps(chance.choice(documents)).encode()
            token = sign(body, SIMULATOR_KEY, SIMULATOR_SECRET, schedule)
            kind = ("content", "bytes", "body", "token")[number % 4]
            if kind == "content":  # signed by LiveKit's own key, whatever it holds
                body = json.dumps(mutated(json.loads(body), chance)).encode()
                token = sign(body, SIMULATOR_KEY, SIMULATOR_SECRET, schedule)
            elif kind == "bytes":
                body = damaged(body, chance)
                token = sign(body, SIMULATOR_KEY, SIMULATOR_SECRET, schedule)
            elif kind == "body":
                body = damaged(body, chance)
            else:
                token = damaged(token.encode("ascii"), chance).decode("latin-1")
            status = (await world.usher.post(body, {"Authorization": token})).status
            answers[kind, status] += 1
            if kind in {"body", "token"}:
                assert status == 401, (kind, body, token)
            else:
                assert status in {200, 400}, (kind, status, body)
            if number == MUTATIONS // 4:
                stored = len(world.events())
        assert stored
        assert answers["content", 200] > 10 * answers["content", 400] / 2
        secrets = {
            document["room"]["turnPassword"] for document in documents if "turnPassword" in document.get("room", {})
        }
        everything = "".join(str({**row, "body": world.body(row["id"])}) for row in world.events())
        everything += "".join(str(dict(row)) for row in world.dispatches())
        assert secrets
        assert not [secret for secret in secrets if secret in everything]
    print(dict(answers))
