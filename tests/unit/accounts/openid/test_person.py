"""Whose name a person at the provider gets, and with which role."""

from __future__ import annotations

from typing import Any

import pytest

from app.accounts.openid.login_errors import LoginRefusedError
from app.accounts.openid.provider_person import read_person, wanted_claims
from app.accounts.roles import Role
from app.settings import LoginProvider, login_provider, read_settings

ANA = {"sub": "1", "email": "ana@example.com", "email_verified": True, "preferred_username": "ana"}


def provider(**settings: str) -> LoginProvider:
    basic = {
        "USHER_PUBLIC_URL": "https://usher.example.com",
        "USHER_OIDC_ISSUER": "https://login.example.com",
        "USHER_OIDC_CLIENT_ID": "usher",
    }
    found = login_provider(read_settings({**basic, **settings}, without_livekit=True))
    assert found is not None
    return found


def test_the_name_is_the_verified_address() -> None:
    person = read_person(ANA, provider())
    assert (person.name, person.is_verified, person.role) == ("ana@example.com", True, None)
    assert read_person({**ANA, "email": "Ana@Example.COM"}, provider()).name == "ana@example.com"


def test_letters_that_look_like_others_stay_what_they_are() -> None:
    """The Kelvin sign becomes a k in lower case: the address would be that of another person."""
    assert read_person({**ANA, "email": "\u212aim@example.com"}, provider()).name == "\u212aim@example.com"


@pytest.mark.parametrize("verified", [False, None, "false", 1, "yes", []])
def test_an_address_that_is_not_verified_is_refused(verified: Any) -> None:
    with pytest.raises(LoginRefusedError, match="not verified your e-mail address"):
        read_person({**ANA, "email_verified": verified}, provider())
    with pytest.raises(LoginRefusedError):
        read_person({"sub": "1", "email": "ana@example.com"}, provider())


def test_another_claim_is_a_name_that_is_not_verified() -> None:
    person = read_person(ANA, provider(USHER_OIDC_CLAIM="preferred_username"))
    assert (person.name, person.is_verified) == ("ana", False)


@pytest.mark.parametrize("name", [None, "", 7, ["ana"], "a\nb", " ana", "x" * 101])
def test_what_can_be_no_name_is_refused(name: Any) -> None:
    with pytest.raises(LoginRefusedError):
        read_person({**ANA, "preferred_username": name}, provider(USHER_OIDC_CLAIM="preferred_username"))


@pytest.mark.parametrize(
    "address", ["ana@evil.com", "ana@sub.example.com", "ana@example.com.evil.com", "example.com@x"]
)
def test_addresses_of_other_domains_are_refused(address: str) -> None:
    ours = provider(USHER_OIDC_DOMAINS="Example.com, example.org")
    assert read_person(ANA, ours).name == "ana@example.com"
    with pytest.raises(LoginRefusedError, match="may not log in here"):
        read_person({**ANA, "email": address}, ours)


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["ops", "support"], Role.ADMIN),
        (["support"], Role.VIEWER),
        ("support", Role.VIEWER),
        (["others"], None),
        ([], None),
        (None, None),
        ({"ops": 1}, None),
        ([["ops"], 1], None),
    ],
)
def test_the_role_is_that_of_the_most_powerful_group(groups: Any, role: Role | None) -> None:
    ours = provider(USHER_OIDC_ROLES="support=viewer, ops=admin")
    assert read_person({**ANA, "groups": groups}, ours).role is role
    otherwise = provider(USHER_OIDC_ROLES="support=viewer, ops=admin", USHER_OIDC_ROLE="editor")
    assert read_person({**ANA, "groups": groups}, otherwise).role is (role or Role.EDITOR)


def test_claims_that_are_needed_are_asked_for() -> None:
    assert wanted_claims(provider()) == {"email", "email_verified"}
    ours = provider(USHER_OIDC_CLAIM="upn", USHER_OIDC_ROLES="a=viewer", USHER_OIDC_GROUPS_CLAIM="roles")
    assert wanted_claims(ours) == {"upn", "roles"}
