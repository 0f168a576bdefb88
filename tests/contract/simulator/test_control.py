"""The control endpoints: everything a test in another process may do, and clear errors for what it may not."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from livekit import api

from app.simulator import FaultKind
from app.simulator.webhooks import WebhookFacts
from tests.simulator import Simulator


async def post(control: aiohttp.ClientSession, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    async with control.post(f"/simulator/{path}", json=body) as answer:
        return answer.status, await answer.json()


async def get(control: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    async with control.get(f"/simulator/{path}") as answer:
        assert answer.status == 200
        body: dict[str, Any] = await answer.json()
        return body


async def delete(control: aiohttp.ClientSession, path: str) -> int:
    async with control.delete(f"/simulator/{path}") as answer:
        return answer.status


async def test_a_call_from_beginning_to_end(simulator: Simulator, control: aiohttp.ClientSession) -> None:
    status, joined = await post(control, "join", room="lobby", identity="ana", kind="SIP", attributes={"a": "b"})
    assert status == 200
    assert joined["sid"] == simulator.participant("lobby", "ana").sid
    assert (await post(control, "update", room="lobby", identity="ana", metadata="m"))[0] == 200
    assert simulator.participant("lobby", "ana").metadata == "m"
    assert (await post(control, "publish-track", room="lobby", identity="ana"))[1]["sid"].startswith("TR_")
    await simulator.wait_until(lambda: len(simulator.ledger.callers) == 1)
    assert (await post(control, "leave", room="lobby", identity="ana", reason="USER_REJECTED"))[0] == 200
    assert simulator.ledger.callers[0].reason == "USER_REJECTED"
    assert (await post(control, "finish-room", room="lobby"))[0] == 200
    assert simulator.room("lobby") is None


async def test_a_caller_is_placed_without_a_webhook_also_after_the_dispatch_for_it(
    control: aiohttp.ClientSession, client: api.LiveKitAPI
) -> None:
    await client.agent_dispatch.create_dispatch(api.CreateAgentDispatchRequest(room="hall", agent_name="greeter"))
    for name in ("lobby", "hall"):
        where = {"room_name": name, "room_sid": f"RM_{name}", "identity": "ana", "sid": f"PA_{name}"}
        assert (await post(control, "place", **where))[0] == 200
    rooms = await client.room.list_rooms(api.ListRoomsRequest())
    assert {(room.name, room.sid) for room in rooms.rooms} == {("lobby", "RM_lobby"), ("hall", "RM_hall")}
    for name in ("lobby", "hall"):
        listed = await client.room.list_participants(api.ListParticipantsRequest(room=name))
        assert [(one.sid, one.state) for one in listed.participants] == [(f"PA_{name}", api.ParticipantInfo.ACTIVE)]


async def test_workers_are_hired_and_killed(
    simulator: Simulator, control: aiohttp.ClientSession, client: api.LiveKitAPI
) -> None:
    status, hired = await post(
        control,
        "workers",
        agent_name="greeter",
        count=2,
        behaviour={"capacity": 3, "answer_after": 0, "join_after": 0, "leaving_reads": "SUCCESS"},
    )
    assert status == 200
    first, second = hired["ids"]
    assert simulator.workers.by_id[first].behaviour.capacity == 3
    simulator.join("lobby", "ana")
    await client.agent_dispatch.create_dispatch(api.CreateAgentDispatchRequest(room="lobby", agent_name="greeter"))
    await simulator.wait_until(lambda: simulator.ledger.agents_of("lobby") != [])
    state = await get(control, "state")
    assert (state["rooms"], state["participants"]) == (["lobby"], {"STANDARD": 1, "AGENT": 1})
    assert state["fates"] == {"assigned": 1}
    assert await delete(control, f"workers/{first}") == 200
    assert await delete(control, f"workers/{second}?graceful=1") == 200
    assert all(worker.dead for worker in simulator.workers.by_id.values())
    assert await delete(control, "workers/AW_unknown") == 404


async def test_faults_are_ordered_and_cleared(simulator: Simulator, control: aiohttp.ClientSession) -> None:
    assert (await post(control, "faults", method="ListRooms", kind="refuse", code="internal", times=2))[0] == 200
    drawn = [simulator.faults.next("ListRooms") for _ in range(3)]
    assert [fault and (fault.kind, fault.code) for fault in drawn] == [
        (FaultKind.REFUSE, "internal"),
        (FaultKind.REFUSE, "internal"),
        None,
    ]
    await post(control, "faults", method="ListRooms", kind="hang_after", seconds=2, times=None)
    assert all(simulator.faults.next("ListRooms") for _ in range(3))
    await post(control, "faults", share=1.0, methods=["CreateDispatch"], seed=1)
    assert simulator.faults.next("CreateDispatch")
    assert await delete(control, "faults") == 200
    assert simulator.faults.next("CreateDispatch") is None


async def test_webhook_faults_are_ordered_and_cleared(simulator: Simulator, control: aiohttp.ClientSession) -> None:
    facts = WebhookFacts("participant_joined", "lobby", "ana")
    await post(control, "webhook-faults", mishap="drop", event="participant_joined")
    await post(control, "webhook-faults", mishap="duplicate", share=1.0, seconds=2)
    faults = simulator.webhook_faults
    drawn = [faults.next(facts) for _ in range(2)]
    assert [(mishap.value, seconds) for mishap, seconds in filter(None, drawn)] == [("drop", 0.0), ("duplicate", 2)]
    assert await delete(control, "webhook-faults") == 200
    assert faults.next(facts) is None


async def test_many_callers_join_at_a_rate_and_the_verdict_counts_them(
    simulator: Simulator, control: aiohttp.ClientSession
) -> None:
    status, answer = await post(
        control, "joins", count=50, rate=5000, room="bulk-{r}", per_room=2, metadata='{"n": {n}}', kind="SIP"
    )
    assert (status, answer) == (200, {"count": 50})
    await simulator.wait_until(lambda: len(simulator.ledger.callers) == 50)
    assert await get(control, "joins") == {"joined": 50, "done": True}
    assert simulator.participant("bulk-24", "caller-49").metadata == '{"n": 49}'
    by_room, by_person = await get(control, "verdict"), await get(control, "verdict?unit=participant&tolerance=1")
    assert (by_room["callers"], by_person["callers"]) == (25, 50)
    assert len(by_person["lost"]) == 50
    assert not by_person["clean"]


async def test_the_ledger_is_returned_whole_or_from_a_dispatch_on(
    simulator: Simulator, control: aiohttp.ClientSession, client: api.LiveKitAPI
) -> None:
    simulator.join("lobby", "ana")
    for agent_name in ("a", "b"):
        await client.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(room="lobby", agent_name=agent_name, metadata="m", attributes={"k": "v"})
        )
    whole, rest = await get(control, "ledger"), await get(control, "ledger?dispatches=1")
    assert [each["agent_name"] for each in whole["dispatches"]] == ["a", "b"]
    assert [each["agent_name"] for each in rest["dispatches"]] == ["b"]
    assert whole["dispatches"][0]["attributes"] == {"k": "v"}
    assert whole["dispatches"][0]["fate"] == "lost_no_worker"
    assert whole["counts"] == {"CreateDispatch": 2}


async def test_a_restart_is_answered_before_it_cuts_the_connection(
    simulator: Simulator, control: aiohttp.ClientSession
) -> None:
    simulator.join("lobby", "ana")
    before = simulator.rooms.by_name["lobby"].sid
    assert (await post(control, "restart"))[0] == 200
    await simulator.wait_until(lambda: (room := simulator.room("lobby")) is not None and room.sid != before)
    assert (await get(control, "state"))["rooms"] == ["lobby"]


async def test_phones_lost_nodes_and_a_lost_redis_are_ordered(
    simulator: Simulator, control: aiohttp.ClientSession
) -> None:
    status, called = await post(control, "call-in", room="call", caller="+34600111222", called="+15557654321")
    assert (status, called) == (200, {"identity": "sip_+34600111222"})
    assert (await post(control, "call-out", room="call", identity="c", callee="+34911", own_number="+1"))[0] == 200
    await simulator.wait_until(lambda: len(simulator.ledger.callers) == 2)
    assert (await post(control, "hang-up", room="call", identity="c"))[0] == 200
    assert (await post(control, "lose-node", rooms=["call"], rejoin=False))[0] == 200
    assert simulator.participant("call", called["identity"]).ghost
    assert (await post(control, "lose-redis"))[0] == 200
    assert simulator.room("call") is None
    grants = {"hidden": True}
    assert (await post(control, "join", room="call", identity="x", grants=grants, kind_details=["FORWARDED"]))[0] == 200
    assert simulator.participant("call", "x").grants.hidden


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("join", {"room": "lobby"}, 400),
        ("join", {"room": "lobby", "identity": "x", "kind": "MARTIAN"}, 400),
        ("join", {"room": "lobby", "identity": "x", "colour": "red"}, 400),
        ("leave", {"room": "lobby", "identity": "nobody"}, 404),
        ("leave", {"room": "nowhere", "identity": "nobody"}, 404),
        ("finish-room", {"room": "nowhere"}, 404),
        ("faults", {"method": "ListRooms", "kind": "explode"}, 400),
        ("webhook-faults", {"mishap": "explode"}, 400),
        ("workers", {"agent_name": "a", "behaviour": {"refusal": "perhaps"}}, 400),
        ("restart", {"softly": True}, 400),
    ],
)
async def test_bad_input_is_named(control: aiohttp.ClientSession, path: str, body: dict[str, Any], status: int) -> None:
    status_code, answer = await post(control, path, **body)
    assert status_code == status
    assert answer["problem"]


async def test_only_objects_are_understood(control: aiohttp.ClientSession) -> None:
    for body in (b"[1]", b"{not json"):
        async with control.post("/simulator/join", data=body) as answer:
            assert answer.status == 400
            assert (await answer.json())["problem"]
