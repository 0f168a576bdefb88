"""The cookies of the console, and CSRF tokens of its forms.

A browser that is not logged in has a signed random text, so that the login form has a CSRF token and no row is
written for strangers. Logging in replaces it by the secret of a session. Another cookie marks browsers in which a user
has logged in before; it gives no access. A third one holds what a login at the OpenID Connect provider must answer, a
fourth the language that was chosen.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from itsdangerous import BadSignature, URLSafeSerializer
from starlette.requests import Request
from starlette.responses import Response

from app.accounts.timed_codes import TimedCodes
from app.accounts.users import User
from app.clock import Clock, new_secret
from app.errors import FormRefusedError
from app.settings import Settings, host_name, is_loopback
from app.translation import translatable

SESSION: Final = "usher_session"
DEVICE: Final = "usher_device"
LOGIN_FLOW: Final = "usher_oidc"
LANGUAGE: Final = "usher_language"
CSRF_FIELD: Final = "csrf"
FORM_EXPIRED: Final = translatable(
    "this form has expired or was not sent by the console; reload the page and try again"
)
_SECURE_PREFIX: Final = "__Host-"
"""Browsers accept such a cookie only by TLS, for this host alone and the path /; so no other host can set it."""
_ANONYMOUS_LASTS: Final = timedelta(days=7)
_DEVICE_LASTS: Final = timedelta(days=180)
_LANGUAGE_LASTS: Final = timedelta(days=365)
_LOGIN_FLOW_LASTS: Final = timedelta(minutes=10)
"""A login at the provider, with a second factor that must be looked for."""
_MAX_LOGIN_FLOWS: Final = 3
"""Of one browser at once, in several tabs. It sends all with each request, of which nginx takes 8 KiB of cookies."""


class Cookies:
    """Reads and writes the cookies of the console."""

    def __init__(self, key: str, settings: Settings, clock: Clock) -> None:
        self._key = key.encode()
        self._clock = clock
        self._always_secure = settings.secure_cookies
        self._comes_by_tls = settings.sends_secure_cookies
        self._anonymous = TimedCodes(key, "usher.anonymous", hashlib.sha256)
        self._device = URLSafeSerializer(key, salt="usher.device", signer_kwargs={"digest_method": hashlib.sha256})
        self._login_flow = TimedCodes(key, "usher.oidc", hashlib.sha256)

    def read(self, request: Request) -> str:
        """Return the value of the session cookie; empty without one."""
        return request.cookies.get(self._name(request, SESSION), "")

    def new_anonymous(self) -> str:
        """Return the value of the cookie of a browser that is not logged in."""
        return self._anonymous.sign(new_secret(), self._clock.now())

    def is_anonymous(self, value: str) -> bool:
        """Return whether `new_anonymous` made `value`, not too long ago."""
        try:
            self._anonymous.read(value, _ANONYMOUS_LASTS, self._clock.now())
        except BadSignature:
            return False
        return True

    def write(self, request: Request, response: Response, value: str, lasts: timedelta = _ANONYMOUS_LASTS) -> None:
        """Set the session cookie."""
        self._set(request, response, SESSION, value, lasts)

    def device_of(self, request: Request, user: User) -> str:
        """Return what identifies a browser in which `user` has logged in before; empty for any other."""
        last = self._last_device(request)
        return last[2] if last is not None and last[:2] == (user.id, user.session_epoch) else ""

    def has_device(self, request: Request) -> bool:
        """Return whether some user has logged in before in the browser."""
        return self._last_device(request) is not None

    def _last_device(self, request: Request) -> tuple[str, int, str] | None:
        try:
            user_id, epoch, device = self._device.loads(request.cookies.get(self._name(request, DEVICE), ""))
        except (BadSignature, ValueError, TypeError):
            return None
        return str(user_id), int(epoch), str(device)

    def remember_device(self, request: Request, response: Response, user: User) -> None:
        """Mark the browser as one in which `user` has logged in.

        It keeps its mark if that was the last user to do so: forms of before can be sent.
        """
        last = self._last_device(request)
        device = last[2] if last is not None and last[0] == user.id else new_secret()
        value = self._device.dumps([user.id, user.session_epoch, device])
        self._set(request, response, DEVICE, value, _DEVICE_LASTS)

    def begin_login_flow(self, request: Request, response: Response, state: str, values: Mapping[str, str]) -> None:
        """Store `values`, signed, in the browser until its user comes back from the provider with `state`."""
        kept = self._login_flows(request)
        for name in kept if len(kept) >= _MAX_LOGIN_FLOWS else ():
            self._set(request, response, name, "", timedelta())
        text = self._login_flow.sign(dict(values), self._clock.now())
        self._set(request, response, _name_of_flow(state), text, _LOGIN_FLOW_LASTS)

    def login_flow_of(self, request: Request, state: str) -> dict[str, str] | None:
        """Return what `begin_login_flow` let this browser keep; None without it, or if that was too long ago.

        Without a `state`, which some providers leave out of errors: that of the only one.
        """
        kept = self._login_flows(request)
        if not state and len(kept) == 1:
            [text] = kept.values()
        else:
            text = kept.get(_name_of_flow(state), "")
        try:
            values: dict[str, str] = self._login_flow.read(text, _LOGIN_FLOW_LASTS, self._clock.now())
        except BadSignature:
            return None
        return values

    def end_login_flow(self, request: Request, response: Response, state: str) -> None:
        """Make the browser forget `begin_login_flow`: each is good for one answer of the provider."""
        self._set(request, response, _name_of_flow(state), "", timedelta())

    def _login_flows(self, request: Request) -> dict[str, str]:
        """Return the texts of the browser's logins at the provider by the names of their cookies."""
        prefix = self._name(request, "")
        names = {name.removeprefix(prefix): text for name, text in request.cookies.items() if name.startswith(prefix)}
        return {name: text for name, text in names.items() if name.startswith(f"{LOGIN_FLOW}_") and text}

    def language_of(self, request: Request) -> str:
        """Return the tag of the language that was chosen in the browser; empty if none was."""
        return request.cookies.get(self._name(request, LANGUAGE), "")

    def remember_language(self, request: Request, response: Response, tag: str) -> None:
        """Let the browser keep a language; an empty tag makes it forget the one before."""
        self._set(request, response, LANGUAGE, tag, _LANGUAGE_LASTS if tag else timedelta())

    def form_key(self, request: Request, user: User | None, value: str) -> str:
        """Return what the CSRF token is made of: for users the browser, so that a form outlives its session.

        `value` is that of the session cookie, which counts before the login, and for a session without a login.
        """
        device = "" if user is None else self.device_of(request, user)
        return f"device {device}" if device else value

    def last_user(self, request: Request) -> str | None:
        """Return the id of the user who last logged in in the browser; None if nobody has."""
        last = self._last_device(request)
        return None if last is None else last[0]

    def is_of_last_user(self, request: Request, given: str) -> bool:
        """Return whether `given` is the CSRF token of the forms that `last_user` was shown in the browser."""
        last = self._last_device(request)
        return last is not None and hmac.compare_digest(self.csrf(f"device {last[2]}").encode(), given.encode())

    def csrf(self, value: str) -> str:
        """Return the CSRF token of the forms of a browser with this `form_key`."""
        return hmac.new(self._key, f"csrf:{value}".encode(), hashlib.sha256).hexdigest()

    def require_csrf(self, key: str, given: str) -> None:
        """Raise FormRefusedError unless `given` is the CSRF token of this `form_key`."""
        if not key or not hmac.compare_digest(self.csrf(key).encode(), given.encode()):
            raise FormRefusedError(FORM_EXPIRED)

    def _set(self, request: Request, response: Response, name: str, value: str, lasts: timedelta) -> None:
        is_secure = self._is_secure(request)
        response.set_cookie(
            self._name(request, name),
            value,
            max_age=int(lasts.total_seconds()),
            path="/" if is_secure else "/console",
            httponly=True,
            samesite="lax",
            secure=is_secure,
        )

    def _name(self, request: Request, name: str) -> str:
        return f"{_SECURE_PREFIX}{name}" if self._is_secure(request) else name

    def _is_secure(self, request: Request) -> bool:
        """Return whether the browser is reached by TLS; on this machine it may not be, whatever the public URL says."""
        if self._always_secure or request.url.scheme == "https":
            return True
        return self._comes_by_tls and not is_loopback(host_name(request.headers.get("host", "")))


def _name_of_flow(state: str) -> str:
    return f"{LOGIN_FLOW}_{hashlib.sha256(state.encode()).hexdigest()[:16]}"
