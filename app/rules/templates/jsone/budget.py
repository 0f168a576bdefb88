"""The budget of one rendering, and how its errors get their path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from app.errors import InvalidInputError, Problem, nearest
from app.translation import translatable

MOST_STEPS: Final = 20_000
"""Steps of one rendering. An ordinary template takes 20 to 200; this many take about 10 ms (measured)."""

CHARACTERS_PER_STEP: Final = 64
ITEMS_PER_STEP: Final = 8
"""What native code copies at the cost of one step. With MOST_STEPS this also bounds memory: 1.3 MB of text."""

BYTES_PER_STEP: Final = 8
"""What measuring and writing JSON does at the cost of one step."""

DEEPEST: Final = 100
"""Levels of nesting in templates, expressions and results; far below Python's own limit on recursion."""

_LARGEST_BITS: Final = 1023


class TemplateError(InvalidInputError):
    """A template cannot be rendered; `path` is where in the rule, `reason` why."""

    def __init__(self, problems: list[Problem]) -> None:
        self.path = problems[0].path
        self.reason = problems[0].message
        super().__init__("this template cannot be rendered", problems)


class Mistake(Exception):  # noqa: N818 - becomes a Problem or a TemplateError, which knows the place
    """An error in a template, raised by code that does not know its path."""

    def __init__(self, message: str, name: str | None = None, among: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = nearest(name, among) if name is not None else None


class TooCostlyError(Mistake):
    """The rendering must end here: its budget is used up."""


class Unknown:
    """A value that only a real event has; stands for any value while a template is checked."""

    def __repr__(self) -> str:
        return "a value known only in a real event"


class Deleted:
    """What a template leaves out: the missing branch of an `$if`."""


UNKNOWN: Final = Unknown()
DELETED: Final = Deleted()


class PartialObject(dict[str, Any]):
    """An object of a sample document that real events may have more properties in."""


class Run:
    """One rendering: the steps that are left and, while checking, all problems found so far."""

    __slots__ = ("problems", "steps")

    def __init__(self, steps: int = MOST_STEPS, problems: list[Problem] | None = None) -> None:
        self.steps = steps
        self.problems = problems

    def spend(self, steps: int) -> None:
        """Take `steps` off the budget; TooCostlyError when it is used up."""
        self.steps -= steps
        if self.steps < 0:
            raise TooCostlyError(translatable("takes more than %(most)s steps", most=MOST_STEPS))

    def spend_text(self, characters: int) -> None:
        self.spend(1 + characters // CHARACTERS_PER_STEP)

    def spend_items(self, items: int) -> None:
        self.spend(1 + items // ITEMS_PER_STEP)

    def report(self, path: str, mistake: Mistake, found: Any) -> Unknown:
        """Raise the mistake with its place or, while checking, note it and go on with an unknown value."""
        problem = Problem(path, mistake.message, found=found, suggestion=mistake.suggestion)
        if self.problems is None:
            raise TemplateError([problem]) from mistake
        self.problems.append(problem)
        if isinstance(mistake, TooCostlyError):
            raise TemplateError(self.problems) from mistake
        return UNKNOWN


Scope = dict[str, Any]
"""The names an expression may use; copied, never changed, where a template binds more."""

Node = Callable[[Scope, Run], Any]
"""A compiled piece of template."""


def with_path(path: str, node: Node, found: Any) -> Node:
    """Return `node` with `path` added to its errors."""

    def at_path(scope: Scope, run: Run) -> Any:
        try:
            return node(scope, run)
        except Mistake as mistake:
            return run.report(path, mistake, found)

    return at_path


def copy_scope(scope: Scope, run: Run) -> Scope:
    run.spend_items(len(scope))
    return scope.copy()


def is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float


def within_bounds(number: float) -> int | float:
    """Return the result of arithmetic if JSON can hold it and later arithmetic stays cheap."""
    if type(number) is int:
        if number.bit_length() > _LARGEST_BITS:
            raise Mistake(translatable("a number became larger than 2**1023"))
        return number
    if number != number or number in {float("inf"), float("-inf")}:  # noqa: PLR0124 - only NaN differs from itself
        raise Mistake(translatable("a number became infinite or undefined"))
    return number


def whole_if_exact(number: float) -> int | float:
    """Return 5 for 5.0, while a float still holds whole numbers exactly."""
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def kind_of(value: Any) -> str:
    """Return JSON's name for the type of `value`."""
    return _KINDS.get(type(value)) or next(
        (name for kind, name in _KINDS.items() if isinstance(value, kind)), "function"
    )


_KINDS: Final[dict[type, str]] = {
    type(None): "null",
    bool: "boolean",
    str: "string",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
}


def text_of(value: Any) -> str:
    """Return how a scalar reads inside a text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def are_equal(left: Any, right: Any, run: Run, depth: int = 0) -> bool:
    """Compare as JSON does; shared parts cannot make it cost more than the budget."""
    run.spend(1)
    if depth > DEEPEST:
        raise TooCostlyError(translatable("nests deeper than %(most)s levels", most=DEEPEST))
    if left is right:
        return True
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            are_equal(value, right[key], run, depth + 1) for key, value in left.items()
        )
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(
            are_equal(one, other, run, depth + 1) for one, other in zip(left, right, strict=True)
        )
    if isinstance(left, str) and isinstance(right, str):
        run.spend_text(min(len(left), len(right)))
        return left == right
    return kind_of(left) == kind_of(right) and bool(left == right)


def measure(value: Any, limit: int) -> int:
    """Return the least number of bytes that `value` has as JSON.

    Raises Mistake when that exceeds `limit`, when something in it is not JSON, or when it nests too deeply. Stops as
    soon as that is certain, so a small structure that repeats a large one many times is safe to measure.
    """
    try:
        return _measure(value, limit, 0)
    except _TooLargeError:
        raise TooCostlyError(translatable("the result is larger than %(most)s bytes", most=limit)) from None


class _TooLargeError(Exception):
    pass


def _measure(value: Any, limit: int, depth: int) -> int:
    if depth > DEEPEST:
        raise TooCostlyError(translatable("nests deeper than %(most)s levels", most=DEEPEST))
    if isinstance(value, str):
        size = len(value) + 2
    elif isinstance(value, dict):
        size = 2
        for key, item in value.items():
            size += len(key) + 3 + _measure(item, limit - size, depth + 1)
    elif isinstance(value, list):
        size = 2
        for item in value:
            size += 1 + _measure(item, limit - size, depth + 1)
    elif value is UNKNOWN or value is None or isinstance(value, bool | int):
        size = 1
    elif isinstance(value, float):
        within_bounds(value)
        size = 1
    else:
        raise Mistake(translatable("a function is used as a value; call it with ( )"))
    # Separators are counted once too often.
    if size > limit + 2:
        raise _TooLargeError
    return size
