"""Reads and writes rules files, in YAML or JSON; reading an exported file changes nothing.

    rules:
    - name: spanish support
      pattern: {participant: {metadata: {language: [es]}}}
      agent_name: support-es

Keys are the columns of `routing_rules`; what is left out has the database's default. Rules are identified by name. The
keys `lookups` and `agents` beside `rules` hold those tables in the same way; they may be left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from app.errors import InvalidInputError, Problem, join_path, nearest
from app.rules.columns import matching_order
from app.rules.editing.file_tables import AGENTS, FILE_TABLES, LOOKUPS, RULES, FileTable
from app.rules.editing.yaml_text import Block, ParsedText, parse_yaml, write_yaml
from app.strict_json import JsonError, parse_json
from app.translation import translatable

Format = Literal["yaml", "json"]

LARGEST_YAML: Final = 16 * 1024 * 1024
LARGEST_JSON: Final = 128 * 1024 * 1024
"""Bytes. JSON is read about twenty times as fast, so it may be larger: 100,000 rules have about 50 MB."""

MOST_PROBLEMS: Final = 1000


@dataclass(frozen=True, slots=True)
class RulesFile:
    """The rows of a file in its order, each with every writable column, defaults filled in.

    `lookups` and `agents` are None if the file does not have the key: such a file says nothing about them.
    """

    rules: tuple[dict[str, Any], ...]
    lookups: tuple[dict[str, Any], ...] | None = None
    agents: tuple[dict[str, Any], ...] | None = None

    @property
    def tables(self) -> dict[str, tuple[dict[str, Any], ...] | None]:
        """Lookups and agents by their key."""
        return {LOOKUPS.key: self.lookups, AGENTS.key: self.agents}

    def to_text(self, format_: Format = "yaml") -> str:
        """Return the file as `export_rules` writes it."""
        return export_rules(self.rules, format_, lookups=self.lookups or (), agents=self.agents or ())


def read_rules_file(source: Path | str, *, format_: Format | None = None) -> RulesFile:
    """Return what stands in a file (a `Path`) or in a text.

    Raises InvalidInputError with every problem of every row; paths begin with its place, such as `rules[n]`. The file's
    suffix decides between JSON and YAML, else the first character.
    """
    what, text, format_ = _load(source, format_)
    parsed = _parse_json(text) if format_ == "json" else parse_yaml(text)
    problems = list(parsed.problems)
    found = _entries(parsed, problems)
    for table, entries in found.items():
        for place, entry in enumerate(entries):
            problems += _row_problems(table, f"{table.key}[{place}]", entry, parsed.lines)
            if len(problems) > MOST_PROBLEMS:
                break
        problems += _repeated_names(table, entries, parsed.lines)
    if problems:
        raise InvalidInputError(what, _once(problems)[:MOST_PROBLEMS])
    rows = {table.key: tuple(table.complete(entry) for entry in entries) for table, entries in found.items()}
    return RulesFile(rows[RULES.key], rows.get(LOOKUPS.key), rows.get(AGENTS.key))


def export_rules(
    rows: Iterable[Mapping[str, Any]],
    format_: Format = "yaml",
    *,
    lookups: Iterable[Mapping[str, Any]] = (),
    agents: Iterable[Mapping[str, Any]] = (),
) -> str:
    """Return rules as the text of a rules file, in matching order, without what equals a default.

    Lookups and agents follow by name, each under a key that is left out without rows. The text depends on nothing but
    the rows: exporting twice gives the same bytes.
    """
    document = {RULES.key: [RULES.without_defaults(row) for row in sorted(rows, key=matching_order)]}
    for table, others in ((LOOKUPS, lookups), (AGENTS, agents)):
        if ordered := sorted(others, key=lambda row: str(row[table.name])):
            document[table.key] = [table.without_defaults(row) for row in ordered]
    if format_ == "json":
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return "".join(_yaml_of(key, entries) for key, entries in document.items())


def _yaml_of(key: str, entries: list[dict[str, Any]]) -> str:
    if not entries:
        return f"{key}: []\n"
    return f"{key}:\n" + "\n".join(write_yaml(Block([entry])) for entry in entries)


def _load(source: Path | str, format_: Format | None) -> tuple[str, str, Format]:
    if isinstance(source, Path):
        what = str(source)
        if format_ is None and source.suffix.casefold() in {".json", ".yaml", ".yml"}:
            format_ = "json" if source.suffix.casefold() == ".json" else "yaml"
        try:
            size = source.stat().st_size
            content = source.read_bytes() if size <= LARGEST_JSON else b""
        except OSError as error:
            raise InvalidInputError(
                what, [Problem("", translatable("cannot be read: %(why)s", why=error.strerror or error))]
            ) from error
    else:
        what, content = "rules", source.encode("utf-8", "surrogatepass")
        size = len(content)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidInputError(what, [Problem("", translatable("line %(line)s: is not UTF-8", line=line))]) from error
    if format_ is None:
        format_ = "json" if text.lstrip()[:1] in {"{", "["} else "yaml"
    largest = LARGEST_JSON if format_ == "json" else LARGEST_YAML
    if size > largest:
        message = translatable(
            "has %(size)s bytes, at most %(most)s are allowed", size=format(size, ","), most=format(largest, ",")
        )
        raise InvalidInputError(what, [Problem("", message)])
    return what, text, format_


class _Repeating(dict[str, Any]):
    """A JSON object in which keys were given twice."""

    repeated: list[str]


def _parse_json(text: str) -> ParsedText:
    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) == len(pairs):
            return built
        repeating = _Repeating(built)
        repeating.repeated = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
        return repeating

    try:
        value = parse_json(text, make_object=build)
    except JsonError as error:
        message = translatable("is not JSON: %(reason)s", reason=error.reason)
        if error.line is not None:
            message = translatable(
                "line %(line)s, column %(column)s: is not JSON: %(reason)s",
                line=error.line,
                column=error.column,
                reason=error.reason,
            )
        return ParsedText(problems=[Problem("", message)])
    return ParsedText(value, list(_repetitions("", value)))


def _repetitions(path: str, value: Any) -> Iterable[Problem]:
    if isinstance(value, dict):
        if isinstance(value, _Repeating):
            yield from (Problem(join_path(path, name), translatable("is given twice")) for name in value.repeated)
        for key, item in value.items():
            yield from _repetitions(join_path(path, key), item)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _repetitions(f"{path}[{place}]", item)


def _entries(parsed: ParsedText, problems: list[Problem]) -> dict[FileTable, list[dict[str, Any]]]:
    """Return the entries under each key of the file, and add what is wrong around them to `problems`."""
    found: dict[FileTable, list[dict[str, Any]]] = {RULES: []}
    value = parsed.value
    if value is None and problems:
        return found
    if not isinstance(value, dict):
        problems.append(Problem("", translatable("must have the key `rules`, with a list of rules")))
        return found
    tables = {table.key: table for table in FILE_TABLES}
    for key in value:
        if key not in tables:
            message = translatable("is not a known key; keys at this level are %(names)s", names=", ".join(tables))
            problems.append(Problem(key, message, found=key, suggestion=nearest(key, tables)))
    if RULES.key not in value:
        problems.append(Problem(RULES.key, translatable("is required: the list of rules")))
    for key, table in tables.items():
        if key in value:
            found[table] = _rows_in(table, value[key], problems)
    return found


def _rows_in(table: FileTable, rows: Any, problems: list[Problem]) -> list[dict[str, Any]]:
    if not isinstance(rows, list):
        problems.append(Problem(table.key, translatable("must be a list; write `%(key)s: []` for none", key=table.key)))
        return []
    columns = ", ".join(table.columns[:3])
    problems += [
        Problem(
            f"{table.key}[{place}]",
            translatable(
                "must be an object with the columns of %(noun)s, such as %(columns)s", noun=table.noun, columns=columns
            ),
        )
        for place, row in enumerate(rows)
        if not isinstance(row, dict)
    ]
    # Keeps the indexes of the file.
    return [row if isinstance(row, dict) else _NO_ROW for row in rows]


_NO_ROW: Final[dict[str, Any]] = {}


def _row_problems(table: FileTable, path: str, entry: dict[str, Any], lines: Mapping[str, int]) -> Iterable[Problem]:
    if entry is _NO_ROW:
        return
    for problem in table.check(entry):
        yield _at_line(problem.below(path), lines)
    for column in table.stamps:
        if column in entry:
            message = translatable(
                "is written by the database; %(key)s are identified by %(name)s", key=table.key, name=table.name
            )
            yield _at_line(Problem(f"{path}.{column}", message, found=entry[column]), lines)


def _at_line(problem: Problem, lines: Mapping[str, int]) -> Problem:
    path = problem.path
    while path and path not in lines:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    if not path:
        return problem
    message = translatable("%(message)s (line %(line)s)", message=problem.message, line=lines[path])
    return Problem(problem.path, message, problem.found, problem.suggestion)


def _repeated_names(table: FileTable, entries: list[dict[str, Any]], lines: Mapping[str, int]) -> Iterable[Problem]:
    first: dict[str, int] = {}
    for place, entry in enumerate(entries):
        name = entry.get(table.name)
        if not isinstance(name, str):
            continue
        if name in first:
            message = translatable(
                "is also the name of %(key)s[%(first)s]; names are unique", key=table.key, first=first[name]
            )
            yield _at_line(Problem(f"{table.key}[{place}].{table.name}", message, found=name), lines)
        first.setdefault(name, place)


def _once(problems: list[Problem]) -> list[Problem]:
    return list({(problem.path, problem.message): problem for problem in problems}.values())
