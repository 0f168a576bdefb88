"""The columns of `routing_rules` that say what is done with callers beside dispatching an agent; see `rule_columns`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from app.db.column_definition import ColumnKind, FormSection, RuleColumn
from app.db.columns.action_types import OnNoShow, RuleAction

MAX_TRANSFER_TO: Final = 500

ACTION: Final = RuleColumn(
    "action",
    ColumnKind.CHOICE,
    FormSection.AGENT,
    "Action",
    "`ignore`: no agent is dispatched and later rules are not tried. `remove`: the caller is removed from the room, "
    "which hangs up on a phone. `transfer`: a phone call is transferred to another number.",
    default=RuleAction.DISPATCH.value,
    choices=RuleAction,
    choice_labels=("dispatch an agent", "ignore", "remove the caller", "transfer the phone call"),
)

ON_NO_SHOW: Final = RuleColumn(
    "on_no_show",
    ColumnKind.CHOICE,
    FormSection.ARRIVAL,
    "If no agent joins",
    "What becomes of the callers when all attempts and fallbacks have failed. `transfer` is for phone calls; other "
    "callers go on waiting.",
    default=OnNoShow.WAIT.value,
    choices=OnNoShow,
    choice_labels=("the caller waits", "remove the caller", "transfer the phone call"),
)

TRANSFER_TO: Final = RuleColumn(
    "transfer_to",
    ColumnKind.TEXT,
    FormSection.AGENT,
    "Transfer to",
    "Where phone calls are transferred to: `tel:+34911222333` or `sip:desk@example.com`.",
    default=None,
    least=1,
    most=MAX_TRANSFER_TO,
    pattern=r"(tel:\+?[0-9*#().-]*[0-9][0-9*#().-]*(;[!-~]+)?"
    r"|sip:([!-;=?A-~]+@)?[A-Za-z0-9\[][A-Za-z0-9.:\[\]-]*([;?][!-~]+)?)",
    in_database=True,
)

ACTION_CHECKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "action_agent": "(action = 'dispatch') = (agent_name IS NOT NULL)",
        "action_transfer": "transfer_to IS NOT NULL OR (action <> 'transfer' AND on_no_show <> 'transfer')",
        "action_on_match": "on_match = 'stop' OR action IN ('dispatch', 'transfer')",
        "action_on_no_show": "on_no_show = 'wait' OR action = 'dispatch'",
        "transfer_to_scheme": "substr(transfer_to, 1, 4) IN ('tel:', 'sip:')",
    }
)
"""The SQL conditions, by the name of their CHECK, that a rule has what its action needs."""
