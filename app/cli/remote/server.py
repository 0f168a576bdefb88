"""The Usher that `--server` names, over its JSON API: one request at a time, errors as commands print them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from itertools import islice
from typing import Any, Final, NoReturn, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pydantic import ValidationError

from app.db.types import format_instant
from app.errors import ConflictError, InvalidInputError, NotFoundError, Problem, UsherError, message_of
from app.json_shape import shape_of
from app.version import usher_version

T = TypeVar("T")
Parameters = Mapping[str, Any]

ANY_VERSION: Final = "*"
"""`If-Match` of an edit that overwrites whatever is there, as an edit of the database does."""
LARGEST_BODY: Final = 8 * 1024 * 1024
"""Bytes of a rules file or a draft, the largest requests that the API takes (its `RULES_FILE_MAX_BYTES`). A larger one
is not sent: the server would answer 413."""
_LARGEST_PAGE: Final = 200
_TIMEOUT_S: Final = 120


class ServerError(UsherError):
    """The server could not be reached, refused the token, or did not answer as Usher does."""


class _NoRedirects(HTTPRedirectHandler):
    # The token is for this server alone.
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Server:
    """A running Usher: `url` without a slash at its end, and the API token of a user."""

    url: str
    token: str = field(repr=False)

    def get(self, path: str, parameters: Parameters | None = None) -> Any:
        """Return the document at a path below `/api/v1`."""
        return self._read_json("GET", path, parameters)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        parameters: Parameters | None = None,
        if_match: str | None = None,
    ) -> Any:
        """Return the answer to an edit."""
        return self._read_json(method, path, parameters, body, {} if if_match is None else {"If-Match": if_match})

    def pages(self, path: str, parameters: Parameters, kind: type[T], most: int | None = None) -> Iterator[T]:
        """Yield the items of a list over all its pages, newest first; `most` at most."""
        return islice(self._items(path, parameters, kind, most), most)

    def _items(self, path: str, parameters: Parameters, kind: type[T], most: int | None) -> Iterator[T]:
        limit = _LARGEST_PAGE if most is None else max(1, min(most, _LARGEST_PAGE))
        cursor: str | None = None
        while True:
            page = self.get(path, {**parameters, "limit": limit, "cursor": cursor})
            for item in page["items"]:
                yield read_as(kind, item)
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def history(
        self,
        path: str,
        kind: type[T],
        limit: int,
        before_version: int | None = None,
        parameters: Parameters | None = None,
    ) -> list[T]:
        """Return the latest changes, at most `limit`, those before a version."""
        found: list[T] = []
        while len(found) < limit:
            asked = {"limit": min(limit - len(found), _LARGEST_PAGE), "before_version": before_version}
            page = self.get(path, {**(parameters or {}), **asked})
            found += [read_as(kind, item) for item in page["items"]]
            before_version = page["next_before_version"]
            if before_version is None:
                break
        return found

    def lines(self, path: str, parameters: Parameters) -> Iterator[str]:
        """Yield the lines of a streamed answer, each with its end."""
        with self._open("GET", path, parameters, None, {}) as answer:
            for line in answer:
                yield line.decode()

    def _read_json(
        self,
        method: str,
        path: str,
        parameters: Parameters | None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        with self._open(method, path, parameters, body, headers or {}) as answer:
            raw = answer.read()
        try:
            return json.loads(raw)
        except ValueError as error:
            raise ServerError(f"{self.url} did not answer as Usher does: no JSON at /api/v1{path}") from error

    def _open(
        self, method: str, path: str, parameters: Parameters | None, body: Any, headers: Mapping[str, str]
    ) -> Any:
        query = urlencode(list(_pairs(parameters or {})))
        data = None if body is None else json.dumps(body).encode()
        if data is not None and len(data) > LARGEST_BODY:
            raise ServerError(
                f"{self.url} takes requests of {_mib(LARGEST_BODY)} at most, and this one has {_mib(len(data))}; "
                "split the file, or run the command at the database"
            )
        request = Request(  # noqa: S310 - chosen_server takes http and https alone
            f"{self.url}/api/v1{path}" + (f"?{query}" if query else ""),
            data,
            {
                "Authorization": f"Bearer {self.token}",
                "User-Agent": f"usher/{usher_version()}",
                **({} if data is None else {"Content-Type": "application/json"}),
                **headers,
            },
            method=method,
        )
        try:
            return build_opener(_NoRedirects()).open(request, timeout=_TIMEOUT_S)
        except HTTPError as error:
            with error:
                self._raise_refused(error.code, error.read(), error.headers.get("Location"))
        except (URLError, OSError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise ServerError(f"{self.url} cannot be reached: {reason} (see --server or USHER_URL)") from error

    def _raise_refused(self, status: int, raw: bytes, location: str | None) -> NoReturn:
        try:
            document = json.loads(raw)
        except ValueError:
            document = {}
        detail = document.get("detail") if isinstance(document, dict) else None
        if not isinstance(detail, str) and status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise ServerError(
                f"{self.url} refuses a request of this size; a proxy before it may have a limit of its own"
            )
        if not isinstance(detail, str):
            to = f" and points to {location}" if location else ""
            raise ServerError(f"{self.url} did not answer as Usher does: status {status}{to} (see --server)")
        problems = [
            Problem(one.get("path") or "", one.get("message") or "", one.get("found"), one.get("suggestion"))
            for one in document.get("errors", [])
        ]
        if problems:
            raise InvalidInputError(detail.partition(": ")[0], problems)
        match status:
            case HTTPStatus.NOT_FOUND if detail == HTTPStatus.NOT_FOUND.phrase:  # of the router: no such path
                raise ServerError(f"{self.url} has no such API; --server takes the URL of Usher without a path")
            case HTTPStatus.NOT_FOUND:
                raise NotFoundError(detail)
            case HTTPStatus.CONFLICT | HTTPStatus.PRECONDITION_FAILED:
                raise ConflictError(detail)
            case HTTPStatus.UNAUTHORIZED:
                raise ServerError(f"{self.url} refuses the token: {detail} (see --token or USHER_TOKEN)")
            case _:
                raise ServerError(f"{self.url}: {detail}")


def read_as(kind: type[T], document: Any) -> T:
    """Return a document of the API as the value that it was made of; ServerError if it is of another shape."""
    shape: Any = kind
    try:
        value: T = shape_of(shape).validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ServerError(
            f"the server answers otherwise than usher {usher_version()} expects ({where}: {message_of(first)}); "
            "use the version that it runs"
        ) from error
    return value


def path_of(*parts: str) -> str:
    """Return a path below `/api/v1`; parts are names and ids in any characters.

    Raises NotFoundError for what no path can name: nothing, and more than one line.
    """
    for part in parts:
        if not part or len(part.splitlines()) > 1:
            raise NotFoundError(f"nothing has the name or id {part[:100]!r}")
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def parse_server_url(text: str) -> str:
    """Return the URL of a server without a slash at its end; raises InvalidInputError."""
    url = text.strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        problem = Problem("--server", "must be the URL of a running Usher, such as https://usher.example.com", text)
        raise InvalidInputError("usage", [problem])
    return url


def _mib(size: int) -> str:
    return f"{size / 1024**2:.1f} MiB"


def _pairs(parameters: Parameters) -> Iterator[tuple[str, str]]:
    for name, value in parameters.items():
        values: Collection[Any] = value if isinstance(value, list | tuple | frozenset) else [value]
        for one in values:
            if one is not None:
                yield name, format_instant(one) if isinstance(one, datetime) else str(one)
