"""Says in a few words what a rule does with a caller."""

from __future__ import annotations

from app.db.columns.action_types import OnNoShow, RuleAction
from app.translation import gettext


def rule_goal(action: str, agent_name: str | None, transfer_to: str | None) -> str:
    """Return the agent that a rule dispatches, or its other action; texts that plain SQL stored are returned as such.

    `action`: a value of `RuleAction` or of `OnNoShow`.
    """
    if action == RuleAction.DISPATCH:
        return agent_name or ""
    if action == OnNoShow.TRANSFER:
        return gettext("transfer to %(target)s", target=transfer_to)
    return gettext("remove the caller") if action == OnNoShow.REMOVE else action
