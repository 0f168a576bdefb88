"""What reaches channels and programs over the network: Apprise and HTTP, with receivers that misbehave."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from apprise.decorators import notify

from app.clock import SystemClock
from app.flows.messages import senders
from app.flows.messages.senders import RealSenders
from tests.harness.serving import until

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def receiver(answer: Answer) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def sending() -> AsyncIterator[RealSenders]:
    made = RealSenders(SystemClock())
    try:
        yield made
    finally:
        await made.close()


async def test_apprise_delivers_title_and_text() -> None:
    got: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response()

    async with receiver(answer) as place, sending() as made:
        outcome = await made.notify(f"json://{place}/hook", "Usher: a title", "a text\nof lines", is_open=True)
    assert outcome.delivered
    assert (got[0]["title"], got[0]["message"], got[0]["type"]) == ("Usher: a title", "a text\nof lines", "warning")


async def test_a_failing_channel_says_why_without_its_secret(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=500)

    async with receiver(answer) as place, sending() as made:
        outcome = await made.notify(f"json://user:pass-word@{place}/secret-path", "t", "b", is_open=True)
    assert not outcome.delivered
    assert outcome.text
    for secret in ("pass-word", "secret-path"):
        assert secret not in outcome.text + caplog.text


async def test_half_of_a_secret_is_not_left_where_a_long_failure_is_cut() -> None:
    def fail(*_parts: Any, **_more: Any) -> bool:
        logging.getLogger("apprise").warning("%ssecret-token", "x" * 195)
        return False

    decorator: Any = notify
    decorator(on="longfailure")(fail)
    async with sending() as made:
        outcome = await made.notify("longfailure://secret-token", "t", "b", is_open=True)
    assert outcome.text.startswith("x" * 195 + "…")


async def test_what_is_no_channel_is_reported() -> None:
    async with sending() as made:
        outcome = await made.notify("nonsense://secret-token", "t", "b", is_open=True)
    assert (outcome.delivered, "secret-token" in outcome.text) == (False, False)


async def test_a_channel_that_hangs_ends_after_its_time_and_further_messages_fail_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hanging = threading.Event()
    monkeypatch.setattr(senders, "NOTIFY_WITHIN_S", 0.05)
    monkeypatch.setattr(senders, "_notify", lambda *_parts, **_more: str(hanging.wait(600)))
    async with sending() as made:
        try:
            first, second = [await made.notify("json://x", "t", "b", is_open=True) for _ in range(2)]
            third = await made.notify("json://x", "t", "b", is_open=True)
            other = await asyncio.wait_for(made.notify("json://y", "t", "b", is_open=True), 60)
        finally:
            hanging.set()
    assert first.text == second.text == other.text == "no answer within 0.05 s"
    assert third.text == "earlier messages to this channel have not been answered yet"


async def test_what_hangs_in_a_channel_is_counted_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two threads that change a count at the same time, one change is lost, and the channel is refused for ever."""
    counting: list[int] = []

    class Counted(Counter[str]):
        def __setitem__(self, key: str, count: int) -> None:
            counting.append(threading.get_ident())
            super().__setitem__(key, count)

    goes_on = threading.Event()
    monkeypatch.setattr(senders, "Counter", Counted)
    monkeypatch.setattr(senders, "_notify", lambda *_parts, **_more: str(goes_on.wait(600))[:0])
    async with sending() as made:
        notifying = asyncio.create_task(made.notify("json://x", "t", "b", is_open=True))
        await until(lambda: counting)
        goes_on.set()
        assert (await notifying).delivered
        await until(lambda: len(counting) == 2)
    assert counting == [threading.get_ident()] * 2


@pytest.mark.parametrize(
    ("status", "headers", "delivered", "text"),
    [
        (204, {}, True, ""),
        (500, {}, False, "HTTP 500: no"),
        (302, {"Location": "http://169.254.169.254/"}, False, "HTTP 302: redirects are not followed"),
        (410, {}, False, "HTTP 410: no"),
        (429, {"Retry-After": "120"}, False, "HTTP 429: no"),
    ],
)
async def test_answers_of_a_program(status: int, headers: dict[str, str], delivered: bool, text: str) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, headers=headers, text="" if status == 204 else "no")

    async with receiver(answer) as place, sending() as made:
        outcome = await made.post(f"http://{place}/hook", {"webhook-id": "1"}, "{}")
    assert (outcome.delivered, outcome.text, outcome.status) == (delivered, text, status)
    assert outcome.is_gone == (status == 410)
    assert outcome.retry_after_s == (120 if status == 429 else None)
    assert asked == ["/hook"]


async def test_an_endless_answer_is_not_read() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            return response

    async with receiver(answer) as place, sending() as made:
        assert (await asyncio.wait_for(made.post(f"http://{place}/", {}, "{}"), 60)).delivered


async def test_a_program_that_cannot_be_reached_is_a_failure() -> None:
    async with sending() as made:
        outcome = await made.post("http://127.0.0.1:9/hook?token=secret-token", {}, "{}")
    assert not outcome.delivered
    assert "secret-token" not in outcome.text


async def test_name_servers_that_hang_take_no_thread_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging, asked = threading.Event(), []

    def resolve(host: str, *_parts: Any, **_more: Any) -> list[Any]:
        asked.append(host)
        hanging.wait(600)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with sending() as made:
        posts = [asyncio.create_task(made.post(f"http://{n}.example.com/", {}, "{}")) for n in range(40)]
        try:
            await until(lambda: len(asked) >= 2)
            await asyncio.wait_for(asyncio.to_thread(int), 60)
        finally:
            hanging.set()
        assert not any(one.delivered for one in await asyncio.gather(*posts))


async def test_programs_that_hang_do_not_hold_up_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senders, "POST_WITHIN_S", 60)
    asked, goes_on = asyncio.Semaphore(0), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        asked.release()
        if request.path == "/hang":
            await goes_on.wait()
        return web.Response()

    async with receiver(answer) as place, sending() as made:
        posts = [asyncio.create_task(made.post(f"http://{place}/hang", {}, "{}")) for _ in range(101)]
        try:
            async with asyncio.timeout(50):
                for _ in posts:
                    await asked.acquire()
                assert (await made.post(f"http://{place}/other", {}, "{}")).delivered
        finally:
            goes_on.set()
        assert all(one.delivered for one in await asyncio.gather(*posts))


async def test_a_compressed_answer_is_not_decompressed() -> None:
    async def answer(_request: web.Request) -> web.Response:
        body = gzip.compress(b"x" * 10_000_000)
        return web.Response(status=500, body=body, headers={"content-encoding": "gzip"})

    async with receiver(answer) as place, sending() as made:
        assert (await made.post(f"http://{place}/", {}, "{}")).text == "HTTP 500"
