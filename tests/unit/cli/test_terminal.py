"""Printing: nothing from outside steers the terminal, tables fit, files are whole or not there."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from app.cli.framework.terminal import (
    complain,
    note,
    plain,
    printable,
    progress,
    say,
    say_json,
    stacked,
    table,
    write_lines,
)
from app.errors import InvalidInputError

HOSTILE = "ana\x1b[2J\x07\x9b31m\u202egnp.exe\r[bold]x[/]"


def _rendered(renderable: object, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_control_characters_of_names_are_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    complain(HOSTILE)
    note(HOSTILE)
    say(HOSTILE)
    printed = capsys.readouterr()
    for text in (printed.out, printed.err, _rendered(plain(HOSTILE)), _rendered(stacked("x", HOSTILE))):
        assert not set("\x1b\x07\x9b\u202e\r") & set(text)
        # Markup is shown as it is
        assert "[bold]x[/]" in text.replace("\n", "")


def test_printable_text_is_left_as_it_is() -> None:
    assert printable("señor 日本 ✓ a\nb") == "señor 日本 ✓ a\nb"


def test_json_is_one_document_in_readable_utf8(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"name": "señor", "list": [1, None, True]})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"name": "señor", "list": [1, None, True]}
    assert "señor" in printed


@pytest.mark.parametrize("width", [40, 80, 200])
def test_tables_fit_and_ids_stay_whole(width: int) -> None:
    rows = table("id", "who", "what", narrow=("id",))
    identity = "01a204d9-e306-7582-8461-cb6a5454aa4b"
    rows.add_row(identity, plain("sip_+34600111222" * 10), stacked("agent", "a reason of some length" * 3))
    lines = _rendered(rows, width).splitlines()
    assert max(len(line) for line in lines) <= width
    assert identity in lines[1]


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    place = tmp_path / "export.csv"
    place.write_text("old")
    seen: list[int] = []
    assert write_lines((f"{number}\n" for number in range(250)), str(place), seen.append) == 250
    assert place.read_text().splitlines() == [str(number) for number in range(250)]
    assert seen == [100, 200]


def test_a_file_whose_writing_fails_is_left_as_it_was(tmp_path: Path) -> None:
    place = tmp_path / "export.csv"
    place.write_text("old")

    def lines() -> Iterator[str]:
        yield "new\n"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_lines(lines(), str(place))
    assert place.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["export.csv"]


@pytest.mark.parametrize("path", ["missing/export.csv", "."])
def test_a_path_that_cannot_be_written_is_reported_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError) as refused:
        write_lines(["x"], path)
    assert refused.value.problems[0].path == "--output"
    assert path in refused.value.problems[0].message


def test_progress_says_nothing_to_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("events", 10) as report:
        report(5)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")
