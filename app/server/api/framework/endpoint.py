"""The declaration of an endpoint, and how a request is checked against it before its handler runs.

The route, the checks of the input and the OpenAPI document are all made from the declaration.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final, get_args, get_origin

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.accounts.roles import Role
from app.audit import FIRST_YEAR, LAST_YEAR
from app.errors import BadRequestError, InvalidInputError, PreconditionNeededError, Problem, message_of
from app.json_shape import shape_of
from app.server.api.framework.auth import ApiUser, expiry_warning, identify
from app.server.privacy.read_recorder import subject_of
from app.server.request_body import read_body
from app.server.request_context import RequestContext
from app.server.request_text import require_storable_address, require_storable_json
from app.strict_json import STORABLE_PATTERN, JsonError, parse_json

BODY_MAX_BYTES: Final = 1024 * 1024
"""A participant's metadata have at most 512 KiB. JSON is parsed in one go, which keeps webhooks waiting for 20 ms."""
RULES_FILE_MAX_BYTES: Final = 8 * 1024 * 1024
"""Enough for some ten thousand rules; larger files go through the command line."""
RULE_MAX_BYTES: Final = 512 * 1024
"""Enough for 10,000 values; to check so large a rule takes a tenth of a second."""


_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]")
_ETAG: Final = re.compile(r'"([0-9]{1,15})"')
_NUMBER: Final = re.compile(r"-?[0-9]{1,19}")
_NO_ID: Final = -(2**63)
"""The smallest number of a column: no row is looked for under it."""

Text = Annotated[str, Field(pattern=STORABLE_PATTERN)]
"""Text that both databases can hold: JSON may carry NUL, PostgreSQL may not."""


def _require_date(value: Any) -> Any:
    # pydantic takes a bare number for seconds since 1970.
    if isinstance(value, str) and not _DATE.match(value):
        raise ValueError("must be a time such as 2026-11-22T14:02:00Z")
    return value


def _in_range(instant: datetime) -> datetime:
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise ValueError(f"must be between the years {FIRST_YEAR} and {LAST_YEAR}")
    return instant.astimezone(UTC)


GivenInstant = Annotated[AwareDatetime, BeforeValidator(_require_date), AfterValidator(_in_range)]
"""A time in a request, in UTC; answers have `app.json_shape.Instant`."""


class Model(BaseModel):
    """A query or a body: fields that are not declared are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One authenticated request, whose query and body have been checked."""

    context: RequestContext
    http: Request
    user: ApiUser
    query: Any
    body: Any

    def identifier(self, name: str) -> str:
        """Return a parameter of the path."""
        return str(self.http.path_params[name])

    def number(self, name: str) -> int:
        """Return a numeric id of the path; `_NO_ID` if it is not one that a row can have."""
        text = self.identifier(name)
        number = int(text) if _NUMBER.fullmatch(text) else _NO_ID
        return number if abs(number) < -_NO_ID else _NO_ID


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler returns with headers of its own."""

    document: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation. With `body_is_checked_by_handler`, the model documents the body and the handler checks it."""

    method: str
    path: str
    handler: Callable[[ApiRequest], Awaitable[Any]]
    summary: str
    answer: Any
    role: Role | None = Role.VIEWER
    """The role that it needs; None: any."""
    by_project: bool = False
    """Whether the handler keeps to the projects that the user is restricted to; if not, such users are refused."""
    status: int = 200
    query: type[Model] | None = None
    body: type[BaseModel] | None = None
    body_is_checked_by_handler: bool = False
    body_max_bytes: int = BODY_MAX_BYTES
    body_is_for_worker: bool = False
    """Whether the handler gets the bytes of the body, for a worker to parse."""
    if_match: bool = False
    """Whether the request must name the version that it edits."""
    idempotency_key: bool = False
    """Whether a request may carry an `Idempotency-Key`, so that sent twice it is carried out once."""
    etag: bool = False
    problems: tuple[int, ...] = ()
    """Further statuses of errors, besides those that follow from the rest of the declaration."""
    description: str = ""
    example: Any = None
    numeric: tuple[str, ...] = ()
    """Parameters of the path that are numbers."""
    quotes_body: bool = True
    """Whether errors quote values of the body; not where these may be of a participant."""

    streams: tuple[str, ...] = ()
    """Content types other than JSON, which the handler may answer with a `Response` of its own."""
    shows_people: bool = False
    """Whether the answer holds data of participants: reads of it can be recorded."""

    async def answer_request(self, context: RequestContext, request: Request) -> Response:
        """Return the answer of the handler, once user, query and body have been checked."""
        user = await identify(context, request)
        if self.role is not None:
            user.require(self.role)
        if not self.by_project:
            user.require_all_projects()
        require_storable_address(request)
        query = None if self.query is None else _read_query(self.query, request)
        if self.query is None and request.query_params:
            raise InvalidInputError("query", [_unknown(name) for name in request.query_params])
        body = None if self.body is None else await self._read_body(request)
        result = await self.handler(ApiRequest(context, request, user, query, body))
        if self.shows_people:
            operation, subject = self.handler.__name__, subject_of(request.path_params, query, body)
            await context.reads.note(user.name, "api", operation, subject)
        if isinstance(result, Response):
            return result
        document, headers = (result.document, result.headers) if isinstance(result, Answer) else (result, {})
        if not isinstance(document, dict):
            document = shape_of(self.answer).dump_python(document, mode="json", by_alias=True)
        return JSONResponse(document, self.status, headers={**expiry_warning(user.token, context.now), **headers})

    async def _read_body(self, request: Request) -> Any:
        raw = await read_body(request.scope, request.receive, self.body_max_bytes)
        if self.body_is_for_worker:
            return raw
        if self.body_is_checked_by_handler or self.body is None:
            return load_json(raw)
        load_json(raw)  # a plain message for what is no JSON; NaN and Infinity are refused
        try:
            return self.body.model_validate_json(raw, strict=True)
        except ValidationError as error:
            problems = problems_of(error)
            if not self.quotes_body:
                problems = [replace(problem, found=None) for problem in problems]
            raise InvalidInputError("body", problems) from error


_LONGEST_KEY: Final = 200


def idempotency_key(request: ApiRequest) -> str | None:
    """Return the digest of the request's `Idempotency-Key`, its path and its user; None if it has none.

    Raises `BadRequestError` for one that is too long.
    """
    given = request.http.headers.get("idempotency-key", "").strip()
    if len(given) > _LONGEST_KEY or not given.isprintable():
        raise BadRequestError(f"Idempotency-Key must be printable and have at most {_LONGEST_KEY} characters")
    if not given:
        return None
    return hashlib.sha256(json.dumps([request.user.name, request.http.url.path, given]).encode()).hexdigest()


def load_json(raw: bytes) -> Any:
    """Return JSON as Python has it; BadRequestError for anything else."""
    try:
        value = parse_json(raw)
    except JsonError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    require_storable_json(raw, value)
    return value


def require_object(body: Any) -> dict[str, Any]:
    """Return the body; InvalidInputError unless it is an object."""
    if not isinstance(body, dict):
        raise InvalidInputError("body", [Problem("", "must be an object")])
    return body


def expected_version(request: Request) -> int | None:
    """Return the version in `If-Match`; None for `*`, BadRequestError if it is no ETag."""
    given = request.headers.get("if-match", "").strip()
    if given == "*":
        return None
    if tag := _ETAG.fullmatch(given):
        return int(tag[1])
    raise BadRequestError("If-Match is not an ETag; send the one from reading what you edit")


def required_version(request: ApiRequest, what: str) -> int | None:
    """Return the version in `If-Match`; None for `*`, PreconditionNeededError without one. `what` is edited."""
    if "if-match" not in request.http.headers:
        raise PreconditionNeededError(
            f"If-Match is required: the ETag from reading the {what}, or * to overwrite any edit"
        )
    return expected_version(request.http)


def _read_query(model: type[Model], request: Request) -> Model:
    lists = {name for name, each in model.model_fields.items() if _is_list(each.annotation)}
    values: dict[str, Any] = {}
    problems = []
    for name, value in request.query_params.multi_items():
        if name in lists:
            values.setdefault(name, []).append(value)
        elif name in values:
            problems.append(Problem(name, "is given more than once"))
        else:
            values[name] = value
    try:
        read = model.model_validate(values)
    except ValidationError as error:
        raise InvalidInputError("query", problems + problems_of(error)) from error
    if problems:
        raise InvalidInputError("query", problems)
    return read


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) in {list, tuple} or any(_is_list(part) for part in get_args(annotation))


def _unknown(name: str) -> Problem:
    return Problem(name[:100], "is not a parameter of this operation")


def problems_of(error: ValidationError) -> list[Problem]:
    """Return pydantic's errors as problems with dotted paths."""
    problems = []
    for detail in error.errors(include_url=False, include_context=False):
        path = ""
        for part in detail["loc"]:
            path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
        found = detail["input"] if isinstance(detail["input"], str | int | float | bool | None) else None
        problems.append(Problem(path, message_of(detail), found))
    return problems
