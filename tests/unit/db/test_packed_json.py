"""Webhook bodies are stored compressed, and read as they were."""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db.columns.packed_json import DICTIONARIES, pack, unpack

RECORDED = sorted((Path(__file__).parents[2] / "data" / "webhooks").glob("**/*.json"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_any_json_comes_back(document: object) -> None:
    assert unpack(pack(document)) == document


@pytest.mark.parametrize("size", [100, 4_000, 5_000, 200_000])
def test_a_body_of_any_size_comes_back(size: int) -> None:
    body = {"event": "participant_joined", "participant": {"metadata": "".join(str(n) for n in range(size))[:size]}}
    assert unpack(pack(body)) == body


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_webhook_of_livekit_comes_back(path: Path) -> None:
    body = json.loads(path.read_text("utf-8"))
    assert unpack(pack(body)) == body


@pytest.mark.parametrize("version", DICTIONARIES)
def test_a_body_that_was_stored_with_any_dictionary_is_read(version: int) -> None:
    body = json.loads(RECORDED[0].read_text("utf-8"))
    packer = zlib.compressobj(5, zlib.DEFLATED, -12, 3, zlib.Z_DEFAULT_STRATEGY, DICTIONARIES[version])
    assert unpack(bytes([version]) + packer.compress(json.dumps(body).encode()) + packer.flush()) == body


@pytest.mark.parametrize("stored", [b"", b"\x63what", b"\x01\xff\xff", b'{"event": 1}'])
def test_other_bytes_are_an_error_that_says_so(stored: bytes) -> None:
    with pytest.raises(ValueError, match="stored body"):
        unpack(stored)


def test_a_dictionary_that_bodies_were_stored_with_never_changes() -> None:
    digests = {version: hashlib.sha256(content).hexdigest()[:16] for version, content in DICTIONARIES.items()}
    assert digests == {1: "3aa4d1ff762c4a05", 2: "ea924d1da5345493", 3: "653f8f4a09a62968"}
