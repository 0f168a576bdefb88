from __future__ import annotations

import pytest

from app.cli.trigger import webhook_address
from app.errors import InvalidInputError
from app.settings import read_settings


@pytest.mark.parametrize(
    ("url", "environment", "address"),
    [
        (None, {}, "http://127.0.0.1:8080/livekit/webhook"),
        (None, {"USHER_HOST": "0.0.0.0", "USHER_PORT": "9000"}, "http://127.0.0.1:9000/livekit/webhook"),  # noqa: S104 - a setting
        (None, {"USHER_HOST": "::"}, "http://[::1]:8080/livekit/webhook"),
        ("https://usher.example", {}, "https://usher.example/livekit/webhook"),
        ("https://usher.example/", {}, "https://usher.example/livekit/webhook"),
        ("https://example.org/behind/proxy", {}, "https://example.org/behind/proxy"),
    ],
)
def test_where_it_is_posted(url: str | None, environment: dict[str, str], address: str) -> None:
    assert webhook_address(url, read_settings(environment, without_livekit=True)) == address


@pytest.mark.parametrize("url", ["", "usher", "ftp://x", "http://", "http://x:99999", "http://[::"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match="--url: is not a URL"):
        webhook_address(url, read_settings({}, without_livekit=True))
