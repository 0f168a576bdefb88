"""What the request handlers of API and console share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection, Engine

from app.accounts.sessions import session_limits
from app.db.engine.reader import Reader
from app.errors import DatabaseUnavailableError
from app.flows.context import Context
from app.flows.orchestrator import Orchestrator
from app.flows.probes.probes_on_demand import ProbesOnDemand
from app.rules.book.read_book import follow
from app.rules.book.rule_book import RuleBook
from app.server.access.access_recorder import AccessRecorder
from app.server.caches.objectives_cache import ObjectivesCache
from app.server.caches.statistics_cache import OverTimeCache, StatisticsCache
from app.server.caches.traffic_cache import TrafficCache
from app.server.health import HealthEndpoint
from app.server.privacy.names import NameAccess
from app.server.privacy.read_recorder import ReadRecorder
from app.server.workers.worker_pool import WorkerPool

if TYPE_CHECKING:
    from app.flows.outgoing.identity_provider import IdentityProvider

T = TypeVar("T")


class RequestContext:
    """Reader connections, the writer, the rule book, the caches of figures, workers, and the recorder of refusals.

    `key` signs links and the cookies of browsers that are not logged in.
    """

    def __init__(
        self,
        orchestrator: Orchestrator,
        readers: Engine,
        workers: WorkerPool,
        key: str,
        identity_provider: IdentityProvider | None = None,
    ) -> None:
        self.orchestrator = orchestrator
        self.key = key
        self.readers = readers
        self._reader = Reader(readers)
        self._book = orchestrator.book
        self.names = NameAccess(orchestrator.context, readers)
        self.health = HealthEndpoint(orchestrator, readers, self.names, key)
        self.reads = ReadRecorder(self)
        self.statistics = StatisticsCache(orchestrator.context.clock, self.read)
        self.over_time = OverTimeCache(orchestrator.context.clock, self.read)
        self.traffic = TrafficCache(orchestrator.context.clock, orchestrator.context.settings.all_redacted)
        self.objectives = ObjectivesCache(orchestrator.context.clock, self.read)
        self.access = AccessRecorder(orchestrator.context.clock, self.write, orchestrator.context.defects)
        self.probes = ProbesOnDemand(orchestrator.context)
        self.workers = workers
        self.identity_provider = identity_provider
        self.session_limits = session_limits(orchestrator.context.settings)

    @property
    def flow_context(self) -> Context:
        return self.orchestrator.context

    @property
    def project_names(self) -> frozenset[str]:
        """The LiveKit projects that are configured."""
        return frozenset(project.name for project in self.flow_context.settings.projects)

    @property
    def now(self) -> datetime:
        return self.flow_context.clock.now()

    @property
    def provider_name(self) -> str:
        """The OpenID Connect provider through which users may log in; empty without one."""
        return "" if self.identity_provider is None else self.identity_provider.provider.name

    async def read(self, load: Callable[[Connection], T]) -> T:
        """Return what `load` returns, run in a thread on a reader connection; DatabaseUnavailableError without one.

        Its sentences are in the language of the request.
        """
        context = copy_context()
        return await self._reader.run(lambda connection: context.run(load, connection))

    async def write(self, unit: Callable[[Connection], T]) -> T:
        """Return what `unit` returns, once its transaction has been committed."""
        return await self.flow_context.writer.run(unit, gives_way=True)

    async def write_trace(self, unit: Callable[[Connection], object]) -> None:
        """Write a by-product of a read, such as a token's last use; skip it while the database takes no writes.

        Pages and the API can be read while the database takes no writes, and wait for them only once.
        """
        if self.flow_context.writer.trouble():
            return
        with suppress(DatabaseUnavailableError):
            await self.write(unit)

    def book(self, connection: Connection) -> RuleBook:
        """Return the rule book with every committed edit, including those that no webhook has picked up yet.

        `connection` is one of `read`: a transaction of the writer may see edits that are rolled back later.
        """
        known = max(self._book, self.orchestrator.book, key=lambda book: book.version)
        self._book = follow(connection, known)
        return self._book
