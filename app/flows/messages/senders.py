"""Sends over Apprise and over HTTP; a failure is a `SendOutcome`, never an exception."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Final, Protocol
from urllib.parse import unquote

import aiohttp

from app.clock import Clock
from app.flows.outgoing.http_pool import HttpPool, failure_reason, is_compressed
from app.incidents.messages.channel import HOST_SCHEMES
from app.incidents.messages.delivery import SendOutcome
from app.translation import translatable

NOTIFY_WITHIN_S: Final = 20.0
POST_WITHIN_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 4096
"""Of a program's answer; the rest is not read."""
_MAX_HANGING: Final = 2
"""Threads that may hang in one channel; further messages to it fail at once, and are tried again later."""
_SHORTEST_SECRET: Final = 4
_SHOWN: Final = 200


class Senders(Protocol):
    """Sends messages to people and webhooks to programs."""

    async def notify(self, url: str, title: str, body: str, *, is_open: bool) -> SendOutcome:
        """Send a message to a channel of Apprise."""
        ...

    async def post(self, url: str, headers: Mapping[str, str], body: str) -> SendOutcome:
        """Post a webhook to a program."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class RealSenders:
    """Sends over the network."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pool = HttpPool()
        self._hanging: Counter[str] = Counter()

    async def notify(self, url: str, title: str, body: str, *, is_open: bool) -> SendOutcome:
        if self._hanging[url] >= _MAX_HANGING:
            return SendOutcome(
                delivered=False, text=translatable("earlier messages to this channel have not been answered yet")
            )
        began = self._clock.monotonic()
        sending = asyncio.wrap_future(_in_thread(lambda: _notify(url, title, body, is_open=is_open)))
        self._hanging[url] += 1
        sending.add_done_callback(lambda _: self._hanging.subtract([url]))  # in the event loop, not in the thread
        try:
            async with asyncio.timeout(NOTIFY_WITHIN_S):
                text = await asyncio.shield(sending)
        except TimeoutError:
            text = translatable("no answer within %(seconds)s s", seconds=f"{NOTIFY_WITHIN_S:g}")
        except Exception as error:  # noqa: BLE001 - the libraries of channels raise what they like
            text = without_secrets(f"{type(error).__name__}: {error}", url)
        return SendOutcome(delivered=not text, text=text, milliseconds=self._since(began))

    async def post(self, url: str, headers: Mapping[str, str], body: str) -> SendOutcome:
        began = self._clock.monotonic()
        try:
            async with (
                asyncio.timeout(POST_WITHIN_S),
                self._pool.post(url, headers, body.encode()) as response,
            ):
                answer = "" if is_compressed(response) else await _start_of(response)
                return _of_answer(response, answer, self._since(began))
        except TimeoutError:
            text = translatable("no answer within %(seconds)s s", seconds=f"{POST_WITHIN_S:g}")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            text = failure_reason(error)
        return SendOutcome(delivered=False, text=text, milliseconds=self._since(began))

    async def close(self) -> None:
        await self._pool.close()

    def _since(self, began: float) -> int:
        return round((self._clock.monotonic() - began) * 1000)


async def _start_of(response: aiohttp.ClientResponse) -> str:
    return (await response.content.read(MAX_ANSWER_BYTES)).decode("utf-8", "replace")


def _of_answer(response: aiohttp.ClientResponse, answer: str, milliseconds: int) -> SendOutcome:
    status = response.status
    if 200 <= status < 300:
        return SendOutcome(delivered=True, text="", status=status, milliseconds=milliseconds)
    text = " ".join(answer.split())[:_SHOWN]
    if 300 <= status < 400:
        text = translatable("redirects are not followed")
    after = response.headers.get("Retry-After", "")
    return SendOutcome(
        delivered=False,
        text=f"HTTP {status}: {text}" if text else f"HTTP {status}",
        status=status,
        milliseconds=milliseconds,
        retry_after_s=float(after) if after.isascii() and after.isdecimal() and len(after) < 8 else None,
        is_gone=status == 410,
    )


def _in_thread(work: Callable[[], str]) -> Future[str]:
    """Run `work` in a thread of its own that ends with the process, however long it hangs."""
    future: Future[str] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - re-raised in the awaiting task
            future.set_exception(error)

    threading.Thread(target=run, name="usher-notify", daemon=True).start()
    return future


def _notify(url: str, title: str, body: str, *, is_open: bool) -> str:
    """Return why a message could not be sent; empty if it was."""
    import apprise  # noqa: PLC0415 - it takes a third of a second, and most processes send nothing

    log = logging.getLogger("apprise")
    warnings = _Warnings(threading.get_ident())
    log.addHandler(warnings)
    log.propagate = False
    log.setLevel(logging.WARNING)
    try:
        # The channel itself, since `Apprise.notify` sends in threads of its own, apart from their warnings.
        channel = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if not isinstance(channel, apprise.NotifyBase):
            return translatable("Apprise knows no such channel, or the URL lacks a part")
        kind = apprise.NotifyType.WARNING if is_open else apprise.NotifyType.SUCCESS
        if channel.notify(title=title, body=body, notify_type=kind, body_format=apprise.NotifyFormat.TEXT):
            return ""
    finally:
        log.removeHandler(warnings)
    return without_secrets(" ".join(warnings.lines), url)[:_SHOWN] or translatable("the channel reports a failure")


class _Warnings(logging.Handler):
    """Keeps what Apprise says in one thread: it returns only whether it succeeded."""

    def __init__(self, thread: int) -> None:
        super().__init__(logging.WARNING)
        self._thread = thread
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.lines.append(record.getMessage())


def without_secrets(text: str, url: str) -> str:
    """Return a text without the parts of a URL that may be secrets: all but its scheme and what is surely a host."""
    scheme, _, rest = url.partition("://")
    path = "/" + rest.partition("/")[2]
    pieces = {url, rest, path, path.partition("?")[0], *re.split(r"[/&=?@:+,#]", rest)}
    if scheme.lower() in HOST_SCHEMES:
        pieces.discard(rest.partition("/")[0].rpartition("@")[2].partition(":")[0])
    secrets = {each for piece in pieces for each in (piece, unquote(piece)) if len(each) >= _SHORTEST_SECRET}
    for secret in sorted(secrets, key=len, reverse=True):
        text = re.sub(re.escape(secret), "…", text, flags=re.IGNORECASE)  # libraries turn hosts into small letters
    return text
