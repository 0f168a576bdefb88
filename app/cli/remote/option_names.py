"""Errors about the fields of a request, named by the options and arguments of the command that was typed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, get_args

from typer.models import ArgumentInfo, OptionInfo

from app.errors import InvalidInputError, Problem

_OF_REQUESTS: Final = ("body", "query")
_FIELD: Final = re.compile(r"([a-z_]+)(?:\[\d+\])?")
_PARAMETERS: Final[Mapping[str, str]] = {
    "agent_name": "agent",
    "before_version": "before",
    "days": "expires",
    "expires_at": "expires",
    "hours": "since",
    "of": "reference",
    "out_of_service_until": "until",
    "paused_until": "until",
    "projects": "project",
    "substitute_agent_name": "substitute",
    "timeout_s": "timeout",
    "to_version": "version",
    "until_at": "until",
}
"""Parameters of commands by the fields that they become, where the two have different names."""


def in_words_of(command: Callable[..., Any], error: InvalidInputError) -> InvalidInputError:
    """Return the error with the options and arguments of a command in place of the fields that they become."""
    known = _names(command)
    problems = [_renamed(problem, known) for problem in error.problems]
    return InvalidInputError("usage" if error.what in _OF_REQUESTS else error.what, problems)


def _renamed(problem: Problem, known: Mapping[str, str]) -> Problem:
    field = _FIELD.fullmatch(problem.path)
    if field is None:
        return problem
    name = known.get(field[1]) or known.get(_PARAMETERS.get(field[1], ""))
    return problem if name is None else replace(problem, path=name)


def _names(command: Callable[..., Any]) -> dict[str, str]:
    """Return the options and arguments of a command as typed, by the names of their parameters and options."""
    names: dict[str, str] = {}
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        key = name.removesuffix("_")
        for info in get_args(parameter.annotation)[1:]:
            match info:
                case OptionInfo():
                    # In an annotation, typer keeps the first name that was declared as the default.
                    declared = (info.default, *(info.param_decls or ()))
                    flags = [one for one in declared if isinstance(one, str) and one.startswith("--")]
                    flag = flags[0] if flags else f"--{key.replace('_', '-')}"
                    names |= dict.fromkeys((key, flag.removeprefix("--").replace("-", "_")), flag)
                case ArgumentInfo():
                    names[key] = (info.metavar or name.upper()).strip("[].")
                case _:
                    pass
    return names
