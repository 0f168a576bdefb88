"""Why a login through the provider fails."""

from __future__ import annotations

from app.errors import UsherError


class LoginRefusedError(UsherError):
    """The provider's answer does not allow the login; the message is for the person, `detail` for the access log."""

    status = 403

    def __init__(self, message: str, detail: str, user_name: str = "") -> None:
        self.detail = detail
        self.user_name = user_name
        """Of the user who is concerned; empty if none is."""
        super().__init__(message)


class ProviderError(UsherError):
    """The provider does not answer, or not as OpenID Connect says."""

    status = 502


class ClientRefusedError(ProviderError):
    """The provider does not take the client id or its secret."""
