"""Give the id of a deleted rule or lookup to no other one, on SQLite, as PostgreSQL does.

SQLite gave the highest id again once its row was deleted. The new rule then had the history, the figures and the undo
of the deleted one. An INSERT that names an id still gets it, so that an undo brings a rule back under its own.

Ids that were given again before stay as they are. A process of the release before goes on: to it, ids are numbers.

Locks on PostgreSQL: none, nothing changes. On SQLite the two tables are copied, which is a second for a hundred
thousand rules.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

TABLES = {"routing_rules": "rule", "lookups": "lookup"}
PLAIN = "id INTEGER NOT NULL,"
ONCE = "id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        return
    for table, noun in TABLES.items():
        remake(table, [(PLAIN, ONCE), (f"CONSTRAINT pk_{table} PRIMARY KEY (id),", "")])
        highest = f"SELECT max(id) FROM (SELECT id FROM {table} UNION ALL SELECT {noun}_id FROM {noun}_changes)"
        op.execute(f"DELETE FROM sqlite_sequence WHERE name = '{table}'")
        op.execute(f"INSERT INTO sqlite_sequence (name, seq) SELECT '{table}', coalesce(({highest}), 0)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        return
    for table in TABLES:
        key = f"CONSTRAINT pk_{table} PRIMARY KEY (id), CONSTRAINT uq_{table}_name"
        remake(table, [(ONCE, PLAIN), (f"CONSTRAINT uq_{table}_name", key)])


def remake(table: str, edits: list[tuple[str, str]]) -> None:
    """Copy a table into one whose definition has these edits, with its indexes and triggers."""
    connection = op.get_bind()
    query = sa.text("SELECT type, sql FROM sqlite_master WHERE tbl_name = :table AND sql IS NOT NULL ORDER BY rowid")
    parts = [(kind, sql) for kind, sql in connection.execute(query, {"table": table})]
    (definition,) = (sql for kind, sql in parts if kind == "table")
    columns = ", ".join(f'"{row[1]}"' for row in connection.exec_driver_sql(f"PRAGMA table_info({table})"))
    cursor = connection.connection.cursor()  # op.execute takes the `:%f` of a default for a parameter
    cursor.execute(edited(definition, edits).replace(table, f"{table}_anew", 1))
    cursor.execute(f"INSERT INTO {table}_anew ({columns}) SELECT {columns} FROM {table}")
    cursor.execute(f"DROP TABLE {table}")  # and its triggers and indexes
    cursor.execute(f"ALTER TABLE {table}_anew RENAME TO {table}")
    for kind, sql in parts:
        if kind != "table":
            cursor.execute(sql)
    cursor.close()


def edited(sql: str, edits: list[tuple[str, str]]) -> str:
    for old, new in edits:
        if sql.count(old) != 1:
            raise RuntimeError(f"the table is not as expected: {old!r} in {sql}")
        sql = sql.replace(old, new)
    return sql
