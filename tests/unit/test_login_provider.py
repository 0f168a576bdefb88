"""The settings of logins through an OpenID Connect provider."""

from __future__ import annotations

import pytest

from app.errors import SettingsError
from app.settings import login_provider, read_settings

RIGHT = {
    "USHER_PUBLIC_URL": "https://usher.example.com/",
    "USHER_OIDC_ISSUER": "https://login.example.com/realms/main",
    "USHER_OIDC_CLIENT_ID": "usher",
    "USHER_OIDC_CLIENT_SECRET": "hunter2",
}


def problems_of(**environment: str) -> dict[str, str]:
    with pytest.raises(SettingsError) as raised:
        read_settings({**RIGHT, **environment}, without_livekit=True)
    assert "hunter2" not in str(raised.value)
    return {problem.path: problem.message for problem in raised.value.problems}


def test_without_an_issuer_there_is_no_provider() -> None:
    assert login_provider(read_settings({}, without_livekit=True)) is None


def test_the_callback_is_below_the_public_url() -> None:
    found = login_provider(read_settings(RIGHT, without_livekit=True))
    assert found is not None
    assert found.callback_url == "https://usher.example.com/console/oidc/callback"
    assert (found.claim, found.role, found.roles, found.domains) == ("email", "", {}, ())


def test_groups_may_hold_any_letters_but_commas() -> None:
    settings = {**RIGHT, "USHER_OIDC_ROLES": "/Ops = team=admin, support=viewer"}
    found = login_provider(read_settings(settings, without_livekit=True))
    assert found is not None
    assert found.roles == {"/Ops = team": "admin", "support": "viewer"}


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"USHER_PUBLIC_URL": ""}, "USHER_PUBLIC_URL"),
        ({"USHER_OIDC_ISSUER": ""}, "USHER_OIDC_ISSUER"),
        ({"USHER_OIDC_ISSUER": "login.example.com"}, "USHER_OIDC_ISSUER"),
        ({"USHER_OIDC_ISSUER": "http://login.example.com"}, "USHER_OIDC_ISSUER"),
        ({"USHER_OIDC_ISSUER": "https://login.example.com?x=1"}, "USHER_OIDC_ISSUER"),
        ({"USHER_OIDC_ISSUER": "https://user@login.example.com"}, "USHER_OIDC_ISSUER"),
        ({"USHER_OIDC_ISSUER": "https://login.example.com:port"}, "USHER_OIDC_ISSUER"),
        ({"USHER_OIDC_CLIENT_ID": ""}, "USHER_OIDC_CLIENT_ID"),
        ({"USHER_OIDC_ROLE": "owner"}, "USHER_OIDC_ROLE"),
        ({"USHER_OIDC_ROLE": "decider"}, "USHER_OIDC_ROLE"),
        ({"USHER_OIDC_ROLES": "ops"}, "USHER_OIDC_ROLES"),
        ({"USHER_OIDC_ROLES": "ops=root"}, "USHER_OIDC_ROLES"),
        ({"USHER_OIDC_ROLES": "=admin"}, "USHER_OIDC_ROLES"),
        ({"USHER_OIDC_CLAIM": "upn", "USHER_OIDC_DOMAINS": "example.com"}, "USHER_OIDC_DOMAINS"),
        ({"USHER_OIDC_ISSUER": "https://accounts.google.com", "USHER_OIDC_ROLE": "viewer"}, "USHER_OIDC_DOMAINS"),
        ({"USHER_OIDC_NAME": "x" * 61}, "USHER_OIDC_NAME"),
    ],
)
def test_what_is_wrong_or_missing_is_named(environment: dict[str, str], named: str) -> None:
    assert set(problems_of(**environment)) == {named}


def test_a_provider_on_this_machine_needs_no_tls() -> None:
    settings = {**RIGHT, "USHER_OIDC_ISSUER": "http://127.0.0.1:9400"}
    assert read_settings(settings, without_livekit=True).oidc_issuer == "http://127.0.0.1:9400"
