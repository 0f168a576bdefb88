"""The columns of a rule that say how many calls it takes at a time, and who waits."""

from __future__ import annotations

from typing import Final

from app.db.column_definition import ColumnKind, FormSection, RuleColumn

MAX_CALLS: Final = 1_000_000
MAX_QUEUE_TIMEOUT_S: Final = 86_400
MAX_STARTS_PER_SECOND: Final = 10_000

QUEUE_COLUMNS: Final = (
    RuleColumn(
        "max_calls",
        ColumnKind.INTEGER,
        FormSection.QUEUE,
        "Calls at a time",
        "Further callers wait in a queue. Empty: no limit of the rule; limits of agents hold for each agent.",
        default=None,
        least=0,
        most=MAX_CALLS,
        in_database=True,
    ),
    RuleColumn(
        "queue_timeout_s",
        ColumnKind.INTEGER,
        FormSection.QUEUE,
        "Seconds in the queue",
        "How long a caller waits for a place with an agent; then the fallbacks are asked. Empty: as long as the caller "
        "stays. 0: the fallbacks are asked at once.",
        default=None,
        least=0,
        most=MAX_QUEUE_TIMEOUT_S,
        in_database=True,
    ),
    RuleColumn(
        "queue_priority",
        ColumnKind.INTEGER,
        FormSection.QUEUE,
        "Priority in the queue",
        "Callers with a lower number get the next place first, of equal ones the one who has waited longest.",
        default=100,
        least=-1_000_000,
        most=1_000_000,
        in_database=True,
    ),
    RuleColumn(
        "announce",
        ColumnKind.FLAG,
        FormSection.QUEUE,
        "Announce the state to the caller",
        "Writes the participant attributes `usher.state`, `usher.position` and `usher.expected_wait_s`, for an app or "
        "an IVR to read out.",
        default=False,
    ),
)
"""Part of `app.db.rule_columns.RULE_COLUMNS`."""
