"""A worker process: `main` runs one job after the other, and ends with its parent.

Jobs arrive on standard input, results leave by standard output: each a length of eight bytes and a pickle. Both ends
are this very code, of one user on one machine.
"""

from __future__ import annotations

import os
import pickle
import resource
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app.clock import SystemClock
from app.db.engine import create_reader_engine, parse_database_url
from app.errors import DatabaseUnavailableError, InvalidInputError, Problem, UsherError, cause_of
from app.livekit.participant.phone import use_phone_region
from app.rules.book.read_book import follow, read_book
from app.rules.book.rule_book import RuleBook
from app.server.caches.traffic_cache import TrafficCache
from app.translation import translatable
from app.webhook.name_digest import use_name_key

NICENESS: Final = 10
"""On a busy machine webhooks get nine tenths of a processor that a worker wants, too."""
IDLE_S: Final = 120.0
"""A worker that has had nothing to do for so long ends, and gives its memory back."""
MAX_MEMORY_BYTES: Final = 2 * 1024**3
"""The rule book of 100,000 rules takes 300 MB."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker needs to know; sent first. It holds the password of the database."""

    database_url: str = field(repr=False)
    phone_region: str
    metadata_max_bytes: int
    redact: tuple[str, ...] = ()
    """Paths left out of stored events, of any project."""
    hash_names_key: str = field(default="", repr=False)


@dataclass(slots=True)
class WorkerState:
    """What jobs share: a reader connection at a time, and the rule book, which follows the database."""

    readers: Engine
    metadata_max_bytes: int
    traffic: TrafficCache
    _book: RuleBook | None = None

    def read(self, load: Callable[[Connection], Any]) -> Any:
        """Return what `load` returns; DatabaseUnavailableError when the database does not answer."""
        try:
            with self.readers.connect() as connection:
                return load(connection)
        except SQLAlchemyError as error:
            cause = cause_of(error)
            raise DatabaseUnavailableError(
                translatable("the database does not answer: %(cause)s", cause=cause)
            ) from error

    def book(self, connection: Connection) -> RuleBook:
        """Return the rule book with every committed edit."""
        self._book = read_book(connection) if self._book is None else follow(connection, self._book)
        return self._book


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a job, or the error to raise in its place."""

    result: Any = None
    error: type[UsherError] | None = None
    message: str = ""
    problems: list[Problem] = field(default_factory=list)
    defect: str = ""

    def get(self) -> Any:
        """Return the result, or raise the error."""
        if self.defect:
            raise RuntimeError(f"a job of a worker failed: {self.defect}")
        if self.error is None:
            return self.result
        if issubclass(self.error, InvalidInputError):
            raise self.error(self.message, self.problems)
        raise self.error(self.message)


def send(stream: IO[bytes], message: Any) -> None:
    """Write one message."""
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    stream.write(len(content).to_bytes(8, "big") + content)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Return the next message; EOFError at the end of the stream."""
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    content = stream.read(int.from_bytes(head, "big"))
    return pickle.loads(content)  # noqa: S301 - written by `send` in the parent or in a worker of it


def wait_readable(stream: IO[bytes], within_s: float) -> bool:
    """Return whether the stream can be read, or has ended, before the time is over; its descriptor may be any."""
    poll = select.poll()  # `select.select` takes no descriptor above 1023
    poll.register(stream, select.POLLIN)
    return bool(poll.poll(within_s * 1000))


def main() -> None:
    """Run jobs until the parent ends, or has none for `IDLE_S`."""
    jobs = sys.stdin.buffer
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the results
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the parent, whose end is ours
    os.nice(NICENESS)
    with suppress(OSError, ValueError):  # a lower limit is set already
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    setup: Setup = receive(jobs)
    use_phone_region(setup.phone_region)
    use_name_key(setup.hash_names_key)
    readers = create_reader_engine(parse_database_url(setup.database_url))
    state = WorkerState(readers, setup.metadata_max_bytes, TrafficCache(SystemClock(), setup.redact))
    send(results, Outcome())
    while True:
        if not wait_readable(jobs, IDLE_S):
            return
        try:
            function, arguments = receive(jobs)
        except EOFError:
            return
        try:
            send(results, _outcome(state, function, arguments))
        except BrokenPipeError:  # the parent has ended meanwhile
            return


def _outcome(state: WorkerState, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    try:
        return Outcome(function(state, *arguments))
    except InvalidInputError as error:
        return Outcome(error=type(error), message=error.what, problems=error.problems)
    except UsherError as error:
        return Outcome(error=type(error), message=str(error))
    except MemoryError:
        return Outcome(defect="it needs more memory than a worker may have")
    except Exception as error:  # noqa: BLE001 - a defect costs this job, not the worker
        return Outcome(defect=f"{type(error).__name__}: {error}")
