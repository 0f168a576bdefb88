"""`/metrics` asked by anybody, as often as they like."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from typing import Any

import pytest
from prometheus_client import generate_latest

from app.accounts.roles import Role
from app.server import metrics_endpoint
from app.server.privacy import names
from app.server.turns import MAX_WAITING
from tests.integration.server.conftest import Running


async def test_answers_do_not_wait_for_a_database_that_hangs(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, looking = threading.Event(), Counter[str]()

    def hang(*_arguments: Any) -> None:
        looking["now"] += 1
        looking["most"] = max(looking["most"], looking["now"])
        hangs.wait(60)
        looking["now"] -= 1

    token = await running.token(Role.VIEWER)
    monkeypatch.setattr(names, "find_bearer", hang)
    monkeypatch.setattr(names, "_LOOK_UP_S", 0.2)
    try:
        async with running.client(token) as client:
            answers = await asyncio.gather(*(client.get(path) for path in ("/readyz", "/metrics") * 10))
            assert {answer.status_code for answer in answers} == {200}
            assert not [answer for answer in answers if "greeter" in answer.text]
            assert 1 <= looking["most"] <= 2
    finally:
        hangs.set()


async def test_many_scrapes_without_a_token_are_rendered_a_few_times(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: Counter[str] = Counter()
    render = generate_latest

    def count(registry: Any) -> bytes:
        rendered[type(registry).__name__] += 1
        return render(registry)

    monkeypatch.setattr(metrics_endpoint, "generate_latest", count)
    token = await running.token(Role.VIEWER)
    began = time.monotonic()
    async with running.client() as stranger, running.client(token) as user:
        answers = [await stranger.get("/metrics") for _ in range(200)]
        known = [await user.get("/metrics") for _ in range(30)]
    assert all(b"usher_events" in answer.content for answer in (*answers, *known))
    assert rendered["CollectorRegistry"] == 30
    # Twenty at once and five a second: the rest get the last one.
    assert 20 <= rendered["NamelessRegistry"] <= 21 + 5 * (time.monotonic() - began)


async def test_a_flood_of_requests_is_answered_in_turn_and_long_ones_beyond_that_are_refused(running: Running) -> None:
    async with running.client() as client:
        flood = [client.get("/console/login") for _ in range(MAX_WAITING + 50)]
        forged = [client.post("/livekit/webhook", content=b"{}") for _ in range(50)]
        long = [client.post("/console/login", content=b"x" * 20_000) for _ in range(10)]
        answers = await asyncio.gather(*flood, *long, *forged, client.get("/healthz"))
        statuses = Counter(answer.status_code for answer in answers)
        assert statuses == {200: len(flood) + 1, 429: len(long), 401: len(forged)}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.headers["retry-after"] == "1"
        assert (await client.get("/console/login")).status_code == 200


async def test_long_forged_webhooks_are_answered_at_once_so_that_nothing_of_them_is_kept(running: Running) -> None:
    async with running.client() as client:
        answered: list[str] = []

        async def ask(name: str, method: str, path: str, content: bytes = b"") -> None:
            await client.request(method, path, content=content)
            answered.append(name)

        flood = [ask("page", "GET", "/console/login") for _ in range(200)]
        forged = [ask("long", "POST", "/livekit/webhook", b"x" * 100_000) for _ in range(5)]
        await asyncio.gather(*flood, *forged)
    assert [place for place, name in enumerate(answered) if name == "long"][-1] < 100


async def test_readiness_says_why_the_database_cannot_be_read(running: Running) -> None:
    running.database.execute("ALTER TABLE incidents RENAME TO incidents_of_before")
    async with running.client() as anybody:
        answer = await anybody.get("/readyz")
    assert answer.status_code == 503
    state = answer.json()["database"]
    assert state["status"] == "unavailable"
    assert state["detail"].startswith("the database does not answer: ")
    assert "incidents" in state["detail"]
