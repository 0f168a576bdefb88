"""Record text that is not JSON on SQLite apart from a JSON string of the same text.

The triggers recorded both alike. So they took the correction of `hello` into `"hello"` for no change, and a rule whose
metadata was not JSON was read from the history as one that can be used. What was recorded before stays as it is.

No lock on PostgreSQL: nothing changes there.
"""

from __future__ import annotations

import re

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

TABLES = ("lookups", "routing_rules")
VALUE = r"""((?:NEW|OLD)\."\w+")"""
TEXT = re.compile(rf"THEN json\({VALUE}\) ELSE \1 END")
APART = re.compile(rf"THEN json\({VALUE}\) WHEN \1 IS NOT NULL THEN json_object\('\$not_json', \1\) END")


def upgrade() -> None:
    rewrite(TEXT, r"THEN json(\1) WHEN \1 IS NOT NULL THEN json_object('$not_json', \1) END")


def downgrade() -> None:
    rewrite(APART, r"THEN json(\1) ELSE \1 END")


def rewrite(pattern: re.Pattern[str], by: str) -> None:
    """Make the triggers anew with `by` in the place of each match."""
    if op.get_bind().dialect.name != "sqlite":
        return
    cursor = op.get_bind().connection.cursor()  # op.execute takes the `:%f` of SQLite's time for a parameter
    stored = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?"
    for name in (f"{table}_{done}" for table in TABLES for done in ("deleted", "inserted", "updated")):
        [made_by] = cursor.execute(stored, (name,)).fetchone()
        cursor.execute(f"DROP TRIGGER {name}")
        cursor.execute(pattern.sub(by, made_by))
    cursor.close()
