"""Finds or adds the user that a person of the provider is, in the open transaction of the calling code.

A person is recognised by issuer and subject, which never change owners. At the first login, a name that the provider
has verified connects to the user of that name. A name that it has not verified connects only to a user without a
password, whom an admin has added for this login; others connect themselves, on the page of their account.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from app.accounts.openid.login_errors import LoginRefusedError
from app.accounts.openid.provider_person import Person
from app.accounts.roles import Role
from app.accounts.users import (
    User,
    add_user,
    count_users,
    find_user,
    find_user_by_identity,
    lock_users,
    set_identity,
    set_role,
)
from app.errors import ConflictError, InvalidInputError
from app.translation import translatable

BY: Final = "OpenID Connect"
"""Who changes users at a login, in the audit log."""


def admit(connection: Connection, person: Person, now: datetime) -> User:
    """Return the user, with the role that the groups of the person give; LoginRefusedError if it may not log in."""
    lock_users(connection)  # two browsers of one person may log in at the same moment
    user = find_user_by_identity(connection, person.identity)
    if user is None:
        named = find_user(connection, person.name)
        user = _added(connection, person, now) if named is None else _connected(connection, person, named, now)
    if user.disabled:
        raise LoginRefusedError(translatable("Your user is disabled. Ask an admin."), "the user is disabled", user.name)
    if user.role is Role.DECIDER:
        raise LoginRefusedError(
            translatable("Your user is for programs, and shows no page."), "the role is decider", user.name
        )
    return _with_role(connection, person, user, now)


def _added(connection: Connection, person: Person, now: datetime) -> User:
    if person.role is None:
        raise LoginRefusedError(
            translatable(
                "You are logged in at the provider as %(name)s, and have no user in Usher yet. Ask an admin.",
                name=person.name,
            ),
            "no user of this name, and no role for new ones",
        )
    if person.role is not Role.ADMIN and count_users(connection) == 0:
        raise LoginRefusedError(
            translatable(
                "There are no users yet. The first one must be an admin: open the one-time link that `usher serve` "
                "logged."
            ),
            "there is no admin yet",
        )
    user = add_user(connection, person.name, person.role, by=BY, now=now)
    return set_identity(connection, user.id, person.identity, by=BY, now=now)


def _connected(connection: Connection, person: Person, user: User, now: datetime) -> User:
    if user.identity is not None and user.identity.issuer == person.identity.issuer:
        raise LoginRefusedError(
            translatable(
                "Another person has logged in as %(name)s before. If the name is yours now, an admin can disconnect "
                "that person on the page Users.",
                name=user.name,
            ),
            "the name is connected to another subject",
            user.name,
        )
    if user.has_password and not person.is_verified:
        raise LoginRefusedError(
            translatable(
                "There is a user named %(name)s with a password. If that is you, log in with the password, and "
                "connect your login at the provider on the page of your account.",
                name=user.name,
            ),
            "the name is not verified, and its user has a password",
            user.name,
        )
    return set_identity(connection, user.id, person.identity, by=BY, now=now)


def _with_role(connection: Connection, person: Person, user: User, now: datetime) -> User:
    if not person.groups_decide:
        return user
    if person.role is None:
        raise LoginRefusedError(
            translatable("None of your groups at the provider may log in here. Ask an admin."),
            "no group with a role",
            user.name,
        )
    if user.role is person.role:
        return user
    try:
        return set_role(connection, user.id, person.role, by=BY, now=now)
    except (ConflictError, InvalidInputError):
        return user  # the only admin stays one, so that users can be managed; one restricted to projects becomes none
