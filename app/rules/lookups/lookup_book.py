"""A usable row of `lookups`, one that cannot be used, and all of them as they are at one version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from app.errors import Problem
from app.livekit.vocabulary import JOINS
from app.rules.language.compile import Alternative, audience_of_document
from app.rules.language.document import DocumentView
from app.rules.language.pattern import DEFAULT_EVENT, EVENT
from app.webhook.event import Event


@dataclass(frozen=True, slots=True)
class Lookup:
    """A usable lookup. `headers` hold the names of secrets (`env:NAME`), never their values."""

    id: int
    name: str
    enabled: bool
    url: str
    headers: Mapping[str, str]
    timeout_ms: int
    cache_s: int
    on_error: Any
    alternatives: tuple[Alternative, ...] = field(repr=False)

    @property
    def timeout_s(self) -> float:
        """How long its answer is waited for, in seconds."""
        return self.timeout_ms / 1000


@dataclass(frozen=True, slots=True)
class BadLookup:
    """A row that cannot be used: it is not asked, and lists show it with its problems."""

    id: int
    name: str
    problems: tuple[Problem, ...]
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class LookupBook:
    """All lookups at one version, by name; `bad` are those that cannot be used."""

    version: int = 0
    usable: tuple[Lookup, ...] = ()
    bad: tuple[BadLookup, ...] = ()
    is_known: bool = True
    """False for a book of rules alone, such as that of a rules file."""

    @property
    def is_empty(self) -> bool:
        """Whether no join needs to be matched."""
        return not any(lookup.enabled for lookup in self.usable)

    @property
    def names(self) -> frozenset[str]:
        """The names of all lookups, disabled and bad ones too."""
        return frozenset(one.name for one in self.usable) | frozenset(one.name for one in self.bad)

    def named(self, name: str) -> Lookup | None:
        """Return the usable lookup of that name."""
        return next((lookup for lookup in self.usable if lookup.name == name), None)

    def lookups_for(self, event: Event) -> tuple[Lookup, ...]:
        """Return the lookups to ask before the rules are evaluated for `event`, but those that it has answers of."""
        if self.is_empty or event.type not in JOINS:
            return ()
        known = event.lookups or {}
        return tuple(lookup for lookup in self.matching(event.document) if lookup.name not in known)

    def matching(self, document: Mapping[str, Any]) -> tuple[Lookup, ...]:
        """Return the enabled lookups whose pattern matches the document, with LiveKit's defaults as for rules."""
        view = DocumentView(document)
        audience = audience_of_document(view)
        is_join = any(value == DEFAULT_EVENT for value, _ in view.leaves(EVENT))
        return tuple(
            lookup
            for lookup in self.usable
            if lookup.enabled
            and any(
                (is_join or not alternative.default_event)
                and audience <= alternative.audience
                and alternative.holds(view)
                for alternative in lookup.alternatives
            )
        )


NO_LOOKUPS: Final = LookupBook(is_known=False)
