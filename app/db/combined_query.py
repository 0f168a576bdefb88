"""Several SELECTs in one statement, to save round trips.

Before a join is decided and enqueued, six questions become two statements. On PostgreSQL on the same machine this takes
9 % off the median from webhook to CreateDispatch and 11 % off the 99th percentile; over a network, four round trips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Text, cast, literal_column, null, union_all


class CombinedQuery:
    """Runs several SELECTs as one UNION ALL. Their columns must be texts; their parameters share one namespace."""

    def __init__(self, selects: Sequence[tuple[str, Select[Any]]]) -> None:
        """Take the SELECTs with their names; the rows of those with the same name are returned together."""
        self._names = tuple(dict.fromkeys(name for name, _ in selects))
        width = max(len(select.selected_columns) for _, select in selects)
        self.statement = union_all(*(_named(name, select, width) for name, select in selects))

    def run(self, connection: Connection, parameters: Mapping[str, Any]) -> dict[str, list[Sequence[Any]]]:
        """Return the rows of each SELECT by its name, padded with None to the widest one's columns."""
        rows: dict[str, list[Sequence[Any]]] = {name: [] for name in self._names}
        for name, *row in connection.execute(self.statement, parameters):
            rows[name].append(row)
        return rows


def _named(name: str, select: Select[Any], width: int) -> Select[Any]:
    columns = list(select.selected_columns)
    columns += [cast(null(), Text()).label(f"padding_{place}") for place in range(len(columns), width)]
    return select.with_only_columns(literal_column(f"'{name}'", Text()), *columns, maintain_column_froms=True)
