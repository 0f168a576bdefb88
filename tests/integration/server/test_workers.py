"""What users send to be checked and tried runs beside the service: one job at a time each, for a limited time."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, suppress
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest

from app.accounts.roles import Role
from app.errors import DatabaseUnavailableError, InvalidInputError, TooManyRequestsError, TooMuchWorkError
from app.server.workers.form_job import parse_form
from app.server.workers.rule_jobs import simulate_text
from app.server.workers.rule_worker import Setup, WorkerState
from app.server.workers.worker_pool import WorkerPool
from app.settings import read_settings
from app.webhook.name_digest import use_name_key
from app.wiring import service
from tests.conftest import Database, StillClock
from tests.harness.proc import children_of, command_of
from tests.integration.server.conftest import Running

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
endless: Callable[[WorkerState], Any] = methodcaller("read", methodcaller("exec_driver_sql", ENDLESS))
"""A job that never ends by itself."""


def children() -> list[int]:
    """Return the workers of this process."""
    return [pid for pid in children_of(os.getpid()) if b"rule_worker" in command_of(pid)]


def pool_of(database: Database, time_limit_s: float = 60.0) -> WorkerPool:
    return WorkerPool(Setup(database.text, "", 4096), time_limit_s=time_limit_s)


@pytest.fixture
async def pool(sqlite_database: Database) -> AsyncIterator[WorkerPool]:
    made = pool_of(sqlite_database)
    yield made
    made.close()


async def test_a_user_has_one_job_at_a_time_and_another_user_another(pool: WorkerPool) -> None:
    first = asyncio.create_task(pool.run("eva", endless))
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequestsError, match="still running; wait for its answer"):
        await pool.run("eva", parse_form, b"a=1")
    assert await pool.run("ana", parse_form, b"a=%31&b=x+y") == {"a": ["1"], "b": ["x y"]}
    waiting = [asyncio.create_task(pool.run("eva", parse_form, b"a=1", in_turn=True)) for _ in range(8)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequestsError):
        await pool.run("eva", parse_form, b"a=1", in_turn=True)
    assert not any(one.done() for one in (first, *waiting))
    # And a line of one user costs the others nothing
    assert await pool.run("ana", parse_form, b"a=2") == {"a": ["2"]}
    pool.close()
    await asyncio.gather(first, *waiting, return_exceptions=True)


async def test_a_user_beyond_the_most_that_can_be_served_is_refused_and_one_who_waits_is_not(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.server.workers.worker_pool._MAX_USERS", 1)
    first = asyncio.create_task(pool.run("eva", endless))
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequestsError, match="too many users"):
        await pool.run("ana", parse_form, b"a=1")
    second = asyncio.create_task(pool.run("eva", parse_form, b"a=1", in_turn=True))
    await asyncio.sleep(0)
    assert not second.done()
    pool.close()
    await asyncio.gather(first, second, return_exceptions=True)


async def test_a_job_that_takes_too_long_is_stopped_and_the_next_one_runs(sqlite_database: Database) -> None:
    pool = pool_of(sqlite_database, time_limit_s=0.5)
    with pytest.raises(TooMuchWorkError, match=r"longer than 0\.5 s and was stopped"):
        await pool.run("eva", endless)
    assert children() == []
    pool.close()


async def test_errors_arrive_as_they_were_raised(pool: WorkerPool, clock: StillClock) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await pool.run("eva", simulate_text, "rules:\n- {name: a}\n", False, clock.now())  # noqa: FBT003 - a message
    assert [problem.path for problem in refused.value.problems] == ["rules[0].pattern", "rules[0].agent_name"]
    with pytest.raises(RuntimeError, match=r"AttributeError: .* has no attribute 'nonsense'"):
        await pool.run("eva", methodcaller("nonsense"))
    assert await pool.run("eva", parse_form, b"a=1") == {"a": ["1"]}
    assert len(children()) == 1


async def test_a_database_that_is_gone_is_said(tmp_path: Path) -> None:
    pool = WorkerPool(Setup(f"sqlite:///{tmp_path}/none/usher.db", "", 4096))
    with pytest.raises(DatabaseUnavailableError, match="does not answer"):
        await pool.run("eva", methodcaller("read", methodcaller("exec_driver_sql", "SELECT 1")))
    pool.close()


async def test_a_worker_that_has_ended_is_replaced(pool: WorkerPool) -> None:
    await pool.run("eva", parse_form, b"a=1")
    (worker,) = children()
    os.kill(worker, signal.SIGKILL)
    assert await pool.run("eva", parse_form, b"a=2") == {"a": ["2"]}
    assert worker not in children()


async def test_an_interrupt_at_the_terminal_is_for_the_service(pool: WorkerPool) -> None:
    await pool.run("eva", parse_form, b"a=1")
    (worker,) = children()
    os.kill(worker, signal.SIGINT)
    assert await pool.run("eva", parse_form, b"a=2") == {"a": ["2"]}
    assert children() == [worker]


async def test_a_pool_works_however_many_files_are_open(sqlite_database: Database) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2_048:
        pytest.skip(f"this process may open {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2_048, hard))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1_030):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        pool = pool_of(sqlite_database)
        stack.callback(pool.close)
        assert await pool.run("eva", parse_form, b"a=1") == {"a": ["1"]}


async def test_a_worker_that_does_not_get_ready_is_ended(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.workers.worker_pool._STARTS_WITHIN_S", 0.001)
    with pytest.raises(RuntimeError, match="no answer in time"):
        await pool.run("eva", parse_form, b"a=1")
    assert children() == []


async def test_jobs_that_begin_at_once_get_a_worker_each_whatever_ended_before(pool: WorkerPool) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(10):
            # Given one idle worker, or two of which one has ended
            await pool.run("eva", parse_form, b"a=1")
            os.kill(children()[0], signal.SIGKILL)
            jobs = [pool.run(user, parse_form, b"a=2") for user in ("eva", "ana")]
            assert await asyncio.gather(*jobs) == [{"a": ["2"]}] * 2
    finally:
        sys.setswitchinterval(interval)
    assert 1 <= len(children()) <= 2  # one, if the first job was over when the second began


async def test_a_worker_that_starts_while_the_pool_closes_ends(pool: WorkerPool) -> None:
    starting = asyncio.create_task(pool.run("eva", parse_form, b"a=1"))
    async with asyncio.timeout(60):
        while not children() and not starting.done():  # noqa: ASYNC110 - of the kernel
            await asyncio.sleep(0)
    pool.close()
    with suppress(RuntimeError):
        await starting
    assert children() == []


async def test_workers_know_all_redacted_paths_and_the_key_of_names(sqlite_database: Database, tmp_path: Path) -> None:
    entries = [
        {"name": name, "url": "ws://127.0.0.1:9", "api_key": name, "api_secret": "x" * 32, "redact": [path]}
        for name, path in (("east", "participant.metadata.ssn"), ("west", "participant.metadata.card"))
    ]
    file = tmp_path / "projects.yaml"
    file.write_text(json.dumps({"projects": entries}))
    settings = {
        "USHER_PROJECTS_FILE": str(file),
        "USHER_HASH_NAMES_KEY": "k" * 32,
        "DATABASE_URL": sqlite_database.text,
    }
    try:
        async with service(
            read_settings({**settings, "DATABASE_URL": sqlite_database.text, "USHER_SWEEP_INTERVAL": "0"})
        ) as built:
            running = Running(built, sqlite_database)
            async with running.client(await running.token()) as client:
                # Given a call of another project that lacks both
                await running.join("ana", "hall", metadata={"language": "es"})
                for asked in ("ssn", "card", "other"):
                    pattern = {"participant": {"metadata": {asked: ["x"]}}}
                    draft = {"name": "a", "pattern": pattern, "agent_name": "ana"}
                    checked = (await client.post("/api/v1/rules/check", json=draft)).json()
                    saved = (await client.post("/api/v1/rules", json={**draft, "name": asked})).json()
                    for answer in (checked, saved):
                        paths = [one["path"] for one in answer["warnings"] if one["kind"] == "unseen_path"]
                        assert paths == ([f"participant.metadata.{asked}"] if asked == "other" else [])
    finally:
        use_name_key("")


async def test_workers_end_with_the_pool(pool: WorkerPool) -> None:
    await pool.run("eva", parse_form, b"a=1")
    assert len(children()) == 1
    pool.close()
    assert children() == []


async def test_a_worker_yields_the_processor_and_has_no_password_in_its_command(pool: WorkerPool) -> None:
    await pool.run("eva", parse_form, b"a=1")
    (worker,) = children()
    assert os.getpriority(os.PRIO_PROCESS, worker) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    command = command_of(worker)
    assert b"rule_worker" in command
    assert b"sqlite" not in command


HOSTILE = {
    "/api/v1/simulate": {"rules": ["a"] * 1_000},
    "/api/v1/rules/check": {f"colum{number}": 1 for number in range(5_000)},
    "/api/v1/rules/test": {"rule": {"metadata": {"$eval": "(" * 10_000}}},
    "/api/v1/rules/apply": {"rules": [{"name": "a"}] * 2_000, "dry_run": True},
}


@pytest.mark.parametrize("path", HOSTILE)
async def test_drafts_are_read_and_tried_outside_of_the_service(
    running: Running, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    token = await running.token(Role.ADMIN)

    def refuse(*_arguments: Any) -> None:
        pytest.fail("done by the service itself")

    for function in ("load_json", "check_rule", "read_rules_file", "require_good_rule"):
        monkeypatch.setattr(f"app.server.workers.rule_jobs.{function}", refuse)
    async with running.client(token) as client:
        answer = await client.post(path, json=HOSTILE[path], timeout=60)
    assert answer.status_code == (200 if path.endswith("check") else 422)
    assert 0 < len(answer.json()["errors"]) <= 1_000


@pytest.mark.parametrize(
    ("path", "most"),
    [("simulate", 2**23), ("rules/test", 2**19), ("rules/check", 2**19), ("rules", 2**19), ("rules/apply", 2**23)],
)
async def test_bodies_are_bounded_by_what_they_are_for(running: Running, path: str, most: int) -> None:
    token = await running.token(Role.ADMIN)
    async with running.client(token) as client:
        answer = await client.post(f"/api/v1/{path}", content=b" " * (most + 1))
    assert answer.status_code == 413
    assert str(most) in answer.json()["detail"]


async def test_a_second_simulation_of_a_user_is_refused(running: Running) -> None:
    token = await running.token(Role.VIEWER)
    async with running.client(token) as client:
        answers = await asyncio.gather(*(client.post("/api/v1/simulate", json={"rules": []}) for _ in range(3)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"] == "1"
    assert "still running" in refused.json()["detail"]
