"""Users, tokens and sessions over the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from app.accounts.roles import Role
from app.accounts.sessions import Session
from app.accounts.tokens import Token
from app.accounts.users import User
from app.cli.remote.server import Server, path_of, read_as
from app.errors import InvalidInputError, NotFoundError, Problem, did_you_mean


def list_users(server: Server) -> list[User]:
    """Return all users by name."""
    return [_user(one) for one in server.get("/users")["items"]]


def find_user(server: Server, name: str) -> User:
    """Return the user with a name; NotFoundError if there is none."""
    users = list_users(server)
    found = next((one for one in users if one.name == name), None)
    if found is None:
        names = (one.name for one in users)
        raise NotFoundError(f"no user is named {name!r}{did_you_mean(name, names, 'usher users list')}")
    return found


def add_user(server: Server, name: str, role: Role, projects: Sequence[str] | None) -> tuple[User, str]:
    """Add a user; return it and the link for choosing a password."""
    made = server.send("POST", "/users", {"name": name, "role": role, "projects": projects})
    return _user(made), made["password_url"] or f"{server.url}{made['password_link']}"


def change_user(server: Server, name: str, **columns: Any) -> User:
    """Change the role, the projects, or whether the user is disabled."""
    return _user(server.send("PATCH", path_of("users", find_user(server, name).id), columns))


def delete_user(server: Server, name: str) -> User:
    """Delete a user with all sessions and tokens."""
    return _user(server.send("DELETE", path_of("users", find_user(server, name).id)))


def log_out(server: Server, name: str) -> User:
    """End all sessions of a user."""
    return _user(server.send("POST", path_of("users", find_user(server, name).id, "logout")))


def list_sessions(server: Server, name: str | None) -> list[Session]:
    """Return the sessions of the console, of all users or of one, last used first."""
    user_id = None if name is None else find_user(server, name).id
    found = [_session(one) for one in server.get("/sessions")["items"]]
    return [one for one in found if user_id in {None, one.user_id}]


def end_session(server: Server, session_id: str) -> Session:
    """End a session."""
    return _session(server.send("DELETE", path_of("sessions", session_id)))


def list_tokens(server: Server, name: str | None) -> list[Token]:
    """Return the API tokens, of all users or of one, newest first."""
    user_id = None if name is None else find_user(server, name).id
    found = [read_as(Token, one) for one in server.get("/tokens")["items"]]
    return [one for one in found if user_id in {None, one.user_id}]


def issue_token(
    server: Server,
    name: str,
    purpose: str,
    *,
    role: Role | None,
    lifetime: timedelta | None,
    projects: Sequence[str] | None,
) -> tuple[Token, str]:
    """Create a token; return it and its secret. Over the API it lasts whole days."""
    user = find_user(server, name)
    if lifetime is not None and lifetime % timedelta(days=1):
        raise InvalidInputError("usage", [Problem("--expires", "must be whole days with --server, such as 30d")])
    days = None if lifetime is None else lifetime.days
    order = {"name": purpose, "role": role or user.role, "days": days, "projects": projects}
    made = server.send("POST", path_of("users", user.id, "tokens"), order)
    return read_as(Token, made), made["secret"]


def revoke_token(server: Server, token_id: str) -> Token:
    """Revoke a token."""
    return read_as(Token, server.send("DELETE", path_of("tokens", token_id)))


def _user(document: dict[str, Any]) -> User:
    return read_as(User, {**document, "password_hash": "", "session_epoch": 0, "identity": None})


def _session(document: dict[str, Any]) -> Session:
    return read_as(Session, {**document, "password_checked_at": document["created_at"]})
