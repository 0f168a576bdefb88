"""Saved views of the list of calls: who sees, shares, changes and deletes them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from app.accounts.roles import Role
from app.accounts.saved_views import (
    MAX_VIEWS,
    SavedView,
    ViewUser,
    change_view,
    delete_view,
    list_shared_views,
    list_views,
    read_view,
    save_view,
)
from app.accounts.users import add_user, delete_user
from app.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from tests.conftest import Database, StillClock

NO_SHOWS = "outcome=no_agent&agent=support"


@pytest.fixture
def engine(database: Database) -> Engine:
    return database.writer_engine()


def user_of(connection: Connection, clock: StillClock, name: str, role: Role = Role.EDITOR, *projects: str) -> ViewUser:
    user = add_user(connection, name, role, by="test", now=clock.now(), projects=projects or None)
    return ViewUser(user.id, user.name, role, frozenset(projects) if projects else None)


def names_of(connection: Connection, user: ViewUser) -> list[str]:
    return [view.name for view in list_views(connection, user)]


def test_a_view_is_private_until_it_is_shared(engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        ana, bob = (user_of(connection, clock, name) for name in ("ana", "bob"))
        view = save_view(connection, ana, "No-shows", NO_SHOWS, now=clock.now())
        assert names_of(connection, bob) == []
        with pytest.raises(NotFoundError):
            read_view(connection, view.id, bob)
        shared = change_view(connection, view.id, ana, now=clock.now(), shared=True)
        assert (shared.shared, shared.query, shared.owner) == (True, NO_SHOWS, "ana")
        assert list_views(connection, bob) == [shared]
        assert list_shared_views(connection) == [shared]


def test_views_are_listed_with_the_own_ones_first(engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        ana, bob = (user_of(connection, clock, name) for name in ("ana", "bob"))
        for owner, name in ((bob, "Alpha"), (ana, "zulu"), (ana, "Mike")):
            save_view(connection, owner, name, NO_SHOWS, now=clock.now(), shared=True)
        assert names_of(connection, ana) == ["Mike", "zulu", "Alpha"]


def test_a_name_is_given_once_by_owner_and_project(engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        ana, bob = (user_of(connection, clock, name) for name in ("ana", "bob"))
        first = save_view(connection, ana, "Mine", NO_SHOWS, now=clock.now())
        save_view(connection, bob, "Mine", NO_SHOWS, now=clock.now())
        other = save_view(connection, ana, "Mine", f"{NO_SHOWS}&project=berlin", now=clock.now())
        assert other.project == "berlin"
        with pytest.raises(ConflictError, match="already have a view"):
            save_view(connection, ana, "Mine", "state=waiting", now=clock.now())
        with pytest.raises(ConflictError):  # its filters would name the project of the other
            change_view(connection, first.id, ana, now=clock.now(), query="state=waiting&project=berlin")
        replaced = save_view(connection, ana, "Mine", "state=waiting", now=clock.now(), replace=True)
        assert (replaced.id, replaced.query) == (first.id, "state=waiting")


def test_one_user_has_a_limited_number_of_views(engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        ana, bob = (user_of(connection, clock, name) for name in ("ana", "bob"))
        for number in range(MAX_VIEWS):
            save_view(connection, ana, f"view {number}", NO_SHOWS, now=clock.now())
        with pytest.raises(InvalidInputError, match="the most that one user may have"):
            save_view(connection, ana, "one more", NO_SHOWS, now=clock.now())
        save_view(connection, ana, "view 0", "state=waiting", now=clock.now(), replace=True)
        save_view(connection, bob, "one more", NO_SHOWS, now=clock.now())


@pytest.mark.parametrize(
    ("name", "query", "path"),
    [
        ("", NO_SHOWS, "name"),
        ("x" * 61, NO_SHOWS, "name"),
        ("two\nlines", NO_SHOWS, "name"),
        (" padded", NO_SHOWS, "name"),
        ("all", "", "query"),
        ("all", "tz=Europe/Madrid", "query"),
        ("typo", "outcome=no_agnet", "outcome"),
        ("unknown", "colour=red", "colour"),
        ("time", "since=yesterday", "since"),
        ("metadata", "metadata=language", "metadata"),
        ("long", f"q={'x' * 2100}", "query"),
    ],
)
def test_what_is_no_name_or_no_filter_is_refused(
    engine: Engine, clock: StillClock, name: str, query: str, path: str
) -> None:
    with engine.begin() as connection:
        ana = user_of(connection, clock, "ana")
        with pytest.raises(InvalidInputError) as refused:
            save_view(connection, ana, name, query, now=clock.now())
        assert [problem.path for problem in refused.value.problems] == [path]
        assert names_of(connection, ana) == []


def test_viewers_save_but_do_not_share(engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        vera = user_of(connection, clock, "vera", Role.VIEWER)
        view = save_view(connection, vera, "mine", NO_SHOWS, now=clock.now())
        with pytest.raises(NotAllowedError, match="needs the role editor"):
            change_view(connection, view.id, vera, now=clock.now(), shared=True)
        with pytest.raises(NotAllowedError):
            save_view(connection, vera, "other", NO_SHOWS, now=clock.now(), shared=True)
        assert change_view(connection, view.id, vera, now=clock.now(), name="renamed").name == "renamed"
        delete_view(connection, view.id, vera, now=clock.now())
        assert names_of(connection, vera) == []


def test_shared_views_are_changed_by_their_owner_and_by_admins(engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        ana, eva = (user_of(connection, clock, name) for name in ("ana", "eva"))
        adam = user_of(connection, clock, "adam", Role.ADMIN)
        view = save_view(connection, ana, "shared", NO_SHOWS, now=clock.now(), shared=True)
        hidden = save_view(connection, ana, "hidden", NO_SHOWS, now=clock.now())
        with pytest.raises(NotAllowedError, match="its owner or an admin"):
            change_view(connection, view.id, eva, now=clock.now(), name="taken over")
        with pytest.raises(NotAllowedError):
            delete_view(connection, view.id, eva, now=clock.now())
        with pytest.raises(NotFoundError):
            delete_view(connection, hidden.id, adam, now=clock.now())
        assert change_view(connection, view.id, adam, now=clock.now(), name="better").owner == "ana"
        delete_view(connection, view.id, adam, now=clock.now())
        assert names_of(connection, ana) == ["hidden"]


def test_views_of_other_projects_are_neither_seen_nor_shared(engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        ana = user_of(connection, clock, "ana")
        berta = user_of(connection, clock, "berta", Role.EDITOR, "berlin")
        for project in ("", "&project=berlin", "&project=paris"):
            name = f"view{project}"
            save_view(connection, ana, name, NO_SHOWS + project, now=clock.now(), shared=True)
        assert names_of(connection, berta) == ["view&project=berlin"]
        for query in (NO_SHOWS, f"{NO_SHOWS}&project=paris"):
            with pytest.raises(NotAllowedError, match="must name a project"):
                save_view(connection, berta, "mine", query, now=clock.now(), shared=True)
        save_view(connection, berta, "mine", f"{NO_SHOWS}&project=berlin", now=clock.now(), shared=True)
        nobody = ViewUser(berta.id, "berta", Role.EDITOR, frozenset())
        assert names_of(connection, nobody) == ["mine"]


def test_views_are_erased_with_their_user(database: Database, engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        ana = user_of(connection, clock, "ana")
        save_view(connection, ana, "shared", NO_SHOWS, now=clock.now(), shared=True)
        save_view(connection, ana, "private", NO_SHOWS, now=clock.now())
    with engine.begin() as connection:
        delete_user(connection, ana.id, by="test", now=clock.now())
    assert database.execute("SELECT * FROM saved_views") == []


def test_a_time_of_the_form_is_stored_as_an_instant(engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        ana = user_of(connection, clock, "ana")
        local = "from=2026-11-02T14:00&to=2026-11-02T15:00&tz=Europe/Madrid&zone=-60"
        stored = save_view(connection, ana, "an hour", local, now=clock.now())
        assert stored.query == "since=2026-11-02T13%3A00%3A00Z&until=2026-11-02T14%3A00%3A00Z"
        ranged = save_view(connection, ana, "today", "range=today&tz=Europe/Madrid&zone=-60", now=clock.now())
        assert ranged.query == "range=today"


def test_the_audit_log_names_who_shared_changed_and_deleted(
    database: Database, engine: Engine, clock: StillClock
) -> None:
    with engine.begin() as connection:
        ana, adam = user_of(connection, clock, "ana"), user_of(connection, clock, "adam", Role.ADMIN)
        view: SavedView = save_view(connection, ana, "view", NO_SHOWS, now=clock.now())
        later: dict[str, Any] = {"now": clock.now() + timedelta(seconds=1)}
        change_view(connection, view.id, ana, name="private still", **later)
        change_view(connection, view.id, ana, shared=True, **later)
        delete_view(connection, view.id, adam, **later)
    rows = database.execute("SELECT * FROM audit_log WHERE entity = 'saved_view' ORDER BY id")
    assert [(row["from_state"], row["to_state"], row["changed_by"]) for row in rows] == [
        ("private", "shared", "ana"),
        ("shared", "deleted", "adam"),
    ]
