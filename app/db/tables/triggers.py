"""The triggers that belong to the tables: they record every edit of what people edit, and keep history append-only.

`metadata.create_all` makes them as well, so that it gives the whole schema. Databases that exist get them from
`migrations/`, where each revision has their text as it was then.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, MetaData, event

from app.db.columns.agent_columns import RECORDED_OF_AGENTS
from app.db.columns.lookup_columns import LOOKUP_COLUMNS
from app.db.columns.written_times import time_triggers
from app.db.rule_columns import RECORDED_COLUMNS
from app.db.tables.agents import agent_changes, agents
from app.db.tables.base import metadata
from app.db.tables.edit_history import EditHistory, append_only_on_sqlite
from app.db.tables.lookups import lookup_changes, lookups
from app.db.tables.rules import routing_rules, rule_changes

_HISTORIES: Final = (
    EditHistory("rule", routing_rules, rule_changes, RECORDED_COLUMNS),
    EditHistory("lookup", lookups, lookup_changes, ("id", *LOOKUP_COLUMNS), stamped_by="usher_stamp_rule"),
    EditHistory(
        "agent",
        agents,
        agent_changes,
        RECORDED_OF_AGENTS,
        stamps=("updated_at", "updated_by"),
        key="agent_name",
        reference="agent_name",
    ),
)
_REFUSE_ON_POSTGRESQL: Final = """CREATE FUNCTION usher_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
    END $$"""
_REFUSE_IN_AUDIT_LOG: Final = """CREATE TRIGGER audit_log_refused BEFORE UPDATE ON audit_log
       FOR EACH ROW EXECUTE FUNCTION usher_refuse_change()"""


def triggers(dialect: str) -> list[str]:
    """Return the statements that create all triggers; those on SQLite name each column that is recorded."""
    recording = [statement for history in _HISTORIES for statement in history.triggers(dialect)]
    if dialect == "postgresql":
        return [_REFUSE_ON_POSTGRESQL, *recording, _REFUSE_IN_AUDIT_LOG]
    return [*recording, append_only_on_sqlite("audit_log", "UPDATE"), *time_triggers()]


@event.listens_for(metadata, "after_create")
def _create_triggers(_metadata: MetaData, connection: Connection, **_: Any) -> None:
    # The driver's cursor: the text is no template, so a percent sign in it is one.
    cursor = connection.connection.cursor()
    for statement in triggers(connection.dialect.name):
        cursor.execute(statement)
    cursor.close()
