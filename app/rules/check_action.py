"""Checks whether a rule has what its action needs, and nothing that its action cannot use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from app.db.column_definition import RuleColumn
from app.db.columns.action_types import OnNoShow, RuleAction
from app.db.types import OnMatch, format_instant, parse_instant
from app.errors import Problem
from app.translation import translatable

_LONGEST_SHOWN: Final = 100
_NUMBER: Final = re.compile(r"\+?[0-9][0-9 ().-]{2,30}")
_ENDS_SEARCH: Final = frozenset({RuleAction.IGNORE, RuleAction.REMOVE})
"""Actions after which no later rule can serve the caller."""

WHY_NO_AGENT: Final[Mapping[RuleAction, str]] = {
    RuleAction.IGNORE: translatable("no agent is dispatched"),
    RuleAction.REMOVE: translatable("the caller is removed, and no agent is dispatched"),
    RuleAction.TRANSFER: translatable("the call is transferred, and no agent is dispatched"),
}
"""Why a rule with this action has no use for an agent."""


def check_action(row: Mapping[str, Any]) -> list[Problem]:
    """Return what does not fit the action of a rule, or what is missing for it beside the agent.

    Values that are wrong by themselves count as left out: they are reported with their column.
    """
    action = _action(row)
    if action is RuleAction.DISPATCH:
        return list(_check_dispatch(row))
    return [*_check_without_agent(row, action), *_check_end(row, action)]


def needs_agent(row: Mapping[str, Any]) -> bool:
    """Return whether the action of a rule is to dispatch an agent."""
    return _action(row) is RuleAction.DISPATCH


def _check_dispatch(row: Mapping[str, Any]) -> Iterator[Problem]:
    if _on_no_show(row) is OnNoShow.TRANSFER and row.get("transfer_to") is None:
        yield Problem("transfer_to", translatable("is required with on_no_show transfer: a tel: or sip: address"))


def _check_without_agent(row: Mapping[str, Any], action: RuleAction) -> Iterator[Problem]:
    why = WHY_NO_AGENT[action]
    for name in ("agent_name", "fallbacks"):
        if row.get(name) not in (None, []):
            yield Problem(
                name,
                translatable("must be left out with action %(action)s: %(why)s", action=action, why=why),
                found=_shown(row[name]),
            )
    if _on_no_show(row) is not OnNoShow.WAIT:
        message = translatable("must be wait with action %(action)s: %(why)s", action=action, why=why)
        yield Problem("on_no_show", message, found=row["on_no_show"], suggestion=OnNoShow.WAIT.value)
    if action is RuleAction.TRANSFER and row.get("transfer_to") is None:
        yield Problem("transfer_to", translatable("is required with action transfer: a tel: or sip: address"))


def _check_end(row: Mapping[str, Any], action: RuleAction) -> Iterator[Problem]:
    if action in _ENDS_SEARCH and row.get("on_match") == OnMatch.CONTINUE:
        message = translatable("must be stop with action %(action)s: no later rule can serve the caller", action=action)
        yield Problem("on_match", message, found=row["on_match"], suggestion=OnMatch.STOP.value)


def _action(row: Mapping[str, Any]) -> RuleAction:
    value = row.get("action")
    return RuleAction(value) if isinstance(value, str) and value in set(RuleAction) else RuleAction.DISPATCH


def _on_no_show(row: Mapping[str, Any]) -> OnNoShow:
    value = row.get("on_no_show")
    return OnNoShow(value) if isinstance(value, str) and value in set(OnNoShow) else OnNoShow.WAIT


def check_instant(column: RuleColumn, value: str) -> list[Problem]:
    """Return what is wrong with a moment; one without a time zone, as plain SQL writes them, is of UTC."""
    try:
        format_instant(parse_instant(value))
    except (ValueError, OverflowError):
        message = translatable("must be a time in ISO 8601, such as 2026-12-24T18:00:00Z or 2026-12-24T19:00+01:00")
        return [Problem(column.name, message, found=value[:_LONGEST_SHOWN])]
    return []


def check_transfer_to(column: RuleColumn, value: str) -> list[Problem]:
    """Return what is wrong with an address to transfer to."""
    if re.fullmatch(column.pattern or "", value):
        return []
    message = translatable("must be a tel: or sip: address, such as tel:+34911222333 or sip:desk@example.com")
    return [Problem(column.name, message, found=value[:_LONGEST_SHOWN], suggestion=_meant(column, value.strip()))]


def _meant(column: RuleColumn, value: str) -> str | None:
    scheme, separator, rest = value.partition(":")
    if separator and scheme.lower() in {"tel", "sip"}:
        candidates = [f"{scheme.lower()}:{re.sub(r'[ ()-]', '', rest)}"]
    elif _NUMBER.fullmatch(value):
        candidates = ["tel:" + re.sub(r"[ ().-]", "", value)]
    else:
        candidates = [f"sip:{value}"] if value.count("@") == 1 else []
    return next((one for one in candidates if re.fullmatch(column.pattern or "", one)), None)


def _shown(value: Any) -> Any:
    return value[:_LONGEST_SHOWN] if isinstance(value, str) else value
