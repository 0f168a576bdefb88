from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.strict_json import MAX_DEPTH, JsonError, is_storable, parse_json, parse_storable_json, same_json, storable


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b'{"n": 1E400}',
        b"9" * 5000,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b"[" * 100_000,
    ],
)
def test_documents_that_cannot_be_stored_or_traversed_are_refused(text: bytes) -> None:
    with pytest.raises(JsonError):
        parse_storable_json(text)


@pytest.mark.parametrize("depth", [1, MAX_DEPTH - 1, MAX_DEPTH])
def test_documents_of_bounded_depth_are_read(depth: int) -> None:
    text = "[" * depth + "]" * depth
    assert parse_storable_json(text) == json.loads(text)


def test_width_is_not_depth() -> None:
    text = json.dumps([{"a": [1]}] * (5 * MAX_DEPTH))
    assert parse_storable_json(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('"a\\u0000b"', "a\ufffdb"),
        ('"\\ud800"', "\ufffd"),
        ('"\\uD83D\\uDE00"', "😀"),
        ('{"\\ud800": ["\\udfff"]}', {"\ufffd": ["\ufffd"]}),
    ],
)
def test_text_that_databases_refuse_is_replaced(text: str, read: Any) -> None:
    assert parse_storable_json(text) == read


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(value=_json)
def test_all_other_json_is_what_it_is(value: Any) -> None:
    text = json.dumps(value)
    read = parse_storable_json(text)
    json.dumps(read, allow_nan=False, ensure_ascii=False).encode("utf-8")
    if "\\u0000" not in text and "\\ud" not in text:
        assert read == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1: Expecting value"),
        ('{"a": 1,\n "b" 2}', "line 2, column 6: Expecting ':' delimiter"),
        ("[NaN]", "NaN is not a JSON value"),
        ("[-Infinity]", "-Infinity is not a JSON value"),
        (b"\xff", "not UTF-8"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 5000, "a whole number has more than 4300 digits"),
    ],
)
@pytest.mark.parametrize("make_object", [None, dict])
def test_what_is_not_json_is_refused_with_its_place(text: str | bytes, message: str, make_object: Any) -> None:
    with pytest.raises(JsonError, match=re.escape(message)):
        parse_json(text, make_object=make_object)


def test_a_check_can_report_a_number_beyond_every_float_with_its_path() -> None:
    assert parse_json('{"a": [1e999]}') == {"a": [math.inf]}


def test_objects_are_built_as_asked() -> None:
    assert parse_json('{"a": 1, "a": 2}', make_object=list) == [("a", 1), ("a", 2)]


@given(text=st.text(alphabet=st.characters(codec=None, exclude_categories=())))
def test_what_is_storable_stays_as_it_is(text: str) -> None:
    kept = storable(text)
    assert is_storable(kept)
    assert (kept == text) == is_storable(text)


def test_values_are_compared_as_json() -> None:
    assert same_json({"a": 1, "b": [2]}, {"b": [2.0], "a": 1})
    assert not same_json({"a": True}, {"a": 1})
    assert not same_json([True], [1])
    assert not same_json({"a": None}, {})
    assert not same_json([1, 2], [2, 1])
    assert not same_json("1", 1)
    assert same_json(None, None)
