"""The LiveKit under contract: `USHER_CONTRACT` is `simulator` (default) or `livekit-server`, the real one.

USHER_CONTRACT=livekit-server pytest tests/contract/livekit_behaviour
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from livekit import api

from tests.conftest import missing
from tests.contract.livekit import Calls, LiveKit, LiveKitWithRedis
from tests.contract.real import RealLiveKit, RealLiveKitWithRedis
from tests.contract.simulated import SimulatedLiveKit
from tests.harness.livekit.cache import CannotBuildError, livekit_server_program, worker_python
from tests.harness.network.relay import Relay
from tests.harness.scene import Programs, Scene

REAL = os.environ.get("USHER_CONTRACT", "simulator") == "livekit-server"


@pytest.fixture(scope="session")
def real_livekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLiveKit]:
    """A real server for all contracts; built first where needed."""
    try:
        programs = Programs(livekit_server=livekit_server_program(), worker_python=worker_python())
    except CannotBuildError as error:
        missing(f"the real LiveKit ({error})")
        raise
    scene = Scene(programs, directory=tmp_path_factory.mktemp("contract"), through_relay=True)
    scene.relay.forward_port = None
    try:
        scene.start()
        yield RealLiveKit(scene)
    finally:
        scene.close()


@pytest.fixture(scope="session")
def real_livekit_with_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealLiveKitWithRedis]:
    """A real server with a Redis; `redis-server` is Debian's package of that name."""
    try:
        programs = Programs(livekit_server=livekit_server_program(), worker_python=worker_python())
        scene = Scene(
            programs, directory=tmp_path_factory.mktemp("contract-redis"), through_relay=True, with_redis=True
        )
    except CannotBuildError as error:
        missing(f"the real LiveKit with Redis ({error})")
        raise
    scene.relay.forward_port = None
    try:
        scene.start()
        yield RealLiveKitWithRedis(scene)
    finally:
        scene.close()


@pytest.fixture(scope="session")
def relay() -> Iterator[Relay]:
    """Take the webhooks of all simulators; closing one takes half a second, which is why there is one only."""
    kept = Relay()
    yield kept
    kept.close()


@pytest.fixture
async def livekit(request: pytest.FixtureRequest, relay: Relay) -> AsyncIterator[LiveKit]:
    """The LiveKit under contract, with a receiver that keeps every webhook."""
    if REAL:
        real: RealLiveKit = request.getfixturevalue("real_livekit")
        real.relay.pass_all_on()
        yield real
        return
    relay.pass_all_on()
    async with SimulatedLiveKit(relay) as simulated:
        yield simulated


@pytest.fixture
async def calls(livekit: LiveKit) -> AsyncIterator[Calls]:
    """The SDK's view of it. Its own repetition of failed calls is off: one question, one call."""
    async with api.LiveKitAPI(livekit.url, livekit.key, livekit.secret, failover=False) as client:
        yield Calls(livekit, client)


@pytest.fixture
async def redis_livekit(request: pytest.FixtureRequest, relay: Relay) -> AsyncIterator[LiveKitWithRedis]:
    """The LiveKit under contract with a Redis."""
    if REAL:
        real: RealLiveKitWithRedis = request.getfixturevalue("real_livekit_with_redis")
        yield real
        return
    async with SimulatedLiveKit(relay) as simulated:
        yield simulated


@pytest.fixture
async def redis_calls(redis_livekit: LiveKitWithRedis) -> AsyncIterator[Calls]:
    """The SDK's view of the LiveKit with a Redis, as `calls`."""
    url, key, secret = redis_livekit.url, redis_livekit.key, redis_livekit.secret
    async with api.LiveKitAPI(url, key, secret, failover=False) as client:
        yield Calls(redis_livekit, client)
