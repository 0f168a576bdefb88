"""The parser of expressions takes what the json-e package's takes, and groups it in the same way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsone.parser import Parser
from jsone.render import tokenizer
from jsone.shared import JSONTemplateError

from app.rules.templates.jsone import syntax
from app.rules.templates.jsone.budget import DEEPEST, Mistake, Run
from app.rules.templates.jsone.expression import compile_expression, compile_until_brace
from app.rules.templates.jsone.syntax import Tree, parse_expression, parse_until_brace

SIGNS = [*syntax.PRECEDENCE, "!", "[", "]", ".", "(", ")", "{", "}", ":", ","]
WORDS = ["true", "false", "null", "1", "2.5", "a", "inner", "'s'", '"}"', "''"]
BEFORE_ITS_OPERAND = "is applied before what follows its operand"

_units = st.sampled_from(WORDS)
_expressions = st.recursive(
    _units,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([f" {sign} " for sign in syntax.PRECEDENCE]), inner).map("".join),
        inner.map(lambda text: f"({text})"),
        st.tuples(st.sampled_from("!-+"), inner).map("".join),
        inner.map(lambda text: f"{text}.name"),
        st.tuples(inner, inner).map(lambda texts: f"{texts[0]}[{texts[1]}]"),
        st.tuples(inner, inner | st.just(""), inner | st.just("")).map(lambda texts: "{}[{}:{}]".format(*texts)),
        st.lists(inner, max_size=3).map(lambda texts: f"call({', '.join(texts)})"),
        st.lists(inner, max_size=3).map(lambda texts: f"[{', '.join(texts)}]"),
        st.lists(inner, max_size=3).map(lambda texts: "{" + ", ".join(f"k{n}: {t}" for n, t in enumerate(texts)) + "}"),
    ),
    max_leaves=12,
)
_soup = st.lists(st.sampled_from([*SIGNS, *WORDS]), min_size=1, max_size=8).map(" ".join)


@given(source=_expressions | _soup)
@settings(max_examples=500, deadline=None)
def test_trees_are_those_of_the_package(source: str) -> None:
    theirs = _package_tree(source)
    try:
        ours: Tree | None = parse_expression(source)
    except Mistake as mistake:
        ours = None
        if BEFORE_ITS_OPERAND in str(mistake):
            return  # the package takes it, and fails whenever it is evaluated
    assert ours == theirs


def _package_tree(source: str) -> Tree | None:
    """Return the package's tree as ours; None for what it refuses."""
    try:
        parser = Parser(source, tokenizer)
        tree = parser.parse()
        return None if parser.current_token is not None else _converted(tree)
    except (JSONTemplateError, StopIteration, AttributeError, ValueError):
        return None  # it asks the token after the last one for its kind


def _constant(token: Any) -> Any:
    if token.kind == "number":
        return float(token.value) if "." in token.value else int(token.value)
    return token.value[1:-1] if token.kind == "string" else {"true": True, "false": False, "null": None}[token.kind]


def _converted(tree: Any) -> Tree:
    match type(tree).__name__:
        case "ASTNode":
            return syntax.Literal(_constant(tree.token))
        case "ContextValue":
            return syntax.Name(tree.token.value)
        case "UnaryOp":
            return syntax.Unary(tree.token.kind, _converted(tree.expr))
        case "BinOp" if tree.token.kind == ".":
            return syntax.Property(_converted(tree.left), tree.right.token.value)
        case "BinOp":
            left, right = _converted(tree.left), _converted(tree.right)
            # The package hands the operands of ** over in exchanged places.
            return syntax.Binary(tree.token.kind, *((right, left) if tree.token.kind == "**" else (left, right)))
        case "ValueAccess" if tree.isInterval:
            start, end = (bound and _converted(bound) for bound in (tree.left, tree.right))
            return syntax.Slice(_converted(tree.arr), start, end)
        case "ValueAccess" if tree.right is None:
            return syntax.Item(_converted(tree.arr), _converted(tree.left))
        case "List":
            # The package gives [None] for [].
            return syntax.List(() if tree.list == [None] else tuple(map(_converted, tree.list)))
        case "Object":
            return syntax.Object(tuple((key, _converted(value)) for key, value in tree.obj.items()))
        case "FunctionCall":
            return syntax.Call(_converted(tree.name), tuple(map(_converted, tree.args or ())))
    raise ValueError("an operand is missing, or a[1 2], which the package takes for a[1]")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "ends too early; expected a value"),
        ("1 +", "ends too early; expected a value"),
        ("(1", "ends too early; expected ')'"),
        ("f(1", "ends too early; expected ')'"),
        ("a.", "ends too early; expected a name"),
        ("1 2", "did not expect '2'"),
        ("a[]", "expected a value, found ']'"),
        ("a[1 2]", "expected ':', found '2'"),
        ("{a 1}", "expected ':', found '1'"),
        ("[1,]", "expected a value, found ']'"),
        ("a.true", "expected a name, found 'true'"),
        ("a ? b", "did not expect '? b'"),
        ("'abc", "the string 'abc has no closing quote"),
        ("9" * 301, "at most 300 digits"),
        ("!a.b", "! is applied before what follows its operand; put the operand in parentheses"),
        ("-a[0]", "- is applied before"),
        *((opening * (DEEPEST + 1) + "1", f"deeper than {DEEPEST} levels") for opening in ("(", "[", "{a:", "f(", "!")),
        ("2 ** " * (DEEPEST + 1) + "2", f"deeper than {DEEPEST} levels"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_reason(source: str, message: str) -> None:
    with pytest.raises(Mistake) as raised:
        parse_expression(source)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "expression", ["a" + " + b" * 900, f"'{'x' * 2100}'", "{a: b} == c || " * 200 + "d", "a == 'x' || " * 400 + "a"]
)
def test_an_expression_that_is_too_long_says_so_wherever_the_limit_cuts_it(expression: str) -> None:
    said = f"an expression may have at most 2000 characters, found {len(expression)}; name parts"
    with pytest.raises(Mistake, match=said):
        compile_expression(expression)
    with pytest.raises(Mistake, match=said):
        compile_until_brace("${" + expression + "} and {more}" + " " * 2000, 2)


@pytest.mark.parametrize(("sign", "result"), [("+", 901), ("-", -899), ("*", 1), ("||", True), ("&&", True)])
def test_a_flat_chain_of_operators_does_not_nest(sign: str, result: object) -> None:
    number = 901 if len(sign) == 1 else 600
    assert compile_expression(sign.join(["1"] * number))({}, Run()) == result


def test_an_expression_ends_at_the_first_brace_that_is_not_its_own() -> None:
    text = "a ${ {'}': [b]}['}'] } not an expression: ' ${"
    assert parse_until_brace(text, 4, 100) == (parse_expression("{'}': [b]}['}']"), text.index(" } not") + 1)
    with pytest.raises(Mistake, match="no closing } within 10 characters"):
        parse_until_brace("${a            ", 2, 10)
    with pytest.raises(Mistake, match="at most 10 characters, found 12"):
        parse_until_brace("${a           }", 2, 10)
