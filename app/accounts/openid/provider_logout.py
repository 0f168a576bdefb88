"""Logging out at the provider: OpenID Connect RP-Initiated Logout 1.0."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit, urlunsplit

from app.settings import LoginProvider


def logout_address(end_session: str, provider: LoginProvider, id_token: str) -> str:
    """Return where a person logs out at the provider and comes back from; empty without an `end_session` endpoint.

    `id_token`: of the login that is to end, if it is known. Some providers need it; others ask the person without it.
    """
    parts = urlsplit(end_session)
    if not parts.netloc:
        return ""
    fields = {"client_id": provider.client_id, "post_logout_redirect_uri": provider.logged_out_url}
    if id_token:
        fields["id_token_hint"] = id_token
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(fields))))))
