"""Whether the OpenID Connect provider of the settings can be used for logins."""

from __future__ import annotations

from typing import Final

import aiohttp

from app.accounts.openid.login_errors import ClientRefusedError, ProviderError
from app.cli.diagnosis.finding import Finding, failed, ok, warning
from app.clock import SystemClock, new_secret
from app.flows.outgoing.identity_provider import IdentityProvider
from app.settings import LoginProvider, Settings, login_provider

_TIMEOUT_S: Final = 10.0
_PART: Final = "logins"


async def login_findings(settings: Settings) -> list[Finding]:
    """Return whether the provider answers, as the issuer that it should be, with keys, and takes the redirect URI."""
    provider = login_provider(settings)
    if provider is None:
        return []
    client = IdentityProvider(provider, SystemClock())
    try:
        count = await client.count_keys()
        url = await client.authorization_url(state=new_secret(), nonce=new_secret(), verifier=new_secret())
        known = await _client(client)
    except ProviderError as error:
        return [failed(_PART, str(error), "is it running, and are USHER_OIDC_ISSUER and the network right?")]
    finally:
        await client.close()
    if not count:
        return [
            failed(_PART, f"{provider.issuer} publishes no key that Usher can use", "RS, PS, ES or EdDSA is needed")
        ]
    keys = f"{count} key{'' if count == 1 else 's'}"
    redirect = await _redirect_uri(f"{url}&prompt=none", provider)
    return [ok(_PART, f"{provider.issuer} answers, with {keys}"), known, redirect]


async def _client(client: IdentityProvider) -> Finding:
    """Return whether the provider knows the client, and its secret is right."""
    part, name = "login client", client.provider.name
    remedy = "copy USHER_OIDC_CLIENT_ID and USHER_OIDC_CLIENT_SECRET from the provider again"
    try:
        await client.check_client()
    except ClientRefusedError:
        return failed(part, f"{name} refuses client {client.provider.client_id} or its secret", remedy)
    except ProviderError as error:
        return warning(part, f"{name} does not say whether the secret is right: {error}", f"if logins fail, {remedy}")
    return ok(part, f"{name} takes client {client.provider.client_id} and its secret")


async def _redirect_uri(url: str, provider: LoginProvider) -> Finding:
    """Return whether the provider sends browsers back: asked without a login, it answers there with an error."""
    part, remedy = "redirect URI", f"register {provider.callback_url} for client {provider.client_id} at the provider"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            status, target = response.status, response.headers.get("Location", "")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return failed(part, f"the login page of {provider.name} does not answer: {str(error) or 'no answer'}", remedy)
    if target.startswith(provider.callback_url):
        return ok(part, f"{provider.name} sends browsers back to {provider.callback_url}")
    if 400 <= status < 500:
        return failed(part, f"{provider.name} refuses the login with {status}", remedy)
    return warning(part, f"{provider.name} does not say whether it takes {provider.callback_url}", f"if not, {remedy}")
