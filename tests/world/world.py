"""One database, one simulated LiveKit, and as many replicas of Usher as a test wants."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import select, text
from sqlalchemy.engine import RowMapping
from starlette.types import ASGIApp

from app.db.tables import events
from app.settings import Settings, read_settings
from app.simulator import SIMULATOR_KEY, SIMULATOR_SECRET, LoopSchedule
from app.simulator.ledger import DispatchEntry
from app.simulator.webhooks import Answer, sign
from tests.conftest import Database
from tests.simulator import Simulator, Unit, Verdict, judge
from tests.world.direct import DirectListener
from tests.world.lookup_services import LookupServices
from tests.world.receivers import Receivers
from tests.world.replica import Replica
from tests.world.virtual_time import LoopClock, TokenClock, VirtualTimeLoop, lasting

_LIVE = "SELECT id FROM dispatches WHERE status IN ('pending', 'sending', 'dispatched', 'joined')"


class World:
    """A simulated LiveKit that posts its webhooks to the first replica that is alive (or as `route` says).

    With `projects` there is one for each, all of the same seed, so that they name alike what they do alike; `simulator`
    is that of the first, and `of_projects` has more settings of some. `signs_by_machine`: webhooks are signed at the
    machine's time, for runs of more than the six minutes for which the world's time is near it; none is then a retry by
    its signature.
    """

    def __init__(
        self,
        database: Database,
        *,
        replicas: int = 1,
        sweep: float = 0.0,
        projects: Sequence[str] = ("default",),
        of_projects: Mapping[str, Mapping[str, Any]] | None = None,
        signs_by_machine: bool = False,
        **options: Any,
    ) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop), "decorate the test with @in_virtual_time"
        self.loop = loop
        self.clock = LoopClock(loop)
        self.database = database
        self.receivers = Receivers()
        given = {"USHER_SWEEP_INTERVAL": str(sweep), "USHER_METRICS_TOKEN": "of the world"}
        self.settings_given = {**given, **options.pop("settings", {})}
        self._wanted = replicas
        self._of_projects = of_projects or {}
        self._signs_by_machine = signs_by_machine
        options = {"webhook_urls": ["http://usher.test/livekit/webhook"], "seed": 7, **options}
        self.wires: dict[str, DirectListener] = {}
        self.simulators = {name: self._simulator(name, number, options) for number, name in enumerate(projects)}
        self.simulator = self.simulators[projects[0]]
        self.wire = self.wires[projects[0]]
        self.replicas: list[Replica] = []
        self.services = LookupServices()
        self.route: Callable[[bytes], Sequence[Replica]] = lambda _: [one for one in self.replicas if one.alive][:1]
        self._reader = database.reader_engine()

    async def __aenter__(self) -> Self:
        for simulator in self.simulators.values():
            await simulator.start()
        for _ in range(self._wanted):
            await self.add_replica()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for replica in self.replicas:
            await replica.stop()
        for simulator in self.simulators.values():
            await simulator.stop()

    def _simulator(self, project: str, number: int, options: Mapping[str, Any]) -> Simulator:
        def listen(application: ASGIApp) -> DirectListener:
            self.wires[project] = DirectListener(application)
            return self.wires[project]

        key = SIMULATOR_KEY if number == 0 else f"{SIMULATOR_KEY}-{number}"
        schedule = LoopSchedule(LoopClock(self.loop))
        return Simulator(schedule=schedule, post=self._post, listener=listen, key=key, **options)

    @property
    def usher(self) -> Replica:
        return self.replicas[0]

    @property
    def settings(self) -> Settings:
        if len(self.simulators) > 1:
            return self._settings_of_several()
        return read_settings(
            {
                "LIVEKIT_URL": self.simulator.url,
                "LIVEKIT_API_KEY": SIMULATOR_KEY,
                "LIVEKIT_API_SECRET": SIMULATOR_SECRET,
                "DATABASE_URL": self.database.text,
                **self.settings_given,
            }
        )

    def _settings_of_several(self) -> Settings:
        entries = [
            {"name": name, "url": one.url, "api_key": one.key, "api_secret": one.secret}
            | dict(self._of_projects.get(name, {}))
            for name, one in self.simulators.items()
        ]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            json.dump({"projects": entries}, file)
            file.flush()
            given = {"USHER_PROJECTS_FILE": file.name, "DATABASE_URL": self.database.text, **self.settings_given}
            return read_settings(given)

    async def add_replica(self) -> Replica:
        """Start one more Usher on the same database."""
        replica = await Replica.started(
            self.database,
            self.wires,
            self.clock,
            self.settings,
            services=self.services,
            receivers=self.receivers,
        )
        self.replicas.append(replica)
        return replica

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:  # noqa: ARG002 - the protocol
        replicas = self.route(body)
        if not replicas:
            return Answer(0)
        if self._signs_by_machine:
            token = sign(body, self.simulator.key, self.simulator.secret, LoopSchedule(TokenClock()))
        else:
            token = lasting(headers["Authorization"], {one.key: one.secret for one in self.simulators.values()})
        headers = {**headers, "Authorization": token}
        answers = await asyncio.gather(*(replica.post(body, headers) for replica in replicas))
        return answers[0]

    # The database, with plain SQL

    def rule(self, name: str = "all", agent_name: str | None = "greeter", pattern: Any = None, **columns: Any) -> None:
        """Insert a rule as an operator would; without a pattern it takes every caller."""
        row = {"name": name, "agent_name": agent_name, "pattern": pattern or {"event": ["participant_joined"]}}
        self._insert("routing_rules", {**row, **columns})

    def lookup(self, name: str = "crm", pattern: Any = None, url: str = "", **columns: Any) -> None:
        """Insert a lookup as an operator would; without a pattern it is asked about every caller."""
        row = {"name": name, "url": url or f"https://{name}.test/ask", "pattern": {} if pattern is None else pattern}
        self._insert("lookups", {**row, **columns})

    def _insert(self, table: str, row: Mapping[str, Any]) -> None:
        values = {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in row.items()}
        names = ", ".join(values)
        places = ", ".join(f":{key}" for key in values)
        self.database.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", **values)

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

    def body(self, event_id: str) -> Any:
        """Return the stored body of an event, which is compressed."""
        with self._reader.connect() as connection:
            return connection.scalar(select(events.c.body).where(events.c.id == event_id))

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
        """Return what a person wants to see when a test fails, first what is not over: long outputs are cut."""
        live = {row["id"] for row in self.rows(_LIVE)}
        rows = sorted(self.dispatches(), key=lambda row: row["id"] not in live)
        alive = sum(replica.alive for replica in self.replicas)
        lines = [f"at {self.loop.time():.2f} s, {alive} of {len(self.replicas)} replicas alive"]
        lines.append(f"{len(live)} of {len(rows)} dispatches are live")
        for row in rows:
            lines.append(
                f"dispatch {row['id']} {row['room_name']}/{row['participant_identity']} {row['agent_name']}: "
                f"{row['status']} ({row['reason']})"
            )
            query = "SELECT * FROM audit_log WHERE entity_id = :id ORDER BY id"
            lines += [
                f"    {one['changed_at']} {one['from_state']} -> {one['to_state']}: {one['reason']}"
                for one in self.rows(query, id=row["id"])
            ]
            if row["id"] in live:
                lines += self._describe_room(row["room_name"])
        lines += map(_describe_entry, self.simulator.ledger.dispatches)
        return "\n".join(lines)

    def _describe_room(self, name: str) -> list[str]:
        room = self.simulator.room(name)
        return [
            f"  room {name} is {'closed' if room is None else f'open, with {sorted(room.participants)}'}",
            *(
                f"    {one['received_at']} {one['type']} {one['participant_identity']}: {one['outcome']}"
                for one in self.events(room_name=name)
            ),
            *(f"    {_describe_entry(one)}" for one in self.simulator.ledger.dispatches if one.room == name),
        ]


def _describe_entry(entry: DispatchEntry) -> str:
    return (
        f"ledger {entry.id} {entry.room} {entry.agent_name} asked={entry.asked:.2f} {entry.answered} "
        f"{entry.fate.value} deleted={entry.deleted} agents={entry.agents}"
    )
