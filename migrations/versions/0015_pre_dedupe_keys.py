"""Write the project into dedupe keys so that it ends with the first slash: `acme/eu` becomes `acme%2Feu`.

Only keys of the last day: LiveKit repeats a webhook for half a minute. A replica of the release before that goes on
meanwhile may store such a repetition again, which brings no second agent. No locks but those of the rows.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_OLD, _NEW = "project", "replace(replace(project, '%', '%25'), '/', '%2F')"
# By way of keys that begin with a slash, which no key does: a key must not meet that of a row which is still to follow.
_MOVE = """
UPDATE events SET dedupe_key = '/' || {to} || substr(dedupe_key, length({of}) + 1)
WHERE id >= :since AND {to} <> {of} AND substr(dedupe_key, 1, length({of}) + 1) = {of} || '/'
"""
_FINISH = "UPDATE events SET dedupe_key = substr(dedupe_key, 2) WHERE id >= :since AND substr(dedupe_key, 1, 1) = '/'"
# As ids begin, which are UUIDv7: with the milliseconds since 1970.
_A_DAY_AGO = {
    "sqlite": "SELECT printf('%012x', (strftime('%s', 'now') - 86400) * 1000)",
    "postgresql": "SELECT lpad(to_hex(CAST(extract(epoch FROM now()) - 86400 AS bigint) * 1000), 12, '0')",
}


def upgrade() -> None:
    _rewrite(_MOVE.format(of=_OLD, to=_NEW))


def downgrade() -> None:
    _rewrite(_MOVE.format(of=_NEW, to=_OLD))


def _rewrite(move: str) -> None:
    connection = op.get_bind()
    digits = str(connection.execute(sa.text(_A_DAY_AGO[connection.dialect.name])).scalar_one())
    for statement in (move, _FINISH):
        connection.execute(sa.text(statement), {"since": f"{digits[:8]}-{digits[8:]}"})
