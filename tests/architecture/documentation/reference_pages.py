"""Writes the pages in `app/docs/reference` that are lists of the code: `make reference` runs it.

What stands between two comments of a page is made of the definitions themselves; `test_reference.py` compares it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import typer
from prometheus_client import Counter, Histogram
from pydantic import SecretStr

from app.cli.main import COMMANDS
from app.metrics import Metrics
from app.server.api.routes import ENDPOINTS
from app.settings.model import Settings

FOLDER: Final = Path(__file__).parents[3] / "app" / "docs" / "reference"

_MADE: Final = re.compile(
    r"(?<=<!-- from here made of the code: make reference -->\n).*?(?=<!-- to here -->)", re.DOTALL
)


def cell(text: str) -> str:
    """Return `text` as it may stand in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def row(*cells: str) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(cells)} |\n"


def table(rows: Iterable[str], *heads: str) -> str:
    """Return a table of rows."""
    return "\n" + row(*heads) + row(*("---" for _ in heads)) + "".join(rows) + "\n"


def settings_page() -> str:
    """Return the table of all settings."""
    rows = (
        row(f"`{field.alias}`", _default(field.default), _allowed(field), cell(field.description or ""))
        for field in Settings.model_fields.values()
        if field.alias
    )
    return table(rows, "variable", "default", "allowed", "meaning")


def _default(value: Any) -> str:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if text in {None, ""} or text == ():
        return ""
    if isinstance(text, bool):
        return f"`{str(text).lower()}`"
    return f"`{text:g}`" if isinstance(text, float) else f"`{text}`"


def _allowed(field: Any) -> str:
    bounds = {name: getattr(one, name) for one in field.metadata for name in ("ge", "gt", "le") if hasattr(one, name)}
    texts = [f"{sign} {bounds[name]:g}" for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤")) if name in bounds]
    if choices := getattr(field.annotation, "__args__", ()):
        texts += [f"`{choice}`" for choice in choices if isinstance(choice, str)]
    return ", ".join(texts)


def metrics_page() -> str:
    """Return the table of all metrics."""
    found = [one for one in vars(Metrics()).values() if hasattr(one, "_labelnames")]
    rows = (
        row(
            f"`{one._name}{'_total' if isinstance(one, Counter) else ''}`",  # noqa: SLF001 - the library has no other place
            "histogram" if isinstance(one, Histogram) else str(one._type),  # noqa: SLF001 - likewise
            ", ".join(f"`{label}`" for label in one._labelnames),  # noqa: SLF001 - likewise
            cell(one._documentation),  # noqa: SLF001 - likewise
        )
        for one in found
    )
    return table(sorted(rows), "series", "type", "labels", "meaning")


def program() -> Any:
    """Return the whole command line; `usher` itself imports the command that it runs only."""
    app = typer.Typer(name="usher")
    for name, entry in COMMANDS.items():
        module, _, attribute = entry.place.partition(":")
        command = getattr(import_module(module), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return typer.main.get_command(app)


def commands(group: Any, names: Sequence[str] = ()) -> Iterator[tuple[Sequence[str], Any]]:
    """Yield the words of each command of a group, and the command."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*names, name))
        else:
            yield (*names, name), command


def commands_page() -> str:
    """Return a section for each command."""
    root = program()
    parts = list[str]()
    for name in root.commands:
        own = [(words, command) for words, command in commands(root) if words[0] == name]
        parts.append(f"\n## usher {name}\n")
        if len(own) > 1:
            parts.append(f"\n{COMMANDS[name].help}\n")
        parts += [_command_text(words, command, nested=len(own) > 1) for words, command in own]
    return "".join(parts) + "\n"


def _command_text(words: Sequence[str], command: Any, *, nested: bool) -> str:
    shown = [one for one in command.params if not getattr(one, "hidden", False) and one.name != "help"]
    arguments = [one for one in shown if not one.opts[0].startswith("-")]
    usage = " ".join(["usher", *words, "[OPTIONS]" if len(arguments) < len(shown) else "", *map(_argument, arguments)])
    lines = [f"\n### usher {' '.join(words)}\n" if nested else ""]
    lines.append(f"\n```text\n{' '.join(usage.split())}\n```\n\n{_prose(command.help)}\n")
    if shown:
        lines.append("\n| argument or option | meaning |\n|---|---|\n")
        lines += [row(_parameter(one), _meaning(one)) for one in shown]
    return "".join(lines)


def _prose(help_text: str | None) -> str:
    paragraphs = re.split(r"\n\s*\n", (help_text or "").replace("\b", "").strip())
    return "\n\n".join(re.sub(r"(?<!`)<([^>`]+)>", r"`<\1>`", " ".join(part.split())) for part in paragraphs)


def _argument(one: Any) -> str:
    name = (one.metavar or one.name).upper().strip("{}[].") + ("..." if one.nargs == -1 else "")
    return name if one.required else f"[{name}]"


def _parameter(one: Any) -> str:
    if not one.opts[0].startswith("-"):
        return f"`{_argument(one)}`"
    flags = [*one.opts, *one.secondary_opts]
    return ", ".join(f"`{flag}`" for flag in flags)


def _meaning(one: Any) -> str:
    text = cell(one.help or "")
    kind = getattr(one, "type", None) or getattr(one, "param_type", None)
    if choices := getattr(kind, "choices", None):
        text += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
    first = text.partition(" ")[0]
    if "_" not in first and not first.endswith((":", ",")):  # a value of the option, to be typed as it is
        text = text[:1].upper() + text[1:]
    if one.required:
        return f"{text}{'' if text.endswith('.') or not text else '.'} Required."
    default = one.default
    has_default = default not in (None, "", False, True) and not callable(default) and "default" not in text
    return f"{text}{'' if text.endswith('.') or not text else '.'} Default: `{default}`." if has_default else text


def permissions_page() -> str:
    """Return the table of all endpoints."""
    rows = (
        row(
            f"`{one.method} {one.path}`",
            "any" if one.role is None else f"`{one.role}`",
            "yes" if one.by_project else "",
            cell(one.summary),
        )
        for one in ENDPOINTS
    )
    return table(rows, "endpoint", "role", "by project", "what it does")


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "settings": settings_page,
    "metrics": metrics_page,
    "commands": commands_page,
    "permissions": permissions_page,
}


def page_with(name: str) -> str:
    """Return the text of a page with what is made of the code."""
    text = (FOLDER / name).with_suffix(".md").read_text("utf-8")
    made = PAGES[name]()
    return _MADE.sub(lambda _: made, text)


if __name__ == "__main__":
    for each in PAGES:
        (FOLDER / each).with_suffix(".md").write_text(page_with(each), "utf-8")
