"""The real LiveKit, real workers, real participants, and the real `usher serve`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.harness.livekit.cache import CannotBuildError, livekit_server_program, node_modules, worker_python
from tests.harness.livekit.participants import Participant
from tests.harness.process import Process
from tests.harness.scene import Programs, Scene

LOG_TAIL = 6000

log_sizes = pytest.StashKey[dict[Path, int]]()
ARRIVAL, BURST = "seconds to agent", "burst"  # properties of reports, which reach the process that prints the end
seconds_to_agent: list[float] = []
bursts: list[str] = []


@pytest.fixture(scope="session")
def programs() -> Programs:
    """livekit-server and the workers' Python, built when this machine has not got them yet (a few minutes, once)."""
    try:
        return Programs(livekit_server=livekit_server_program(), worker_python=worker_python())
    except CannotBuildError as error:
        missing(f"a part of the end-to-end scene ({error})")
        raise


@pytest.fixture(scope="session", autouse=True)
def nobody_left_behind() -> Iterator[None]:
    """Whatever the tests did, all their processes are gone at the end."""
    yield
    left = [f"{process.name} ({process.pid})" for process in Process.running]
    for process in list(Process.running):
        process.kill()
    assert not left, f"processes left behind: {left}"


@pytest.fixture(scope="module")
def site(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """LiveKit and Usher, set up as the README says: Usher is LiveKit's webhook URL. Shared by a module."""
    scene = Scene(programs, directory=tmp_path_factory.mktemp("site"))
    try:
        scene.start()
        scene.start_usher()
        yield scene
    finally:
        scene.close()


@pytest.fixture(scope="module")
def relayed_site(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """LiveKit and Usher with a relay between them that can lose webhooks, and a sweep every 2 s. Shared by a module."""
    scene = Scene(programs, directory=tmp_path_factory.mktemp("relayed"), through_relay=True)
    try:
        scene.start()
        scene.start_usher({"USHER_SWEEP_INTERVAL": "2"})
        yield scene
    finally:
        scene.close()


@pytest.fixture(scope="module")
def redis_scene(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """LiveKit with a Redis, and Usher with a sweep every 2 s. Shared by a module; `Scene.crash` kills LiveKit."""
    yield from _scene(programs, tmp_path_factory.mktemp("redis"), with_redis=True)


@pytest.fixture(scope="module")
def cluster_scene(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Two nodes of LiveKit behind a balancer, and Usher with a sweep every 2 s. Shared by a module."""
    yield from _scene(programs, tmp_path_factory.mktemp("cluster"), two_nodes=True)


def _scene(
    programs: Programs, directory: Path, *, with_redis: bool = False, two_nodes: bool = False
) -> Iterator[Scene]:
    try:
        scene = Scene(programs, directory=directory, through_relay=True, with_redis=with_redis, two_nodes=two_nodes)
    except CannotBuildError as error:
        missing(f"a part of the end-to-end scene ({error})")
        raise
    try:
        scene.start()
        scene.start_usher({"USHER_SWEEP_INTERVAL": "2"})
        yield scene
    finally:
        scene.close()


@pytest.fixture(scope="session")
def node_sdk() -> Path:
    """What `Scene.start_node_worker` takes: the folder with LiveKit's Node SDK, installed once on this machine."""
    try:
        return node_modules()
    except CannotBuildError as error:
        missing(f"the Node agent ({error})")
        raise


@pytest.fixture
def note_arrival(record_property: Callable[[str, object], None]) -> Callable[[Participant], None]:
    """A function that notes how long a caller waited for the agent, for the figures printed at the end."""

    def note(caller: Participant) -> None:
        waited = caller.seconds_to_agent()
        print(f"{caller.identity} waited {waited:.2f} s for an agent")
        record_property(ARRIVAL, waited)

    return note


@pytest.fixture
def note_burst(record_property: Callable[[str, object], None]) -> Callable[[str, list[float]], None]:
    """A function that notes how long the callers of a burst waited, for the figures printed at the end."""

    def note(what: str, waits: list[float]) -> None:
        ordered = sorted(waits)
        p95 = ordered[max(0, round(len(ordered) * 0.95) - 1)]
        median = statistics.median(ordered)
        record_property(BURST, f"{len(ordered)} callers at once, {what}: p50 {median:.1f} s, p95 {p95:.1f} s")

    return note


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[log_sizes] = {process.log: process.log_size() for process in Process.known}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what every process wrote during the test."""
    report = yield
    if report.failed:
        before = item.stash.get(log_sizes, {})
        for process in Process.known:
            if said := process.log_text(since=before.get(process.log, 0)):
                report.sections.append((f"{process.name} said", said[-LOG_TAIL:]))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for name, value in report.user_properties if report.when == "call" else ():
        if name == ARRIVAL:
            assert isinstance(value, float)
            seconds_to_agent.append(value)
        elif name == BURST:
            bursts.append(str(value))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how long callers waited, from being let into the room until an agent was there."""
    if not seconds_to_agent and not bursts:
        return
    terminalreporter.section("time to agent")
    if waits := sorted(seconds_to_agent):
        terminalreporter.line(
            f"{len(waits)} callers: fastest {waits[0]:.2f} s, median {statistics.median(waits):.2f} s, "
            f"slowest {waits[-1]:.2f} s"
        )
    for burst in bursts:
        terminalreporter.line(burst)
