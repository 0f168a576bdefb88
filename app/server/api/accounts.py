"""Users and tokens over the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from app.accounts.access_log import AccessFilter, AccessPage, list_accesses
from app.accounts.links import password_code
from app.accounts.roles import Role, require_known_projects
from app.accounts.sessions import Session, end_session, list_sessions
from app.accounts.tokens import LIFETIME, MAX_LIFETIME, Token, issue_token, list_tokens, revoke_token
from app.accounts.users import (
    User,
    add_user,
    delete_user,
    list_users,
    log_out_everywhere,
    read_user,
    set_disabled,
    set_projects,
    set_role,
)
from app.db.record_ids import ID_PATTERN
from app.db.types import AccessKind
from app.server.api.framework.endpoint import ApiRequest, GivenInstant, Model, Text

Restriction = Annotated[
    list[Text] | None,
    Field(description="LiveKit projects whose calls and rules may be seen and changed; null: all", max_length=1000),
]


class NewUser(Model):
    name: Text = Field(min_length=1, max_length=100, pattern=r"^[!-~]+$")
    role: Role = Role.VIEWER
    projects: Restriction = None


class UserChange(Model):
    role: Role | None = None
    disabled: bool | None = None
    projects: Restriction = None


class NewToken(Model):
    name: str = Field(min_length=1, max_length=100, pattern=r"^[ -~]+$", description="what the token is for")
    role: Role = Role.VIEWER
    days: int | None = Field(
        LIFETIME.days, ge=1, le=MAX_LIFETIME.days, description="days until it expires; null: never"
    )
    projects: Restriction = None


class UserList(BaseModel):
    items: list[User]


@dataclass(frozen=True, slots=True)
class InvitedUser(User):
    """A new user."""

    password_link: Annotated[str, Field(description="path of the page for choosing a password; valid once, for 3 days")]
    password_url: Annotated[str | None, Field(description="the same as a URL, if USHER_PUBLIC_URL is set")]


class TokenList(BaseModel):
    items: list[Token]


@dataclass(frozen=True, slots=True)
class IssuedToken(Token):
    """A new token."""

    secret: Annotated[str, Field(description="the bearer token; it is not shown again")]


class Myself(BaseModel):
    name: str
    role: Role
    projects: list[str] | None = Field(description="that this token is restricted to; null: all")


class SessionList(BaseModel):
    items: list[Session]


class LoginsQuery(Model):
    user: Text | None = Field(None, max_length=100)
    kind: list[AccessKind] = Field([])
    address: Text | None = Field(None, max_length=100)
    since: GivenInstant | None = Field(None, description="inclusive")
    until: GivenInstant | None = Field(None, description="exclusive")
    limit: int = Field(100, ge=1, le=1000)
    cursor: Text | None = Field(None, pattern=f"^{ID_PATTERN}$")


async def read_myself(request: ApiRequest) -> dict[str, Any]:
    user = request.user
    projects = None if user.projects is None else sorted(user.projects)
    return {"name": user.name, "role": str(user.role), "projects": projects}


async def list_the_users(request: ApiRequest) -> dict[str, Any]:
    return {"items": [user.to_json() for user in await request.context.read(list_users)]}


async def invite_a_user(request: ApiRequest) -> dict[str, Any]:
    order: NewUser = request.body
    now, by = request.context.now, request.user.name
    require_known_projects(order.projects, request.context.project_names)
    user = await request.context.write(
        lambda connection: add_user(connection, order.name, order.role, by=by, now=now, projects=order.projects)
    )
    path = f"/console/password/{password_code(request.context.key, user, now)}"
    public_url = request.context.flow_context.settings.public_url
    return {**user.to_json(), "password_link": path, "password_url": f"{public_url}{path}" if public_url else None}


async def change_a_user(request: ApiRequest) -> dict[str, Any]:
    order: UserChange = request.body
    now, by, user_id = request.context.now, request.user.name, request.identifier("user_id")

    def unit(connection: Connection) -> dict[str, Any]:
        user = read_user(connection, user_id)
        require_known_projects(order.projects, {*request.context.project_names, *(user.projects or ())})
        lifts_restriction = "projects" in order.model_fields_set and order.projects is None
        if lifts_restriction:  # before the role: an admin cannot be restricted
            user = set_projects(connection, user_id, None, by=by, now=now)
        if order.role is not None:
            user = set_role(connection, user_id, order.role, by=by, now=now)
        if "projects" in order.model_fields_set and not lifts_restriction:
            user = set_projects(connection, user_id, order.projects, by=by, now=now)
        if order.disabled is not None:
            user = set_disabled(connection, user_id, disabled=order.disabled, by=by, now=now)
        return user.to_json()

    return await request.context.write(unit)


async def log_a_user_out(request: ApiRequest) -> dict[str, Any]:
    now, by, user_id = request.context.now, request.user.name, request.identifier("user_id")

    def unit(connection: Connection) -> dict[str, Any]:
        read_user(connection, user_id)
        return log_out_everywhere(connection, user_id, by=by, now=now).to_json()

    return await request.context.write(unit)


async def delete_a_user(request: ApiRequest) -> dict[str, Any]:
    now, by, user_id = request.context.now, request.user.name, request.identifier("user_id")

    def unit(connection: Connection) -> dict[str, Any]:
        read_user(connection, user_id)
        return delete_user(connection, user_id, by=by, now=now).to_json()

    return await request.context.write(unit)


async def list_the_sessions(request: ApiRequest) -> dict[str, Any]:
    now, limits = request.context.now, request.context.session_limits
    sessions = await request.context.read(partial(list_sessions, now=now, limits=limits))
    return {"items": [session.to_json() for session in sessions]}


async def end_a_session(request: ApiRequest) -> dict[str, Any]:
    now, by, session_id = request.context.now, request.user.name, request.identifier("session_id")
    session = await request.context.write(partial(end_session, session_id=session_id, by=by, now=now))
    return session.to_json()


async def list_logins(request: ApiRequest) -> AccessPage:
    asked: LoginsQuery = request.query
    wanted = AccessFilter(asked.user, tuple(asked.kind), asked.address, asked.since, asked.until)
    return await request.context.read(partial(list_accesses, wanted=wanted, limit=asked.limit, cursor=asked.cursor))


async def list_the_tokens(request: ApiRequest) -> dict[str, Any]:
    return {"items": [token.to_json() for token in await request.context.read(list_tokens)]}


async def issue_a_token(request: ApiRequest) -> dict[str, Any]:
    order: NewToken = request.body
    now, by, user_id = request.context.now, request.user.name, request.identifier("user_id")
    lifetime = None if order.days is None else timedelta(days=order.days)

    def unit(connection: Connection) -> dict[str, Any]:
        if read_user(connection, user_id).projects is None:  # else only the user's own may be named
            require_known_projects(order.projects, request.context.project_names)
        token, secret = issue_token(
            connection, user_id, order.name, order.role, by=by, now=now, lifetime=lifetime, projects=order.projects
        )
        return {**token.to_json(), "secret": secret}

    return await request.context.write(unit)


async def revoke_a_token(request: ApiRequest) -> dict[str, Any]:
    now, by, token_id = request.context.now, request.user.name, request.identifier("token_id")
    token = await request.context.write(lambda connection: revoke_token(connection, token_id, by=by, now=now))
    return token.to_json()
