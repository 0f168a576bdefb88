"""The filters of the page Calls: what its address says, in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from app.audit import (
    FILTER_FIELDS,
    TIME_FIELDS,
    CallFilter,
    CallOutcome,
    CallQuery,
    read_call_query,
    unknown_fields,
)
from app.errors import Problem
from app.server.console.framework import PageRequest
from app.server.formatting import state_text
from app.translation import gettext

RANGES: Final = {"hour": "Last hour", "today": "Today", "yesterday": "Yesterday"}
OUTCOMES: Final = {
    CallOutcome.JOINED: "an agent joined",
    CallOutcome.NO_AGENT: "no agent joined",
    CallOutcome.ABANDONED: "left while waiting",
    CallOutcome.FALLBACK: "via fallback",
    CallOutcome.HANDED_OVER: "handed over",
    CallOutcome.BEING_HANDED_OVER: "being handed over",
    CallOutcome.LEFT_EARLY: "agent left too soon",
}
_OTHER_FIELDS: Final = frozenset({"cursor", "done", "format"})
"""Fields of addresses of the list that are no filters."""


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter that is set, and the address of the list without it."""

    name: str
    value: str
    without: str


@dataclass(frozen=True, slots=True)
class CallFilters:
    """What a request asks of the page: the filters in its address, and what of it is none."""

    query: CallQuery
    problems: Sequence[Problem]

    @property
    def given(self) -> Mapping[str, str]:
        """The fields that are set, by their names in the address."""
        return self.query.given

    @property
    def chosen(self) -> CallFilter:
        return self.query.chosen

    def address(self, path: str = "/console/calls", **changed: str) -> str:
        """Return the address of the list with these fields changed; an empty one is left out."""
        fields = {name: value for name, value in {**self.given, **changed}.items() if value}
        return f"{path}?{urlencode(fields)}" if fields else path

    @property
    def is_filtered(self) -> bool:
        return any(name in self.given for name in (*FILTER_FIELDS, *TIME_FIELDS))

    @property
    def has_more(self) -> bool:
        """Whether a filter is set that the page folds away."""
        return any(name in self.given for name in ("rule", "direction", "project", "metadata", "from", "to"))

    @property
    def as_text(self) -> str:
        """The filters in one line."""
        text = self.given.get("q", "")
        parts = [gettext("find: %(text)s", text=text)] if text else []
        return "; ".join([*parts, *(f"{chip.name}: {chip.value}" for chip in self.chips)])

    @property
    def chips(self) -> Sequence[Chip]:
        """The filters that are set, but for the text that was searched for."""
        found = []
        for name in (*FILTER_FIELDS[1:], *TIME_FIELDS):
            value = self.given.get(name, "")
            if value:
                found.append(Chip(gettext(LABELS.get(name, name)), _shown(name, value), self.address(**{name: ""})))
        return found


LABELS: Final = {"search": "exactly", "since": "from", "until": "to", "range": "joined"}


def _shown(name: str, value: str) -> str:
    if name == "range":
        return gettext(RANGES[value].lower())
    if name == "outcome":
        return gettext(OUTCOMES[CallOutcome(value)])
    if name in {"from", "to", "since", "until"}:
        return value.replace("T", " ").removesuffix("Z")
    return state_text(value) if name in {"state", "direction"} else value


def read_filters(request: PageRequest) -> CallFilters:
    """Return the filters in the address of a request, or in the hidden fields of a form."""
    fields = {name: request.field(name) for name in (*FILTER_FIELDS, *TIME_FIELDS, "tz", "zone")}
    query = read_call_query(fields, request.context.now, request.signed_in.projects)
    unknown = unknown_fields(set(request.http.query_params) - _OTHER_FIELDS)
    return CallFilters(query, (*unknown, *query.problems))
