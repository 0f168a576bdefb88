"""Asks lookups about an event: in parallel, each within its own time and with a limit of open questions."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic_core import to_json

from app.clock import Clock
from app.flows.lookup.answer_cache import AnswerCache, cache_key
from app.flows.lookup.http_client import LookupClient, LookupFailedError
from app.logs import get_logger
from app.metrics import Metrics
from app.rules.lookups.lookup_book import Lookup, LookupBook
from app.rules.lookups.lookup_check import ENV, is_header_value
from app.settings.lookup_secrets import variable, variable_problem
from app.strict_json import JsonError, parse_storable_json
from app.translation import translatable
from app.webhook.event import Event
from app.webhook.lookup_answers import AnswerStatus, LookupAnswer

_log = get_logger(__name__)

MAX_OPEN: Final = 64
"""Questions of one lookup that wait for an answer at a time; a further one gets `on_error` at once.

A service that hangs so costs at most 64 connections and documents, and no join waits for one of them.
"""
_MOST_LABELS: Final = 200
_OTHER: Final = "other"


class LookupAsker:
    """Asks lookups with the client, takes their secrets from `environment`, and counts the answers."""

    def __init__(self, client: LookupClient, environment: Mapping[str, str], metrics: Metrics, clock: Clock) -> None:
        self._client = client
        self._environment = environment
        self._metrics = metrics
        self._clock = clock
        self._cache = AnswerCache()
        self._open: Counter[int] = Counter()
        self._labels: set[str] = set()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def ask(self, lookups: Sequence[Lookup], event: Event) -> dict[str, dict[str, Any]]:
        """Return the answers by name, as they are stored, after the longest of the lookups' times at most.

        Never raises: whatever goes wrong is the error of that lookup. They get the document without what USHER_REDACT
        leaves out.
        """
        answers = await asyncio.gather(*(self._ask(lookup, event.shareable) for lookup in lookups))
        return {answer.name: answer.to_json() for answer in answers}

    async def test(self, lookup: Lookup, event: Event) -> dict[str, Any]:
        """Ask one lookup about an event, whether or not it matches and without the cache; return what came of it."""
        answer = await self._ask(replace(lookup, cache_s=0), event.shareable)
        book = LookupBook(usable=(replace(lookup, enabled=True),))
        return {
            "matches": bool(book.lookups_for(replace(event, lookups=None))),
            "status": str(answer.status),
            "answer": answer.answer,
            "error": answer.error,
            "seconds": round(answer.seconds, 6),
            "sent": dict(event.shareable),
        }

    def missing_variables(self, lookup: Lookup) -> list[str]:
        """Return the environment variables of the lookup's headers that are not set."""
        named = (value.removeprefix(ENV) for value in lookup.headers.values() if value.startswith(ENV))
        return sorted({name for name in named if not variable(self._environment, name)})

    async def _ask(self, lookup: Lookup, document: Mapping[str, Any]) -> LookupAnswer:
        asked_at, began = self._clock.now(), self._clock.monotonic()
        status, answer, error = AnswerStatus.ERROR, lookup.on_error, ""
        key, size = b"", 0
        try:
            key = cache_key(lookup, document) if lookup.cache_s else b""
            if key and (cached := self._cache.get(key, began)) is not None:
                self._count(lookup, AnswerStatus.OK)
                return LookupAnswer(lookup.name, AnswerStatus.OK, cached[0], asked_at, 0.0, is_cached=True)
            headers, body = self._headers(lookup), to_json(document)
            async with asyncio.timeout(lookup.timeout_s):
                found = await self._post(lookup, headers, body)
            answer, size, status = parse_storable_json(found), len(found), AnswerStatus.OK
        except TimeoutError:
            status, error = (
                AnswerStatus.TIMEOUT,
                translatable("no answer within %(milliseconds)s ms", milliseconds=lookup.timeout_ms),
            )
        except LookupFailedError as failure:
            error = str(failure)
        except JsonError as failure:
            error = translatable("its answer is not JSON: %(failure)s", failure=failure)[:300]
        except Exception as failure:  # noqa: BLE001 - a defect of ours must cost the caller no more than the answer
            _log.exception("a lookup could not be asked", lookup=lookup.name)
            error = translatable("a defect of Usher's: %(name)s", name=type(failure).__name__)
        ended = self._clock.monotonic()
        if key and status is AnswerStatus.OK:
            self._cache.put(key, answer, size, ended + lookup.cache_s)
        self._count(lookup, status, ended - began)
        return LookupAnswer(lookup.name, status, answer, asked_at, ended - began, error)

    async def _post(self, lookup: Lookup, headers: Mapping[str, str], body: bytes) -> bytes:
        if self._open[lookup.id] >= MAX_OPEN:
            raise LookupFailedError(translatable("%(most)s of its questions wait for an answer already", most=MAX_OPEN))
        self._open[lookup.id] += 1
        try:
            return await self._client.post(lookup.url, headers, body)
        finally:
            self._open[lookup.id] -= 1
            if not self._open[lookup.id]:
                del self._open[lookup.id]

    def _headers(self, lookup: Lookup) -> dict[str, str]:
        headers = {}
        for name, value in lookup.headers.items():
            headers[name] = self._secret(value.removeprefix(ENV)) if value.startswith(ENV) else value
        return headers

    def _secret(self, name: str) -> str:
        value = "" if variable_problem(name) else variable(self._environment, name)
        if not value:
            raise LookupFailedError(
                translatable("the environment variable %(name)s is not set where Usher runs", name=name)
            )
        if not is_header_value(value):
            raise LookupFailedError(
                translatable(
                    "the environment variable %(name)s holds what no header can: a line break, or no ASCII", name=name
                )
            )
        return value

    def _count(self, lookup: Lookup, status: AnswerStatus, seconds: float | None = None) -> None:
        label = lookup.name if lookup.name in self._labels or len(self._labels) < _MOST_LABELS else _OTHER
        self._labels.add(label)
        self._metrics.lookups.labels(label, status).inc()
        if seconds is not None:
            self._metrics.lookup_seconds.labels(label).observe(seconds)
