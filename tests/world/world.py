"""One database, one simulated LiveKit, and as many replicas of Usher as a test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import Engine, text
from sqlalchemy.engine import RowMapping
from starlette.applications import Starlette
from starlette.routing import Route

from app.clock import process_name
from app.db.writer import Writer
from app.flows.context import Context
from app.flows.orchestrator import Orchestrator
from app.livekit.twirp import LiveKitApi
from app.livekit.webhook_signature import Verifier
from app.metrics import Metrics
from app.rules.book.read_book import read_book
from app.server.health import HealthEndpoint
from app.server.metrics_endpoint import MetricsEndpoint
from app.server.request_context import RequestContext
from app.server.webhook import WebhookEndpoint
from app.settings import Project, Settings, read_settings
from app.simulator import SIMULATOR_KEY, SIMULATOR_SECRET, LoopSchedule
from app.simulator.webhooks import Answer
from tests.conftest import Database
from tests.simulator import Simulator, Unit, Verdict, judge
from tests.world.direct import DirectListener, DirectSession
from tests.world.executor import LoopExecutor
from tests.world.virtual_time import LoopClock, TokenClock, VirtualTimeLoop

ItemT = TypeVar("ItemT")
T = TypeVar("T")


@dataclass
class Replica:
    """One `usher serve`, without its process."""

    orchestrator: Orchestrator
    app: Starlette
    metrics: Metrics
    writer: Writer
    executor: LoopExecutor
    engine: Engine
    closing: AsyncExitStack
    alive: bool = True
    running: list[asyncio.Task[Any]] = field(default_factory=list)

    async def stop(self) -> None:
        """Stop gracefully."""
        if self.alive:
            self.alive = False
            await self.orchestrator.stop()
            await self.closing.aclose()

    async def kill(self) -> None:
        """Die as after kill -9: nothing is handed back, nothing that is under way goes on."""
        self.alive = False
        ours = {task for task in asyncio.all_tasks() if _belongs_to(task, self.orchestrator)}
        for task in ours:
            task.cancel()
        await asyncio.gather(*ours, return_exceptions=True)
        await self.closing.aclose()

    async def post(self, body: bytes, headers: Mapping[str, str], path: str = "/livekit/webhook") -> Answer:
        status, told, _ = await request(self.app, "POST", path, body, headers)
        retry_after = told.get("retry-after")
        return Answer(status, float(retry_after) if retry_after else None)

    async def get(self, path: str) -> Any:
        """Return the JSON at `path` (or its text)."""
        _, told, body = await request(self.app, "GET", path, b"", {})
        return json.loads(body) if "json" in told.get("content-type", "") else body.decode()

    def metric(self, name: str, **labels: str) -> float:
        value = self.metrics.registry.get_sample_value(name, labels)
        return 0.0 if value is None else value


def _belongs_to(task: asyncio.Task[Any], orchestrator: Orchestrator) -> bool:
    coroutine: Any = task.get_coro()
    frame = getattr(coroutine, "cr_frame", None)
    owner = frame.f_locals.get("self") if frame is not None else None
    parts = (
        orchestrator,
        orchestrator.deliverer,
        orchestrator.withdrawer,
        orchestrator.inspector,
        orchestrator.acceptor,
        orchestrator.sweeper,
        orchestrator.canary,
        *orchestrator._loops,
    )
    return any(owner is part for part in parts)


async def request(
    app: Starlette, method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> tuple[int, dict[str, str], bytes]:
    """Send one request through the application without a socket; return status, headers and body."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [
            (b"content-length", str(len(body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in headers.items()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("usher.test", 80),
    }
    incoming: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
    status, told, answer = 0, {}, b""

    async def receive() -> dict[str, Any]:
        return incoming.pop() if incoming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal status, told, answer
        if message["type"] == "http.response.start":
            status = message["status"]
            told = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer += message.get("body", b"")

    await app(scope, receive, send)
    return status, told, answer


class World:
    """A simulated LiveKit that posts its webhooks to the first replica that is alive (or as `route` says)."""

    def __init__(self, database: Database, *, replicas: int = 1, sweep: float = 0.0, **options: Any) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop), "decorate the test with @in_virtual_time"
        self.loop = loop
        self.clock = LoopClock(loop)
        self.database = database
        self.settings_given = {"USHER_SWEEP_INTERVAL": str(sweep), **options.pop("settings", {})}
        self._wanted = replicas
        options = {"webhook_urls": ["http://usher.test/livekit/webhook"], "seed": 7, **options}
        self.simulator = Simulator(schedule=LoopSchedule(LoopClock(loop)), post=self._post, **options)
        self.wire = DirectListener(self.simulator.application)
        self.simulator._listener = self.wire  # type: ignore[assignment] # no sockets in virtual time
        self.replicas: list[Replica] = []
        self.route: Callable[[bytes], Sequence[Replica]] = lambda _: [one for one in self.replicas if one.alive][:1]
        self._reader = database.reader_engine()

    async def __aenter__(self) -> Self:
        await self.simulator.start()
        for _ in range(self._wanted):
            await self.add_replica()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for replica in self.replicas:
            await replica.stop()
        await self.simulator.stop()

    @property
    def usher(self) -> Replica:
        return self.replicas[0]

    @property
    def settings(self) -> Settings:
        return read_settings(
            {
                "LIVEKIT_URL": self.simulator.url,
                "LIVEKIT_API_KEY": SIMULATOR_KEY,
                "LIVEKIT_API_SECRET": SIMULATOR_SECRET,
                "DATABASE_URL": self.database.text,
                **self.settings_given,
            }
        )

    async def add_replica(self, *, start: bool = True) -> Replica:
        """Start one more Usher on the same database."""
        settings = self.settings
        stack = AsyncExitStack()
        metrics = Metrics()
        engine = self.database.writer_engine()
        executor = LoopExecutor()
        writer = Writer(engine, clock=self.clock, executor=executor)
        stack.push_async_callback(writer.close)
        clients = {}
        for project in settings.projects:
            client = self._client(project, settings, metrics)
            clients[project.name] = client
        context = Context(settings, writer, clients, metrics, self.clock, process_name())
        with self._reader.connect() as connection:
            book = read_book(connection)
        orchestrator = Orchestrator(context, book)
        health = HealthEndpoint(orchestrator, self._reader)
        scrape = MetricsEndpoint(
            orchestrator, self._reader, RequestContext(orchestrator, self._reader, "signs nothing").objectives
        )
        door = WebhookEndpoint(orchestrator, Verifier(settings.projects))
        routes = [
            Route("/livekit/webhook", door),
            Route("/readyz", health.ready),
            Route("/metrics", scrape.answer),
        ]
        app = Starlette(routes=routes)
        replica = Replica(orchestrator, app, metrics, writer, executor, engine, stack)
        self.replicas.append(replica)
        if start:
            orchestrator.start()
        return replica

    def _client(self, project: Project, settings: Settings, metrics: Metrics) -> LiveKitApi:
        direct: Any = DirectSession(self.wire, settings.request_timeout)
        return LiveKitApi(project, settings.request_timeout, metrics, TokenClock(), direct)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:  # noqa: ARG002 - the protocol
        replicas = self.route(body)
        if not replicas:
            return Answer(0)
        answers = await asyncio.gather(*(replica.post(body, headers) for replica in replicas))
        return answers[0]

    # The database, with plain SQL

    def rule(self, name: str = "all", agent_name: str = "greeter", pattern: Any = None, **columns: Any) -> None:
        """Insert a rule as an operator would; without a pattern it takes every caller."""
        row = {"name": name, "agent_name": agent_name, "pattern": pattern or {"event": ["participant_joined"]}}
        row |= columns
        values = {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in row.items()}
        names = ", ".join(values)
        places = ", ".join(f":{key}" for key in values)
        self.database.execute(f"INSERT INTO routing_rules ({names}) VALUES ({places})", **values)

    def rows(self, query: str, **parameters: Any) -> list[RowMapping]:
        with self._reader.connect() as connection:
            return list(connection.execute(text(query), parameters).mappings())

    def dispatches(self, **wanted: Any) -> list[RowMapping]:
        """Return the dispatches whose columns have these values, oldest first."""
        conditions = "".join(f" AND {name} = :{name}" for name in wanted)
        return self.rows(f"SELECT * FROM dispatches WHERE true{conditions} ORDER BY id", **wanted)

    def dispatch(self, **wanted: Any) -> RowMapping:
        """Return the only such dispatch."""
        (row,) = self.dispatches(**wanted)
        return row

    def events(self, **wanted: Any) -> list[RowMapping]:
        conditions = "".join(f" AND {name} = :{name}" for name in wanted)
        return self.rows(f"SELECT * FROM events WHERE true{conditions} ORDER BY id", **wanted)

    def attempts(self, dispatch_id: str) -> list[RowMapping]:
        query = "SELECT * FROM dispatch_attempts WHERE dispatch_id = :id ORDER BY number"
        return self.rows(query, id=dispatch_id)

    def story(self, dispatch_id: str) -> list[str]:
        """Return the states a dispatch went through, as the audit log has them."""
        query = "SELECT to_state FROM audit_log WHERE entity_id = :id ORDER BY id"
        states: list[str] = []
        for row in self.rows(query, id=dispatch_id):
            if not states or states[-1] != row["to_state"]:
                states.append(row["to_state"])
        return states

    # Time

    async def until(self, condition: Callable[[], Any], *, within: float = 10.0, what: str = "") -> Any:
        """Let time pass until `condition` holds; return what it gave. AssertionError after `within` virtual seconds."""
        end = self.loop.time() + within
        while not (found := condition()):
            assert self.loop.time() < end, f"not within {within} s: {what or condition}\n{self.describe()}"
            await asyncio.sleep(0.05)
        return found

    async def until_status(self, status: str, *, within: float = 10.0, **wanted: Any) -> RowMapping:
        """Let time pass until such a dispatch has `status`; return the newest of them."""
        found: list[RowMapping] = await self.until(
            lambda: self.dispatches(status=status, **wanted), within=within, what=f"a dispatch is {status}"
        )
        return found[-1]

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def instant(self, value: Any) -> datetime:
        """Return a stored time, which SQLite gives as text."""
        return value if isinstance(value, datetime) else datetime.fromisoformat(value)

    # Judgement

    def judge(self, *, unit: Unit = Unit.ROOM, tolerance: float = 0.0, **options: Any) -> Verdict:
        return judge(self.simulator.ledger, unit=unit, tolerance=tolerance, **options)

    def agents(self, room: str) -> list[str]:
        """Return the identities of the agents listed in a room now."""
        return [agent.identity for agent in self.simulator.agents(room)]

    def describe(self) -> str:
        """Return what a person wants to see when a test fails."""
        lines = [f"at {self.loop.time():.2f} s"]
        for row in self.dispatches():
            lines.append(
                f"dispatch {row['id']} {row['room_name']}/{row['participant_identity']} {row['agent_name']}: "
                f"{row['status']} ({row['reason']})"
            )
            query = "SELECT * FROM audit_log WHERE entity_id = :id ORDER BY id"
            lines += [
                f"    {one['changed_at']} {one['from_state']} -> {one['to_state']}: {one['reason']}"
                for one in self.rows(query, id=row["id"])
            ]
        for entry in self.simulator.ledger.dispatches:
            lines.append(
                f"ledger {entry.id} {entry.room} {entry.agent_name} asked={entry.asked:.2f} {entry.answered} "
                f"{entry.fate.value} deleted={entry.deleted} agents={entry.agents}"
            )
        return "\n".join(lines)
