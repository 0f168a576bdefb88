"""The OpenID Connect provider over HTTP: its discovery document, its keys, and what a login's code is worth."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit, urlunsplit

import aiohttp
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.jwk import Key

from app.accounts.openid.id_token import UnknownKeyError, read_keys, verify_id_token
from app.accounts.openid.id_token_expected import Expected, Redeemed
from app.accounts.openid.login_errors import ClientRefusedError, LoginRefusedError, ProviderError
from app.accounts.openid.provider_logout import logout_address
from app.accounts.openid.provider_person import wanted_claims
from app.clock import Clock, new_secret
from app.flows.outgoing.http_pool import HttpPool, failure_reason, is_compressed, read_at_most
from app.logs import get_logger
from app.settings import LoginProvider, endpoint_problem
from app.translation import translatable

_log = get_logger(__name__)
T = TypeVar("T")

ANSWER_WITHIN_S: Final = 5.0
"""One request, of at most four that a login makes."""
WAIT_AT_MOST_S: Final = 15.0
"""All requests of a login, the wait for others included."""
AT_ONCE: Final = 8
"""Logins whose codes are redeemed at the same time; a flood must not open connections without limit."""
KEEP_S: Final = 3600.0
"""The discovery document and the keys are read again after this, lest a withdrawn key be trusted for long."""
REREAD_AFTER_S: Final = 10.0
"""Between two reads of the keys for want of one: tokens with made-up key ids must not make us ask all the time."""
FAIL_FOR_S: Final = 2.0
"""After a discovery document could not be read, logins fail at once for so long, instead of one after the other."""
MAX_ANSWER_BYTES: Final = 512 * 1024
_GOOGLE: Final = "https://accounts.google.com"  # takes the prompts `select_account` and `consent`, and lists none


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What the discovery document says."""

    authorization: str
    token: str
    keys: str
    userinfo: str
    end_session: str
    """Where a person logs out there; empty if the provider has no such place."""
    secret_in_body: bool
    """The client's secret goes into the body of the request for tokens, not into a header."""
    scopes: tuple[str, ...]
    selects_account: bool


class IdentityProvider:
    """One provider, whose documents are kept for an hour."""

    def __init__(self, provider: LoginProvider, clock: Clock) -> None:
        self.provider = provider
        self._clock = clock
        self._pool = HttpPool({"Accept": "application/json"})
        self._places = asyncio.Semaphore(AT_ONCE)
        self._reading = asyncio.Lock()
        self._endpoints: tuple[float, Endpoints] | None = None
        self._keys: tuple[float, list[Key]] | None = None
        self._failed: tuple[float, ProviderError] | None = None

    async def authorization_url(
        self, *, state: str, nonce: str, verifier: str, again: bool = False, other_account: bool = False
    ) -> str:
        """Return where a person logs in; `again`: even one who is logged in there; `other_account`: as another one."""
        endpoints = await self._bounded(self._read_endpoints())
        query = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": self.provider.callback_url,
            "scope": " ".join(endpoints.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        if again:
            query |= {"prompt": "login", "max_age": "0"}
        elif other_account:
            query["prompt"] = "select_account" if endpoints.selects_account else "login"
        parts = urlsplit(endpoints.authorization)
        joined = "&".join(part for part in (parts.query, urlencode(query)) if part)
        return urlunsplit(parts._replace(query=joined))

    async def redeem(self, code: str, verifier: str, expected: Expected) -> Redeemed:
        """Return what is verified about the person who came back with `code`, or raise LoginRefusedError."""
        return await self._bounded(self._redeem(code, verifier, expected))

    async def logout_url(self, id_token: str = "") -> str:
        """Return where a person logs out at the provider (`logout_address`); empty if it does not say where."""
        try:
            endpoints = await self._bounded(self._read_endpoints())
        except ProviderError:
            return ""
        return logout_address(endpoints.end_session, self.provider, id_token)

    async def count_keys(self) -> int:
        """Return how many keys the provider publishes; raises ProviderError if its documents cannot be used."""
        endpoints = await self._bounded(self._read_endpoints())
        return len(await self._bounded(self._read_keys(endpoints, KEEP_S)))

    async def check_client(self) -> None:
        """Redeem a code that is none: ClientRefusedError if the client or its secret is wrong, else ProviderError."""
        endpoints = await self._bounded(self._read_endpoints())
        with suppress(LoginRefusedError):
            await self._bounded(self._exchange(endpoints, "none", new_secret()))

    async def close(self) -> None:
        await self._pool.close()

    async def _bounded(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(WAIT_AT_MOST_S):
                return await work
        except TimeoutError as error:
            raise self._error(translatable("it took too long")) from error

    async def _redeem(self, code: str, verifier: str, expected: Expected) -> Redeemed:
        async with self._places:
            endpoints = await self._read_endpoints()
            answer = await self._exchange(endpoints, code, verifier)
            access_token = answer.get("access_token")
            access_token = access_token if isinstance(access_token, str) else ""
            claims = await self._verify(endpoints, answer.get("id_token"), access_token, expected)
            missing = wanted_claims(self.provider) - claims.keys()
            is_login = expected.authenticated_since is None  # else sub and auth_time are enough
            if is_login and missing and endpoints.userinfo and access_token:
                claims = {**await self._userinfo(endpoints, access_token, claims["sub"]), **claims}
            return Redeemed(claims, str(answer["id_token"]))

    async def _exchange(self, endpoints: Endpoints, code: str, verifier: str) -> dict[str, Any]:
        provider, secret = self.provider, self.provider.client_secret.get_secret_value()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": provider.callback_url,
            "code_verifier": verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if not secret or endpoints.secret_in_body:
            form["client_id"] = provider.client_id
        if secret and endpoints.secret_in_body:
            form["client_secret"] = secret
        elif secret:  # RFC 6749, 2.3.1: both are form-encoded first
            pair = f"{quote_plus(provider.client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        request = self._pool.post(endpoints.token, headers, urlencode(form).encode())
        status, answer = await self._send(request)
        if status == 200:
            return answer
        error = str(answer.get("error", ""))[:60]
        if error == "invalid_grant":
            message = translatable("This login took too long, or was used before. Log in again.")
            raise LoginRefusedError(message, "invalid_grant")
        if error in {"invalid_client", "unauthorized_client"} or status == 401:
            why = translatable(
                "it refuses USHER_OIDC_CLIENT_ID or USHER_OIDC_CLIENT_SECRET; an admin must correct that"
            )
            raise ClientRefusedError(str(self._error(why)))
        raise self._error(translatable("it answered %(status)s", status=f"{status} {error}".strip()))

    async def _verify(
        self, endpoints: Endpoints, token: Any, access_token: str, expected: Expected
    ) -> Mapping[str, Any]:
        now = self._clock.now()
        keys = await self._read_keys(endpoints, KEEP_S)
        try:
            return verify_id_token(token, keys, expected, access_token=access_token, now=now)
        except UnknownKeyError:
            keys = await self._read_keys(endpoints, REREAD_AFTER_S)  # the provider may have changed its keys
        try:
            return verify_id_token(token, keys, expected, access_token=access_token, now=now)
        except UnknownKeyError as error:
            message = translatable(
                "What the provider says of you is signed with a key that it does not publish. Log in again."
            )
            raise LoginRefusedError(message, "ID token refused: unknown key") from error

    async def _userinfo(self, endpoints: Endpoints, access_token: str, subject: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {access_token}"}
        status, answer = await self._send(self._pool.get(endpoints.userinfo, headers))
        if status != 200:
            raise self._error(translatable("its userinfo endpoint answered %(status)s", status=status))
        if answer.get("sub") != subject:  # OpenID Connect Core 1.0, 5.3.2: it may be about another person
            message = translatable("The provider answered about another person. Log in again.")
            raise LoginRefusedError(message, "userinfo: other sub")
        return answer

    async def _read_endpoints(self) -> Endpoints:
        async with self._reading:
            kept, now = self._endpoints, self._clock.monotonic()
            if kept is not None and now - kept[0] < KEEP_S:
                return kept[1]
            if self._failed is not None and now - self._failed[0] < FAIL_FOR_S:
                raise self._failed[1]
            try:
                endpoints = await self._discovered()
            except ProviderError as error:
                self._failed = self._clock.monotonic(), error
                raise
            self._endpoints, self._failed = (now, endpoints), None
            return endpoints

    async def _discovered(self) -> Endpoints:
        issuer = self.provider.issuer
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        status, document = await self._send(self._pool.get(url, {}))
        if status != 200:
            why = translatable(
                "its discovery document was answered with %(status)s; see USHER_OIDC_ISSUER", status=status
            )
            raise self._error(why)
        if document.get("issuer") != issuer:
            named = str(document.get("issuer"))[:200]
            why = translatable("it calls itself %(name)s; write exactly that into USHER_OIDC_ISSUER", name=repr(named))
            raise self._error(why)
        return self._checked(document)

    async def _read_keys(self, endpoints: Endpoints, younger_than_s: float) -> list[Key]:
        async with self._reading:
            kept, now = self._keys, self._clock.monotonic()
            if kept is not None and now - kept[0] < younger_than_s:
                return kept[1]
            status, document = await self._send(self._pool.get(endpoints.keys, {}))
            if status != 200:
                raise self._error(translatable("its keys were answered with %(status)s", status=status))
            keys = read_keys(document)
            self._keys = now, keys
            return keys

    def _checked(self, document: Mapping[str, Any]) -> Endpoints:
        def url(name: str, *, needed: bool = True) -> str:
            value = document.get(name)
            if value is None and not needed:
                return ""
            if not isinstance(value, str) or endpoint_problem(value):
                why = translatable("the %(name)s of its discovery document is no https:// address", name=name)
                raise self._error(why)
            return value

        def names(name: str) -> list[str]:
            value = document.get(name)
            return [str(one) for one in value] if isinstance(value, list) else []

        methods = names("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        scopes = ["openid", "profile", "email"]
        if self.provider.roles and "groups" in names("scopes_supported"):
            scopes.append("groups")
        return Endpoints(
            authorization=url("authorization_endpoint"),
            token=url("token_endpoint"),
            keys=url("jwks_uri"),
            userinfo=url("userinfo_endpoint", needed=False),
            end_session=url("end_session_endpoint", needed=False),
            secret_in_body="client_secret_basic" not in methods and "client_secret_post" in methods,
            scopes=tuple(scopes),
            selects_account="select_account" in names("prompt_values_supported") or self.provider.issuer == _GOOGLE,
        )

    async def _send(self, request: AbstractAsyncContextManager[aiohttp.ClientResponse]) -> tuple[int, dict[str, Any]]:
        """Return the status and the JSON object of an answer; an empty one with a status that is no 200."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S), request as response:
                body = b"" if is_compressed(response) else await read_at_most(response, MAX_ANSWER_BYTES)
        except TimeoutError as error:
            why = translatable("no answer within %(seconds)s s", seconds=f"{ANSWER_WITHIN_S:g}")
            raise self._error(why) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._error(failure_reason(error)) from error
        document = None
        with suppress(ValueError, RecursionError):
            document = json.loads(body)
        if isinstance(document, dict):
            return response.status, document
        if response.status == 200:
            raise self._error(translatable("its answer is no JSON object, or is compressed or too long"))
        return response.status, {}

    def _error(self, why: str) -> ProviderError:
        _log.warning("the OpenID Connect provider cannot be used", issuer=self.provider.issuer, why=why)
        name = self.provider.name
        return ProviderError(translatable("Your login cannot be checked at %(name)s: %(why)s.", name=name, why=why))
