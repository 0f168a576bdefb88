"""A stored incident as a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Self
from urllib.parse import quote

from pydantic import Field

from app.db.types import IncidentKind
from app.incidents.sighting import Key
from app.incidents.wording import remedy_of, title_of
from app.json_shape import Instant, JsonShape

COUNT: Final = (
    "callers concerned, where it is about callers: of no_show, no_rule and rule_broken the most within 15 minutes, of "
    "agent_not_joining within an hour, since it opened"
)


@dataclass(frozen=True, slots=True)
class Incident(JsonShape):
    """Something that is, or was, wrong."""

    id: str
    kind: IncidentKind
    subject: Annotated[
        str, Field(description="the agent, rule, replica, subscription or row; empty: the whole project")
    ]
    project: Annotated[str, Field(description="LiveKit project; empty: none in particular")]
    opened_at: Instant
    updated_at: Instant
    closed_at: Instant | None
    count: Annotated[int, Field(description=COUNT)]
    detail: Annotated[Mapping[str, Any], Field(description="differs by kind; `calls` are ids for /api/v1/calls")]
    muted_until: Instant | None
    title: Annotated[str, Field(description="what is wrong, for people")]
    remedy: Annotated[str, Field(description="what to do, for people")]

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> Self:
        """Return the incident in a row of the table."""
        kind = IncidentKind(row["kind"])
        detail = row["detail"] if isinstance(row["detail"], Mapping) else {}
        title = title_of(kind, row["subject"], row["project"], row["count"], detail)
        return cls(**{**row, "kind": kind, "detail": detail}, title=title, remedy=remedy_of(kind, detail))

    @property
    def key(self) -> Key:
        return Key(self.kind, self.subject, self.project)

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def is_error(self) -> bool:
        """Whether callers go without an agent, rather than with a slower or another one."""
        return self.kind not in {
            IncidentKind.OBJECTIVE_BURNING,
            IncidentKind.QUEUE_GROWING,
            IncidentKind.WEBHOOK_PAUSED,
        }

    @property
    def calls(self) -> list[str]:
        """Ids of some calls that are concerned, the latest first."""
        return [str(one) for one in self.detail.get("calls", ())]

    @property
    def page(self) -> str:
        """The page of the console that shows what it is about; empty if there is none but its own."""
        match self.kind:
            case IncidentKind.AGENT_NOT_JOINING:
                return f"/console/agents/{quote(self.subject, safe='')}"
            case IncidentKind.RULE_BROKEN if "table" in self.detail:
                return _page_of(str(self.detail["table"]), str(self.detail.get("name", "")))
            case IncidentKind.RULE_BROKEN | IncidentKind.OBJECTIVE_BURNING:
                rule_id = self.detail.get("rule_id")
                return "/console/rules" if rule_id is None else f"/console/rules/{rule_id}"
            case IncidentKind.NO_SHOW:
                return "/console/calls?state=no_show"
            case IncidentKind.NO_RULE:
                return "/console/calls?state=no_match"
            case _:
                return ""

    def is_muted(self, now: datetime) -> bool:
        """Return whether banners and notifications leave it out."""
        return self.muted_until is not None and now < self.muted_until


def _page_of(table: str, name: str) -> str:
    """Return the page of the console that shows a row of a table."""
    match table:
        case "agents":
            return f"/console/agents/{quote(name, safe='')}"
        case "lookups":
            return f"/console/lookups/{quote(name, safe='')}"
        case "notifications" | "webhook_subscriptions":
            return "/console/notifications"
        case _:
            return ""
