"""What the API and the command line print of a user: no secret."""

from __future__ import annotations

from datetime import UTC, datetime

from app.accounts.roles import Role
from app.accounts.users import Identity, User
from app.json_shape import shape_of

USER = User(
    id="u1",
    name="maria",
    role=Role.ADMIN,
    projects=None,
    password_hash="$argon2id$secret",
    disabled=False,
    session_epoch=3,
    has_password=True,
    identity=Identity("https://login.example.com", "248289761001"),
    has_identity=True,
    created_at=datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
    last_login_at=None,
)
SHOWN = {
    "id": "u1",
    "name": "maria",
    "role": "admin",
    "projects": None,
    "disabled": False,
    "has_password": True,
    "has_identity": True,
    "created_at": "2026-11-22T12:00:00.000000Z",
    "last_login_at": None,
}


def test_a_user_is_printed_without_hash_and_epoch() -> None:
    assert USER.to_json() == SHOWN


def test_the_schema_names_what_is_printed() -> None:
    assert shape_of(User).json_schema(mode="serialization")["required"] == list(SHOWN)
