"""Text of requests: numbers in it, and what databases cannot hold, which is NUL and halves of surrogate pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request

from app.errors import BadRequestError, join_path
from app.strict_json import UNSTORABLE_MESSAGE, is_storable
from app.translation import joined, translatable

RECORD_ID: Final = "record_id"
"""The kind of a path's parameter: digits, no more than a number may have. For longer ones there is no page; Starlette's
`int` would raise ValueError for them, also before a login."""


class _RecordId(Convertor[int]):
    regex = "-?[0-9]{1,40}"  # plain SQL can give a rule an id below 1

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor(RECORD_ID, _RecordId())
ANY_NAME: Final = "any_name"
"""The kind of a path's parameter: a name as plain SQL may have stored it, also with slashes and line breaks."""


class _AnyName(Convertor[str]):
    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor(ANY_NAME, _AnyName())


def whole_number(text: str) -> int | None:
    """Return the number that `text` is in digits; None for anything else, and for more than a version can be."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def require_storable_address(request: Request) -> None:
    """Raise BadRequestError if the path or the query holds such text."""
    parameters = [
        (translatable("the path's %(name)s", name=name), str(value)) for name, value in request.path_params.items()
    ]
    for name, value in request.query_params.multi_items():
        parameters += [
            (translatable("the query"), name),
            (translatable("the query's %(name)s", name=name[:100]), value),
        ]
    _require(parameters)


def require_storable_form(form: Mapping[str, Sequence[str]]) -> None:
    """Raise BadRequestError if a name or a value of the form is such text."""
    fields = [
        (translatable("the form's %(name)s", name=name[:100]), text) for name, values in form.items() for text in values
    ]
    _require([*((translatable("the form"), name) for name in form), *fields])


def require_storable_json(raw: bytes, value: Any) -> None:
    """Raise BadRequestError if a text or a name in `value`, which is what `raw` says, is such text."""
    # JSON in UTF-8 can hold it as an escape only: looking for these first saves the walk.
    if b"\\u0000" in raw or b"\\ud" in raw or b"\\uD" in raw:
        _require(_texts(value, translatable("the body")))


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield each text of a JSON value with its path, in bounded memory and without recursion."""
    waiting = [(path, value)]
    while waiting:
        place, each = waiting.pop()
        if isinstance(each, str):
            yield place, each
        elif isinstance(each, dict):
            for name, entry in each.items():
                yield place, name
                waiting.append((join_path(place, name), entry))
        elif isinstance(each, list):
            waiting += [(f"{place}[{index}]", entry) for index, entry in enumerate(each)]


def _require(texts: Iterable[tuple[str, str]]) -> None:
    for place, text in texts:
        if not is_storable(text):
            raise BadRequestError(joined(" ", (place, UNSTORABLE_MESSAGE)))
