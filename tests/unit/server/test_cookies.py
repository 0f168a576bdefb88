"""Cookies are dated by the clock that all replicas share, whatever the machine's shows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from starlette.requests import Request
from starlette.responses import Response

from app.server.console.access.cookies import Cookies
from app.settings import read_settings
from tests.conftest import StillClock


@pytest.fixture
def cookies(clock: StillClock) -> Cookies:
    return Cookies("a key of tests", read_settings({}, without_livekit=True), clock)


def request_with(cookie: str = "") -> Request:
    return Request(
        {"type": "http", "scheme": "http", "path": "/console/login", "headers": [(b"cookie", cookie.encode())]}
    )


def test_the_cookie_of_the_login_form_is_valid_for_seven_days(cookies: Cookies, clock: StillClock) -> None:
    value = cookies.new_anonymous()
    clock.advance(timedelta(days=7).total_seconds())
    assert cookies.is_anonymous(value)
    clock.advance(1)
    assert not cookies.is_anonymous(value)


def test_a_login_at_the_provider_may_take_ten_minutes(cookies: Cookies, clock: StillClock) -> None:
    response = Response()
    cookies.begin_login_flow(request_with(), response, "s", {"nonce": "n"})
    came_back = request_with(response.headers["set-cookie"].partition(";")[0])
    clock.advance(600)
    assert cookies.login_flow_of(came_back, "s") == {"nonce": "n"}
    clock.advance(1)
    assert cookies.login_flow_of(came_back, "s") is None
