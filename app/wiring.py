"""Makes the objects of one process, and closes them: the composition root."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette

from app.accounts.links import first_admin_code
from app.accounts.password import check_password, hash_password
from app.accounts.signing_key import record_served_key, signing_key
from app.accounts.users import add_first_admin, check_name, count_users
from app.clock import Clock, SystemClock, date_ids_by, process_name
from app.db import schema
from app.db.database_clock import clock_of
from app.db.engine import (
    cause_in,
    create_reader_engine,
    create_writer_engine,
    is_embedded,
    parse_database_url,
    watch_storage,
)
from app.db.engine.reader import Reader
from app.db.engine.sqlite_claim import claim_database
from app.db.writer import Writer
from app.errors import DatabaseUnavailableError, Problem, SettingsError
from app.flows.context import Context
from app.flows.lookup.ask import LookupAsker
from app.flows.lookup.http_client import HttpLookupClient, LookupClient
from app.flows.messages.senders import RealSenders, Senders
from app.flows.orchestrator import Orchestrator
from app.incidents.conditions.livekit_troubles import waiting_by_project
from app.incidents.facts.agent_attempts import read_waiting
from app.incidents.facts.bad_rows import read_bad_rows
from app.incidents.facts.queue_lengths import read_queues
from app.livekit.participant.phone import use_phone_region
from app.livekit.twirp import LiveKitApi
from app.livekit.webhook_signature import Verifier
from app.logs import get_logger
from app.metrics import Metrics
from app.rules.book.read_book import read_book
from app.rules.book.rule_book import RuleBook
from app.server.app import create_app
from app.server.console.access.sign_in_link import sign_in_route
from app.server.workers.rule_worker import Setup
from app.server.workers.worker_pool import WorkerPool
from app.settings import Project, Settings, login_provider, process_environment, shown_database_url
from app.webhook.name_digest import use_name_key

if TYPE_CHECKING:
    from app.flows.outgoing.identity_provider import IdentityProvider

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that `usher serve` runs."""

    app: Starlette
    orchestrator: Orchestrator
    key: str
    """Signs the console's sessions and links."""
    first_admin_path: str
    """The page that makes the first admin; empty once there is a user."""


def open_database(settings: Settings) -> tuple[URL, Engine]:
    """Return the URL and a reader engine of a database whose schema fits; an embedded one is migrated.

    Raises `SchemaMismatchError` naming the command to run, `DatabaseUnavailableError` when it cannot be opened.
    """
    url = parse_database_url(settings.database_url.get_secret_value())
    readers = create_reader_engine(url)
    try:
        if is_embedded(url):
            schema.upgrade(url)
        with readers.connect() as connection:
            schema.require_compatible(connection)
    except SQLAlchemyError as error:
        readers.dispose()
        cause = cause_in(url, error)
        where = shown_database_url(url)
        raise DatabaseUnavailableError(f"cannot open the database {where}: {cause} (see DATABASE_URL)") from error
    except BaseException:
        readers.dispose()
        raise
    return url, readers


def _shared_clock(readers: Engine, stack: AsyncExitStack) -> Clock:
    """Return the clock that all replicas go by, also in their ids until `stack` is closed."""
    clock = clock_of(readers)
    date_ids_by(clock)
    stack.callback(date_ids_by, SystemClock())
    return clock


def _read_book(readers: Engine) -> RuleBook:
    """Return the stored rules, and warn of those that cannot be used."""
    with readers.connect() as connection:
        book, rows = read_book(connection), read_bad_rows(connection)
    for row in rows:
        _log.warning("a row cannot be used as it is", table=row.table, name=row.name, problems=list(row.problems))
    for bad in book.bad.values():
        _log.warning("a rule cannot be used", rule=bad.name, problems=[str(one) for one in bad.problems])
    for lookup in book.lookups.bad:
        _log.warning("a lookup cannot be used", lookup=lookup.name, problems=[str(one) for one in lookup.problems])
    return book


def _warn_of_removed_projects(readers: Engine, settings: Settings, now: datetime) -> None:
    """Warn of dispatches that wait in projects that are not configured any more."""
    configured = {project.name for project in settings.projects}
    with readers.connect() as connection:
        waiting = waiting_by_project(read_waiting(connection, now), read_queues(connection, now))
    for project in sorted(waiting.keys() - configured):
        _log.warning("a project with dispatches that wait is not configured", project=project, waiting=waiting[project])


@asynccontextmanager
async def service(
    settings: Settings,
    *,
    clock: Clock | None = None,
    engine: Engine | None = None,
    executor: Executor | None = None,
    connect: Callable[[Project, float, Metrics, Clock], LiveKitApi] = LiveKitApi,
    lookup_client: LookupClient | None = None,
    environment: Mapping[str, str] | None = None,
    senders: Senders | None = None,
) -> AsyncIterator[Service]:
    """Build the service, ready to be served; on leaving, finish what was accepted and close everything.

    The keyword arguments replace what is outside the process: tests give them to run the whole service in virtual
    time. `engine` and `executor` are the writer's; `connect` makes the client of a project; `environment` holds what
    the headers of lookups name; `senders` reach people and programs.
    """
    use_phone_region(settings.phone_region)
    use_name_key(settings.hash_names_key.get_secret_value())
    async with AsyncExitStack() as stack:
        url = parse_database_url(settings.database_url.get_secret_value())
        claim = claim_database(url) if is_embedded(url) else None
        if claim is not None:
            stack.callback(claim.close)
            claim.prepare()
        url, readers = open_database(settings)
        stack.callback(readers.dispose)
        clock = clock or _shared_clock(readers, stack)
        metrics = Metrics()
        engine = engine or create_writer_engine(url)
        writer = Writer(engine, clock=clock, executor=executor)
        stack.push_async_callback(writer.close)
        if claim is not None:
            watch_storage(engine, claim.remember)
            claim.warn_if_readable()
        clients = {}
        for project in settings.projects:
            client = connect(project, settings.request_timeout, metrics, clock)
            stack.push_async_callback(client.close)
            clients[project.name] = client
        # Of one thread: the comparisons of big rooms must not take all those of requests.
        reader = Reader(readers, stack.enter_context(ThreadPoolExecutor(1, "usher-rooms")))
        context = Context(settings, writer, clients, metrics, clock, process_name(), reader)
        asker = LookupAsker(
            lookup_client or HttpLookupClient(),
            process_environment() if environment is None else environment,
            metrics,
            clock,
        )
        stack.push_async_callback(asker.close)
        _warn_of_removed_projects(readers, settings, clock.now())
        orchestrator = Orchestrator(
            context, _read_book(readers), asker, _closed_with(stack, senders or RealSenders(clock))
        )
        await orchestrator.prepare(is_alone=is_embedded(url))
        key = await _served_key(writer, settings, clock.now())
        await first_admin_of_settings(settings, context)
        with readers.connect() as connection:
            has_users = count_users(connection) > 0
        if not has_users and claim is not None and claim.had_users:
            _log.warning("the database has no users any more; add one: usher users add NAME --role admin")
        is_new = not has_users and (claim is None or not claim.had_users)
        first_admin_path = f"/console/welcome/{first_admin_code(key, clock.now())}" if is_new else ""

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            orchestrator.start()
            try:
                yield
            finally:
                await orchestrator.stop()

        workers = WorkerPool(_worker_setup(url, settings))
        stack.callback(workers.close)
        app = create_app(
            orchestrator,
            Verifier(settings.projects),
            readers,
            workers,
            key=key,
            lifespan=lifespan,
            identity_provider=_identity_provider(stack, settings, clock),
        )
        yield Service(app, orchestrator, key, first_admin_path)


async def _served_key(writer: Writer, settings: Settings, now: datetime) -> str:
    """Return the key that signs sessions and links, recorded as the one that this server checks them with."""
    secret = settings.secret_key.get_secret_value()
    key = await writer.run(lambda connection: signing_key(connection, now, secret))
    await writer.run(lambda connection: record_served_key(connection, now, key))
    return key


def add_sign_in_link(built: Service, path: str, session_secret: str) -> None:
    """Let everybody who opens `path` be logged in with this session: for `usher demo`, which runs on one machine."""
    built.app.router.routes.insert(0, sign_in_route(path, session_secret))


def _closed_with(stack: AsyncExitStack, senders: Senders) -> Senders:
    stack.push_async_callback(senders.close)
    return senders


def _identity_provider(stack: AsyncExitStack, settings: Settings, clock: Clock) -> IdentityProvider | None:
    """Return the OpenID Connect provider of the settings; None without one."""
    provider = login_provider(settings)
    if provider is None:
        return None
    # Imported where it is needed: what verifies its tokens takes 10 MB and 0.4 s.
    from app.flows.outgoing.identity_provider import IdentityProvider  # noqa: PLC0415

    made = IdentityProvider(provider, clock)
    stack.push_async_callback(made.close)
    return made


def _worker_setup(url: URL, settings: Settings) -> Setup:
    database_url = url.render_as_string(hide_password=False)
    return Setup(
        database_url,
        settings.phone_region,
        settings.metadata_max_bytes,
        settings.all_redacted,
        settings.hash_names_key.get_secret_value(),
    )


async def first_admin_of_settings(settings: Settings, context: Context) -> None:
    """Add the admin that the settings name if there is no user yet; raises SettingsError if that cannot be."""
    name, password = settings.first_admin_name, settings.first_admin_password.get_secret_value()
    if not password or await context.writer.run(count_users) > 0:
        return
    problems = [Problem("USHER_FIRST_ADMIN_NAME", one.message, one.found) for one in check_name(name)]
    problems += [Problem("USHER_FIRST_ADMIN_PASSWORD", one.message) for one in check_password(password, name=name)]
    if problems:
        raise SettingsError("settings", problems)
    stored, now = await asyncio.to_thread(hash_password, password), context.clock.now()
    add = partial(add_first_admin, name=name, password_hash=stored, by="USHER_FIRST_ADMIN_PASSWORD", now=now)
    if await context.writer.run(add) is not None:
        _log.info("the first admin was added; the password in the settings is not needed any more", name=name)
