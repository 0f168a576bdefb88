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

from app.db.engine import create_migration_engine
from app.db.migration_lock import migration_lock
from app.errors import SchemaMismatchError

_PACKAGE = Path(__file__).parents[1]
_INSTALLED = _PACKAGE / "migrations"
_MIGRATIONS = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "migrations"


@cache
def latest_revision() -> str:
    """Return the revision that this version of Usher needs; cached, because reading the revisions takes 6 ms."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise SchemaMismatchError(f"no migrations are installed at {_MIGRATIONS}")
    return revision


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the connected database; None if it has no schema."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(url: URL, revision: str = "head") -> None:
    """Upgrade the schema to `revision`; creates the SQLite file if there is none."""
    _run(url, lambda config: command.upgrade(config, revision))


def downgrade(url: URL, revision: str) -> None:
    """Downgrade the schema to `revision`; `base` removes everything."""
    _run(url, lambda config: command.downgrade(config, revision))


def require_current(connection: Connection) -> None:
    """Raise `SchemaMismatchError`, with the command to run, unless the schema is at the revision that Usher needs."""
    current, latest = current_revision(connection), latest_revision()
    if current == latest:
        return
    if current is None:
        raise SchemaMismatchError("the database has no Usher schema yet; run: usher migrate up")
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if current not in known:
        raise SchemaMismatchError(
            f"the database schema {current} is newer than this Usher ({latest}); run the newer Usher, "
            "or take the schema down with it: usher migrate down"
        )
    raise SchemaMismatchError(f"the database schema {current} is older than {latest}; run: usher migrate up")


def _config() -> Config:
    config = Config()
    # The options are read by configparser, which takes % for an interpolation.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def _run(url: URL, action: Callable[[Config], None]) -> None:
    engine = create_migration_engine(url)
    config = _config()
    try:
        with migration_lock(engine), engine.connect() as connection:
            config.attributes["connection"] = connection
            action(config)
            connection.commit()
    finally:
        engine.dispose()
