"""`/healthz` and `/readyz`, and the state that they and the console report."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.audit import SweepHeartbeat, sweep_heartbeats
from app.db import schema
from app.db.database_clock import CLOCK_OFF_S, machine_ahead_s
from app.errors import SchemaMismatchError, cause_of
from app.flows.orchestrator import Orchestrator
from app.flows.write_check import WriteCheck
from app.incidents import Incident, open_incidents
from app.incidents.facts.bad_rows import BadRow, read_bad_rows
from app.livekit.failures.trouble import Trouble
from app.logs import get_logger
from app.rules.book.rule_book import RuleBook
from app.server.privacy.names import NameAccess, Pseudonyms

_log = get_logger(__name__)

_READ_WITHIN_S = 2.0  # health checks of orchestrators time out soon
_MAX_LISTED = 100  # bad rules, lookups and rows each; all are skipped, and counted
_NAMELESS = frozenset({"kind", "count", "opened_at", "remedy"})
"""Fields of an incident that hold no names."""


@dataclass(frozen=True, slots=True)
class DatabaseHealth:
    """`status` is `ok`, or why webhooks are refused; `detail` says more. `sweeps` is empty unless it is `ok`.

    `schema`: it has another version; `unavailable`: no answer; `unwritable`: the disk is full, the database is
    read-only or locked, or its file is not in its place.
    """

    status: str
    detail: str = ""
    sweeps: tuple[SweepHeartbeat, ...] = ()
    incidents: tuple[Incident, ...] = ()
    """Those that are open."""
    bad_rows: tuple[BadRow, ...] = ()
    """Rows of tables that people write which hold what cannot be used; those of rules and lookups the rule book has."""

    def to_json(self) -> dict[str, Any]:
        if self.status == "ok":
            return {"status": "ok", "sweeps": {one.project: one.to_json() for one in self.sweeps}}
        return {"status": self.status, "detail": self.detail}

    def without_names(self, pseudonyms: Pseudonyms) -> dict[str, Any]:
        """Return the same with digests in place of projects, and without what LiveKit answered."""
        document = self.to_json()
        if self.sweeps:
            document["sweeps"] = {
                pseudonyms.of(one.project): {name: each for name, each in one.to_json().items() if name != "error"}
                for one in self.sweeps
            }
        return document


@dataclass(frozen=True, slots=True)
class Health:
    """The state of one process: webhooks can be accepted while `is_ready`."""

    database: DatabaseHealth
    book: RuleBook
    writer_backlog: int
    machine_ahead_s: float
    """By how many seconds this machine's clock is ahead of the database's, which leases and deadlines go by."""
    livekit: Mapping[str, Trouble | None]
    """By project, why this process cannot call LiveKit; None where it can, or has not tried yet."""
    defects: Mapping[str, Any]
    """Errors of Usher's own that this process caught since its start."""

    @property
    def is_ready(self) -> bool:
        return self.database.status == "ok"

    def to_json(self) -> dict[str, Any]:
        bad_rules, bad_lookups, bad_rows = list(self.book.bad.values()), self.book.lookups.bad, self.database.bad_rows
        return {
            "status": "ready" if self.is_ready else "not ready",
            "database": self.database.to_json(),
            "rules": {
                "version": self.book.version,
                "rules": len(self.book.rules),
                "bad_count": len(bad_rules),
                "bad": [
                    {"id": one.id, "name": one.name, "problems": [str(problem) for problem in one.problems]}
                    for one in bad_rules[:_MAX_LISTED]
                ],
            },
            "lookups": {
                "version": self.book.lookups.version,
                "lookups": len(self.book.lookups.usable),
                "bad_count": len(bad_lookups),
                "bad": [
                    {"id": one.id, "name": one.name, "problems": [str(problem) for problem in one.problems]}
                    for one in bad_lookups[:_MAX_LISTED]
                ],
            },
            "rows": {
                "bad_count": len(bad_rows),
                "bad": [
                    {"table": one.table, "name": one.name, "problems": list(one.problems)}
                    for one in bad_rows[:_MAX_LISTED]
                ],
            },
            "writer_backlog": self.writer_backlog,
            "clock": {
                "ahead_of_database_s": round(self.machine_ahead_s, 1),
                "is_off": abs(self.machine_ahead_s) > CLOCK_OFF_S,
            },
            "livekit": {project: _trouble_json(trouble) for project, trouble in self.livekit.items()},
            "incidents": [_incident_json(one) for one in self.database.incidents],
            "defects": dict(self.defects),
        }

    def without_names(self, pseudonyms: Pseudonyms) -> dict[str, Any]:
        """Return the same for anybody: rules and lookups by id only, projects by digests, and no texts of errors."""
        document = self.to_json()
        document["database"] = self.database.without_names(pseudonyms)
        for part in ("rules", "lookups"):
            document[part]["bad"] = [{"id": one["id"]} for one in document[part]["bad"]]
        document["rows"]["bad"] = [{"table": one["table"]} for one in document["rows"]["bad"]]
        document["livekit"] = {
            pseudonyms.of(project): {key: each for key, each in one.items() if key != "text"}
            for project, one in document["livekit"].items()
        }
        document["incidents"] = [
            {key: each for key, each in one.items() if key in _NAMELESS} for one in document["incidents"]
        ]
        document["defects"] = {
            where: {"count": one["count"], "last_at": one["last_at"]} for where, one in document["defects"].items()
        }
        return document


class HealthEndpoint:
    """Answers load balancers and operators."""

    def __init__(self, orchestrator: Orchestrator, readers: Engine, names: NameAccess, key: str) -> None:
        self._orchestrator = orchestrator
        self._names = names
        self._pseudonyms = Pseudonyms(key)
        self._readers = readers
        self._write_check = WriteCheck(orchestrator.context, orchestrator.acceptor.refused_events.trouble)
        self._reading: asyncio.Task[DatabaseHealth] | None = None
        self._logged = "ok"
        """The state of the database that the log knows of."""
        self._not_ready_since = 0.0

    async def live(self, _request: Request) -> Response:
        """Answer 200 while the process runs."""
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """Answer 200 with details while webhooks can be accepted, 503 with details while they cannot.

        Names and texts of errors are for requests with a token only.
        """
        health = await self.read()
        self._log_change(health.database)
        answers = health.database.status != "unavailable"
        is_known = await self._names.may_see_names(request, asks_database=answers)
        document = health.to_json() if is_known else health.without_names(self._pseudonyms)
        if health.is_ready:
            return JSONResponse(document)
        return JSONResponse(document, 503, headers={"Retry-After": "1"})

    async def read(self) -> Health:
        """Return the state of the database, the sweeps, the rules and the writer."""
        database = await self._database()
        if database.status != "schema" and (trouble := await self._write_check.trouble()):
            database = DatabaseHealth("unwritable" if database.status == "ok" else database.status, trouble)
        context = self._orchestrator.context
        ahead_s = machine_ahead_s(context.clock)
        livekit = {project: client.trouble for project, client in context.clients.items()}
        book, backlog = self._orchestrator.book, context.writer.backlog
        return Health(database, book, backlog, ahead_s, livekit, context.defects.to_json())

    def _log_change(self, database: DatabaseHealth) -> None:
        """Log when this process is found not ready, and when it is ready again: a load balancer keeps no reasons."""
        if database.status == self._logged:
            return
        tick = self._orchestrator.context.clock.monotonic()
        if database.status == "ok":
            _log.info("ready again", after_s=round(tick - self._not_ready_since, 1))
        else:
            if self._logged == "ok":
                self._not_ready_since = tick
            _log.warning("not ready", database=database.status, detail=database.detail)
        self._logged = database.status

    async def _database(self) -> DatabaseHealth:
        # Shared, so that a database that hangs does not take one thread for each question.
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(asyncio.to_thread(self._read_database), name="usher-read-check")
        reading = self._reading
        done, _ = await asyncio.wait([reading], timeout=_READ_WITHIN_S)
        return reading.result() if done else DatabaseHealth("unavailable", f"no answer within {_READ_WITHIN_S:g} s")

    def _read_database(self) -> DatabaseHealth:
        try:
            with self._readers.connect() as connection:
                schema.require_compatible(connection)
                clients = self._orchestrator.context.clients  # a sweep of another project is from before it was removed
                sweeps = [one for one in sweep_heartbeats(connection) if one.project in clients]
                incidents = open_incidents(connection)
                rows = tuple(read_bad_rows(connection))
                return DatabaseHealth("ok", sweeps=tuple(sweeps), incidents=tuple(incidents), bad_rows=rows)
        except SchemaMismatchError as error:
            return DatabaseHealth("schema", str(error))
        except SQLAlchemyError as error:
            return DatabaseHealth("unavailable", f"the database does not answer: {cause_of(error)}")


def _trouble_json(trouble: Trouble | None) -> dict[str, Any]:
    if trouble is None:
        return {"status": "ok"}
    return {"status": str(trouble.kind), "text": trouble.text, "remedy": trouble.kind.remedy}


def _incident_json(incident: Incident) -> dict[str, Any]:
    document = incident.to_json()
    return {name: document[name] for name in ("id", "kind", "title", "remedy", "count", "opened_at", "muted_until")}
