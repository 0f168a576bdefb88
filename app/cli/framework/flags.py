"""Flags in help texts: typer writes `--json <bool>`, as if they took a value."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption


def hide_flag_types(command: Any) -> None:
    """Show the flags of a command, and of all commands in its group, without a value."""
    for option in command.params:
        if isinstance(option, TyperOption) and option.is_flag:
            option.metavar = ""
    if isinstance(command, TyperCommand | TyperGroup):
        command.get_help_option = _without_type(command.get_help_option)  # type: ignore[method-assign]
    if isinstance(command, TyperGroup):
        for one in command.commands.values():
            hide_flag_types(one)


def _without_type(get_help_option: Any) -> Any:
    def plain_help_option(context: Any) -> Any:
        option = get_help_option(context)
        if option is not None:
            option.metavar = ""
        return option

    return plain_help_option
