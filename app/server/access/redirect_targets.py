"""Addresses that browsers are sent to, short enough for the headers that proxies take of an answer."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

MAX_REDIRECT: Final = 2000
"""Characters as a header has them. nginx answers 502 to headers of over 4 KiB, and counts that against the server."""
MAX_LOGIN_TARGET: Final = 1000
"""Characters of the page to go to after a login: it is quoted once more in an address, and encoded in a cookie."""
_HOME: Final = "/console/"
_UNQUOTED: Final = ":/%#?=@[]!$&'()*+,;"


def short_target(address: str, most: int = MAX_REDIRECT) -> str:
    """Return the address of a page of the console, without its query if it is longer than `most` characters."""
    candidates = (address, urlsplit(address).path, _HOME)
    return next(one for one in candidates if len(quote(one, safe=_UNQUOTED)) <= most)
