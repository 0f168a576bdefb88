"""The operators over arrays and objects: `$map`, `$reduce`, `$find`, `$sort`, `$reverse`, `$flatten`, `$merge`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from app.rules.templates.jsone.budget import (
    DEEPEST,
    DELETED,
    UNKNOWN,
    Mistake,
    Node,
    Run,
    Scope,
    TooCostlyError,
    copy_scope,
    is_number,
    kind_of,
)
from app.rules.templates.jsone.control_operators import Compiler, Operator, Template
from app.translation import translatable

_NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
_EACH = re.compile(rf"each\(({_NAME})(?:,\s*({_NAME}))?\)")
_EACH_OF_REDUCE = re.compile(rf"each\(({_NAME}),\s*({_NAME})(?:,\s*({_NAME}))?\)")
_BY = re.compile(rf"by\(({_NAME})\)")


def compile_map(compiler: Compiler, template: Template, path: str, depth: int) -> Node:
    compiler.properties(template, path, "$map", _EACH)
    found = _clause(template, _EACH)
    if found is None:
        return compiler.refuse(path, translatable("$map needs exactly one each(x) or each(x, index)"))
    key, (name, place) = found
    values = compiler.child(template, "$map", path, depth)
    each = compiler.child(template, key, path, depth)

    def map_values(scope: Scope, run: Run) -> Any:
        given = values(scope, run)
        if given is UNKNOWN:
            each(_bind(copy_scope(scope, run), (name, place), UNKNOWN, UNKNOWN), run)
            return UNKNOWN
        if not isinstance(given, list | dict):
            raise Mistake(translatable("$map needs an array or an object, found %(kind_of)s", kind_of=kind_of(given)))
        inner = copy_scope(scope, run)
        results = []
        for item, index in _items(given, paired=place is None):
            run.spend(1)
            result = each(_bind(inner, (name, place), item, index), run)
            if result is not DELETED:
                results.append(result)
        return results if isinstance(given, list) else _merged(results, "$map over an object", run)

    return map_values


def _items(given: list[Any] | dict[str, Any], *, paired: bool) -> Iterator[tuple[Any, Any]]:
    if isinstance(given, list):
        return ((item, index) for index, item in enumerate(given))
    if paired:
        return (({"key": key, "val": item}, key) for key, item in given.items())
    return ((item, key) for key, item in given.items())


def _bind(scope: Scope, names: tuple[str, str | None], item: Any, index: Any) -> Scope:
    name, place = names
    scope[name] = item
    if place is not None:
        scope[place] = index
    return scope


def compile_reduce(compiler: Compiler, template: Template, path: str, depth: int) -> Node:
    compiler.properties(template, path, "$reduce", "initial", _EACH_OF_REDUCE)
    found = _clause(template, _EACH_OF_REDUCE)
    if found is None or "initial" not in template:
        return compiler.refuse(
            path, translatable("$reduce needs `initial` and exactly one each(result, x) or each(result, x, index)")
        )
    key, (result_name, name, place) = found
    values = compiler.child(template, "$reduce", path, depth)
    each = compiler.child(template, key, path, depth)
    initial = template["initial"]

    def reduce_values(scope: Scope, run: Run) -> Any:
        given = values(scope, run)
        inner = copy_scope(scope, run)
        if given is UNKNOWN:
            inner[result_name] = UNKNOWN
            each(_bind(inner, (name, place), UNKNOWN, UNKNOWN), run)
            return UNKNOWN
        if not isinstance(given, list):
            raise Mistake(translatable("$reduce needs an array, found %(kind_of)s", kind_of=kind_of(given)))
        total = initial
        for index, item in enumerate(given):
            run.spend(1)
            inner[result_name] = total
            result = each(_bind(inner, (name, place), item, index), run)
            total = total if result is DELETED else result
        return total

    return reduce_values


def compile_find(compiler: Compiler, template: Template, path: str, depth: int) -> Node:
    compiler.properties(template, path, "$find", _EACH)
    found = _clause(template, _EACH)
    if found is None:
        return compiler.refuse(path, translatable("$find needs exactly one each(x) or each(x, index)"))
    key, (name, place) = found
    values = compiler.child(template, "$find", path, depth)
    condition = compiler.expression(template[key], f"{path}.{key}")

    def find(scope: Scope, run: Run) -> Any:
        given = values(scope, run)
        inner = copy_scope(scope, run)
        if given is UNKNOWN:
            condition(_bind(inner, (name, place), UNKNOWN, UNKNOWN), run)
            return UNKNOWN
        if not isinstance(given, list):
            raise Mistake(translatable("$find needs an array, found %(kind_of)s", kind_of=kind_of(given)))
        for index, item in enumerate(given):
            run.spend(1)
            holds = condition(_bind(inner, (name, place), item, index), run)
            if holds is UNKNOWN:
                return UNKNOWN
            if holds:
                return item
        return DELETED

    return find


def compile_sort(compiler: Compiler, template: Template, path: str, depth: int) -> Node:
    compiler.properties(template, path, "$sort", _BY)
    if len(template) > 2:
        return compiler.refuse(path, translatable("$sort allows one by(x)"))
    values = compiler.child(template, "$sort", path, depth)
    found = _clause(template, _BY)
    by = compiler.expression(template[found[0]], f"{path}.{found[0]}") if found else None

    def sort(scope: Scope, run: Run) -> Any:
        given = _array(values(scope, run), "$sort")
        if given is UNKNOWN:
            return UNKNOWN
        keys = given
        if by is not None and found is not None:
            inner = copy_scope(scope, run)
            keys = [by(_bind(inner, (found[1][0], None), item, None), run) for item in given]
        run.spend(2 * len(given))
        if any(key is UNKNOWN for key in keys):
            return UNKNOWN
        if not (all(isinstance(key, str) for key in keys) or all(is_number(key) for key in keys)):
            raise Mistake(translatable("$sort needs strings only or numbers only to sort by"))
        run.spend_text(sum(len(key) for key in keys if isinstance(key, str)))
        return [given[place] for place in sorted(range(len(given)), key=keys.__getitem__)]

    return sort


def compile_reverse(compiler: Compiler, template: Template, path: str, depth: int) -> Node:
    def reverse(given: list[Any], run: Run) -> list[Any]:
        run.spend_items(len(given))
        return given[::-1]

    return _of_array(compiler, template, path, depth, name="$reverse", apply=reverse)


def compile_flatten(compiler: Compiler, template: Template, path: str, depth: int) -> Node:
    def flatten(given: list[Any], run: Run) -> list[Any]:
        run.spend(len(given))
        run.spend_items(sum(len(item) for item in given if isinstance(item, list)))
        return list(chain.from_iterable(item if isinstance(item, list) else [item] for item in given))

    return _of_array(compiler, template, path, depth, name="$flatten", apply=flatten)


def compile_flatten_deep(compiler: Compiler, template: Template, path: str, depth: int) -> Node:
    def flatten(given: list[Any], run: Run) -> list[Any]:
        flat: list[Any] = []
        _flatten_into(flat, given, run, 0)
        return flat

    return _of_array(compiler, template, path, depth, name="$flattenDeep", apply=flatten)


def _flatten_into(flat: list[Any], given: list[Any], run: Run, depth: int) -> None:
    if depth > DEEPEST:
        raise TooCostlyError(translatable("nests deeper than %(most)s levels", most=DEEPEST))
    for item in given:
        run.spend(1)
        if isinstance(item, list):
            _flatten_into(flat, item, run, depth + 1)
        else:
            flat.append(item)


def compile_merge(compiler: Compiler, template: Template, path: str, depth: int) -> Node:
    def merge(given: list[Any], run: Run) -> Any:
        return _merged(given, "$merge", run)

    return _of_array(compiler, template, path, depth, name="$merge", apply=merge)


def compile_merge_deep(compiler: Compiler, template: Template, path: str, depth: int) -> Node:
    def merge(given: list[Any], run: Run) -> Any:
        result: Any = {}
        for item in given:
            if item is UNKNOWN:
                return UNKNOWN
            if not isinstance(item, dict):
                raise Mistake(
                    translatable("$mergeDeep needs an array of objects, found %(kind_of)s in it", kind_of=kind_of(item))
                )
            result = _merge_two(result, item, run, 0)
        return result

    return _of_array(compiler, template, path, depth, name="$mergeDeep", apply=merge)


def _merge_two(left: Any, right: Any, run: Run, depth: int) -> Any:
    run.spend(1)
    if depth > DEEPEST:
        raise TooCostlyError(translatable("nests deeper than %(most)s levels", most=DEEPEST))
    if isinstance(left, list) and isinstance(right, list):
        run.spend_items(len(left) + len(right))
        return left + right
    if isinstance(left, dict) and isinstance(right, dict):
        run.spend_items(len(left))
        merged = left.copy()
        for key, value in right.items():
            merged[key] = _merge_two(left[key], value, run, depth + 1) if key in left else value
        run.spend_items(len(right))
        return merged
    return right


def _merged(objects: list[Any], what: str, run: Run) -> Any:
    merged: dict[str, Any] = {}
    for item in objects:
        if item is UNKNOWN:
            return UNKNOWN
        if not isinstance(item, dict):
            raise Mistake(
                translatable(
                    "%(what)s needs objects to put together, found %(kind_of)s", what=what, kind_of=kind_of(item)
                )
            )
        run.spend_items(len(item))
        merged.update(item)
    return merged


def _of_array(
    compiler: Compiler, template: Template, path: str, depth: int, *, name: str, apply: Callable[[list[Any], Run], Any]
) -> Node:
    compiler.properties(template, path, name)
    values = compiler.child(template, name, path, depth)

    def of_array(scope: Scope, run: Run) -> Any:
        given = _array(values(scope, run), name)
        return UNKNOWN if given is UNKNOWN else apply(given, run)

    return of_array


def _array(given: Any, name: str) -> Any:
    if given is UNKNOWN or isinstance(given, list):
        return given
    raise Mistake(translatable("%(name)s needs an array, found %(kind_of)s", name=name, kind_of=kind_of(given)))


def _clause(template: Template, form: re.Pattern[str]) -> tuple[str, tuple[Any, ...]] | None:
    """Return the only key of `form` and the names in it; None when there is not exactly one."""
    found = [(key, match.groups()) for key in template if (match := form.fullmatch(key))]
    return found[0] if len(found) == 1 else None


LIST_OPERATORS: dict[str, Operator] = {
    "$map": compile_map,
    "$reduce": compile_reduce,
    "$find": compile_find,
    "$sort": compile_sort,
    "$reverse": compile_reverse,
    "$flatten": compile_flatten,
    "$flattenDeep": compile_flatten_deep,
    "$merge": compile_merge,
    "$mergeDeep": compile_merge_deep,
}
