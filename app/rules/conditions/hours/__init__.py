"""When a rule is in force: OpenStreetMap's opening-hours syntax, in one time zone, with public holidays.

Lexer and parsers turn a value into frozen dataclasses (`clauses`, `selectors`); `evaluation` is a pure function of them
and a local date and time; `active_hours` adds the time zone and the caches. What is accepted is on the page
app/rules/CONDITIONS.md.
"""

from __future__ import annotations

from app.rules.conditions.hours.active_hours import LONGEST_EXPRESSION, ActiveHours, check_hours, parse_hours
from app.rules.conditions.hours.public_holidays import check_holidays, known_countries
from app.rules.conditions.timezones import check_timezone

__all__ = [
    "LONGEST_EXPRESSION",
    "ActiveHours",
    "check_holidays",
    "check_hours",
    "check_timezone",
    "known_countries",
    "parse_hours",
]
