"""Compiles a template to functions, each with its path in the template; constant parts are computed once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isfinite
from typing import Any

from app.errors import Problem, join_path, nearest
from app.rules.templates.jsone.budget import (
    CHARACTERS_PER_STEP,
    DEEPEST,
    DELETED,
    UNKNOWN,
    Mistake,
    Node,
    Run,
    Scope,
    TemplateError,
    kind_of,
    text_of,
    with_path,
)
from app.rules.templates.jsone.control_operators import CONTROL_OPERATORS, IDENTIFIER, Operator, Template
from app.rules.templates.jsone.expression import compile_expression, compile_until_brace
from app.rules.templates.jsone.list_operators import LIST_OPERATORS
from app.translation import translatable

LARGEST_TEMPLATE = 65_536
"""Characters in all keys and texts, plus one for each value."""

MOST_EXPRESSIONS = 2000
"""Expressions in one template; each costs about 20 us to parse."""

_OPERATORS: dict[str, Operator] = {**CONTROL_OPERATORS, **LIST_OPERATORS}
_INTERPOLATION = re.compile(r"\$?\$\{")


class Constant:
    """A part of a template with the same value for every event."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, _scope: Scope, run: Run) -> Any:
        run.spend(1)
        return self.value


class CompiledTemplate:
    """A template ready to be rendered, or the problems that it has in every event."""

    __slots__ = ("_node", "expressions", "problems")

    def __init__(self, node: Node, problems: list[Problem], expressions: tuple[str, ...] = ()) -> None:
        self._node = node
        self.problems = problems
        self.expressions = expressions
        """The source of each expression; texts beside them are not included."""

    def render(self, scope: Scope, run: Run) -> Any:
        """Return what the template means in `scope`; null where it leaves itself out.

        Raises TemplateError; a checking run goes on behind the problems, to find them all.
        """
        if self.problems and run.problems is None:
            raise TemplateError(self.problems)
        value = self._node(scope, run)
        return None if value is DELETED else value


def compile_template(template: Any, root: str) -> CompiledTemplate:
    """Compile a template; `root` begins the path of every problem."""
    compilation = _Compilation()
    try:
        node = compilation.value(template, root, 0)
    except _TooLargeError:
        message = translatable(
            "the template may have at most %(largest_template)s characters and %(most_expressions)s expressions",
            largest_template=LARGEST_TEMPLATE,
            most_expressions=MOST_EXPRESSIONS,
        )
        node = compilation.refuse(root, message)
    return CompiledTemplate(node, compilation.problems, tuple(compilation.expressions))


class _TooLargeError(Exception):
    pass


class _Compilation:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.expressions: list[str] = []
        self._size = 0
        self._expressions_begun = 0

    def value(self, template: Any, path: str, depth: int) -> Node:
        self._grow(1)
        if depth > DEEPEST:
            return self.refuse(path, translatable("nests deeper than %(most)s levels", most=DEEPEST))
        if isinstance(template, str):
            return self._text(template, path)
        if isinstance(template, dict):
            return self._object(template, path, depth)
        if isinstance(template, list):
            return self._list(template, path, depth)
        finite = isinstance(template, float) and isfinite(template)
        if template is None or isinstance(template, bool | int) or finite:
            return Constant(template)
        return self.refuse(
            path, translatable("is not a JSON value but %(name)s", name=type(template).__name__), str(template)[:100]
        )

    def child(self, template: Template, key: str, path: str, depth: int) -> Node:
        return self.value(template[key], join_path(path, key), depth + 1)

    def expression(self, source: Any, path: str) -> Node:
        if not isinstance(source, str):
            return self.refuse(
                path,
                translatable("needs an expression in a string, found %(kind_of)s", kind_of=kind_of(source)),
                source,
            )
        self._grow(len(source))
        self._count_expression()
        self.expressions.append(source)
        try:
            return with_path(path, compile_expression(source), source)
        except Mistake as mistake:
            return self.refuse(path, mistake.message, source, mistake.suggestion)

    def properties(self, template: Template, path: str, *allowed: str | re.Pattern[str]) -> None:
        words = [word for word in allowed if isinstance(word, str)]
        forms = [form for form in allowed if isinstance(form, re.Pattern)]
        for key in template:
            if key not in words and not any(form.fullmatch(key) for form in forms):
                self.refuse(
                    join_path(path, key),
                    translatable("is not allowed beside %(words)s", words=words[0]),
                    key,
                    nearest(key, words),
                )

    def refuse(self, path: str, message: str, found: Any = None, suggestion: str | None = None) -> Node:
        self.problems.append(Problem(path, message, found=found, suggestion=suggestion))
        return Constant(UNKNOWN)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > LARGEST_TEMPLATE:
            raise _TooLargeError

    def _count_expression(self) -> None:
        self._expressions_begun += 1
        if self._expressions_begun > MOST_EXPRESSIONS:
            raise _TooLargeError

    def _object(self, template: dict[Any, Any], path: str, depth: int) -> Node:
        for key in template:
            if not isinstance(key, str):
                return self.refuse(path, translatable("the keys of an object must be strings"), key)
            self._grow(len(key))
        operators = [key for key in template if key in _OPERATORS]
        if len(operators) > 1:
            return self.refuse(path, translatable("only one operator is allowed in an object"), " ".join(operators))
        if operators:
            return with_path(path, _OPERATORS[operators[0]](self, template, path, depth), operators[0])
        items = [(self._key(key, join_path(path, key)), self.child(template, key, path, depth)) for key in template]
        if all(isinstance(node, Constant) for pair in items for node in pair):
            nowhere: Scope = {}
            return Constant({_name(key(nowhere, Run())): node(nowhere, Run()) for key, node in items})

        def build(scope: Scope, run: Run) -> dict[str, Any]:
            run.spend(1)
            built = {}
            for key, node in items:
                value = node(scope, run)
                if value is not DELETED:
                    built[_name(key(scope, run))] = value
            return built

        return build

    def _key(self, key: str, path: str) -> Node:
        if key.startswith("$$"):
            return Constant(key[1:])
        if key.startswith("$") and IDENTIFIER.fullmatch(key[1:]):
            message = translatable("is not an operator of JSON-e; write a key that begins with $ with $$")
            return self.refuse(path, message, key, nearest(key, _OPERATORS))
        return self._text(key, path)

    def _list(self, template: list[Any], path: str, depth: int) -> Node:
        items = [self.value(item, f"{path}[{place}]", depth + 1) for place, item in enumerate(template)]
        if all(isinstance(item, Constant) for item in items):
            return Constant([item.value for item in items if isinstance(item, Constant)])

        def build(scope: Scope, run: Run) -> list[Any]:
            run.spend(1)
            values = [item(scope, run) for item in items]
            return [value for value in values if value is not DELETED]

        return build

    def _text(self, text: str, path: str) -> Node:
        self._grow(len(text))
        pieces: list[str | Node] = []
        at = 0
        while found := _INTERPOLATION.search(text, at):
            pieces.append(text[at : found.start()])
            at = found.end()
            if found[0] == "$${":
                pieces.append("${")
                continue
            self._count_expression()
            try:
                node, end = compile_until_brace(text, at)
            except Mistake as mistake:
                return self.refuse(path, mistake.message, text, mistake.suggestion)
            self.expressions.append(text[at:end])
            pieces.append(with_path(path, node, text))
            at = end + 1
        pieces.append(text[at:])
        texts = [piece for piece in pieces if isinstance(piece, str)]
        if len(texts) == len(pieces):
            return Constant("".join(texts))
        return with_path(path, _interpolation(pieces), text)


def _interpolation(pieces: Iterable[str | Node]) -> Node:
    parts = [piece for piece in pieces if piece != ""]

    def interpolate(scope: Scope, run: Run) -> Any:
        texts, certain = [], True
        for part in parts:
            value = part if isinstance(part, str) else part(scope, run)
            if value is UNKNOWN:
                certain = False
            elif isinstance(value, str):
                run.spend(1 + len(value) // CHARACTERS_PER_STEP)
                texts.append(value)
            elif value is None:
                run.spend(1)
            elif isinstance(value, bool | int | float):
                run.spend(1)
                texts.append(text_of(value))
            else:
                raise Mistake(
                    translatable(
                        "${ } needs a string, a number or a boolean, found %(kind_of)s", kind_of=kind_of(value)
                    )
                )
        return "".join(texts) if certain else UNKNOWN

    return interpolate


def _name(key: Any) -> str:
    return "?" if key is UNKNOWN else str(key)
