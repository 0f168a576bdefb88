"""What a template shows without a translation: words of text nodes and of attributes that people read or hear."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Final

from jinja2 import Environment, nodes

READ_BY_PEOPLE: Final = frozenset({"alt", "aria-label", "data-confirm", "data-label", "label", "placeholder", "title"})
UNTRANSLATED: Final = frozenset({"code", "pre", "script", "style", "bdi"})
"""Elements whose text is the same in every language: code and names."""
NAMES: Final = frozenset({"Usher", "JSON", "YAML", "CSV", "UTC", "API", "Apprise", "HTTP", "URL", "readonly"})
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z’'-]+")
_LOOK_UPS: Final = frozenset({"_", "gettext", "ngettext", "pgettext", "npgettext"})
_SENTENCE: Final = re.compile(r"^[A-Z][a-z]|[a-z] [a-z]")
_ATTRIBUTE: Final = re.compile(r'[a-z-]+="[^"]*"')
_EXAMPLE: Final = re.compile(r"\S+://|\d\d:\d\d|\w+=\w+")
"""Of what is to be typed into a field: an address, times, fields with values."""


def untranslated_texts(environment: Environment, source: str) -> list[str]:
    """Return the texts of a template that are not looked up in a catalogue."""
    page = _Page()
    page.feed("".join(_pieces(environment.parse(source))))
    page.close()
    return page.found


def _pieces(node: nodes.Node) -> Iterator[str]:
    """Yield the HTML of a template in order: of expressions, the texts that stand in them."""
    if isinstance(node, nodes.For | nodes.Assign):
        yield from _sentences(node.iter if isinstance(node, nodes.For) else node.node)
    if isinstance(node, nodes.Macro):
        for default in node.defaults:
            yield from _sentences(default)
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Output):
            for part in child.nodes:
                yield (
                    part.data
                    if isinstance(part, nodes.TemplateData)
                    else "\N{OBJECT REPLACEMENT CHARACTER}".join(["", *_constants(part), ""])
                )
        elif not isinstance(child, nodes.Expr):
            yield from _pieces(child)


def _constants(node: nodes.Expr) -> Iterator[str]:
    """Yield the texts that an expression can have as its value, or as a part of it."""
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, nodes.Call) and not _is_look_up(node):
        for argument in node.args:
            yield from _sentences(argument)
    else:
        for part in _values(node):
            yield from _constants(part)


def _values(node: nodes.Expr) -> list[nodes.Expr]:
    """Return the expressions of which an expression gives one, or all of them."""
    match node:
        case nodes.CondExpr():
            return [node.expr1] if node.expr2 is None else [node.expr1, node.expr2]
        case nodes.BinExpr():
            return [node.left, node.right]
        case nodes.Concat():
            return node.nodes
        case nodes.Getitem(node=nodes.Dict(items=items)):
            return [pair.value for pair in items]
        case nodes.Filter(node=nodes.Expr() as inner):
            return [inner]
        case nodes.Call():
            return [value.value for value in node.kwargs]
        case _:
            return []


def _is_look_up(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in _LOOK_UPS


def _sentences(node: nodes.Node) -> Iterator[str]:
    """Yield what looks like text for people in an argument of a macro, a list or a value that is kept."""
    match node:
        case nodes.Const(value=str(text)) if _SENTENCE.search(text):
            yield f" {text} "
        case _ if not _is_look_up(node):
            for child in node.iter_child_nodes(exclude=("ctx",)):
                if isinstance(child, nodes.Pair):
                    yield from _sentences(child.value)
                elif isinstance(child, nodes.Expr):
                    yield from _sentences(child)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        for name, value in attrs:
            if name in READ_BY_PEOPLE and not _EXAMPLE.search(value or ""):
                self._check(value or "")

    def handle_endtag(self, tag: str) -> None:
        while tag in self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not UNTRANSLATED.intersection(self._open):
            self._check(_ATTRIBUTE.sub("", data))  # a macro may make attributes

    def _check(self, text: str) -> None:
        if any(word not in NAMES for word in _WORD.findall(text)):
            self.found.append(" ".join(text.split()))
