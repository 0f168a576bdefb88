from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from livekit import api

from app.simulator import Timing
from tests.simulator import Simulator
from tests.simulator.control import Control

TEMPO = 0.02


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """A simulator fifty times as fast as LiveKit, with its control over HTTP and no receiver of webhooks."""
    made = Simulator(timing=Timing().scaled(TEMPO))
    made.mount(Control(made).application)
    async with made:
        yield made


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[api.LiveKitAPI]:
    """The SDK with its retries off."""
    async with api.LiveKitAPI(simulator.url, simulator.key, simulator.secret, failover=False) as made:
        yield made


@pytest.fixture
async def control(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP client for the control endpoints."""
    async with aiohttp.ClientSession(simulator.url) as session:
        yield session
