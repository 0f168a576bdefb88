"""Warnings about rules that can be used but are probably wrong: they never match, or require what LiveKit never sends.

A rule is reported as shadowed, or as never matching, only where that is proved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from math import inf, nextafter
from typing import Annotated, Any, Final

from pydantic import Field

from app.db.types import OnMatch
from app.errors import Problem, suggesting
from app.json_shape import JsonShape
from app.rules.book.rule_book import RuleBook
from app.rules.language.compile import Alternative, audience_of_document
from app.rules.language.document import DocumentView
from app.rules.language.matcher import Matcher, Numeric
from app.rules.language.pattern import DEFAULT_EVENT, OR, Pattern, PatternError, full_pattern, read_pattern
from app.rules.rule import Rule
from app.rules.warnings.action_warnings import check_transfer, check_useless
from app.rules.warnings.known_fields import check_fields
from app.rules.warnings.lookup_names import check_lookup_names
from app.rules.warnings.overlap import tied_rule
from app.rules.warnings.participant_fields import check_participants
from app.rules.warnings.sample import make_sample
from app.rules.warnings.subsumption import covers
from app.rules.warnings.unseen import Traffic, check_agents, check_traffic
from app.translation import joined, translatable

MAX_COMPARED_RULES: Final = 200
"""Rules that are compared with recent events and with each other, at 2 to 10 ms each."""
_EARLIER_TRIED: Final = 64


class WarningKind(StrEnum):
    NEVER_MATCHES = "never_matches"
    SHADOWED = "shadowed"
    FIELD = "field"
    REPEATED_FIELD = "repeated_field"
    OR_IS_FIELD = "or_is_field"
    NOT_A_PHONE = "not_a_phone"
    NO_EFFECT = "no_effect"
    PRIORITY_TIE = "priority_tie"
    UNSEEN_PATH = "unseen_path"
    UNSEEN_VALUE = "unseen_value"
    UNSEEN_AGENT = "unseen_agent"
    UNKNOWN_LOOKUP = "unknown_lookup"


@dataclass(frozen=True, slots=True)
class RuleWarning(JsonShape):
    """A rule that can be used but is probably wrong.

    `suggestion` is the nearest spelling that would make sense.
    """

    rule_id: Annotated[int, Field(exclude=True)]
    rule_name: Annotated[str, Field(exclude=True)]
    kind: WarningKind
    message: str
    path: str = ""
    suggestion: str | None = None

    @classmethod
    def of(cls, rule: Rule, kind: WarningKind, problem: Problem) -> RuleWarning:
        """Return the problem as a warning about the rule."""
        return cls(rule.id, rule.name, kind, problem.message, problem.path, problem.suggestion)

    def __str__(self) -> str:
        text = joined(": ", (self.path, self.message)) if self.path else self.message
        return suggesting(text, self.suggestion) if self.suggestion else text


def warnings(book: RuleBook) -> Iterator[RuleWarning]:
    """Yield the warnings of every enabled rule in matching order; about 0.1 ms for each rule."""
    for rule in book.rules:
        yield from rule_warnings(book, rule)


def rule_warnings(book: RuleBook, rule: Rule) -> list[RuleWarning]:
    """Return the warnings of one rule of the book; none for a disabled rule."""
    if not rule.enabled:
        return []
    alternatives = book.alternatives(rule.id)
    problems = pattern_warnings(rule.pattern)
    problems += [
        (WarningKind.UNKNOWN_LOOKUP, problem) for problem in check_lookup_names(rule, alternatives, book.lookups)
    ]
    problems += [(WarningKind.NOT_A_PHONE, problem) for problem in check_transfer(rule, alternatives)]
    problems += [(WarningKind.NO_EFFECT, problem) for problem in check_useless(rule)]
    found = [RuleWarning.of(rule, kind, problem) for kind, problem in problems]
    never = _why_never(rule, alternatives)
    if never:
        found.insert(0, RuleWarning(rule.id, rule.name, WarningKind.NEVER_MATCHES, never))
    else:
        earlier = shadowing_rule(book, rule)
        if earlier is not None:
            message = translatable(
                "is never reached: the earlier rule %(name)s matches all that it matches, and stops",
                name=repr(earlier.name),
            )
            found.insert(0, RuleWarning(rule.id, rule.name, WarningKind.SHADOWED, message))
    return found


def saved_rule_warnings(book: RuleBook, rule: Rule, traffic: Traffic) -> list[RuleWarning]:
    """Return the warnings of one rule that is saved or shown alone: also of ties, and of what recent events lack.

    Takes up to 10 ms, which is too long for lists of rules.
    """
    if not rule.enabled:
        return []
    found = rule_warnings(book, rule)

    def warn(kind: WarningKind, problem: Problem) -> None:
        if not any(one.path == problem.path and one.kind is WarningKind.FIELD for one in found):
            found.append(RuleWarning.of(rule, kind, problem))

    tied = tied_rule(book, rule)
    if tied is not None:
        first = min(rule, tied, key=lambda one: one.rank)
        message = translatable(
            "equals that of rule %(other)s, and one event can match both: %(first)s is tried first, because it is "
            "older",
            other=repr(tied.name),
            first=repr(first.name),
        )
        warn(WarningKind.PRIORITY_TIE, Problem("priority", message))
    paths, values = check_traffic(read_pattern(full_pattern(rule.pattern)), traffic)
    for problem in paths:
        warn(WarningKind.UNSEEN_PATH, problem)
    for problem in values:
        warn(WarningKind.UNSEEN_VALUE, problem)
    for problem in check_agents(rule.agents, traffic.agents):
        warn(WarningKind.UNSEEN_AGENT, problem)
    return found


def shadowing_rule(book: RuleBook, rule: Rule) -> Rule | None:
    """Return a rule before this one that provably takes every event it matches; None when none is found."""
    alternatives = book.alternatives(rule.id)
    if not alternatives:
        return None
    sample = make_sample(alternatives[0])
    if sample is None:
        return None
    view = DocumentView(sample)
    candidates = book.index.candidates(
        view,
        is_default_event=sample.get("event") == DEFAULT_EVENT,
        audience=audience_of_document(view),
    )
    for entry in islice(candidates, _EARLIER_TRIED):
        earlier = entry.rule
        if earlier.rank >= rule.rank:
            return None
        if _always_ends(earlier) and covers(book.alternatives(earlier.id), alternatives):
            return earlier
    return None


def _always_ends(rule: Rule) -> bool:
    is_whole = rule.rollout_percent == 100 and rule.active_hours is None and rule.paused_until is None
    return rule.on_match is OnMatch.STOP and is_whole


def _why_never(rule: Rule, alternatives: tuple[Alternative, ...]) -> str | None:
    if rule.rollout_percent == 0:
        return translatable("never matches: its rollout is 0 %")
    if rule.hours is not None and not rule.hours.can_open:
        return translatable(
            "never matches: its active hours are never open (off, unknown, a comment alone and 17:00+ are not)"
        )
    if all(_is_impossible(alternative) for alternative in alternatives):
        return translatable("never matches: no number lies between its bounds")
    return None


def _is_impossible(alternative: Alternative) -> bool:
    return any(all(map(_is_empty, condition.matchers)) for condition in alternative.conditions)


def _is_empty(matcher: Matcher) -> bool:
    """Return whether no value satisfies the matcher: between its open bounds lies no number of binary64."""
    return (
        isinstance(matcher, Numeric)
        and matcher.open_low
        and matcher.open_high
        and nextafter(matcher.low, inf) >= matcher.high
    )


def pattern_warnings(document: Any) -> list[tuple[WarningKind, Problem]]:
    """Return the warnings about a pattern by itself; none for one that cannot be used."""
    try:
        pattern: Pattern = read_pattern(full_pattern(document))
    except PatternError:
        return []
    found = [
        (WarningKind.REPEATED_FIELD, Problem(path, translatable("is named twice; only the later one counts")))
        for path in pattern.overridden
    ]
    if pattern.or_is_field:
        message = translatable(
            "is read as the name of a field, because its content is not a list of two or more objects of fields"
        )
        found.append((WarningKind.OR_IS_FIELD, Problem(OR, message)))
    problems = dict.fromkeys([*check_fields(pattern), *check_participants(pattern)])
    return found + [(WarningKind.FIELD, problem) for problem in problems]


def warnings_by_name(book: RuleBook, names: Sequence[str], traffic: Traffic | None = None) -> list[RuleWarning]:
    """Return the warnings of the rules of these names, in the order of `names`; bad rules have none.

    With `traffic` also those that are given when a rule is saved, unless the rules are many.
    """
    by_name = {line.name: line for line in book.lines()}
    rules = (by_name.get(name) for name in names)
    usable = [rule for rule in rules if isinstance(rule, Rule)]
    if traffic is None or len(usable) > MAX_COMPARED_RULES:
        return [warning for rule in usable for warning in rule_warnings(book, rule)]
    return [warning for rule in usable for warning in saved_rule_warnings(book, rule, traffic)]
