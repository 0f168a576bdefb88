"""The database for one command alone: refused while a server uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import Connection, inspect
from sqlalchemy.engine import URL

from app.db.engine import create_reader_engine, is_embedded
from app.db.engine.sqlite_claim import claim_database
from app.errors import ConflictError
from app.flows.replicas.serving import serving_replicas


@contextmanager
def without_server(url: URL, purpose: str) -> Iterator[None]:
    """Raise `ConflictError` if a server uses the database; a SQLite file is kept from servers until the block ends."""
    if is_embedded(url):
        try:
            claim = claim_database(url)
        except ConflictError as error:
            raise ConflictError(f"{error}; stop it before you {purpose}") from error
        with closing(claim):
            yield
        return
    readers = create_reader_engine(url)
    try:
        with readers.connect() as connection:
            replicas = _serving(connection)
    finally:
        readers.dispose()
    if replicas:
        raise ConflictError(
            f"usher serve runs with this database ({', '.join(replicas)}); stop it before you {purpose}"
        )
    yield


def _serving(connection: Connection) -> list[str]:
    return serving_replicas(connection) if inspect(connection).has_table("heartbeats") else []
