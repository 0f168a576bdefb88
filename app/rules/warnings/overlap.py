"""Finds rules of equal priority that one event can match: the older is tried first, which nobody has decided."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import islice, product
from typing import Any, Final

from app.db.types import OnMatch
from app.rules.book.rule_book import RuleBook
from app.rules.language.compile import Alternative, Audience, Condition, audience_of_document
from app.rules.language.document import DocumentView
from app.rules.language.matcher import Exact, Matcher, OneOf, exact_key
from app.rules.language.pattern import DEFAULT_EVENT, EVENT
from app.rules.rule import Rule
from app.rules.warnings.sample import make_sample, sample_value, value_of
from app.rules.warnings.subsumption import covers

_MOST_COMPARED: Final = 200
"""Rules of the same priority that are compared with one: about 10 ms."""
_MOST_VALUES: Final = 64


def tied_rule(book: RuleBook, rule: Rule) -> Rule | None:
    """Return another enabled rule of the same priority that provably matches an event that `rule` matches, too.

    Not one of a pair whose earlier rule lets later ones match as well, or takes all that the later one matches: that is
    a warning of its own.
    """
    if not rule.enabled:
        return None
    return next((other for other in _of_same_priority(book, rule) if _can_both_match(book, rule, other)), None)


def _of_same_priority(book: RuleBook, rule: Rule) -> Iterator[Rule]:
    rules = book.rules
    first = bisect_left(rules, rule.priority, key=lambda one: one.priority)
    last = bisect_right(rules, rule.priority, key=lambda one: one.priority)
    for other in rules[first : min(last, first + _MOST_COMPARED)]:
        earlier, later = sorted((rule, other), key=lambda one: one.rank)
        if not other.enabled or other.id == rule.id or earlier.on_match is not OnMatch.STOP:
            continue
        if not covers(book.alternatives(earlier.id), book.alternatives(later.id)):
            yield other


def _can_both_match(book: RuleBook, rule: Rule, other: Rule) -> bool:
    pairs = product(book.alternatives(rule.id)[:4], book.alternatives(other.id)[:4])
    return any(_overlap(one, another) for one, another in pairs)


def _overlap(one: Alternative, other: Alternative) -> bool:
    """Return whether a document was found that both match; False proves nothing."""
    conditions: dict[str, Condition] = {}
    mine, theirs = _by_path(one), _by_path(other)
    for path in {**mine, **theirs}:
        both = _both(mine.get(path), theirs.get(path))
        if both is None:
            return False
        conditions[path] = both
    audience = min(one.audience, other.audience)
    document = make_sample(Alternative(tuple(conditions.values()), default_event=False, audience=audience))
    if document is None:
        return False
    view = DocumentView(document)
    smallest = audience_of_document(view) if "participant" in document else Audience.CALLERS
    return all(each.holds(view) and smallest <= each.audience for each in (one, other))


def _by_path(alternative: Alternative) -> dict[str, Condition]:
    found = {condition.path: condition for condition in alternative.conditions}
    if alternative.default_event:
        found[EVENT] = Condition(EVENT, (Exact(DEFAULT_EVENT),))
    return found


def _values(*matchers: Matcher) -> Iterator[Any]:
    for matcher in matchers:
        if isinstance(matcher, OneOf):
            yield from map(value_of, islice(matcher.keys, _MOST_VALUES))
        else:
            yield sample_value(matcher)


def _both(one: Condition | None, other: Condition | None) -> Condition | None:
    """Return a condition that implies both; None where none was found."""
    if one is None or other is None:
        return one or other
    if one.may_be_absent and other.may_be_absent:
        return one
    for value in _values(*one.matchers, *other.matchers):
        if one.holds_for((value, ())) and other.holds_for((value, ())):
            return Condition(one.path, (Exact(exact_key(value)),))
    return None
