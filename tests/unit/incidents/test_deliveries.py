"""When messages are sent again, what their signatures cover, and that nothing shows a secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.db.types import IncidentKind
from app.flows.messages.senders import without_secrets
from app.incidents.messages.channel import Channel, check_notification, shown_target
from app.incidents.messages.payload import signed_headers
from app.incidents.messages.retry_delays import DELAYS_S, GIVE_UP_AFTER, delay_after
from app.incidents.messages.subscription import shown_url, url_problem

SECRET = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="


def test_delays_grow_up_to_the_longest_and_a_day_holds_a_dozen_attempts() -> None:
    delays = [delay_after(attempt).total_seconds() for attempt in range(1, 20)]
    assert delays[: len(DELAYS_S)] == list(DELAYS_S)
    assert delays == sorted(delays)
    total, attempts = timedelta(), 1
    while total < GIVE_UP_AFTER:
        total, attempts = total + delay_after(attempts), attempts + 1
    assert 10 <= attempts <= 20


@pytest.mark.parametrize(("asked", "expected"), [(None, 5), (1, 5), (60, 60), (10**6, 3600)])
def test_a_receiver_may_ask_for_a_longer_pause_up_to_an_hour(asked: float | None, expected: float) -> None:
    assert delay_after(1, asked).total_seconds() == expected


def test_the_signature_is_that_of_standard_webhooks_and_covers_the_body() -> None:
    body = '{"type":"call.answered"}'
    headers = signed_headers("0199", SECRET, body, datetime.now(UTC))
    Webhook(SECRET).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + " ", headers)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnl", "slack://…"),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "discord://…"),
        ("mailto://user:pass-word@mail.example.com?to=x@y.org", "mailto://mail.example.com"),
        ("json://user:pass-word@10.0.0.1:8080/secret/path", "json://10.0.0.1"),
        ("nonsense", "://…"),
        ("http://[broken", "://…"),
    ],
)
def test_of_a_channel_only_the_scheme_is_shown_and_a_host_that_is_no_token(url: str, shown: str) -> None:
    try:
        assert shown_target(url) == shown
    except ValueError:
        pytest.fail("it must not raise")


def test_secrets_of_a_url_are_left_out_of_errors() -> None:
    url = "json://user:pass-word@10.0.0.1:8080/secret%20path/tok3n?key=val-ue"
    text = "no answer of 10.0.0.1 to user: pass-word, /secret path/tok3n, secret%20path, val-ue"
    cleaned = without_secrets(text, url)
    for secret in ("pass-word", "secret", "tok3n", "val-ue"):
        assert secret not in cleaned
    assert "10.0.0.1" in cleaned


@pytest.mark.parametrize("url", ["pbul://A-t0ken", "PBUL://A-t0ken/", "slack://name@A-t0ken/B/C"])
def test_a_host_that_is_a_token_is_left_out_of_errors_in_any_case(url: str) -> None:
    cleaned = without_secrets("no answer to A-t0ken or a-t0ken", url)
    assert cleaned == "no answer to … or …"


def test_the_url_of_a_program_is_shown_without_user_and_query() -> None:
    assert shown_url("https://me:pw@crm.test:8443/hook?token=x") == "https://crm.test:8443/hook?…"


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "https://", "http://x y", "https://exämple.com", "http://[::1", "file:///etc"]
)
def test_what_is_no_url_of_a_program_is_refused(url: str) -> None:
    assert url_problem(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/x", "https://crm.example.com/hook?a=b"])
def test_urls_of_programs(url: str) -> None:
    assert url_problem(url) == ""


def test_every_mistake_in_a_notification_is_named_and_its_url_is_not() -> None:
    found = check_notification(
        {
            "name": "a/b",
            "url": "secret-without-scheme",
            "kinds": ["no_show", "odd"],
            "quiet_hours": "25:00",
            "timezone": "X",
        }
    )
    assert [one.path for one in found] == ["name", "url", "kinds[1]", "quiet_hours", "timezone"]
    assert "secret-without-scheme" not in str(found)


def test_quiet_hours_go_by_their_time_zone() -> None:
    channel = Channel("ops", "json://x", None, "22:00-06:00", "Europe/Madrid")
    at_night = datetime(2026, 11, 26, 21, 30, tzinfo=UTC)
    assert not channel.takes(IncidentKind.NO_SHOW, at_night)
    assert channel.takes(IncidentKind.NO_SHOW, at_night - timedelta(hours=1))
