"""Warnings about actions that cannot be done to all who match, and about columns that the action makes useless."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from app.db.columns.action_types import OnNoShow, RuleAction
from app.errors import Problem
from app.livekit.vocabulary import ParticipantKind
from app.rules.check_action import WHY_NO_AGENT
from app.rules.language.compile import KIND, Alternative
from app.rules.rule import Rule
from app.translation import translatable

_SIP_ATTRIBUTES: Final = "participant.attributes.sip."
_OF_AGENTS: Final = ("metadata", "attributes", "deployment", "objective_percent")
"""Columns that only say something about an agent and are null by default."""


def check_transfer(rule: Rule, alternatives: Sequence[Alternative]) -> Iterator[Problem]:
    """Yield a warning if the rule transfers calls, and not all who match are on the phone."""
    if rule.action is not RuleAction.TRANSFER and rule.on_no_show is not OnNoShow.TRANSFER:
        return
    if all(map(_is_for_phones, alternatives)):
        return
    column = "action" if rule.action is RuleAction.TRANSFER else "on_no_show"
    message = translatable(
        "is transfer, and the pattern also matches callers who are not on the phone: LiveKit cannot transfer them, "
        'and they stay where they are; "kind": ["SIP"] of the participant matches phones only'
    )
    yield Problem(column, message)


def _is_for_phones(alternative: Alternative) -> bool:
    for condition in alternative.conditions:
        if condition.path == KIND and not any(
            condition.holds_for((kind.value, ())) for kind in ParticipantKind if kind is not ParticipantKind.SIP
        ):
            return not condition.may_be_absent
        if condition.path.startswith(_SIP_ATTRIBUTES) and not condition.may_be_absent:
            return True
    return False


def check_useless(rule: Rule) -> Iterator[Problem]:
    """Yield a warning for each column that has a value and no effect."""
    if rule.action is not RuleAction.DISPATCH:
        for name in _OF_AGENTS:
            if getattr(rule, name) is not None:
                yield Problem(
                    name,
                    translatable(
                        "has no effect with action %(action)s: %(why_no_agent)s",
                        action=rule.action,
                        why_no_agent=WHY_NO_AGENT[rule.action],
                    ),
                )
    if rule.transfer_to is None or rule.action is RuleAction.TRANSFER or rule.on_no_show is OnNoShow.TRANSFER:
        return
    yield Problem("transfer_to", translatable("has no effect: neither action nor on_no_show is transfer"))
