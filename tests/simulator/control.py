"""Controls a simulator over HTTP, for one that runs in a process of its own.

Everything is JSON. Bad input is answered with 400, unknown rooms, participants and workers with 404.

    POST   /simulator/join            what `Simulator.join` takes
    POST   /simulator/leave           {room, identity, reason?}
    POST   /simulator/update          {room, identity, metadata?, attributes?}
    POST   /simulator/publish-track   {room, identity}
    POST   /simulator/finish-room     {room, reason?}
    POST   /simulator/joins           what `Callers` takes: many callers at a rate; GET returns the progress
    POST   /simulator/place           {room_name, room_sid, identity, sid}: a caller whose webhooks somebody else sends
    POST   /simulator/workers         {agent_name, behaviour?, registers_after?, deployment?, count?}
    DELETE /simulator/workers/<id>    SIGKILL; `?graceful=1` stops it
    POST   /simulator/faults          {share, …}: by chance; {method, kind, code?, seconds?, times?}: the next calls
    DELETE /simulator/faults          no more faults
    POST   /simulator/webhook-faults  {mishap, share} or {mishap, event?, room?, identity?, times?, seconds?}
    DELETE /simulator/webhook-faults
    POST   /simulator/restart         what `Simulator.restart` takes
    POST   /simulator/lose-node       {rooms, …}: the rest as `Simulator.lose_node` takes it
    POST   /simulator/lose-redis      {}
    POST   /simulator/call-in         what `Phones.call_in` takes; returns the identity
    POST   /simulator/call-out        what `Phones.call_out` takes
    POST   /simulator/hang-up         {room, identity}
    GET    /simulator/ledger          the whole list; `?dispatches=<n>` from the n-th dispatch on
    GET    /simulator/verdict         `?unit=room|participant&tolerance=<seconds>`
    GET    /simulator/state           names of rooms; participants, workers, webhooks: counts
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.livekit.vocabulary import DisconnectReason, JobStatus, ParticipantKind
from app.simulator.agents.workers import Behaviour, Refusal
from app.simulator.api.faults import Fault, FaultKind
from app.simulator.entities import Grants
from tests.simulator.bulk import Callers, Campaign, place
from tests.simulator.simulator import Simulator
from tests.simulator.verdict import Unit, judge
from tests.simulator.webhook_faults import Mishap

Body = dict[str, Any]


class Control:
    """The routes of one simulator; `application` is what `Simulator.mount` takes."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._campaign: Campaign | None = None
        self._running: set[asyncio.Task[None]] = set()
        posts: dict[str, Callable[[Body], Any]] = {
            "join": self._join,
            "leave": self._leave,
            "update": lambda body: simulator.update(**body),
            "publish-track": lambda body: {"sid": simulator.publish_track(**body).sid},
            "finish-room": lambda body: simulator.finish_room(**_with_reason(body)),
            "joins": self._joins,
            "place": lambda body: place(simulator, **body),
            "workers": self._add_workers,
            "faults": self._add_fault,
            "webhook-faults": self._add_webhook_fault,
            "restart": self._restart,
            "lose-node": lambda body: simulator.lose_node(*body.pop("rooms"), **body),
            "lose-redis": lambda _: simulator.lose_redis(),
            "call-in": lambda body: {"identity": simulator.phones.call_in(**body).identity},
            "call-out": lambda body: {"sid": simulator.phones.call_out(**body).sid},
            "hang-up": lambda body: simulator.phones.hang_up(**body),
        }
        routes = [Route(f"/simulator/{name}", _posting(action), methods=["POST"]) for name, action in posts.items()]
        routes += [
            Route("/simulator/joins", self._progress),
            Route("/simulator/workers/{id}", self._end_worker, methods=["DELETE"]),
            Route("/simulator/faults", self._clear_faults, methods=["DELETE"]),
            Route("/simulator/webhook-faults", self._clear_webhook_faults, methods=["DELETE"]),
            Route("/simulator/ledger", self._ledger),
            Route("/simulator/verdict", self._verdict),
            Route("/simulator/state", self._state),
        ]
        self.application = Starlette(routes=routes)

    def _join(self, body: Body) -> Body:
        if "grants" in body:
            body["grants"] = Grants(**body["grants"])
        participant = self._simulator.join(**body)
        return {"sid": participant.sid}

    def _leave(self, body: Body) -> None:
        self._simulator.leave(**_with_reason(body))

    def _joins(self, body: Body) -> Body:
        callers = Callers(**{**body, "kind": ParticipantKind[body.get("kind", "STANDARD")]})
        self._campaign = Campaign(self._simulator, callers)
        self._start(self._campaign.run())
        return {"count": callers.count}

    def _restart(self, body: Body) -> None:
        restarting = self._simulator.restart(**body)

        async def restart() -> None:
            await asyncio.sleep(0.05)  # the answer to this very call must get through before the connections are cut
            await restarting

        self._start(restart())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _progress(self, request: Request) -> Response:  # noqa: ARG002 - Starlette passes it
        campaign = self._campaign
        done = campaign is None or campaign.joined == campaign.callers.count
        return JSONResponse({"joined": campaign.joined if campaign else 0, "done": done})

    def _add_workers(self, body: Body) -> Body:
        behaviour = dict(body.pop("behaviour", {}))
        if "refusal" in behaviour:
            behaviour["refusal"] = Refusal(behaviour["refusal"])
        if "leaving_reads" in behaviour:
            behaviour["leaving_reads"] = JobStatus[behaviour["leaving_reads"]]
        if "leaves_with" in behaviour:
            behaviour["leaves_with"] = DisconnectReason[behaviour["leaves_with"]]
        count = int(body.pop("count", 1))
        chosen = Behaviour(**behaviour)
        return {"ids": [self._simulator.add_worker(**body, behaviour=chosen).id for _ in range(count)]}

    async def _end_worker(self, request: Request) -> Response:
        worker = self._simulator.workers.by_id.get(request.path_params["id"])
        if worker is None:
            return JSONResponse({"problem": "no such worker"}, 404)
        if request.query_params.get("graceful"):
            self._simulator.stop_worker(worker)
        else:
            self._simulator.kill_worker(worker)
        return JSONResponse({})

    def _add_fault(self, body: Body) -> None:
        faults = self._simulator.faults
        if "share" in body:
            return faults.by_chance(**body)
        method, times = body.pop("method"), body.pop("times", 1)
        fault = Fault(**{**body, "kind": FaultKind(body["kind"])})
        if times is None:
            return faults.always(method, fault)
        return faults.script(method, *[fault] * times)

    def _add_webhook_fault(self, body: Body) -> None:
        faults = self._simulator.webhook_faults
        mishap = Mishap(body.pop("mishap"))
        if "share" in body:
            return faults.by_chance(body["share"], mishap, seconds=body.get("seconds", 0.0))
        return faults.order(mishap, **body)

    async def _clear_faults(self, request: Request) -> Response:  # noqa: ARG002 - Starlette passes it
        self._simulator.faults.clear()
        return JSONResponse({})

    async def _clear_webhook_faults(self, request: Request) -> Response:  # noqa: ARG002 - Starlette passes it
        self._simulator.webhook_faults.clear()
        return JSONResponse({})

    async def _ledger(self, request: Request) -> Response:
        ledger = self._simulator.ledger
        since = int(request.query_params.get("dispatches", "0"))
        return JSONResponse(
            {
                "now": self._simulator.schedule.monotonic(),
                "dispatches": [{**asdict(each), "at": each.at.isoformat()} for each in ledger.dispatches[since:]],
                "callers": [asdict(each) for each in ledger.callers],
                "calls": [asdict(each) for each in ledger.calls],
                "counts": dict(ledger.counts),
            }
        )

    async def _verdict(self, request: Request) -> Response:
        unit = Unit(request.query_params.get("unit", "room"))
        tolerance = float(request.query_params.get("tolerance", "0"))
        return JSONResponse(judge(self._simulator.ledger, unit=unit, tolerance=tolerance).as_json())

    async def _state(self, request: Request) -> Response:  # noqa: ARG002 - Starlette passes it
        simulator = self._simulator
        people = [each for room in simulator.rooms.by_name.values() for each in room.participants.values()]
        return JSONResponse(
            {
                "rooms": sorted(simulator.rooms.by_name),
                "participants": dict(Counter(str(each.kind) for each in people)),
                "workers": {
                    worker.id: {
                        "agent_name": worker.agent_name,
                        "registered": worker.registered,
                        "dead": worker.dead,
                        "jobs": len(worker.jobs),
                    }
                    for worker in simulator.workers.by_id.values()
                },
                "webhooks": dict(Counter(each.outcome for each in simulator.webhooks.sent)),
                "dispatches": len(simulator.ledger.dispatches),
                "fates": dict(Counter(each.fate.value for each in simulator.ledger.dispatches)),
                "calls": dict(simulator.ledger.counts),
            }
        )


def _with_reason(body: Body) -> Body:
    return {**body, "reason": DisconnectReason[body["reason"]]} if "reason" in body else body


def _posting(action: Callable[[Body], Any]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            body = await request.json() if await request.body() else {}
            if not isinstance(body, dict):
                return JSONResponse({"problem": "a JSON object is wanted"}, 400)
            result = action(body)
            if isinstance(result, Awaitable):
                result = await result
        except LookupError as error:
            return JSONResponse({"problem": f"unknown: {error}"}, 404)
        except (TypeError, ValueError) as error:
            return JSONResponse({"problem": str(error)}, 400)
        return JSONResponse(result or {})

    return answer
