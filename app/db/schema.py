"""The version of the schema: upgrade, downgrade, check.

The revisions are in `migrations/` beside `app` in the repository, and inside of `app` in a wheel.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from app.db.engine import create_migration_engine, create_reader_engine
from app.db.migration.compatibility import read_oldest
from app.db.migration.migration_lock import migration_lock
from app.errors import SchemaMismatchError
from app.translation import translatable

_PACKAGE = Path(__file__).parents[1]
_INSTALLED = _PACKAGE / "migrations"
_MIGRATIONS = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "migrations"


@cache
def latest_revision() -> str:
    """Return the revision that this version of Usher needs; cached, because reading the revisions takes 6 ms."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise SchemaMismatchError(translatable("no migrations are installed at %(migrations)s", migrations=_MIGRATIONS))
    return revision


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the connected database; None if it has no schema."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(url: URL, revision: str = "head") -> None:
    """Upgrade the schema to `revision`; creates the SQLite file if there is none.

    A newer schema with which this Usher works stays as it is; raises `SchemaMismatchError` for any other newer one.
    """

    def run(config: Config, connection: Connection) -> None:
        current = current_revision(connection)
        connection.rollback()  # alembic opens a transaction for each revision
        if revision == "head" and current == latest_revision():
            return  # alembic would import each file of the migrations to find nothing to do
        if current is None or _is_known(current):
            command.upgrade(config, revision)
        else:
            require_compatible(connection)

    _run(url, run)


def downgrade(url: URL, revision: str) -> None:
    """Downgrade the schema to `revision`; `base` removes everything."""
    _run(url, lambda config, _: command.downgrade(config, revision))


def require_compatible(connection: Connection) -> None:
    """Raise `SchemaMismatchError`, with the command to run, unless this version of Usher works with the schema.

    It does at the revision that it needs, and at newer ones that say so: replicas of the previous release go on while
    the next one is rolled out.
    """
    current, latest = current_revision(connection), latest_revision()
    if current == latest:
        return
    if current is None:
        raise SchemaMismatchError(translatable("the database has no Usher schema yet; run: usher migrate up"))
    if _is_known(current):
        raise SchemaMismatchError(
            translatable(
                "the database schema %(current)s is older than %(latest)s; run: usher migrate up",
                current=current,
                latest=latest,
            )
        )
    oldest = read_oldest(connection)
    if oldest is None or not _is_known(oldest):
        raise SchemaMismatchError(
            translatable(
                "the database schema %(current)s is newer than this Usher (%(latest)s) and does not work with it; "
                "run the newer Usher, or take the schema down with it: usher migrate down",
                current=current,
                latest=latest,
            )
        )


def is_usable(url: URL) -> bool:
    """Return whether this Usher works with the database as it is, or after an upgrade."""
    engine = create_reader_engine(url)
    try:
        with engine.connect() as connection:
            current = current_revision(connection)
            if current is not None and not _is_known(current):
                require_compatible(connection)
    except SchemaMismatchError:
        return False
    finally:
        engine.dispose()
    return True


def describe(connection: Connection) -> str:
    """Return at which revision the schema is, and whether this Usher needs that one."""
    current, latest = current_revision(connection), latest_revision()
    if current in {None, latest} or _is_known(str(current)):
        return f"schema is at {current or 'base'}"
    return f"schema is at {current}, newer than this Usher needs ({latest}), and works with it"


def _is_known(revision: str) -> bool:
    return revision in _revisions(_MIGRATIONS)


@cache
def _revisions(_folder: Path) -> frozenset[str]:
    # Read once: `/readyz` and every start compare with them, and each file of the migrations is imported for it.
    return frozenset(one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions())


def _config() -> Config:
    config = Config()
    # The options are read by configparser, which takes % for an interpolation.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def _run(url: URL, action: Callable[[Config, Connection], None]) -> None:
    engine = create_migration_engine(url)
    config = _config()
    try:
        with migration_lock(engine), engine.connect() as connection:
            config.attributes["connection"] = connection
            action(config, connection)
            connection.commit()
    finally:
        engine.dispose()
