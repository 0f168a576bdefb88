"""Compiles expressions, the text of `$eval`, `$if` and `${...}`, to functions."""

from __future__ import annotations

from typing import Any, assert_never

from app.errors import nearest
from app.rules.templates.jsone.binary_operators import a_kind
from app.rules.templates.jsone.budget import (
    DEEPEST,
    UNKNOWN,
    Mistake,
    Node,
    PartialObject,
    Run,
    Scope,
    is_number,
    kind_of,
)
from app.rules.templates.jsone.expression_limits import LONGEST_EXPRESSION, too_deep, too_long
from app.rules.templates.jsone.functions import Function
from app.rules.templates.jsone.operator_chain import Step, step_of
from app.rules.templates.jsone.syntax import (
    Binary,
    Call,
    Item,
    List,
    Literal,
    Name,
    Object,
    Property,
    Slice,
    Tree,
    Unary,
    parse_expression,
    parse_until_brace,
)
from app.translation import translatable


def compile_expression(source: str) -> Node:
    """Return what evaluates the expression `source`; Mistake when it is none."""
    if len(source) > LONGEST_EXPRESSION:
        raise too_long(len(source), LONGEST_EXPRESSION)
    return _compile(parse_expression(source), 0)


def compile_until_brace(source: str, start: int) -> tuple[Node, int]:
    """Return what evaluates the expression that begins at `start`, and the place of its closing brace."""
    tree, end = parse_until_brace(source, start, LONGEST_EXPRESSION)
    return _compile(tree, 0), end


def _compile(tree: Tree, depth: int) -> Node:
    if depth > DEEPEST:
        raise too_deep()
    depth += 1
    match tree:
        case Literal(value):
            return _compile_literal(value)
        case Name(name):
            return _compile_name(name)
        case Unary():
            return _compile_unary(tree, depth)
        case Binary():
            return _compile_binary(tree, depth)
        case Property():
            return _compile_property(tree, depth)
        case Item():
            return _compile_item(tree, depth)
        case Slice():
            return _compile_slice(tree, depth)
        case Call():
            return _compile_call(tree, depth)
        case List():
            return _compile_list(tree, depth)
        case Object():
            return _compile_object(tree, depth)
    assert_never(tree)


def _compile_literal(value: Any) -> Node:
    def constant(_scope: Scope, run: Run) -> Any:
        run.spend(1)
        return value

    return constant


def _compile_name(name: str) -> Node:
    def look_up(scope: Scope, run: Run) -> Any:
        run.spend(1)
        try:
            return scope[name]
        except KeyError:
            raise Mistake(translatable("there is no %(name)s here", name=repr(name)), name, scope) from None

    return look_up


def _compile_unary(tree: Unary, depth: int) -> Node:
    operand = _compile(tree.operand, depth)

    def negate(scope: Scope, run: Run) -> Any:
        value = operand(scope, run)
        return value if value is UNKNOWN else not value

    def sign(scope: Scope, run: Run) -> Any:
        value = operand(scope, run)
        if value is UNKNOWN:
            return value
        if not is_number(value):
            raise Mistake(
                translatable("%(sign)s needs a number, found %(a_kind)s", sign=tree.sign, a_kind=a_kind(value))
            )
        return -value if tree.sign == "-" else value

    return negate if tree.sign == "!" else sign


def _compile_binary(tree: Binary, depth: int) -> Node:
    """Compile `a + b + c …` in one go: as many operators as an expression has characters for need no recursion."""
    steps: list[Step] = []
    first: Tree = tree
    while isinstance(first, Binary):
        steps.append(step_of(first.sign, _compile(first.right, depth)))
        first = first.left
    left = _compile(first, depth)
    steps.reverse()

    def chain(scope: Scope, run: Run) -> Any:
        value = left(scope, run)
        for step in steps:
            value = step(value, scope, run)
        return value

    return chain


def _compile_property(tree: Property, depth: int) -> Node:
    owner, name = _compile(tree.owner, depth), tree.name

    def read(scope: Scope, run: Run) -> Any:
        run.spend(1)
        value = owner(scope, run)
        if isinstance(value, dict):
            try:
                return value[name]
            except KeyError:
                if isinstance(value, PartialObject) and nearest(name, value) is None:
                    return UNKNOWN
                raise Mistake(
                    translatable("the object has no property %(name)s", name=repr(name)), name, value
                ) from None
        if value is UNKNOWN:
            return UNKNOWN
        raise Mistake(translatable(".%(name)s needs an object, found %(a_kind)s", name=name, a_kind=a_kind(value)))

    return read


def _compile_item(tree: Item, depth: int) -> Node:
    owner, index = _compile(tree.owner, depth), _compile(tree.index, depth)

    def item(scope: Scope, run: Run) -> Any:
        run.spend(1)
        value, place = owner(scope, run), index(scope, run)
        if value is UNKNOWN or place is UNKNOWN:
            return UNKNOWN
        if isinstance(value, dict):
            return _property(value, place)
        return _item(_sequence(value), place)

    return item


def _compile_slice(tree: Slice, depth: int) -> Node:
    owner = _compile(tree.owner, depth)
    bounds = [bound and _compile(bound, depth) for bound in (tree.start, tree.end)]

    def part(scope: Scope, run: Run) -> Any:
        run.spend(1)
        value = owner(scope, run)
        start, end = (bound(scope, run) if bound else None for bound in bounds)
        if value is UNKNOWN or start is UNKNOWN or end is UNKNOWN:
            return UNKNOWN
        if isinstance(value, dict):
            return _property(value, start)  # as JSON-e does
        sequence = _sequence(value)
        for bound in (start, end):
            if bound is not None and type(bound) is not int:
                raise Mistake(translatable("[ : ] needs whole numbers, found %(a_kind)s", a_kind=a_kind(bound)))
        run.spend_items(len(sequence))
        return sequence[start:end]

    return part


def _sequence(value: Any) -> list[Any] | str:
    if isinstance(value, list | str):
        return value
    raise Mistake(translatable("[ ] needs an object, an array or a string, found %(a_kind)s", a_kind=a_kind(value)))


def _property(value: dict[str, Any], name: Any) -> Any:
    if not isinstance(name, str):
        raise Mistake(translatable("the key of an object must be a string, found %(a_kind)s", a_kind=a_kind(name)))
    found = value.get(name)
    if found is None and isinstance(value, PartialObject) and name not in value and nearest(name, value) is None:
        return UNKNOWN
    return found


def _item(value: list[Any] | str, place: Any) -> Any:
    if type(place) is not int:
        raise Mistake(
            translatable(
                "the index of %(a_kind)s must be a whole number, found %(found)s",
                a_kind=a_kind(value),
                found=a_kind(place),
            )
        )
    try:
        return value[place]
    except IndexError:
        raise Mistake(
            translatable(
                "there is no item %(place)s; the %(kind_of)s has %(count)s",
                place=place,
                kind_of=kind_of(value),
                count=len(value),
            )
        ) from None


def _compile_call(tree: Call, depth: int) -> Node:
    called = _compile(tree.function, depth)
    arguments = [_compile(argument, depth) for argument in tree.arguments]

    def call(scope: Scope, run: Run) -> Any:
        run.spend(1)
        function = called(scope, run)
        values = [argument(scope, run) for argument in arguments]
        if function is UNKNOWN or any(value is UNKNOWN for value in values):
            return UNKNOWN
        if not isinstance(function, Function):
            raise Mistake(translatable("%(a_kind)s cannot be called", a_kind=a_kind(function)))
        return function.call(scope, run, values)

    return call


def _compile_list(tree: List, depth: int) -> Node:
    items = [_compile(item, depth) for item in tree.items]

    def build(scope: Scope, run: Run) -> Any:
        run.spend(1)
        return [item(scope, run) for item in items]

    return build


def _compile_object(tree: Object, depth: int) -> Node:
    properties = {key: _compile(value, depth) for key, value in tree.items}

    def build(scope: Scope, run: Run) -> Any:
        run.spend(1)
        return {key: value(scope, run) for key, value in properties.items()}

    return build
