"""The operators that choose, bind and convert: `$eval`, `$if`, `$let`, `$match`, `$switch`, `$json`, `$fromNow`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Protocol

from app.rules.templates.jsone.budget import (
    BYTES_PER_STEP,
    DELETED,
    UNKNOWN,
    Mistake,
    Node,
    Run,
    Scope,
    copy_scope,
    kind_of,
    measure,
)
from app.rules.templates.jsone.functions import from_now
from app.translation import joined, translatable

IDENTIFIER = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_DEFAULT = "$default"

Template = dict[str, Any]


class Compiler(Protocol):
    """What an operator asks of the compiler; `path` is where in the rule, `depth` how deep."""

    def value(self, template: Any, path: str, depth: int) -> Node:
        """Compile any piece of template."""
        ...

    def expression(self, source: Any, path: str) -> Node:
        """Compile an expression; anything but a string is refused."""
        ...

    def child(self, template: Template, key: str, path: str, depth: int) -> Node:
        """Compile the piece of template under `key`, at its own path."""
        ...

    def refuse(self, path: str, message: str, found: Any = None) -> Node:
        """Note a problem; return what stands for the piece that cannot be used."""
        ...

    def properties(self, template: Template, path: str, *allowed: str | re.Pattern[str]) -> None:
        """Note a problem for every key that is not allowed beside the operator."""
        ...


Operator = Callable[[Compiler, Template, str, int], Node]


def compile_eval(compiler: Compiler, template: Template, path: str, _depth: int) -> Node:
    compiler.properties(template, path, "$eval")
    return compiler.expression(template["$eval"], f"{path}.$eval")


def compile_if(compiler: Compiler, template: Template, path: str, depth: int) -> Node:
    compiler.properties(template, path, "$if", "then", "else")
    condition = compiler.expression(template["$if"], f"{path}.$if")
    then = compiler.child(template, "then", path, depth) if "then" in template else _nothing
    otherwise = compiler.child(template, "else", path, depth) if "else" in template else _nothing

    def choose(scope: Scope, run: Run) -> Any:
        holds = condition(scope, run)
        if holds is UNKNOWN:
            then(scope, run)
            otherwise(scope, run)
            return UNKNOWN
        return then(scope, run) if holds else otherwise(scope, run)

    return choose


def _nothing(_scope: Scope, _run: Run) -> Any:
    return DELETED


def compile_let(compiler: Compiler, template: Template, path: str, depth: int) -> Node:
    compiler.properties(template, path, "$let", "in")
    if not isinstance(template["$let"], dict):
        return compiler.refuse(f"{path}.$let", translatable("needs an object of names and values"), template["$let"])
    if "in" not in template:
        return compiler.refuse(path, translatable("$let needs `in`, which says where the names hold"))
    names = compiler.child(template, "$let", path, depth)
    body = compiler.child(template, "in", path, depth)

    def bind(scope: Scope, run: Run) -> Any:
        bound = names(scope, run)
        if bound is UNKNOWN:
            return UNKNOWN
        if not isinstance(bound, dict):
            raise Mistake(
                translatable("$let needs an object of names and values, found %(kind_of)s", kind_of=kind_of(bound))
            )
        for name in bound:
            if not IDENTIFIER.fullmatch(name):
                raise Mistake(
                    translatable("%(name)s is not a name; letters, digits and _ are allowed", name=repr(name))
                )
        inner = copy_scope(scope, run)
        run.spend_items(len(bound))
        inner.update(bound)
        return body(inner, run)

    return bind


def compile_match(compiler: Compiler, template: Template, path: str, depth: int) -> Node:
    compiler.properties(template, path, "$match")
    choices = _compile_choices(compiler, template["$match"], f"{path}.$match", depth)
    if choices is None:
        return compiler.refuse(f"{path}.$match", translatable("needs an object of conditions"), template["$match"])
    if _DEFAULT in template["$match"]:
        return compiler.refuse(f"{path}.$match", translatable("takes no $default; $switch does"), _DEFAULT)
    choices.sort(key=lambda choice: choice[0])

    def collect(scope: Scope, run: Run) -> Any:
        results, certain = [], True
        for _, condition, node in choices:
            holds = condition(scope, run)
            certain = certain and holds is not UNKNOWN
            if holds is UNKNOWN or holds:
                results.append(node(scope, run))
        return [result for result in results if result is not DELETED] if certain else UNKNOWN

    return collect


def compile_switch(compiler: Compiler, template: Template, path: str, depth: int) -> Node:
    compiler.properties(template, path, "$switch")
    choices = _compile_choices(compiler, template["$switch"], f"{path}.$switch", depth)
    if choices is None:
        return compiler.refuse(f"{path}.$switch", translatable("needs an object of conditions"), template["$switch"])
    default = next((node for source, _, node in choices if source == _DEFAULT), _nothing)
    conditions = [choice for choice in choices if choice[0] != _DEFAULT]

    def choose(scope: Scope, run: Run) -> Any:
        chosen, certain = [], True
        for source, condition, node in conditions:
            holds = condition(scope, run)
            if holds is UNKNOWN:
                certain = False
                node(scope, run)
            elif holds:
                chosen.append((source, node))
        if len(chosen) > 1:
            raise Mistake(
                translatable(
                    "$switch allows one true condition, found %(conditions)s",
                    conditions=joined(translatable(" and "), (source for source, _ in chosen)),
                )
            )
        result = (chosen[0][1] if chosen else default)(scope, run)
        return result if certain else UNKNOWN

    return choose


def _compile_choices(compiler: Compiler, choices: Any, path: str, depth: int) -> list[tuple[str, Node, Node]] | None:
    if not isinstance(choices, dict):
        return None
    return [
        (
            condition,
            _nothing if condition == _DEFAULT else compiler.expression(condition, path),
            compiler.child(choices, condition, path, depth),
        )
        for condition in choices
    ]


def compile_json(compiler: Compiler, template: Template, path: str, depth: int) -> Node:
    compiler.properties(template, path, "$json")
    value = compiler.child(template, "$json", path, depth)

    def write(scope: Scope, run: Run) -> Any:
        given = value(scope, run)
        if given is DELETED:
            return DELETED
        run.spend(measure(given, run.steps * BYTES_PER_STEP) // BYTES_PER_STEP)
        try:
            return json.dumps(given, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
        except TypeError:
            # Something in it is known only in a real event.
            return UNKNOWN

    return write


def compile_from_now(compiler: Compiler, template: Template, path: str, depth: int) -> Node:
    compiler.properties(template, path, "$fromNow", "from")
    offset = compiler.child(template, "$fromNow", path, depth)
    reference = compiler.child(template, "from", path, depth) if "from" in template else None

    def move(scope: Scope, run: Run) -> Any:
        distance = offset(scope, run)
        start = reference(scope, run) if reference else scope.get("now")
        if distance is UNKNOWN or start is UNKNOWN:
            return UNKNOWN
        if not isinstance(distance, str):
            raise Mistake(
                translatable("$fromNow needs a string such as '1 day', found %(kind_of)s", kind_of=kind_of(distance))
            )
        return from_now(distance, start, run)

    return move


CONTROL_OPERATORS: dict[str, Operator] = {
    "$eval": compile_eval,
    "$if": compile_if,
    "$let": compile_let,
    "$match": compile_match,
    "$switch": compile_switch,
    "$json": compile_json,
    "$fromNow": compile_from_now,
}
