"""Dispatches an agent into a room made for that, and times its arrival."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, update

from app.clock import Clock, new_id
from app.db.tables import probes
from app.db.writer import Writer
from app.errors import UsherError
from app.livekit.client import DispatchRequest, LiveKitClient
from app.livekit.outcome import Accepted, Rejected, Unknown, Unreachable
from app.livekit.vocabulary import RestartPolicy
from app.logs import get_logger
from app.metrics import Metrics

_log = get_logger(__name__)

ROOM_PREFIX = "usher-probe-"
"""Prefix of the names of such rooms; no caller is ever in one, so no rule matches."""

TIMEOUT_S = 20.0
_POLL_S = 0.1


class ProbeCause(StrEnum):
    """Why a probe found no agent."""

    NO_WORKER = "no_worker"  # no worker took the job
    JOB_FAILED = "job_failed"  # a worker took it, and no agent joined
    REFUSED = "refused"  # LiveKit refused the room or the dispatch
    UNCLEAR = "unclear"  # LiveKit did not answer, or not in time


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of one probe; `milliseconds_to_agent`: from CreateDispatch until the agent was active, None if never.

    `detail` says what LiveKit showed instead, or what could not be cleaned up.
    """

    id: str
    project: str
    agent_name: str
    started_at: datetime
    arrived: bool
    milliseconds_to_agent: int | None
    detail: str
    cause: ProbeCause | None = None
    """Why no agent joined; None if one did."""


class Prober:
    """Probes agents of one LiveKit project, each into a room of its own, and keeps the results in `probes`."""

    def __init__(
        self,
        project: str,
        client: LiveKitClient,
        writer: Writer,
        clock: Clock,
        metrics: Metrics,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._project = project
        self._client = client
        self._writer = writer
        self._clock = clock
        self._metrics = metrics
        self._sleep = sleep

    async def run_once(self, agent_names: Sequence[str], timeout_s: float = TIMEOUT_S) -> dict[str, int]:
        """Probe each of these agents; return how many came and how many did not."""
        results = await asyncio.gather(*(self.probe(name, timeout_s) for name in agent_names))
        arrived = sum(result.arrived for result in results)
        return {"arrived": arrived, "absent": len(results) - arrived}

    async def probe(self, agent_name: str, timeout_s: float = TIMEOUT_S) -> ProbeResult:
        """Return the result of probing one agent; never raises for what LiveKit does or does not do."""
        probe_id, started_at = new_id(), self._clock.now()
        room_name = f"{ROOM_PREFIX}{probe_id}"
        row = {"id": probe_id, "project": self._project, "agent_name": agent_name, "started_at": started_at}
        await self._writer.run(lambda connection: _begin(connection, row))
        milliseconds: int | None = None
        cause: ProbeCause | None = None
        try:
            await self._client.create_room(room_name)
            milliseconds, detail, cause = await self._dispatch(room_name, agent_name, probe_id, timeout_s)
        except UsherError as error:
            detail, cause = str(error), ProbeCause.UNCLEAR
        except BaseException:  # cancelled, or a defect: there is no result, and nothing must be left behind
            await self._clean_up(room_name)
            await self._writer.run(lambda connection: _forget(connection, probe_id))
            raise
        left_over = await self._clean_up(room_name)
        detail = "; ".join(part for part in (detail, left_over) if part)
        result = ProbeResult(
            probe_id, self._project, agent_name, started_at, milliseconds is not None, milliseconds, detail, cause
        )
        finished_at = self._clock.now()
        outcome = {"arrived": result.arrived, "milliseconds_to_agent": milliseconds}
        await self._writer.run(lambda connection: _finish(connection, probe_id, finished_at, detail, **outcome))
        self._metrics.probes.labels(agent_name, "arrived" if result.arrived else "absent").inc()
        if milliseconds is not None:
            self._metrics.probe_seconds.labels(agent_name).observe(milliseconds / 1000)
        log = _log.info if result.arrived else _log.warning
        log("agent probed", agent=agent_name, arrived=result.arrived, milliseconds=milliseconds, detail=detail)
        return result

    async def clear_up(self, probe_id: str) -> None:
        """Close the room of a probe whose process died, and note that; its agent's arrival is unknown."""
        left_over = await self._clean_up(f"{ROOM_PREFIX}{probe_id}")
        detail = "; ".join(part for part in ("Usher was stopped meanwhile", left_over) if part)
        finished_at = self._clock.now()
        await self._writer.run(lambda connection: _finish(connection, probe_id, finished_at, detail))

    async def _dispatch(
        self, room_name: str, agent_name: str, probe_id: str, timeout_s: float
    ) -> tuple[int | None, str, ProbeCause | None]:
        began = self._clock.monotonic()
        request = DispatchRequest(
            room_name=room_name,
            agent_name=agent_name,
            metadata=json.dumps({"usher": {"probe": probe_id}}),
            attributes={"usher.probe": probe_id},
            deployment=None,
            restart_policy=RestartPolicy.NEVER,  # LiveKit Cloud must not start it again once the room is gone
        )
        trouble = ""
        match await self._client.create_dispatch(request):
            case Rejected(code, text):
                return None, f"LiveKit refused the dispatch: {code}: {text}", ProbeCause.REFUSED
            case Unreachable(code, text):
                return None, f"LiveKit cannot be reached: {code}: {text}", ProbeCause.UNCLEAR
            case Unknown(code=code, text=text):
                trouble = f"the dispatch had no clear answer: {code}: {text}"
            case Accepted():
                pass
        while self._clock.monotonic() - began < timeout_s:
            try:
                if await self._is_there(room_name, agent_name):
                    return max(0, round((self._clock.monotonic() - began) * 1000)), "", None
            except UsherError as error:
                trouble = str(error)
            await self._sleep(_POLL_S)
        if trouble:
            return None, trouble, ProbeCause.UNCLEAR
        return None, *await self._cause(room_name, timeout_s)

    async def _is_there(self, room_name: str, agent_name: str) -> bool:
        participants = await self._client.list_participants(room_name)
        agents = [one for one in participants if one.is_agent and one.active]
        return any(one.agent_name in {"", agent_name} for one in agents)

    async def _cause(self, room_name: str, timeout_s: float) -> tuple[str, ProbeCause]:
        waited = f"within {timeout_s:g} s"
        try:
            jobs = [job for entry in await self._client.list_dispatches(room_name) for job in entry.jobs]
        except UsherError as error:
            return f"no agent came {waited}, and LiveKit did not say why: {error}", ProbeCause.UNCLEAR
        if not jobs:
            return f"no agent came {waited}: no worker took the job", ProbeCause.NO_WORKER
        job = jobs[-1]
        error_text = f": {job.error}" if job.error else ""
        return f"no agent came {waited}: a worker took job {job.id} ({job.status}{error_text})", ProbeCause.JOB_FAILED

    async def _clean_up(self, room_name: str) -> str:
        """Close the room, which ends the agent's job; return what could not be done, empty when all was."""
        trouble = ""
        for pause in (0.0, 0.5, 2.0):
            await self._sleep(pause)
            try:
                await self._client.delete_room(room_name)
            except UsherError as error:
                trouble = f"room {room_name} could not be deleted: {error}"
            else:
                return ""
        return trouble


def _begin(connection: Connection, row: dict[str, object]) -> None:
    connection.execute(insert(probes).values(row))


def _finish(connection: Connection, probe_id: str, finished_at: datetime, detail: str, **outcome: object) -> None:
    values = {"finished_at": finished_at, "detail": detail[:2000], **outcome}
    connection.execute(update(probes).where(probes.c.id == probe_id).values(values))


def _forget(connection: Connection, probe_id: str) -> None:
    connection.execute(delete(probes).where(probes.c.id == probe_id))
