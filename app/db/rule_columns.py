"""One definition for each column of `routing_rules` that people write.

The table, the check of a rule, its API shapes, the console's form, rules files, reading rows and the differences shown
in history all follow from it. It is in this package because the table needs it and stages import only earlier ones.

To add a column:

1. Add a `RuleColumn` to `RULE_COLUMNS`, in its section of the form.
2. Add a revision with the column, its CHECK and, on SQLite, new triggers (migrations/README.md).
3. Add the field to `app.rules.rule.Rule`, and use it. Templates read it once it is among `RULE_FACTS` of
   `app.rules.templates.template`. What a dispatch needs later, when the rule may have changed, is copied into a column
   of `dispatches` by `app.outbox.dispatch_factory`.
4. If its kind does not say all that is allowed, add a check to `SPECIAL_CHECKS` in `app.rules.check`.
5. Add it to the table in `app/rules/CONDITIONS.md`, and a value to `tests/integration/rules/test_rule_columns.py`. That
   test proves that the column is checked, described by the API, editable in the form, exported, recorded and read.
6. If it makes a rule unusual, mention it in the lists: `app.cli.rules.rule_view` and the console's `rule_list`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from app.db.column_definition import ColumnKind, FormSection, RuleColumn
from app.db.columns.action_columns import ACTION, ON_NO_SHOW, TRANSFER_TO
from app.db.columns.pause_column import PAUSED_UNTIL
from app.db.columns.queue_columns import QUEUE_COLUMNS
from app.db.types import OnMatch, Recover, Scope

MAX_NAME: Final = 200
MAX_AGENT_NAME: Final = 256
MAX_DESCRIPTION: Final = 10_000
MAX_FALLBACKS: Final = 10

RULE_COLUMNS: Final = (
    RuleColumn(
        "name",
        ColumnKind.TEXT,
        FormSection.CALLERS,
        "Name",
        "Unique. Calls, history and rules files show it.",
        least=1,
        most=MAX_NAME,
        in_database=True,
    ),
    RuleColumn(
        "description",
        ColumnKind.TEXT,
        FormSection.CALLERS,
        "Description",
        "For your colleagues; it changes nothing.",
        default="",
        least=0,
        most=MAX_DESCRIPTION,
        rows=2,
    ),
    RuleColumn(
        "enabled",
        ColumnKind.FLAG,
        FormSection.CALLERS,
        "Enabled",
        "A disabled rule is kept, but not tried.",
        default=True,
    ),
    RuleColumn(
        "priority",
        ColumnKind.INTEGER,
        FormSection.CALLERS,
        "Priority",
        "Rules with a lower number are tried first, of equal ones the older.",
        default=100,
        least=-1_000_000,
        most=1_000_000,
        in_database=True,
    ),
    RuleColumn(
        "pattern",
        ColumnKind.PATTERN,
        FormSection.CALLERS,
        "Pattern",
        "An Amazon EventBridge event pattern over LiveKit's webhook, such as "
        '`{"participant": {"metadata": {"language": ["es"]}}}`. '
        "Without `event` it matches joins only, without `participant.role` callers only.",
        must_be_object=True,
        rows=9,
    ),
    ACTION,
    RuleColumn(
        "agent_name",
        ColumnKind.AGENT,
        FormSection.AGENT,
        "Agent name",
        "Exactly as the agent's worker registers it. Needed for the action `dispatch`, and only there.",
        default=None,
        least=1,
        most=MAX_AGENT_NAME,
        in_database=True,
    ),
    RuleColumn(
        "metadata",
        ColumnKind.TEMPLATE,
        FormSection.AGENT,
        "Job metadata",
        'A JSON-e template; empty for the default document. `{"$eval": "participant.metadata"}` passes on the '
        "participant's own metadata.",
        default=None,
        rows=6,
    ),
    RuleColumn(
        "attributes",
        ColumnKind.TEMPLATE,
        FormSection.AGENT,
        "Dispatch attributes",
        "A JSON-e template of an object of strings; empty for none.",
        default=None,
        must_be_object=True,
        rows=3,
    ),
    RuleColumn(
        "deployment",
        ColumnKind.TEXT,
        FormSection.AGENT,
        "Deployment",
        "The agent's deployment at LiveKit Cloud; empty for the default one.",
        default=None,
        pattern=r"[A-Za-z0-9.-]{1,63}",
    ),
    RuleColumn(
        "scope",
        ColumnKind.CHOICE,
        FormSection.AGENT,
        "How many agents",
        "One for the room session, or one for each participant in it.",
        default=Scope.ROOM.value,
        choices=Scope,
        choice_labels=("one for the room", "one for each participant"),
    ),
    RuleColumn(
        "on_match",
        ColumnKind.CHOICE,
        FormSection.AGENT,
        "After a match",
        "Whether later rules are tried after this one has matched.",
        default=OnMatch.STOP.value,
        choices=OnMatch,
        choice_labels=("stop", "try later rules too"),
    ),
    RuleColumn(
        "rollout_percent",
        ColumnKind.INTEGER,
        FormSection.LIMITS,
        "Share of callers, %",
        "The share of callers that the rule is for. The same caller always gets the same answer.",
        default=100,
        least=0,
        most=100,
        in_database=True,
    ),
    RuleColumn(
        "rollout_key",
        ColumnKind.TEXT,
        FormSection.LIMITS,
        "Share chosen by",
        "The path of the value in the event that identifies a caller.",
        default="participant.identity",
    ),
    RuleColumn(
        "active_hours",
        ColumnKind.TEXT,
        FormSection.LIMITS,
        "Active hours",
        "OpenStreetMap opening hours, such as `Mo-Fr 09:00-18:00; PH off`. Empty: always.",
        default=None,
    ),
    RuleColumn(
        "timezone",
        ColumnKind.TEXT,
        FormSection.LIMITS,
        "Time zone",
        "An IANA time zone, such as `Europe/Madrid`.",
        default="UTC",
    ),
    RuleColumn(
        "holidays",
        ColumnKind.TEXT,
        FormSection.LIMITS,
        "Country or region of the public holidays",
        "An ISO 3166 code, such as `ES` or `DE-BY`; needed for `PH` in the active hours.",
        default=None,
    ),
    PAUSED_UNTIL,
    RuleColumn(
        "answer_timeout_s",
        ColumnKind.INTEGER,
        FormSection.ARRIVAL,
        "Seconds to wait for the agent",
        "How long each attempt waits for the agent to join.",
        default=15,
        least=1,
        most=3600,
        in_database=True,
    ),
    RuleColumn(
        "max_attempts",
        ColumnKind.INTEGER,
        FormSection.ARRIVAL,
        "Attempts",
        "How often the agent is dispatched until it joins. Where LiveKit finds no worker for it, it is dispatched "
        "again early, and more often while the time of all attempts lasts.",
        default=3,
        least=1,
        most=100,
        in_database=True,
    ),
    RuleColumn(
        "fallbacks",
        ColumnKind.LADDER,
        FormSection.ARRIVAL,
        "Fallbacks",
        "Agents that are asked in turn when all attempts have failed: a list of names, or of objects such as "
        '`{"agent_name": "reception", "answer_timeout_s": 10, "max_attempts": 2, "metadata": {}}`. Each is asked once '
        "and has as long as the rule says, unless its entry says otherwise.",
        default=None,
        rows=3,
    ),
    ON_NO_SHOW,
    TRANSFER_TO,
    RuleColumn(
        "min_stay_s",
        ColumnKind.INTEGER,
        FormSection.ARRIVAL,
        "Seconds that the agent must stay",
        "An agent that leaves its caller sooner, without the attribute `usher.done`, counts as one that did not join.",
        default=3,
        least=0,
        most=3600,
        in_database=True,
    ),
    RuleColumn(
        "recover",
        ColumnKind.CHOICE,
        FormSection.ARRIVAL,
        "Replace an agent that leaves its caller",
        "`lost`: one that crashed or lost its connection. `always`: also one that ended without the attribute "
        "`usher.done`. Never while another person is in the room.",
        default=Recover.NEVER.value,
        choices=Recover,
        choice_labels=("never", "if it is lost", "always, unless it is done"),
    ),
    RuleColumn(
        "withdraw",
        ColumnKind.FLAG,
        FormSection.ARRIVAL,
        "Remove the agent with its caller",
        "The agent is removed when its participant has left the room and not come back for a moment.",
        default=True,
    ),
    *QUEUE_COLUMNS,
    RuleColumn(
        "objective_percent",
        ColumnKind.NUMBER,
        FormSection.OBJECTIVE,
        "Percent of the callers",
        "This share of the callers should have their agent within `objective_s` seconds; give both or neither.",
        default=None,
        least=1,
        below=100,
    ),
    RuleColumn(
        "objective_s",
        ColumnKind.NUMBER,
        FormSection.OBJECTIVE,
        "Within (seconds)",
        "The objective is measured and reported; it does not change how calls are handled.",
        default=None,
        least=0.1,
        most=3600,
        unit="seconds",
    ),
)
"""In the order of forms, exports and history; the table's own order does not matter."""

COLUMN: Final[Mapping[str, RuleColumn]] = MappingProxyType({column.name: column for column in RULE_COLUMNS})

RECORDED_COLUMNS: Final = ("id", *COLUMN)
"""What `rule_changes.before` and `after` record of a rule."""

OBJECTIVE_CHECK: Final = (
    "(objective_percent IS NULL AND objective_s IS NULL)"
    " OR (objective_percent IS NOT NULL AND objective_s IS NOT NULL"
    f" AND objective_percent >= {COLUMN['objective_percent'].least}"
    f" AND objective_percent < {COLUMN['objective_percent'].below}"
    f" AND objective_s >= {COLUMN['objective_s'].least} AND objective_s <= {COLUMN['objective_s'].most})"
)
"""The SQL condition that both columns of an objective are given, or neither."""
