"""An OpenID Connect provider over sockets, whose answers a test can bend."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.harness.ports import LOOPBACK

CLIENT_ID = "usher"
CLIENT_SECRET = "a secret: of + the client"  # with what must be encoded in a header

Claims = dict[str, Any]


@dataclass
class ProviderAtHand:
    """`authorize` is what a person does at the provider; all else is asked by HTTP."""

    url: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    bend_token: Callable[[Claims], Claims] = lambda claims: claims
    sign: Callable[[Claims], str] | None = None
    userinfo: Claims | None = None
    """What the userinfo endpoint says; claims besides `sub` are then left out of the ID token."""
    discovery: Claims = field(default_factory=dict)
    """What the discovery document says otherwise."""
    registered: str = ""
    """What redirect URIs begin with."""
    hangs: asyncio.Event | None = None
    people: dict[str, Claims] = field(default_factory=dict)
    """Who can log in at its page, by name, each by one click."""
    asked: list[str] = field(default_factory=list)
    """Paths of the requests."""
    _codes: dict[str, tuple[Mapping[str, str], Claims]] = field(default_factory=dict)

    def authorize(self, url: str, **person: Any) -> str:
        """Log `person` in at the authorization URL; return the path and query at which the browser comes back."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = secrets.token_urlsafe()
        self._codes[code] = query, person
        return self.answered(url, code=code, iss=self.url)

    def answered(self, url: str, **answer: str) -> str:
        """Return where the browser comes back with `answer`."""
        [state] = parse_qs(urlsplit(url).query)["state"]
        return f"/console/oidc/callback?{urlencode({'state': state, **answer})}"

    def rotate(self) -> None:
        """Sign with a new key from now on."""
        self.key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4)})

    async def serve_discovery(self, request: web.Request) -> web.Response:
        await self._note(request)
        document = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize?tenant=1",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "scopes_supported": ["openid", "groups"],
        }
        return web.json_response(document | self.discovery)

    async def serve_login(self, request: web.Request) -> web.Response:
        """Show its login page, or answer that nobody has logged in, as to `prompt=none`; refuse an unknown client."""
        await self._note(request)
        target = request.query.get("redirect_uri", "")
        if not target.startswith(self.registered) or request.query.get("client_id") != CLIENT_ID:
            return web.Response(status=400, text="this redirect URI is not registered")
        state = request.query["state"]
        if self.people and request.query.get("prompt") != "none":
            at = int(time.time())
            links = {
                name: urljoin(target, self.authorize(str(request.url), **claims, auth_time=at))
                for name, claims in self.people.items()
            }
            items = "".join(f'<li><a href="{escape(url)}">{escape(name)}</a></li>' for name, url in links.items())
            return web.Response(text=f"<h1>Who are you?</h1><ul>{items}</ul>", content_type="text/html")
        raise web.HTTPFound(f"{target}?{urlencode({'error': 'login_required', 'state': state})}")

    async def serve_logout(self, request: web.Request) -> web.Response:
        await self._note(request)
        return web.Response(text="<h1>You are logged out everywhere</h1>", content_type="text/html")

    async def serve_keys(self, request: web.Request) -> web.Response:
        await self._note(request)
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    async def serve_token(self, request: web.Request) -> web.Response:
        await self._note(request)
        form = await request.post()
        client = "usher:a+secret%3A+of+%2B+the+client"
        if request.headers.get("Authorization") != f"Basic {base64.b64encode(client.encode()).decode()}":
            return web.json_response({"error": "invalid_client"}, status=401)
        query, person = self._codes.pop(str(form["code"]), ({}, {}))
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        if query.get("code_challenge") != base64.urlsafe_b64encode(digest).rstrip(b"=").decode():
            return web.json_response({"error": "invalid_grant"}, status=400)
        if form["redirect_uri"] != query["redirect_uri"] or form["grant_type"] != "authorization_code":
            return web.json_response({"error": "invalid_request"}, status=400)
        now = int(time.time())
        said = person if self.userinfo is None else {"sub": person["sub"]}
        claims = self.bend_token(
            {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": query["nonce"], **said}
        )
        token = self.sign(claims) if self.sign else self.signed(claims)
        return web.json_response({"access_token": "at", "token_type": "Bearer", "id_token": token})

    async def serve_userinfo(self, request: web.Request) -> web.Response:
        await self._note(request)
        assert request.headers["Authorization"] == "Bearer at"
        return web.json_response(self.userinfo)

    def signed(self, claims: Claims) -> str:
        """Return the ID token of `claims`."""
        return jwt.encode({"alg": "RS256", "kid": str(self.key.kid)}, claims, self.key)

    async def _note(self, request: web.Request) -> None:
        self.asked.append(request.path)
        if self.hangs is not None:
            await self.hangs.wait()


@asynccontextmanager
async def provider_at_hand() -> AsyncIterator[ProviderAtHand]:
    """Run a provider until the end of the block."""
    provider = ProviderAtHand()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", provider.serve_discovery)
    app.router.add_get("/authorize", provider.serve_login)
    app.router.add_get("/logout", provider.serve_logout)
    app.router.add_get("/keys", provider.serve_keys)
    app.router.add_post("/token", provider.serve_token)
    app.router.add_get("/userinfo", provider.serve_userinfo)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        provider.url = f"http://{host}:{port}"
        yield provider
    finally:
        if provider.hangs is not None:
            provider.hangs.set()
        await runner.cleanup()
