"""What the claims of a verified ID token say of a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.accounts.openid.login_errors import LoginRefusedError
from app.accounts.roles import Role
from app.accounts.users import Identity, check_name
from app.settings import LoginProvider
from app.translation import translatable

EMAIL: Final = "email"
_MOST_POWERFUL_FIRST: Final = (Role.ADMIN, Role.EDITOR, Role.VIEWER)
_ASCII_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
"""Not `str.lower`, by which the Kelvin sign becomes a k, and the address of one person that of another."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person as the provider describes them."""

    identity: Identity
    name: str
    """The claim that is the name in Usher."""
    is_verified: bool
    """Whether the provider has verified that the name is the person's: it may then be that of an existing user."""
    role: Role | None
    """By the groups, or for people who are no users yet; None: they may not log in."""
    groups_decide: bool


def wanted_claims(provider: LoginProvider) -> set[str]:
    """Return the claims that are asked for at the provider's userinfo endpoint if the ID token lacks one."""
    claims = {provider.claim}
    if provider.claim == EMAIL:
        claims.add("email_verified")
    if provider.roles:
        claims.add(provider.groups_claim)
    return claims


def read_person(claims: Mapping[str, Any], provider: LoginProvider) -> Person:
    """Return the person of `claims`; LoginRefusedError without a name, or with an address that is not verified."""
    name = claims.get(provider.claim)
    if not isinstance(name, str) or not name:
        raise LoginRefusedError(
            translatable(
                "The provider does not say what your name is here (the claim %(claim)s). Ask an admin.",
                claim=provider.claim,
            ),
            f"the claim {provider.claim} is missing",
        )
    is_verified = provider.claim == EMAIL
    if is_verified:
        # Some providers send "true"; anything else is not verified.
        found = claims.get("email_verified")
        if found is not True and found != "true":
            raise LoginRefusedError(
                translatable("The provider has not verified your e-mail address. Verify it there and log in again."),
                "the e-mail address is not verified",
            )
        name = name.translate(_ASCII_LOWER)
        _require_domain(name, provider)
    if check_name(name):
        raise LoginRefusedError(
            translatable(
                "Your name at the provider (the claim %(claim)s) cannot be a name in Usher: it must be printable, of "
                "at most 100 characters. Ask an admin.",
                claim=provider.claim,
            ),
            f"the claim {provider.claim} is no name",
        )
    identity = Identity(provider.issuer, str(claims["sub"]))
    return Person(identity, name, is_verified, _role(claims, provider), bool(provider.roles))


def _require_domain(address: str, provider: LoginProvider) -> None:
    domain = address.rpartition("@")[2]
    if provider.domains and domain not in provider.domains:
        raise LoginRefusedError(
            translatable("Addresses of %(domain)s may not log in here.", domain=domain[:100]),
            "an address of another domain (USHER_OIDC_DOMAINS)",
        )


def _role(claims: Mapping[str, Any], provider: LoginProvider) -> Role | None:
    named = claims.get(provider.groups_claim)
    groups = {named} if isinstance(named, str) else set(map(str, named)) if isinstance(named, list) else set()
    by_groups = {role for group, role in provider.roles.items() if group in groups}
    for role in _MOST_POWERFUL_FIRST:
        if role in by_groups:
            return role
    return Role(provider.role) if provider.role else None
