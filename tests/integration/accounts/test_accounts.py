"""Users, tokens and one-time links on both kinds of database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from app.accounts.links import first_admin_code, password_code, require_first_admin, user_of_password_code
from app.accounts.password import NO_PASSWORD, check_password, hash_password, verify_password
from app.accounts.roles import Role
from app.accounts.signing_key import signing_key
from app.accounts.tokens import find_bearer, issue_token, list_tokens, revoke_token
from app.accounts.users import (
    Identity,
    add_user,
    find_user,
    find_user_by_identity,
    list_users,
    log_out_everywhere,
    set_disabled,
    set_identity,
    set_password,
    set_role,
)
from app.errors import ConflictError, InvalidInputError, NotFoundError
from tests.conftest import Database, StillClock


@pytest.fixture
def engine(database: Database) -> Engine:
    return database.writer_engine()


def audit_lines(database: Database, entity: str) -> list[tuple[str | None, str, str]]:
    rows = database.execute("SELECT * FROM audit_log WHERE entity = :entity ORDER BY id", entity=entity)
    return [(row["from_state"], row["to_state"], row["changed_by"]) for row in rows]


def test_every_change_of_a_user_is_named(database: Database, engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        maria = add_user(connection, "maria", Role.ADMIN, by="cli", now=clock.now())
        ana = add_user(connection, "ana", Role.VIEWER, by="maria", now=clock.now())
        set_role(connection, ana.id, Role.EDITOR, by="maria", now=clock.now())
        set_role(connection, ana.id, Role.EDITOR, by="maria", now=clock.now())  # no change: no line
        set_disabled(connection, ana.id, disabled=True, by="maria", now=clock.now())
        assert [user.name for user in list_users(connection)] == ["ana", "maria"]
        assert find_user(connection, "maria") == maria
    assert audit_lines(database, "user") == [
        (None, "admin", "cli"),
        (None, "viewer", "maria"),
        ("viewer", "editor", "maria"),
        ("enabled", "disabled", "maria"),
    ]


@pytest.mark.parametrize("name", ["", " ana", "ana ", "a\nb", "a  b", "x" * 101])
def test_a_name_that_cannot_be_typed_is_refused(engine: Engine, clock: StillClock, name: str) -> None:
    with engine.begin() as connection, pytest.raises(InvalidInputError):
        add_user(connection, name, Role.VIEWER, by="cli", now=clock.now())


def test_names_are_taken_once(engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        add_user(connection, "ana", Role.VIEWER, by="cli", now=clock.now())
        with pytest.raises(ConflictError, match="already"):
            add_user(connection, "ana", Role.ADMIN, by="cli", now=clock.now())


def test_the_last_admin_stays(engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        maria = add_user(connection, "maria", Role.ADMIN, by="cli", now=clock.now())
        with pytest.raises(ConflictError, match="only admin"):
            set_role(connection, maria.id, Role.VIEWER, by="maria", now=clock.now())
        with pytest.raises(ConflictError, match="only admin"):
            set_disabled(connection, maria.id, disabled=True, by="maria", now=clock.now())
        add_user(connection, "ana", Role.ADMIN, by="maria", now=clock.now())
        assert set_role(connection, maria.id, Role.VIEWER, by="maria", now=clock.now()).role is Role.VIEWER


def test_whatever_ends_sessions_raises_the_epoch(engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        ana = add_user(connection, "ana", Role.VIEWER, by="cli", now=clock.now())
        epochs = [
            log_out_everywhere(connection, ana.id, by="ana", now=clock.now()).session_epoch,
            set_password(connection, ana.id, "hash", by="ana", now=clock.now()).session_epoch,
            set_disabled(connection, ana.id, disabled=True, by="cli", now=clock.now()).session_epoch,
            set_disabled(connection, ana.id, disabled=False, by="cli", now=clock.now()).session_epoch,
        ]
    assert epochs == [1, 2, 3, 4]


def test_a_token_opens_until_it_expires_or_is_revoked(database: Database, engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        ana = add_user(connection, "ana", Role.EDITOR, by="cli", now=clock.now())
        until = clock.now() + timedelta(hours=1)
        token, secret = issue_token(
            connection, ana.id, "ci", Role.EDITOR, by="ana", now=clock.now(), lifetime=timedelta(hours=1)
        )
        lasting, lasting_secret = issue_token(connection, ana.id, "sync", Role.VIEWER, by="ana", now=clock.now())
        bearer = find_bearer(connection, secret, clock.now())
        assert bearer is not None
        assert (bearer.user.name, bearer.role) == ("ana", Role.EDITOR)
        assert find_bearer(connection, secret, until) is None
        assert find_bearer(connection, secret + "x", clock.now()) is None
        revoke_token(connection, lasting.id, by="maria", now=clock.now())
        assert find_bearer(connection, lasting_secret, clock.now()) is None
        assert {one.name for one in list_tokens(connection, ana.id)} == {"ci", "sync"}
    stored = database.execute("SELECT * FROM api_tokens WHERE id = :id", id=token.id)
    assert secret not in str(stored)
    assert audit_lines(database, "token")[-1] == ("viewer", "revoked", "maria")


def test_a_token_allows_no_more_than_its_user_may(engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        add_user(connection, "maria", Role.ADMIN, by="cli", now=clock.now())
        ana = add_user(connection, "ana", Role.EDITOR, by="cli", now=clock.now())
        with pytest.raises(InvalidInputError, match="exceeds the role of"):
            issue_token(connection, ana.id, "ci", Role.ADMIN, by="ana", now=clock.now())
        _, secret = issue_token(connection, ana.id, "ci", Role.EDITOR, by="ana", now=clock.now())
        set_role(connection, ana.id, Role.VIEWER, by="maria", now=clock.now())
        bearer = find_bearer(connection, secret, clock.now())
        assert bearer is not None
        assert bearer.role is Role.VIEWER
        set_disabled(connection, ana.id, disabled=True, by="maria", now=clock.now())
        assert find_bearer(connection, secret, clock.now()) is None


def test_the_key_is_made_once(engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        key = signing_key(connection, clock.now())
    with engine.begin() as connection:
        assert signing_key(connection, clock.now()) == key
    assert len(key) >= 40


def test_a_password_link_works_once(engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        key = signing_key(connection, clock.now())
        ana = add_user(connection, "ana", Role.VIEWER, by="cli", now=clock.now())
        code = password_code(key, ana, clock.now())
        assert user_of_password_code(connection, key, code, clock.now()).id == ana.id
        set_password(connection, ana.id, "hash", by="ana", now=clock.now())
        with pytest.raises(NotFoundError, match="has been used"):
            user_of_password_code(connection, key, code, clock.now())
        with pytest.raises(NotFoundError):
            user_of_password_code(connection, "another key", password_code(key, ana, clock.now()), clock.now())


def test_a_password_link_is_valid_for_three_days_of_the_clock_that_it_is_given(
    engine: Engine, clock: StillClock
) -> None:
    made_at = clock.now()
    with engine.begin() as connection:
        key = signing_key(connection, made_at)
        ana = add_user(connection, "ana", Role.VIEWER, by="cli", now=made_at)
        code = password_code(key, ana, made_at)
        for age in (timedelta(days=3), timedelta(0), timedelta(minutes=-10)):  # the last: the clock was set back since
            assert user_of_password_code(connection, key, code, made_at + age).id == ana.id
        with pytest.raises(NotFoundError, match="is too old"):
            user_of_password_code(connection, key, code, made_at + timedelta(days=3, seconds=1))


def test_the_first_admins_link_works_while_there_is_no_user(engine: Engine, clock: StillClock) -> None:
    with engine.begin() as connection:
        key = signing_key(connection, clock.now())
        code = first_admin_code(key, clock.now())
        require_first_admin(connection, key, code, clock.now())
        with pytest.raises(NotFoundError):
            require_first_admin(connection, key, first_admin_code("another key", clock.now()), clock.now())
        add_user(connection, "ana", Role.ADMIN, by="link", now=clock.now())
        with pytest.raises(ConflictError):
            require_first_admin(connection, key, code, clock.now())


def test_passwords() -> None:
    stored = hash_password("correct horse battery")
    assert stored.startswith("$argon2")
    assert verify_password("correct horse battery", stored)
    assert not verify_password("correct horse batterx", stored)
    assert not verify_password("!", NO_PASSWORD)
    assert not verify_password("what is compared with when there is no such user", None)
    assert check_password("correct horse battery") == []
    for bad in ("short", "aaaaaaaaaaaa", "x" * 1001):
        assert check_password(bad), bad
    assert check_password("Maria.Lopez", name="maria.lopez")


def test_an_identity_at_a_provider_is_of_one_user(database: Database, engine: Engine, clock: StillClock) -> None:
    issuer = "https://login.example.com"
    with engine.begin() as connection:
        ana = add_user(connection, "ana", Role.VIEWER, by="cli", now=clock.now())
        eva = add_user(connection, "eva", Role.VIEWER, by="cli", now=clock.now())
        connected = set_identity(connection, ana.id, Identity(issuer, "1"), by="ana", now=clock.now())
        assert (connected.has_identity, connected.session_epoch) == (True, ana.session_epoch)
        assert find_user_by_identity(connection, Identity(issuer, "1")) == connected
        assert find_user_by_identity(connection, Identity("https://other.example.com", "1")) is None
        with pytest.raises(ConflictError):
            set_identity(connection, eva.id, Identity(issuer, "1"), by="eva", now=clock.now())
        # The same subject of another provider is another person
        set_identity(connection, eva.id, Identity("https://other.example.com", "1"), by="eva", now=clock.now())
        disconnected = set_identity(connection, ana.id, None, by="maria", now=clock.now())
        assert disconnected.session_epoch == ana.session_epoch + 1
        assert find_user_by_identity(connection, Identity(issuer, "1")) is None
    states = [state for _, state, _ in audit_lines(database, "user")]
    assert states == ["viewer", "viewer", "connected", "connected", "disconnected"]
