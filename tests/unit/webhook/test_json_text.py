from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.webhook.json_text import MAX_DEPTH, JsonTextError, read_json


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
def test_what_nobody_could_store_or_walk_is_refused(text: bytes) -> None:
    with pytest.raises(JsonTextError):
        read_json(text)


@pytest.mark.parametrize("depth", [1, MAX_DEPTH - 1, MAX_DEPTH])
def test_what_can_be_walked_is_read(depth: int) -> None:
    text = "[" * depth + "]" * depth
    assert read_json(text) == json.loads(text)


def test_width_is_not_depth() -> None:
    text = json.dumps([{"a": [1]}] * (5 * MAX_DEPTH))
    assert read_json(text) == json.loads(text)


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
    assert read_json(text) == read


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(value=_json)
def test_all_other_json_is_what_it_is(value: Any) -> None:
    text = json.dumps(value)
    read = read_json(text)
    json.dumps(read, allow_nan=False, ensure_ascii=False).encode("utf-8")
    if "\\u0000" not in text and "\\ud" not in text:
        assert read == value
