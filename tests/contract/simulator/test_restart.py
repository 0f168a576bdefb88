"""A server that is killed and started again."""

from __future__ import annotations

from livekit import api

from app.livekit.vocabulary import ParticipantKind
from app.simulator import Behaviour
from tests.simulator import Simulator, judge


async def test_people_and_agents_come_back_and_the_verdict_spans_the_restart(
    simulator: Simulator, client: api.LiveKitAPI
) -> None:
    worker = simulator.add_worker("greeter", Behaviour().scaled(0.02))
    old_id = worker.id
    ana = simulator.join("lobby", "ana", metadata="kept", kind=ParticipantKind.SIP)
    await client.agent_dispatch.create_dispatch(api.CreateAgentDispatchRequest(room="lobby", agent_name="greeter"))
    await simulator.wait_until(lambda: simulator.ledger.agents_of("lobby") != [])
    url = simulator.url
    await simulator.restart()
    assert simulator.url == url
    assert simulator.room("lobby") is None
    await simulator.wait_until(lambda: len(simulator.ledger.agents_of("lobby")) == 2)
    back = simulator.participant("lobby", "ana")
    assert (back.metadata, back.kind) == ("kept", ParticipantKind.SIP)
    assert back.sid != ana.sid
    before, after = simulator.ledger.agents_of("lobby")
    assert (before.reason, before.identity) == ("SERVER_LOST", after.identity)
    assert after.gone is None
    await simulator.wait_until(lambda: worker.registered and len(simulator.ledger.callers) == 2)
    assert worker.id != old_id
    verdict = judge(simulator.ledger)
    assert verdict.clean
    assert (verdict.callers, verdict.served) == (2, 2)  # two room sessions, one call


async def test_a_second_agent_for_a_caller_whose_agent_reconnected_is_a_double(
    simulator: Simulator, client: api.LiveKitAPI
) -> None:
    simulator.add_worker("greeter", Behaviour().scaled(0.02))
    simulator.join("lobby", "ana")
    request = api.CreateAgentDispatchRequest(room="lobby", agent_name="greeter")
    await client.agent_dispatch.create_dispatch(request)
    await simulator.wait_until(lambda: simulator.ledger.agents_of("lobby") != [])
    await simulator.restart()
    await simulator.wait_until(lambda: len(simulator.agents("lobby")) == 1)
    await simulator.wait_until(lambda: next(iter(simulator.workers.by_id.values())).registered)
    await client.agent_dispatch.create_dispatch(request)
    await simulator.wait_until(lambda: len(simulator.ledger.agents_of("lobby")) == 3)
    assert judge(simulator.ledger).doubled == ("lobby",)


async def test_participants_need_not_come_back(simulator: Simulator) -> None:
    simulator.join("lobby", "ana")
    simulator.join("lobby", "robot", kind=ParticipantKind.AGENT)
    await simulator.wait_until(lambda: len(simulator.ledger.callers) == 1)
    await simulator.restart(rejoin=False, agents_rejoin=False, down_for=0.05)
    await simulator.schedule.sleep(0.1)
    assert simulator.room("lobby") is None
    assert simulator.ledger.callers[0].reason == "SERVER_LOST"


async def test_a_killed_workers_agent_does_not_come_back(simulator: Simulator, client: api.LiveKitAPI) -> None:
    worker = simulator.add_worker("greeter", Behaviour().scaled(0.02))
    simulator.join("lobby", "ana")
    await client.agent_dispatch.create_dispatch(api.CreateAgentDispatchRequest(room="lobby", agent_name="greeter"))
    await simulator.wait_until(lambda: simulator.ledger.agents_of("lobby") != [])
    simulator.kill_worker(worker)
    await simulator.restart()
    await simulator.wait_until(lambda: simulator.room("lobby") is not None)
    await simulator.schedule.sleep(0.05)
    assert simulator.agents("lobby") == []
    assert worker.dead
    assert not worker.registered
