"""The steps of an edit: lock the table, refuse an edit of an older version, write in the name of the editor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Table, delete, insert, select, text

from app.db.tables import rule_editor
from app.errors import ConflictError, EditedMeanwhileError
from app.translation import translatable


@contextmanager
def edited_by(
    connection: Connection, name: str, *, change_set: str | None = None, why: str | None = None
) -> Iterator[None]:
    """Have the triggers record what is written in the block as edits of `name`."""
    made = connection.execute(insert(rule_editor).values(name=name, change_set=change_set, why=why))
    if made.inserted_primary_key is None:
        raise ConflictError(translatable("the database gave the editor's row no id"))
    yield  # after an error the caller rolls the transaction back, and this row with it
    connection.execute(delete(rule_editor).where(rule_editor.c.id == made.inserted_primary_key[0]))


def lock_edits(connection: Connection, table: Table) -> None:
    """Wait for edits of `table` under way and keep others from starting, until the transaction ends.

    Call it before the version is read. The lock of the triggers alone would let two edits begin from one version, and
    could deadlock with a transaction that has changed a row and waits for it. On SQLite a writing transaction has the
    database to itself.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))


def refuse_if_edited(connection: Connection, changes: Table, noun: str, version: int, expected: int | None) -> None:
    """Raise EditedMeanwhileError unless the edited row is at version `expected`; None: any.

    `changes` is the history of its table, `noun` is what the message calls the row.
    """
    if expected is None or expected == version:
        return
    query = select(changes.c.changed_by, changes.c.changed_at).where(changes.c.id == version)
    change = connection.execute(query).one_or_none()
    by = ""
    if change is not None:
        time = f"{change.changed_at:%Y-%m-%d %H:%M:%S}"
        by = translatable(" by %(user)s at %(time)s UTC", user=change.changed_by, time=time)
    raise EditedMeanwhileError(
        translatable(
            "the %(noun)s was edited meanwhile%(by)s (it is at version %(version)s, you began from %(expected)s); "
            "nothing was saved",
            noun=noun,
            by=by,
            version=str(version),
            expected=str(expected),
        )
    )
