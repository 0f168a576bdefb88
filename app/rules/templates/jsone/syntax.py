"""Parses a JSON-e expression into a tree; the grammar is that of the json-e package, 4.8.

    expression: operand (operator operand)*   by PRECEDENCE; ** groups to the right, all others to the left
    operand:    unit ("." name | "[" expression "]" | "[" expression? ":" expression? "]" | "(" arguments? ")")*
    unit:       ("!" | "-" | "+") unit | number | string | true | false | null | name | list | object
                | "(" expression ")"

Text is read from left to right and only as far as the expression goes, so that `${...}` may stand in any text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from app.rules.templates.jsone.budget import DEEPEST, Mistake
from app.rules.templates.jsone.expression_limits import too_deep, too_long
from app.translation import translatable

PRECEDENCE: Final = {
    "||": 1, "&&": 2, "in": 3, "==": 4, "!=": 4, "<": 5, ">": 5, "<=": 5, ">=": 5, "+": 6, "-": 6, "*": 7, "/": 7,
    "**": 8,
}  # fmt: skip
"""Operators between two operands; a higher number binds tighter."""

_MAX_DIGITS: Final = 300
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<word>[a-zA-Z_][a-zA-Z_0-9]*)|(?P<string>'[^']*'|\"[^\"]*\")"
    r"|(?P<sign>\*\*|[<>=!]=|&&|\|\||[-+*/\[\].(){}:,<>!]))"
)
_KEYWORDS: Final = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Literal:
    value: Any


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Unary:
    sign: str
    operand: Tree


@dataclass(frozen=True, slots=True)
class Binary:
    sign: str
    left: Tree
    right: Tree


@dataclass(frozen=True, slots=True)
class Property:
    owner: Tree
    name: str


@dataclass(frozen=True, slots=True)
class Item:
    owner: Tree
    index: Tree


@dataclass(frozen=True, slots=True)
class Slice:
    owner: Tree
    start: Tree | None
    end: Tree | None


@dataclass(frozen=True, slots=True)
class Call:
    function: Tree
    arguments: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class List:
    items: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Object:
    items: tuple[tuple[str, Tree], ...]


Tree = Literal | Name | Unary | Binary | Property | Item | Slice | Call | List | Object


class Token(NamedTuple):
    """One token; `kind` is its text for signs and keywords, else `number`, `name` or `string`."""

    kind: str
    text: str
    start: int


_END: Final = Token("", "", -1)


def parse_expression(source: str) -> Tree:
    """Return the tree of the expression that is the whole of `source`; Mistake when it is none."""
    parser = _Parser(source, 0, len(source))
    tree = parser.expression(0)
    if parser.token is not _END:
        raise Mistake(translatable("did not expect %(text)s", text=repr(parser.token.text)))
    return tree


def parse_until_brace(source: str, start: int, longest: int) -> tuple[Tree, int]:
    """Return the tree of the expression that begins at `start` and ends before a closing brace, and the brace's place.

    Raises Mistake when that is more than `longest` characters away.
    """
    if len(source) - start > longest and (length := _length_until_brace(source, start)) > longest:
        raise too_long(length, longest)
    parser = _Parser(source, start, min(start + longest, len(source)))
    tree = parser.expression(0)
    if parser.token is _END:
        raise Mistake(translatable("${ has no closing } within %(most)s characters", most=longest))
    if parser.token.kind != "}":
        raise Mistake(translatable("did not expect %(text)s", text=repr(parser.token.text)))
    return tree, parser.token.start


def _length_until_brace(source: str, start: int) -> int:
    """Return how many characters are before the brace that ends the expression; 0 if none ends it."""
    opened, at = 0, start
    while (found := _TOKEN.match(source, at)) is not None:
        at = found.end()
        if found["sign"] == "{":
            opened += 1
        elif found["sign"] == "}":
            if not opened:
                return found.start("sign") - start
            opened -= 1
    return 0


class _Parser:
    """Recursive descent with one token of look-ahead; `token` is the next one to take."""

    def __init__(self, source: str, start: int, end: int) -> None:
        self._source = source
        self._at = start
        self._end = end
        self._depth = 0
        self.token = self._next()

    def expression(self, least: int) -> Tree:
        """Parse operands joined by operators that bind at least as tight as `least`."""
        left = self._operand()
        while (precedence := PRECEDENCE.get(self.token.kind, -1)) >= least:
            sign = self._take().kind
            right = self._nested(precedence if sign == "**" else precedence + 1)
            left = Binary(sign, left, right)
        return left

    def _nested(self, least: int = 0) -> Tree:
        self._depth += 1
        if self._depth > DEEPEST:
            raise too_deep()
        tree = self.expression(least)
        self._depth -= 1
        return tree

    def _operand(self) -> Tree:
        signs = []
        while self.token.kind in {"!", "-", "+"}:
            signs.append(self._take().kind)
            if len(signs) > DEEPEST:
                raise too_deep()
        tree = self._unit()
        if signs and self.token.kind in {".", "[", "("}:
            # JSON-e reads !a.b as (!a).b, which never means anything.
            raise Mistake(
                translatable(
                    "%(signs)s is applied before what follows its operand; put the operand in parentheses",
                    signs=signs[-1],
                )
            )
        while self.token.kind in {".", "[", "("}:
            tree = self._postfix(tree)
        for sign in reversed(signs):
            tree = Unary(sign, tree)
        return tree

    def _postfix(self, owner: Tree) -> Tree:
        match self._take().kind:
            case ".":
                return Property(owner, self._take("name").text)
            case "(":
                return Call(owner, self._sequence(")"))
            case _:
                return self._access(owner)

    def _access(self, owner: Tree) -> Tree:
        start = None if self.token.kind == ":" else self._nested()
        if start is not None and self.token.kind == "]":
            self._take()
            return Item(owner, start)
        self._take(":")
        end = None if self.token.kind == "]" else self._nested()
        self._take("]")
        return Slice(owner, start, end)

    def _unit(self) -> Tree:
        token = self.token
        match token.kind:
            case "number":
                return Literal(_number(self._take().text))
            case "string":
                return Literal(self._take().text[1:-1])
            case "true" | "false" | "null":
                return Literal(_KEYWORDS[self._take().kind])
            case "name":
                return Name(self._take().text)
            case "(":
                self._take()
                tree = self._nested()
                self._take(")")
                return tree
            case "[":
                self._take()
                return List(self._sequence("]"))
            case "{":
                self._take()
                return self._object()
        raise self._unexpected(translatable("a value"))

    def _sequence(self, end: str) -> tuple[Tree, ...]:
        """Parse expressions with commas between them, up to `end`."""
        items: list[Tree] = []
        if self.token.kind != end:
            items.append(self._nested())
            while self.token.kind == ",":
                self._take()
                items.append(self._nested())
        self._take(end)
        return tuple(items)

    def _object(self) -> Tree:
        """Parse names and values; a comma may follow the last one."""
        items: list[tuple[str, Tree]] = []
        while self.token.kind in {"name", "string"}:
            token = self._take()
            self._take(":")
            items.append((token.text[1:-1] if token.kind == "string" else token.text, self._nested()))
            if self.token.kind != "}":
                self._take(",")
        self._take("}")
        return Object(tuple(items))

    def _take(self, kind: str | None = None) -> Token:
        token = self.token
        if kind is not None and token.kind != kind:
            raise self._unexpected(repr(kind) if len(kind) == 1 else translatable("a %(kind)s", kind=kind))
        self.token = self._next()
        return token

    def _unexpected(self, expected: str) -> Mistake:
        if self.token is _END:
            return Mistake(translatable("the expression ends too early; expected %(expected)s", expected=expected))
        return Mistake(
            translatable("expected %(expected)s, found %(text)s", expected=expected, text=repr(self.token.text))
        )

    def _next(self) -> Token:
        found = _TOKEN.match(self._source, self._at, self._end)
        if found is None:
            return self._no_token()
        self._at = found.end()
        kind, text = str(found.lastgroup), found[found.lastgroup or 0]
        if kind == "word":
            kind = text if text in _KEYWORDS or text == "in" else "name"
        return Token(text if kind == "sign" else kind, text, found.end() - len(text))

    def _no_token(self) -> Token:
        """Return `_END` at the end; Mistake for characters that begin no token."""
        rest = self._source[self._at : self._end].lstrip()
        if not rest:
            return _END
        if rest[0] in "'\"":
            raise Mistake(translatable("the string %(rest)s has no closing quote", rest=rest[:20]))
        raise Mistake(translatable("did not expect %(rest)s", rest=repr(rest[:20])))


def _number(text: str) -> int | float:
    if len(text) > _MAX_DIGITS:
        raise Mistake(translatable("a number may have at most %(most)s digits", most=_MAX_DIGITS))
    return float(text) if "." in text else int(text)
