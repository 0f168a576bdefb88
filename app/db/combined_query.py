"""Several questions in one statement: what a short one costs is its way to the database and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Text, cast, literal_column, null, union_all


class Together:
    """Questions that are asked with one statement. What they select must be texts; their parameters share one space."""

    def __init__(self, questions: Sequence[tuple[str, Select[Any]]]) -> None:
        """Take the questions by their names; several of the same name are answered as one."""
        self._names = tuple(dict.fromkeys(name for name, _ in questions))
        width = max(len(question.selected_columns) for _, question in questions)
        self._statement = union_all(*(_named(name, question, width) for name, question in questions))

    def ask(self, connection: Connection, parameters: Mapping[str, Any]) -> dict[str, list[Sequence[Any]]]:
        """Return the rows that answer each question, each as wide as the widest."""
        answers: dict[str, list[Sequence[Any]]] = {name: [] for name in self._names}
        for name, *row in connection.execute(self._statement, parameters):
            answers[name].append(row)
        return answers


def _named(name: str, question: Select[Any], width: int) -> Select[Any]:
    columns = list(question.selected_columns)
    columns += [cast(null(), Text()).label(f"nothing_{place}") for place in range(len(columns), width)]
    return question.with_only_columns(literal_column(f"'{name}'", Text()), *columns, maintain_column_froms=True)
