"""Finds why a pattern did not match: the first condition that failed, in the alternative that came nearest."""

from __future__ import annotations

from collections.abc import Sequence

from app.rules.book.decision import Mismatch, shortened
from app.rules.language.compile import ROLE, Alternative, Audience, audience_of_document
from app.rules.language.document import DocumentView
from app.rules.language.pattern import DEFAULT_EVENT, EVENT
from app.translation import translatable


def first_mismatch(alternatives: Sequence[Alternative], view: DocumentView) -> Mismatch | None:
    """Return the condition that a rule's pattern failed at, LiveKit's defaults included; None when it matches."""
    nearest: tuple[int, Mismatch] | None = None
    for alternative in alternatives:
        held, mismatch = _explain_alternative(alternative, view)
        if mismatch is None:
            return None
        if nearest is None or held > nearest[0]:
            nearest = (held, mismatch)
    return nearest[1] if nearest else None


def _explain_alternative(alternative: Alternative, view: DocumentView) -> tuple[int, Mismatch | None]:
    """Return how many conditions held, and the first that did not."""
    held = 0
    first: Mismatch | None = None
    conditions = _conditions(alternative, view)
    # The last ones are those that the pattern itself states.
    stated = conditions[len(conditions) - len(alternative.conditions) :]
    held_stated = sum(holds for *_, holds in stated)
    for path, expected, holds in conditions:
        if holds:
            held += 1
        elif first is None:
            found = shortened([value for value, _ in view.leaves(path)])
            first = Mismatch(path, expected, found, held_stated, len(stated))
    if first is None and not alternative.holds(view):
        paths = ", ".join(condition.path for condition in alternative.conditions)
        expected = translatable("all of these to hold in the same array element")
        first = Mismatch(paths, expected, (translatable("each only in different elements"),), held_stated, len(stated))
    return held, first


def _conditions(alternative: Alternative, view: DocumentView) -> list[tuple[str, str, bool]]:
    conditions = []
    if alternative.default_event:
        holds = any(value == DEFAULT_EVENT for value, _ in view.leaves(EVENT))
        conditions.append(
            (EVENT, translatable('"%(event)s", because the pattern names no event', event=DEFAULT_EVENT), holds)
        )
    if alternative.audience is not Audience.ALL:
        holds = audience_of_document(view) <= alternative.audience
        conditions.append((ROLE, alternative.audience.expected(), holds))
    for condition in alternative.conditions:
        leaves = view.leaves(condition.path)
        if len(leaves) > 1 and not view.work.spend(len(leaves)):
            expected = translatable("an event whose arrays are not too large to judge by so many rules")
            conditions.append((condition.path, expected, False))
            continue
        absent = condition.may_be_absent and all(membership for _, membership in leaves)
        holds = absent or any(condition.holds_for(leaf) for leaf in leaves)
        conditions.append((condition.path, condition.expected(), holds))
    return conditions
