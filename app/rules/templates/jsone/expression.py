"""Expressions: the text of `$eval`, `$if` and `${...}`, parsed by the json-e package, compiled to closures here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jsone.parser import Parser
from jsone.render import tokenizer
from jsone.shared import JSONTemplateError

from app.errors import nearest
from app.rules.templates.jsone.binary_operators import BINARY, a
from app.rules.templates.jsone.budget import (
    DEEPEST,
    UNKNOWN,
    Mistake,
    Node,
    Open,
    Run,
    Scope,
    is_number,
    kind_of,
)
from app.rules.templates.jsone.functions import Function

LONGEST_EXPRESSION = 2000
"""Characters; the parser's cost grows with the square (about 10 ms at this length, measured)."""


def compile_expression(source: str) -> Node:
    """Return what evaluates the expression `source`; Mistake when it is none."""
    node, parser = _parse(source)
    if parser.current_token is not None:
        raise Mistake(f"did not expect {parser.current_token.value!r}")
    return node


def compile_until_brace(source: str, start: int) -> tuple[Node, int]:
    """Return what evaluates the expression that begins at `start`, and how far its closing brace is away."""
    node, parser = _parse(source[start : start + LONGEST_EXPRESSION])
    if parser.current_token is None:
        raise Mistake(f"${{ has no closing }} within {LONGEST_EXPRESSION} characters")
    if parser.current_token.kind != "}":
        raise Mistake(f"did not expect {parser.current_token.value!r}")
    return node, int(parser.current_token.start)


def _parse(source: str) -> tuple[Node, Any]:
    if len(source) > LONGEST_EXPRESSION:
        raise Mistake(f"an expression may have at most {LONGEST_EXPRESSION} characters")
    try:
        parser = Parser(source, tokenizer)
        tree = parser.parse()
    except JSONTemplateError as error:
        raise Mistake(str(error.args[0])[:200]) from error
    except (StopIteration, AttributeError) as error:
        # The parser asks the token after the last one for its kind.
        raise Mistake("the expression is empty or ends too early") from error
    except RecursionError as error:
        raise Mistake("the expression nests too deep") from error
    return _compile(tree, 0), parser


def _compile(tree: Any, depth: int) -> Node:
    if tree is None:
        raise Mistake("an operand is missing")
    if depth > DEEPEST:
        raise Mistake(f"the expression nests deeper than {DEEPEST} levels")
    return _COMPILERS[type(tree).__name__](tree, depth + 1)


def _compile_primitive(tree: Any, _depth: int) -> Node:
    value = _constant(tree.token)

    def constant(_scope: Scope, run: Run) -> Any:
        run.spend(1)
        return value

    return constant


def _constant(token: Any) -> Any:
    if token.kind == "number":
        if len(token.value) > 300:
            raise Mistake("a number may have at most 300 digits")
        return float(token.value) if "." in token.value else int(token.value)
    if token.kind == "string":
        return token.value[1:-1]
    return {"true": True, "false": False, "null": None}[token.kind]


def _compile_name(tree: Any, _depth: int) -> Node:
    name: str = tree.token.value

    def look_up(scope: Scope, run: Run) -> Any:
        run.spend(1)
        try:
            return scope[name]
        except KeyError:
            raise Mistake(f"there is no {name!r} here", name, scope) from None

    return look_up


def _compile_unary(tree: Any, depth: int) -> Node:
    operand = _compile(tree.expr, depth)
    kind: str = tree.token.kind

    def negate(scope: Scope, run: Run) -> Any:
        value = operand(scope, run)
        return value if value is UNKNOWN else not value

    def sign(scope: Scope, run: Run) -> Any:
        value = operand(scope, run)
        if value is UNKNOWN:
            return value
        if not is_number(value):
            raise Mistake(f"{kind} needs a number, found {a(value)}")
        return -value if kind == "-" else value

    return negate if kind == "!" else sign


def _compile_binary(tree: Any, depth: int) -> Node:
    kind: str = tree.token.kind
    if kind == ".":
        return _compile_property(tree, depth)
    left, right = _compile(tree.left, depth), _compile(tree.right, depth)
    if kind in {"||", "&&"}:
        return _either(left, right) if kind == "||" else _both(left, right)
    if kind == "**":
        # The parser hands the operands of this one over in exchanged places.
        left, right = right, left
    apply = BINARY[kind]

    def binary(scope: Scope, run: Run) -> Any:
        run.spend(1)
        one, other = left(scope, run), right(scope, run)
        if one is UNKNOWN or other is UNKNOWN:
            return UNKNOWN
        return apply(one, other, run)

    return binary


def _either(left: Node, right: Node) -> Node:
    def either(scope: Scope, run: Run) -> Any:
        value = left(scope, run)
        if value is UNKNOWN:
            right(scope, run)
            return UNKNOWN
        if value:
            return True
        value = right(scope, run)
        return value if value is UNKNOWN else bool(value)

    return either


def _both(left: Node, right: Node) -> Node:
    def both(scope: Scope, run: Run) -> Any:
        value = left(scope, run)
        if value is UNKNOWN:
            right(scope, run)
            return UNKNOWN
        if not value:
            return False
        value = right(scope, run)
        return value if value is UNKNOWN else bool(value)

    return both


def _compile_owner(tree: Any, depth: int) -> Node:
    if type(tree).__name__ == "UnaryOp":
        # JSON-e reads !a.b as (!a).b, which never means anything.
        sign = tree.token.kind
        raise Mistake(f"{sign} is applied before what follows its operand; write {sign}( ) around the whole of it")
    return _compile(tree, depth)


def _compile_property(tree: Any, depth: int) -> Node:
    owner = _compile_owner(tree.left, depth)
    name: str = tree.right.token.value

    def read(scope: Scope, run: Run) -> Any:
        run.spend(1)
        value = owner(scope, run)
        if isinstance(value, dict):
            try:
                return value[name]
            except KeyError:
                if isinstance(value, Open) and nearest(name, value) is None:
                    return UNKNOWN
                raise Mistake(f"the object has no property {name!r}", name, value) from None
        if value is UNKNOWN:
            return UNKNOWN
        raise Mistake(f".{name} needs an object, found {a(value)}")

    return read


def _compile_access(tree: Any, depth: int) -> Node:
    owner = _compile_owner(tree.arr, depth)
    left = _compile(tree.left, depth) if tree.left else None
    right = _compile(tree.right, depth) if tree.right else None
    if not tree.isInterval and left is None:
        raise Mistake("[ ] needs an index or a key")

    def index(scope: Scope, run: Run) -> Any:
        run.spend(1)
        value = owner(scope, run)
        first = left(scope, run) if left else None
        last = right(scope, run) if right else None
        if value is UNKNOWN or first is UNKNOWN or last is UNKNOWN:
            return UNKNOWN
        if isinstance(value, dict):
            return _property(value, first)
        if not isinstance(value, list | str):
            raise Mistake(f"[ ] needs an object, an array or a string, found {a(value)}")
        if not tree.isInterval:
            return _item(value, first)
        for bound in (first, last):
            if bound is not None and type(bound) is not int:
                raise Mistake(f"[ : ] needs whole numbers, found {a(bound)}")
        run.spend_items(len(value))
        return value[first:last]

    return index


def _property(value: dict[str, Any], name: Any) -> Any:
    if not isinstance(name, str):
        raise Mistake(f"the key of an object must be a string, found {a(name)}")
    found = value.get(name)
    if found is None and isinstance(value, Open) and name not in value and nearest(name, value) is None:
        return UNKNOWN
    return found


def _item(value: list[Any] | str, place: Any) -> Any:
    if type(place) is not int:
        raise Mistake(f"the index of {a(value)} must be a whole number, found {a(place)}")
    try:
        return value[place]
    except IndexError:
        raise Mistake(f"there is no item {place}; the {kind_of(value)} has {len(value)}") from None


def _compile_call(tree: Any, depth: int) -> Node:
    called = _compile(tree.name, depth)
    arguments = [_compile(argument, depth) for argument in tree.args or []]

    def call(scope: Scope, run: Run) -> Any:
        run.spend(1)
        function = called(scope, run)
        values = [argument(scope, run) for argument in arguments]
        if function is UNKNOWN or any(value is UNKNOWN for value in values):
            return UNKNOWN
        if not isinstance(function, Function):
            raise Mistake(f"{a(function)} cannot be called")
        return function.call(scope, run, values)

    return call


def _compile_list(tree: Any, depth: int) -> Node:
    # The parser gives [None] for [].
    items = [] if tree.list == [None] else [_compile(item, depth) for item in tree.list]

    def build(scope: Scope, run: Run) -> Any:
        run.spend(1)
        return [item(scope, run) for item in items]

    return build


def _compile_object(tree: Any, depth: int) -> Node:
    properties = {key: _compile(value, depth) for key, value in tree.obj.items()}

    def build(scope: Scope, run: Run) -> Any:
        run.spend(1)
        return {key: value(scope, run) for key, value in properties.items()}

    return build


_COMPILERS: dict[str, Callable[[Any, int], Node]] = {
    "ASTNode": _compile_primitive,
    "ContextValue": _compile_name,
    "UnaryOp": _compile_unary,
    "BinOp": _compile_binary,
    "ValueAccess": _compile_access,
    "List": _compile_list,
    "Object": _compile_object,
    "FunctionCall": _compile_call,
}
