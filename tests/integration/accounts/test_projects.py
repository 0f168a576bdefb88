"""A user or a token that is restricted to projects reads and changes what is of these, and nothing else."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import Connection

from app.accounts.roles import Role, both, lower_of
from app.accounts.tokens import find_bearer, issue_token
from app.accounts.users import add_user, set_projects, set_role
from app.db.engine import create_writer_engine
from app.errors import InvalidInputError
from app.rules.rule_projects import may_match, projects_of
from tests.conftest import Database, StillClock


@pytest.fixture
def connection(database: Database, clock: StillClock) -> Connection:  # noqa: ARG001 - the fixture of the clock
    engine = create_writer_engine(database.url)
    database.engines.append(engine)
    return engine.connect()


def test_what_roles_have_in_common() -> None:
    assert lower_of(Role.EDITOR, Role.DECIDER) is Role.DECIDER
    assert lower_of(Role.VIEWER, Role.DECIDER) is None
    assert not Role.VIEWER.includes(Role.DECIDER)
    assert not Role.DECIDER.includes(Role.VIEWER)
    assert all(Role.ADMIN.includes(role) for role in Role)


def projects_by(connection: Connection, secret: str, now: datetime) -> list[str]:
    bearer = find_bearer(connection, secret, now)
    assert bearer is not None
    assert bearer.projects is not None
    return sorted(bearer.projects)


def test_both_restrictions_of_a_user_and_a_token_hold(connection: Connection, clock: StillClock) -> None:
    now = clock.now()
    user = add_user(connection, "ana", Role.EDITOR, by="test", now=now, projects=["b", "a"])
    assert user.projects == ("a", "b")
    _, secret = issue_token(connection, user.id, "all", Role.VIEWER, by="test", now=now)
    _, narrow = issue_token(connection, user.id, "one", Role.VIEWER, by="test", now=now, projects=["b"])
    assert [projects_by(connection, one, now) for one in (secret, narrow)] == [["a", "b"], ["b"]]
    set_projects(connection, user.id, ["a"], by="test", now=now)
    assert [projects_by(connection, one, now) for one in (secret, narrow)] == [["a"], []]
    with pytest.raises(InvalidInputError, match="projects"):
        issue_token(connection, user.id, "more", Role.VIEWER, by="test", now=now, projects=["a", "c"])


def test_a_token_for_decisions_ends_with_the_role_that_allowed_it(connection: Connection, clock: StillClock) -> None:
    now = clock.now()
    user = add_user(connection, "ana", Role.EDITOR, by="test", now=now)
    _, secret = issue_token(connection, user.id, "token server", Role.DECIDER, by="test", now=now)
    assert find_bearer(connection, secret, now) is not None
    set_role(connection, user.id, Role.VIEWER, by="test", now=now)
    assert find_bearer(connection, secret, now) is None


def test_an_admin_cannot_be_restricted(connection: Connection, clock: StillClock) -> None:
    now = clock.now()
    with pytest.raises(InvalidInputError):
        add_user(connection, "root", Role.ADMIN, by="test", now=now, projects=["a"])
    user = add_user(connection, "ana", Role.EDITOR, by="test", now=now, projects=["a"])
    with pytest.raises(InvalidInputError):
        set_role(connection, user.id, Role.ADMIN, by="test", now=now)
    with pytest.raises(InvalidInputError):
        set_projects(connection, user.id, [], by="test", now=now)


def test_restrictions_are_joined() -> None:
    assert both(None, None) is None
    assert both(None, frozenset("a")) == both(frozenset("a"), None) == frozenset("a")
    assert both(frozenset("ab"), frozenset("bc")) == frozenset("b")


@pytest.mark.parametrize(
    ("pattern", "projects"),
    [
        ({"event": ["participant_joined"]}, None),
        ({"project": ["a"]}, {"a"}),
        ({"project": ["a", "b"], "event": ["x"]}, {"a", "b"}),
        ({"project": [{"prefix": "a"}]}, None),
        ({"project": ["a", {"anything-but": "b"}]}, None),
        ({"$or": [{"project": ["a"]}, {"project": ["b"]}]}, {"a", "b"}),
        ({"$or": [{"project": ["a"]}, {"event": ["x"]}]}, None),
        ({"project": ["a"], "$or": [{"event": ["x"]}, {"event": ["y"]}]}, {"a"}),
        ("no pattern", None),
    ],
)
def test_the_projects_of_a_pattern(pattern: object, projects: set[str] | None) -> None:
    assert projects_of(pattern) == projects
    assert may_match(pattern, ["a"]) is (projects is None or "a" in projects)
