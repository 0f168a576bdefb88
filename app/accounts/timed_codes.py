"""Signed texts that are valid for a while: links and cookies, dated by the clock that all replicas share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha1
from typing import Any

from itsdangerous import SignatureExpired, TimestampSigner, URLSafeTimedSerializer


class _Signer(TimestampSigner):
    """A signer that dates texts by a given clock; the library's own goes by the machine's."""

    def __init__(self, *arguments: Any, now: datetime, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._now = now

    def get_timestamp(self) -> int:
        return int(self._now.timestamp())


class TimedCodes:
    """Signs values with `key`; `salt` keeps those of one purpose apart from all others."""

    def __init__(self, key: str, salt: str, digest_method: Callable[..., Any] = sha1) -> None:
        self._key = key
        self._salt = salt
        self._digest_method = digest_method

    def sign(self, value: object, now: datetime) -> str:
        """Return `value` and `now` as a signed text for URLs and cookies."""
        return self._serializer(now).dumps(value)

    def read(self, code: str, lifetime: timedelta, now: datetime) -> Any:
        """Return the value of a text that is not older than `lifetime`; raises itsdangerous' `BadSignature`.

        One from the future is valid: we signed it, and the clock was set back since.
        """
        value, signed_at = self._serializer(now).loads(code, return_timestamp=True)
        if now - signed_at > lifetime:
            raise SignatureExpired(f"signed more than {lifetime} ago", date_signed=signed_at)
        return value

    def _serializer(self, now: datetime) -> URLSafeTimedSerializer:
        options = {"now": now, "digest_method": self._digest_method}
        return URLSafeTimedSerializer(self._key, salt=self._salt, signer=_Signer, signer_kwargs=options)
