"""What pydantic says is wrong is shown without its own prefixes, wherever it is shown."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from app.cli.remote.server import ServerError, read_as
from app.errors import message_of
from app.json_shape import JsonShape
from app.server.api.framework.endpoint import problems_of

APP = Path(__file__).parents[2] / "app"


def readers(source: str) -> Iterator[int]:
    """Yield the lines that read the message of one of pydantic's errors."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value == "msg":
            yield node.lineno


def test_the_messages_are_read_in_one_place() -> None:
    found = [str(path.relative_to(APP)) for path in sorted(APP.rglob("*.py")) if list(readers(path.read_text()))]
    assert found == ["errors.py"], "use app.errors.message_of"
    assert list(readers("text = detail['msg'].lower()")) == [1]


def _refuse(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("Must be odd, or left out")
    return value


Odd = Annotated[int, AfterValidator(_refuse)]


class Asked(BaseModel):
    count: Odd
    most: Annotated[int, Field(le=3)] = 1


@dataclass(frozen=True, slots=True)
class Answer(JsonShape):
    count: Odd


def test_a_validator_speaks_for_itself() -> None:
    with pytest.raises(ValidationError) as refused:
        Asked(count=2, most=9)
    assert [message_of(detail) for detail in refused.value.errors()] == [
        "Must be odd, or left out",
        "input should be less than or equal to 3",
    ]
    assert next(problem.message for problem in problems_of(refused.value)) == "Must be odd, or left out"
    with pytest.raises(ServerError, match=r"expects \(count: Must be odd, or left out\)"):
        read_as(Answer, {"count": 2})
