"""Several `usher migrate up` at once, as when several pods start on a new database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy.engine import URL

from tests.acceptance.cli_site import Terminal

PROCESSES = 4


def all_succeed(terminal: Terminal) -> None:
    with ThreadPoolExecutor(PROCESSES) as pool:
        answers = list(pool.map(lambda _: terminal.run("migrate", "up"), range(PROCESSES)))
    assert [answer.err for answer in answers] == [""] * PROCESSES
    assert [answer.code for answer in answers] == [0] * PROCESSES
    assert terminal.run("migrate", "check").code == 0


def test_on_postgresql(empty_postgres: URL, tmp_path: Path) -> None:
    all_succeed(Terminal(tmp_path, {"DATABASE_URL": empty_postgres.render_as_string(hide_password=False)}))


def test_on_sqlite(tmp_path: Path) -> None:
    all_succeed(Terminal(tmp_path, {"DATABASE_URL": "sqlite:///usher.db"}))
