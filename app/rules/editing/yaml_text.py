"""Reads the YAML of rules files: JSON's values only, and nothing that two YAML readers understand differently.

Read with YAML 1.2's core schema. What YAML 1.1 readers take for something else (`no`, `09:30`, `+34600111222`,
`2026-11-22`) is refused with a hint to put it in quotes, and always written in quotes. Values are built from the
parser's events with an explicit stack, so neither depth nor aliases of a hostile file exhaust memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml.resolver import Resolver

from app.errors import Problem, join_path
from app.translation import translatable

MOST_VALUES: Final = 1_000_000
"""Values in one file, those that aliases repeat counted each time."""

_DEEPEST: Final = 100
_DEPTH_OF_LINES: Final = 3  # rules, rules[0], rules[0].pattern
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,299})")
_FLOAT: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORDS: Final[Mapping[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_OLD_WORDS: Final = {"yes": True, "on": True, "no": False, "off": False}
_OCTAL: Final = re.compile(r"[-+]?0o[0-7]+")
_resolver: Final[Any] = Resolver()


@dataclass
class ParsedText:
    """What a text holds, the problems of reading it, and on which line each path of up to three steps begins."""

    value: Any = None
    problems: list[Problem] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)


@dataclass
class _Open:
    """A list or object that is not complete yet."""

    container: Any
    path: str
    anchor: str | None
    size_before: int
    key: str | None = None
    awaits_key: bool = False


class _StopError(Exception):
    """Reading cannot continue; the problem is recorded."""


def parse_yaml(text: str) -> ParsedText:
    """Return the JSON value in a YAML text of one document, with all problems found."""
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reasons = ", ".join(reason for reason in (error.context, error.problem) if reason)
        message = translatable("is not YAML: %(reasons)s", reasons=reasons)
        if mark:
            message = translatable(
                "line %(line)s, column %(column)s: is not YAML: %(reasons)s",
                line=mark.line + 1,
                column=mark.column + 1,
                reasons=reasons,
            )
        reader.parsed.problems.append(Problem("", message))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        reader.parsed.problems.append(
            Problem("", translatable("line %(line)s: has a character that YAML does not allow", line=line))
        )
    except _StopError:
        pass
    return reader.parsed


class _Reader:
    def __init__(self) -> None:
        self.parsed = ParsedText()
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._size = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop("", translatable("holds more than one YAML document"), event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end()
        elif isinstance(event, yaml.NodeEvent):
            self._node(event)

    def _node(self, event: Any) -> None:
        if self._open and self._open[-1].awaits_key:
            self._key(event)
            return
        path = self._path()
        line = event.start_mark.line + 1
        if len(self._open) <= _DEPTH_OF_LINES:
            self.parsed.lines.setdefault(path, line)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                self._stop(
                    path,
                    translatable("*%(anchor)s refers to nothing that is complete before it", anchor=event.anchor),
                    event,
                )
            value, size = self._anchors[str(event.anchor)]
            self._grow(size, path, event)
            self._place(value)
            return
        self._grow(1, path, event)
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, path)
            if event.anchor:
                self._anchors[str(event.anchor)] = (value, 1)
            self._place(value)
            return
        if event.tag not in {None, "!", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"}:
            self._note(path, translatable("has the tag %(tag)s, which rules files may not use", tag=event.tag), event)
        if len(self._open) >= _DEEPEST:
            self._stop(path, translatable("nests deeper than %(most)s levels", most=_DEEPEST), event)
        container: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(container, path, event.anchor, self._size, awaits_key=isinstance(container, dict)))

    def _end(self) -> None:
        done = self._open.pop()
        if done.anchor:
            self._anchors[done.anchor] = (done.container, self._size - done.size_before + 1)
        self._place(done.container)

    def _place(self, value: Any) -> None:
        if not self._open:
            self.parsed.value = value
            return
        parent = self._open[-1]
        if parent.key is None:
            parent.container.append(value)
            return
        parent.container.setdefault(parent.key, value)
        parent.key = None
        parent.awaits_key = True

    def _key(self, event: Any) -> None:
        # The C parser says '' where the Python parser says None for a plain style.
        parent = self._open[-1]
        if not isinstance(event, yaml.ScalarEvent):
            self._stop(parent.path, translatable("has a key that is not text"), event)
            return
        key: str = event.value
        path = join_path(parent.path, key)
        if key == "<<" and not event.style:
            self._note(parent.path, translatable("has a merge key (<<), which rules files may not use"), event)
        elif not event.style and not isinstance(self._plain(key), str):
            self._note(
                path,
                translatable("is a key that some readers of YAML take for something else; put it in quotes"),
                event,
                key,
            )
        if key in parent.container:
            self._note(path, translatable("is given twice"), event)
        parent.key, parent.awaits_key = key, False

    def _scalar(self, event: yaml.ScalarEvent, path: str) -> Any:
        text: str = event.value
        if event.tag not in {None, "!", "tag:yaml.org,2002:str"}:
            self._note(path, translatable("has the tag %(tag)s, which rules files may not use", tag=event.tag), event)
            return text
        if event.style or event.tag is not None:
            return text
        value = self._plain(text)
        if isinstance(value, _Doubtful):
            self._note(path, value.message, event, text, value.suggestion)
            return value.meant
        return value

    def _plain(self, text: str) -> Any:
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        if len(text) <= 300 and _FLOAT.fullmatch(text) and abs(number := float(text)) != float("inf"):
            return number
        if text.casefold() in _OLD_WORDS:
            truth = _OLD_WORDS[text.casefold()]
            message = translatable(
                "%(text)s is a text to some readers of YAML and %(truth)s to others; "
                'write %(truth)s, or "%(text)s" for the text',
                text=text,
                truth=str(truth).lower(),
            )
            return _Doubtful(message, truth, None)
        if is_doubtful(text):
            message = translatable(
                "%(text)s is text to some readers of YAML and a number, date or mark to others; put it in quotes",
                text=text[:60],
            )
            return _Doubtful(message, text, f'"{text[:60]}"')
        return text

    def _path(self) -> str:
        if not self._open:
            return ""
        parent = self._open[-1]
        if parent.key is None:
            return f"{parent.path}[{len(parent.container)}]"
        return join_path(parent.path, parent.key)

    def _grow(self, size: int, path: str, event: yaml.NodeEvent) -> None:
        self._size += size
        if self._size > MOST_VALUES:
            self._stop(
                path,
                translatable("the file has more than %(most)s values, counting what aliases repeat", most=MOST_VALUES),
                event,
            )

    def _note(self, path: str, message: str, event: Any, found: Any = None, suggestion: str | None = None) -> None:
        message = translatable("%(message)s (line %(line)s)", message=message, line=event.start_mark.line + 1)
        self.parsed.problems.append(Problem(path, message, found=found, suggestion=suggestion))

    def _stop(self, path: str, message: str, event: yaml.Event) -> None:
        self._note(path[:200], message, event)
        raise _StopError


@dataclass(frozen=True)
class _Doubtful:
    message: str
    meant: Any
    suggestion: str | None


def is_doubtful(text: str) -> bool:
    """Return whether readers of YAML disagree about the plain `text`."""
    if text.casefold() in _OLD_WORDS or _OCTAL.fullmatch(text) or _FLOAT.fullmatch(text):
        return True
    tag = _resolver.resolve(yaml.ScalarNode, text, (True, False))
    return bool(tag != "tag:yaml.org,2002:str")


class _Dumper(_DUMPER):  # type: ignore[misc, valid-type] # the C dumper where libyaml is there
    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> yaml.ScalarNode:
    style = '"' if is_doubtful(text) else "|" if "\n" in text.strip() else None
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


class Block(list[Any]):
    """A list that is written with each item on lines of its own, however short."""


def _represent_list(dumper: Any, items: list[Any]) -> yaml.SequenceNode:
    short = not isinstance(items, Block) and len(json.dumps(items)) <= 72
    node: yaml.SequenceNode = dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=short)
    return node


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(Block, _represent_list)


def write_yaml(value: Any) -> str:
    """Return `value` as YAML that every YAML reader understands in the same way."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1_000_000
    )
    return text
