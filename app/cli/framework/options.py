"""Options that several commands share, and how a command takes a group of options."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

T = TypeVar("T")

JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]
ByOption = Annotated[str | None, typer.Option("--by", metavar="NAME", help="name to record (default: yours)")]
WhyOption = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="the reason, which the history shows")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="number of rows at most")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="show what would be done, do nothing")]
FileProjectOption = Annotated[
    str | None,
    typer.Option("--project", help="LiveKit project of a webhook that is read from a file (default: the only one)"),
]
OutputOption = Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="file to write")]


def choosing(declare: Callable[..., T]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace the first parameter of a command by the options of `declare`; it receives what `declare` returns."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        options = inspect.signature(declare, eval_str=True).parameters
        chosen, *own = inspect.signature(command, eval_str=True).parameters.values()

        @functools.wraps(command)
        def run(**given: Any) -> Any:
            built = declare(**{name: given.pop(name) for name in options})
            return command(**{chosen.name: built}, **given)

        keyword_only = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *options.values())]
        run.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in keyword_only}
        return run

    return decorate
