"""The address that `usher serve` listens on."""

from __future__ import annotations

import socket

import pytest

from app.cli.serve import listen
from app.errors import ConflictError
from app.settings import local_url


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "::1"])  # noqa: S104 - settings
def test_the_url_that_is_logged_reaches_the_listener(host: str) -> None:
    with listen(host, 0) as listener:
        listener.setblocking(True)  # noqa: FBT003 - the socket API
        address = local_url(*listener.getsockname()[:2])
        called, port = address.removeprefix("http://").rsplit(":", 1)
        with socket.create_connection((called.strip("[]"), int(port)), timeout=60):
            listener.accept()[0].close()


def test_an_address_that_is_none_is_refused_in_one_line() -> None:
    with pytest.raises(ConflictError, match="see USHER_HOST and USHER_PORT") as raised:
        listen("no such host", 0)
    assert "\n" not in str(raised.value)
