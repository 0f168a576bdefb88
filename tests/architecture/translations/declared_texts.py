"""Texts of the console that stand beside what they describe: columns of rules, names of states, choices of forms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final

from app.accounts.roles import Role
from app.audit import FILTER_FIELDS, TIME_FIELDS, CallDirection, CallState
from app.db.column_definition import FormSection
from app.db.rule_columns import RULE_COLUMNS
from app.db.types import AccessKind, DeliveryStatus, DispatchStatus, IncidentKind
from app.incidents.wording import REMEDIES
from app.livekit.failures.trouble import TroubleKind
from app.rules.conditions.hours.weekly_hours import DAYS
from app.rules.rows.operator import GROUPS, MEANINGS
from app.server.console.agent_pages.agent_form import PAUSES
from app.server.console.call_filters import LABELS, OUTCOMES, RANGES
from app.server.console.figures.time_windows import WINDOWS
from app.server.console.incident_pages.incidents import MUTES
from app.server.console.navigation import NAVIGATION
from app.server.console.notices import NOTICES
from app.server.console.rule_pages.editor.starting_points import STARTING_POINTS
from app.server.console.rule_pages.editor.suggestions import USUAL_FIELDS
from app.server.console.rule_pages.lookup_form import FIELDS as LOOKUP_FIELDS
from app.server.console.rule_pages.rule_form import FOLDED, HINTS
from app.server.console.simulate import WINDOWS as SIMULATED_WINDOWS
from app.server.documentation.links import CONSOLE_HELP
from app.server.formatting import state_name

SHOWN_BY_NAME: tuple[type[StrEnum], ...] = (
    Role,
    AccessKind,
    CallDirection,
    CallState,
    DeliveryStatus,
    DispatchStatus,
    IncidentKind,
)
"""States and kinds whose names are shown."""


_CONSOLE: Final = "app/server/console"
TABLES: Final[Mapping[str, Iterable[str]]] = {
    f"{_CONSOLE}/agent_pages/agent_form.py": [text for _, text in PAUSES],
    f"{_CONSOLE}/call_filters.py": [
        *RANGES.values(),
        *(text.lower() for text in RANGES.values()),
        *OUTCOMES.values(),
        *(LABELS.get(name, name) for name in (*FILTER_FIELDS[1:], *TIME_FIELDS)),
    ],
    f"{_CONSOLE}/figures/time_windows.py": WINDOWS.values(),
    f"{_CONSOLE}/incident_pages/incidents.py": MUTES.values(),
    f"{_CONSOLE}/navigation.py": [title for _, _, title, _ in NAVIGATION],
    f"{_CONSOLE}/notices.py": NOTICES.values(),
    f"{_CONSOLE}/rule_pages/editor/suggestions.py": USUAL_FIELDS.values(),
    f"{_CONSOLE}/rule_pages/rule_form.py": [*HINTS.values(), *(heading for heading, _ in FOLDED)],
    f"{_CONSOLE}/simulate.py": SIMULATED_WINDOWS.values(),
    "app/incidents/wording.py": REMEDIES.values(),
    "app/livekit/failures/trouble.py": [kind.remedy for kind in TroubleKind],
    "app/rules/conditions/hours/weekly_hours.py": DAYS,
    "app/rules/rows/operator.py": [*(one.label for one in MEANINGS.values()), *(title for title, _ in GROUPS)],
    "app/server/documentation/links.py": [title for _, title in CONSOLE_HELP.values()],
}


def declared_texts() -> Iterator[tuple[str, str]]:
    """Yield each text with the module in which it stands."""
    for column in RULE_COLUMNS:
        for text in (column.label, column.help, *(label for _, label in column.options)):
            yield "app/db/rule_columns.py", text
    for section in FormSection:
        yield "app/db/column_definition.py", section.value
    for kinds in SHOWN_BY_NAME:
        for kind in kinds:
            yield f"{kinds.__module__.replace('.', '/')}.py", state_name(kind)
    for place, texts in TABLES.items():
        for text in texts:
            yield place, text
    for start in STARTING_POINTS:
        for text in (start.title, start.text, start.title_in_sentence):
            yield "app/server/console/rule_pages/editor/starting_points.py", text
    for field in LOOKUP_FIELDS:
        yield "app/server/console/rule_pages/lookup_form.py", field.label
        yield "app/server/console/rule_pages/lookup_form.py", field.help
