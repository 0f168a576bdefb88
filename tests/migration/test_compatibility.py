"""Replicas of an older release go on, and may be started, while the newer schema works with them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from app.db import schema
from app.errors import SchemaMismatchError
from tests.conftest import Database
from tests.harness.serving import get_when_ready, serving

VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"
FILES = sorted(path for path in VERSIONS.glob("[0-9]*.py"))
KEEPS_RECORD = "0016"
"""The first revision that says which code works with the schema."""

Release = Callable[[str], None]

FURTHER = '''"""{title}."""

from alembic import op

revision, down_revision, branch_labels, depends_on = "{number}", "{before}", None, None
{works_with}

def upgrade() -> None:
    op.execute("CREATE TABLE further_{number} (id INTEGER)")


def downgrade() -> None:
    op.execute("DROP TABLE further_{number}")
'''


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """Return what gives this process the revisions of another release: "9001 pre, 9002 post 9001"; "" for today's."""
    latest = FILES[-1].name[:4]

    def become(further: str) -> None:
        folder = tmp_path / f"migrations {further}"
        shutil.copytree(VERSIONS.parent, folder, dirs_exist_ok=True)
        before = latest
        for one in filter(None, further.split(", ")):
            number, kind, *works_with = one.split()
            text = FURTHER.format(
                title=one,
                number=number,
                before=before,
                works_with=f'works_with = "{works_with[0]}"' if works_with else "",
            )
            (folder / "versions" / f"{number}_{kind}_further.py").write_text(text, "utf-8")
            before = number
        monkeypatch.setattr(schema, "_MIGRATIONS", folder)
        schema.latest_revision.cache_clear()

    monkeypatch.setattr(schema, "_MIGRATIONS", VERSIONS.parent)  # so that it is given back
    return become


@pytest.fixture(autouse=True)
def _forget_the_release() -> Iterator[None]:
    yield
    schema.latest_revision.cache_clear()


def is_ready(database: Database) -> bool:
    with database.reader_engine().connect() as connection:
        try:
            schema.require_compatible(connection)
        except SchemaMismatchError:
            return False
    return True


def test_a_release_works_with_a_newer_schema_that_only_adds(empty_database: Database, release: Release) -> None:
    release("9001 pre, 9002 pre")
    schema.upgrade(empty_database.url)
    release("")
    assert is_ready(empty_database)
    release("9001 pre")
    assert is_ready(empty_database)


def test_a_schema_that_drops_something_ends_the_releases_that_used_it(
    empty_database: Database, release: Release
) -> None:
    release("9001 pre, 9002 post 9001, 9003 pre")
    schema.upgrade(empty_database.url)
    release("")
    assert not is_ready(empty_database)
    release("9001 pre")  # the release that stopped to use it
    assert is_ready(empty_database)
    release("9001 pre, 9002 post 9001, 9003 pre")
    schema.downgrade(empty_database.url, "9001")
    release("")
    assert is_ready(empty_database)


def test_an_older_schema_still_asks_for_the_upgrade(empty_database: Database, release: Release) -> None:
    schema.upgrade(empty_database.url)
    release("9001 pre")
    with (
        empty_database.reader_engine().connect() as connection,
        pytest.raises(SchemaMismatchError, match="is older than 9001; run: usher migrate up"),
    ):
        schema.require_compatible(connection)


def test_a_newer_schema_that_does_not_say_with_which_code_it_works_is_refused(
    empty_database: Database, release: Release
) -> None:
    release("9001 pre")
    schema.upgrade(empty_database.url)
    empty_database.execute("DROP TABLE schema_compatibility")
    release("")
    with (
        empty_database.reader_engine().connect() as connection,
        pytest.raises(SchemaMismatchError, match="does not work with it; run the newer Usher"),
    ):
        schema.require_compatible(connection)


def test_migrate_up_of_the_older_release_leaves_the_newer_schema_as_it_is(
    empty_database: Database, release: Release
) -> None:
    release("9001 pre")
    schema.upgrade(empty_database.url)
    release("")
    schema.upgrade(empty_database.url)
    with empty_database.reader_engine().connect() as connection:
        assert schema.current_revision(connection) == "9001"
        assert schema.describe(connection).startswith("schema is at 9001, newer than this Usher needs (")


async def until_ready(url: str) -> None:
    async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
        await get_when_ready(client, "/readyz")


async def test_a_replica_stays_ready_while_the_next_release_migrates_and_can_be_started_after_it(
    database: Database, release: Release
) -> None:
    async with serving(database.text) as replica:
        await until_ready(replica.url)
        release("9001 pre")
        schema.upgrade(database.url)
        release("")
        await until_ready(replica.url)
    async with serving(database.text) as replica:
        await until_ready(replica.url)


@pytest.mark.parametrize("older", [path.name[:4] for path in FILES if path.name[:4] >= KEEPS_RECORD])
def test_the_code_of_every_revision_works_with_todays_schema(
    empty_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, older: str
) -> None:
    schema.upgrade(empty_database.url)
    folder = tmp_path / "migrations"
    shutil.copytree(VERSIONS.parent, folder)
    for path in FILES:
        if path.name[:4] > older:
            (folder / "versions" / path.name).unlink()
    monkeypatch.setattr(schema, "_MIGRATIONS", folder)
    schema.latest_revision.cache_clear()
    assert schema.latest_revision() == older
    assert is_ready(empty_database)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_only_a_revision_that_drops_something_says_with_which_code_it_works(path: Path) -> None:
    says = re.findall(r'^works_with = "(\d{4})"', path.read_text("utf-8"), re.MULTILINE)
    assert len(says) == ("_post_" in path.name)
