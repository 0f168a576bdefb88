"""Channels that people are notified by: rows of `notifications`, and the URLs of USHER_NOTIFY_URLS."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import Field
from sqlalchemy import Connection, delete, insert, select, update

from app.db.audit_log import AuditEntry, append
from app.db.columns.written_types import UnreadableText
from app.db.editing.effects import with_effects
from app.db.editing.unreadable_times import unreadable_times
from app.db.tables import notifications
from app.db.types import IncidentKind
from app.errors import ConflictError, InvalidInputError, NotFoundError, Problem, nearest
from app.json_shape import JsonShape
from app.rules.conditions.hours import check_hours, check_timezone, parse_hours
from app.translation import translatable

OF_SETTINGS: Final = "USHER_NOTIFY_URLS"
LONGEST_NAME: Final = 100
_LONGEST_URL: Final = 4000
_URL: Final = re.compile(r"[A-Za-z0-9]+://\S")
HOST_SCHEMES: Final = frozenset(
    {"http", "https", "json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos", "ntfys", "syslog"}
)
"""Schemes whose host is a host; that of others may be a token, as in slack://TOKEN/."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel with its URL, which is a secret."""

    name: str
    url: str
    kinds: tuple[str, ...] | None = None
    quiet_hours: str | None = None
    timezone: str = "UTC"

    def takes(self, kind: IncidentKind, now: datetime) -> bool:
        """Return whether people are to be notified of this kind now."""
        return (self.kinds is None or kind in self.kinds) and not self.is_quiet(now)

    def is_quiet(self, now: datetime) -> bool:
        """Return whether these are quiet hours; those that cannot be read are none."""
        if not self.quiet_hours:
            return False
        try:
            return parse_hours(self.quiet_hours, self.timezone, None).covers(now)
        except InvalidInputError:
            return False


@dataclass(frozen=True, slots=True)
class Notification(JsonShape):
    """A row of `notifications` as people see it: without its secret."""

    name: str
    enabled: bool
    target: Annotated[str, Field(description="scheme of the URL, and its host where that is no secret")]
    kinds: Annotated[list[str] | None, Field(description="kinds of incidents; null: all")]
    quiet_hours: str | None
    timezone: str
    problems: Annotated[list[str], Field(description="what in its row, written by SQL, cannot be used")]


def shown_target(url: str) -> str:
    """Return as much of an Apprise URL as is no secret."""
    try:
        parts = urlsplit(str(url))
        scheme, host = parts.scheme, parts.hostname or ""
    except ValueError:
        scheme, host = "", ""
    return f"{scheme}://{host if scheme in HOST_SCHEMES else '…'}"


def channels_of_settings(urls: Sequence[str]) -> list[Channel]:
    """Return the channels of USHER_NOTIFY_URLS, named by their place in it."""
    return [Channel(f"{OF_SETTINGS}[{place}]", url) for place, url in enumerate(urls)]


def read_channels(connection: Connection) -> list[Channel]:
    """Return the enabled rows of `notifications`."""
    query = select(notifications).where(notifications.c.enabled).order_by(notifications.c.name)
    return [_channel(row) for row in connection.execute(query).mappings()]


def _channel(row: Mapping[Any, Any]) -> Channel:
    kinds = row["kinds"]
    # Operators write rows with plain SQL: what is no list means all kinds.
    wanted = tuple(map(str, kinds)) if isinstance(kinds, list) else None
    return Channel(row["name"], row["url"], wanted, row["quiet_hours"], row["timezone"])


def list_notifications(connection: Connection) -> list[Notification]:
    """Return all rows by name, without their URLs."""
    rows = connection.execute(select(notifications).order_by(notifications.c.name)).mappings().all()
    times = unreadable_times(connection, "notifications", "name")
    return [_notification(row, times.get(row["name"], ())) for row in rows]


def get_channel(connection: Connection, name: str) -> Channel:
    """Return the channel of a row, enabled or not; raises NotFoundError."""
    return _channel(_row(connection, name))


def _row(connection: Connection, name: str) -> Mapping[Any, Any]:
    row = connection.execute(select(notifications).where(notifications.c.name == name)).mappings().first()
    if row is None:
        raise NotFoundError(translatable("no notification has the name %(name)s", name=repr(name)))
    return row


_EFFECTS: Final = {
    "url": translatable("nothing is sent to it"),
    "kinds": translatable("it is notified of all kinds"),
    "kinds[]": translatable("it is notified of the other kinds"),
    "quiet_hours": translatable("it is notified at any hour"),
    "timezone": translatable("it is notified at any hour"),
    **dict.fromkeys(("created_at", "updated_at"), translatable("it is still notified")),
}


def read_as_text(row: Mapping[Any, Any]) -> dict[str, str]:
    """Return the columns that hold a BLOB in place of a text, each with what holds of it meanwhile."""
    return {
        name: translatable("it is read as text") for name, value in row.items() if isinstance(value, UnreadableText)
    }


def _notification(row: Mapping[Any, Any], times: Iterable[Problem] = ()) -> Notification:
    kinds = [str(kind) for kind in row["kinds"]] if isinstance(row["kinds"], list) else None
    target = shown_target(row["url"])
    problems = with_effects((*_stored_problems(row), *times), _EFFECTS | read_as_text(row))
    return Notification(row["name"], row["enabled"], target, kinds, row["quiet_hours"], row["timezone"], problems)


def _stored_problems(row: Mapping[Any, Any]) -> list[Problem]:
    """Return what is wrong with a row, into which plain SQL may have written anything."""
    values = {name: row[name] for name in ("name", "url", "kinds", "quiet_hours", "timezone")}
    problems = text_problems(values, ("name", "url", "quiet_hours", "timezone"))
    problems += list_problems("kinds", values.pop("kinds"), IncidentKind, translatable("kind of incident"))
    bad = {one.path for one in problems}
    return problems + check_notification({name: value for name, value in values.items() if name not in bad})


def text_problems(values: Mapping[str, Any], names: Iterable[str]) -> list[Problem]:
    """Return which of these columns of a row hold no text."""
    return [Problem(name, translatable("must be text")) for name in names if isinstance(values[name], UnreadableText)]


def list_problems(column: str, value: Any, known: Iterable[str], noun: str) -> list[Problem]:
    """Return what is wrong with a column that holds a JSON list of `known` names, or null for all of them."""
    names = sorted(map(str, known))
    if value is None:
        return []
    if not isinstance(value, list):
        return [
            Problem(
                column,
                translatable('must be a JSON list such as ["%(names)s"], or null for all of them', names=names[0]),
            )
        ]
    return [
        Problem(
            f"{column}[{place}]",
            translatable("is no %(noun)s; there are %(names)s", noun=noun, names=", ".join(names)),
            each,
            nearest(str(each), names),
        )
        for place, each in enumerate(value)
        if each not in names
    ]


def check_notification(values: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with new values of a row; no URL is part of a message."""
    problems: list[Problem] = []
    if "name" in values:
        problems += check_name(values["name"])
    if "url" in values:
        url = values["url"]
        if len(url) > _LONGEST_URL or not url.isprintable() or not _URL.match(url):
            problems.append(Problem("url", translatable("must be an Apprise URL, such as slack://… or mailto://…")))
    problems += list_problems("kinds", values.get("kinds"), IncidentKind, translatable("kind of incident"))
    if values.get("quiet_hours"):
        found = check_hours(values["quiet_hours"], None)
        problems += [Problem("quiet_hours", one.message, one.found, one.suggestion) for one in found]
    if "timezone" in values:
        problems += check_timezone(values["timezone"])
    return problems


def check_name(name: str) -> list[Problem]:
    """Return what is wrong with the name of a channel or a subscription."""
    if 1 <= len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip() and "/" not in name:
        return []
    return [
        Problem(
            "name",
            translatable("must have 1 to %(most)s printable characters and no slash", most=LONGEST_NAME),
            name[:LONGEST_NAME],
        )
    ]


def add_notification(connection: Connection, values: Mapping[str, Any], *, by: str, now: datetime) -> Notification:
    """Add a channel; raises InvalidInputError with every problem, ConflictError if there is one of that name."""
    problems = check_notification(values)
    if problems:
        raise InvalidInputError(translatable("this notification cannot be added"), problems)
    name = values["name"]
    if connection.scalar(select(notifications.c.name).where(notifications.c.name == name)) is not None:
        raise ConflictError(translatable("there is a notification %(name)s already", name=repr(name)))
    connection.execute(insert(notifications).values(**values, created_at=now, updated_at=now, updated_by=by))
    _record(connection, name, "added", by=by, now=now)
    return _notification(_row(connection, name))


def change_notification(
    connection: Connection, name: str, values: Mapping[str, Any], *, by: str, now: datetime
) -> Notification:
    """Change columns of a channel; raises NotFoundError, InvalidInputError."""
    _row(connection, name)
    problems = check_notification(values)
    if problems:
        raise InvalidInputError(translatable("this notification cannot be changed"), problems)
    changed = {**values, "updated_at": now, "updated_by": by}
    connection.execute(update(notifications).where(notifications.c.name == name).values(changed))
    _record(connection, name, "changed", by=by, now=now)
    return _notification(_row(connection, name))


def delete_notification(connection: Connection, name: str, *, by: str, now: datetime) -> Notification:
    """Delete a channel and return it; raises NotFoundError."""
    deleted = _notification(_row(connection, name))
    connection.execute(delete(notifications).where(notifications.c.name == name))
    _record(connection, name, "deleted", by=by, now=now)
    return deleted


def _record(connection: Connection, name: str, state: str, *, by: str, now: datetime) -> None:
    append(connection, [AuditEntry("notification", name, None, state, f"notification {name!r} {state}", now, by)])
