"""Who may see names of agents, rules, projects and rooms on pages without login, and what others see instead."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

from app.accounts.roles import Role
from app.accounts.tokens import find_bearer
from app.flows.context import Context

_NEUTRAL_LABELS: Final = frozenset(
    {
        "action",
        "status",
        "type",
        "source",
        "outcome",
        "reason",
        "method",
        "window",
        "where",
        "kind",
        "le",
        "quantile",
        "table",
    }
)
"""Labels of metrics whose values are Usher's or LiveKit's own terms; those of all others are names."""
_TOKENS_AT_ONCE: Final = 2
"""Tokens that are looked up at a time: each takes a thread, also from a database that hangs."""
_LOOK_UP_S: Final = 2.0
"""Longest wait for a place, and for the answer: orchestrators and Prometheus time out soon."""
_NOBODYS_NAME: Final = frozenset({"", "default"})
"""Values that nobody chose: that of the only project, and none."""


def bearer_of(request: Request) -> str:
    """Return the bearer token of a request; empty if there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.casefold() == "bearer" else ""


class NameAccess:
    """Decides who may see names on `/readyz` and `/metrics`, which answer also while the database does not."""

    def __init__(self, context: Context, readers: Engine) -> None:
        self._context = context
        self._readers = readers
        self._places = asyncio.Semaphore(_TOKENS_AT_ONCE)

    async def may_see_names(self, request: Request, *, asks_database: bool = True) -> bool:
        """Return whether the request has USHER_METRICS_TOKEN, or an API token of a viewer or more for all projects.

        False where that cannot be found out: without asking the database, or when it does not answer in time.
        """
        given = bearer_of(request)
        if not given:
            return False
        token = self._context.settings.metrics_token.get_secret_value()
        if token and hmac.compare_digest(token.encode(), given.encode("utf-8", "replace")):
            return True
        return asks_database and await self._look_up(given)

    async def _look_up(self, given: str) -> bool:
        try:
            async with asyncio.timeout(_LOOK_UP_S):
                await self._places.acquire()
        except TimeoutError:
            return False
        checking = asyncio.create_task(asyncio.to_thread(self._may_read_all, given), name="usher-token")
        checking.add_done_callback(lambda _: self._places.release())  # the thread may take longer than we wait
        done, _ = await asyncio.wait([checking], timeout=_LOOK_UP_S)
        return bool(done) and checking.result()

    def _may_read_all(self, given: str) -> bool:
        try:
            with self._readers.connect() as connection:
                bearer = find_bearer(connection, given, self._context.clock.now())
        except SQLAlchemyError:
            return False
        if bearer is None or bearer.role is None:
            return False
        return bearer.role.includes(Role.VIEWER) and bearer.projects is None


class Pseudonyms:
    """Replaces names by digests: the same name has the same digest on all replicas, and `key` is needed to test one."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def of(self, name: str) -> str:
        """Return what is shown in place of a name."""
        if name in _NOBODYS_NAME:
            return name
        return hmac.new(self._key, f"metrics/{name}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:12]


class NamelessRegistry(CollectorRegistry):
    """The metrics of another registry, with names in labels replaced."""

    def __init__(self, registry: CollectorRegistry, pseudonyms: Pseudonyms) -> None:
        super().__init__(auto_describe=False)
        self._registry = registry
        self._pseudonyms = pseudonyms

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics."""
        for metric in self._registry.collect():
            renamed = Metric(metric.name, metric.documentation, metric.type, metric.unit)
            renamed.samples = list(self._renamed(metric.samples))
            yield renamed

    def _renamed(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        for sample in samples:
            yield sample._replace(labels=self._labels(sample.labels))

    def _labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        return {
            label: value if label in _NEUTRAL_LABELS else self._pseudonyms.of(value) for label, value in labels.items()
        }
