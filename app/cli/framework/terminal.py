"""What all commands print with: tables that fit the terminal, JSON, errors on standard error."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from app.errors import InvalidInputError, Problem


def complain(*lines: str) -> None:
    """Print an error on standard error."""
    sys.stderr.write(printable("usher: " + "\n".join(lines) + "\n"))


def note(*lines: str) -> None:
    """Print what is not part of the result, on standard error."""
    sys.stderr.write(printable("".join(f"{line}\n" for line in lines)))


def say(*lines: str) -> None:
    """Print plain lines."""
    sys.stdout.write(printable("".join(f"{line}\n" for line in lines)))


def say_json(document: Any) -> None:
    """Print a JSON document."""
    is_ascii = not _is_unicode(sys.stdout)
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=is_ascii, default=str) + "\n")


def show(*renderables: RenderableType) -> None:
    """Print tables and text as wide as the terminal."""
    console = Console(highlight=False, soft_wrap=False)
    for renderable in renderables:
        console.print(renderable)


def require_consent(question: str) -> None:
    """Ask; end the command unless the answer is yes. InvalidInputError that names --yes where nobody can answer."""
    try:
        is_wanted = typer.confirm(question, err=True)
    except typer.Abort as error:
        note("")  # ends the line of the question
        if sys.stdin.isatty():  # Ctrl+C
            raise typer.Exit(1) from error
        raise InvalidInputError("usage", [Problem("--yes", "is needed: there is no terminal to ask on")]) from error
    if not is_wanted:
        raise typer.Exit(1)


def printable(text: str) -> str:
    """Return `text` without control characters: callers choose their names."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def plain(value: object, style: str = "") -> Text:
    """Return `value` as text that is shown as it is, markup and control characters too."""
    return Text(printable("" if value is None else str(value)), style=style)


def stacked(*parts: object) -> Text:
    """Return one cell of several lines; all but the first are dimmed."""
    first, *others = (part if isinstance(part, Text) else plain(part) for part in parts)
    for other in others:
        if other.plain:
            other.stylize("dim")
            first = first.append("\n").append_text(other)
    return first


def table(*columns: str, narrow: Sequence[str] = ()) -> Table:
    """Return an empty table; `narrow` columns are never folded."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        made.add_column(column, no_wrap=column in narrow, overflow="fold")
    return made


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes the progress; it is shown only on a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)


def write_lines(lines: Iterable[str], path: str | None, report: Callable[[int], None] | None = None) -> int:
    """Write `lines` to a file, or to standard output when `path` is None or `-`; return how many.

    A file is written under another name and renamed, so that it is never seen half-written. Raises InvalidInputError
    for a path that cannot be written.
    """
    if path is None or path == "-":
        return _write(lines, sys.stdout, report)
    place = Path(path)
    is_device = place.exists() and not place.is_file()
    beside = place if is_device else place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            count = _write(lines, file, report)
        if not is_device:
            beside.replace(place)
    except OSError as error:
        problem = Problem("--output", f"{path} cannot be written: {error.strerror or error}")
        raise InvalidInputError("usage", [problem]) from error
    finally:
        if not is_device:
            beside.unlink(missing_ok=True)
    return count


def _write(lines: Iterable[str], file: TextIO, report: Callable[[int], None] | None) -> int:
    count = 0
    for line in lines:
        file.write(line)
        count += 1
        if report is not None and count % 100 == 0:
            report(count)
    return count


def open_streams() -> None:
    """Give the process the standard streams that it was started without (`>&-`), and all of them any characters."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for the whole process
        elif mode == "w" and isinstance(stream, io.TextIOWrapper) and not _is_unicode(stream):
            stream.reconfigure(errors="replace")


def _is_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").lower().replace("-", "").startswith("utf")


@contextmanager
def quiet_pipe() -> Iterator[None]:
    """End quietly when the reader of the output closes it (`| head`), and with one line where the disk is full."""
    try:
        yield
    except BrokenPipeError:
        _drop_output()
        sys.exit(1)
    except OSError as error:
        _end_if_full(error)
        raise
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _drop_output()
        except OSError as error:
            _end_if_full(error)
            raise
        except ValueError:  # closed already
            pass


def _end_if_full(error: OSError) -> None:
    if error.errno == errno.ENOSPC:
        _drop_output()
        complain(f"the output cannot be written: {error.strerror}")
        sys.exit(2)


def _drop_output() -> None:
    # What is still buffered would be written, and fail, while the interpreter ends.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
