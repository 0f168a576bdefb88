"""Texts in the reader's language: GNU gettext, with the language of a request of the console.

English is the source. API, command line, logs and the database stay English: the console alone chooses another
language, for as long as it makes a page. What is made elsewhere and shown there, such as the problems of a rule, is a
`TranslatableText`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from gettext import NullTranslations
from typing import Any, Final, Self, TypeVar
from unicodedata import bidirectional

from markupsafe import escape

K = TypeVar("K")

NARROW_SPACE: Final = "\u202f"
"""Separates thousands in English: not every reader takes a comma for that."""


_ENGLISH_TEXTS: Final = NullTranslations()


def _english_number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}".replace(",", NARROW_SPACE)


def _english_moment(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True, slots=True)
class Language:
    """One language: its BCP 47 tag, its own name, its texts, and how it writes numbers and times.

    `number` gets how many digits follow the decimal separator.
    """

    tag: str = "en"
    name: str = "English"
    direction: str = "ltr"
    texts: NullTranslations = _ENGLISH_TEXTS
    number: Callable[[float, int], str] = _english_number
    moment: Callable[[datetime], str] = _english_moment


ENGLISH: Final = Language()
_current: ContextVar[Language] = ContextVar("language", default=ENGLISH)
_is_page: ContextVar[bool] = ContextVar("is_page", default=False)


def current_language() -> Language:
    """Return the language of the page that is being made; English outside of the console."""
    return _current.get()


@contextmanager
def use_language(language: Language) -> Iterator[None]:
    """Make texts and numbers in this language."""
    tokens = _current.set(language), _is_page.set(True)
    try:
        yield
    finally:
        _current.reset(tokens[0])
        _is_page.reset(tokens[1])


def gettext(message: str, /, **values: Any) -> str:
    """Return the text in the current language, with values in the place of `%(name)s`."""
    if isinstance(message, TranslatableText) and not values:
        return message.translated()
    found = _current.get().texts.gettext(message) if message else ""  # of "", gettext returns the head of the file
    return found % _isolated(values) if values else found


_OVERRIDES: Final = range(0x202A, 0x202F)
_ISOLATES: Final = "\u2066\u2067\u2068"
_END_OF_ISOLATE: Final = "\u2069"
DIRECTION_CONTROLS: Final = (*_OVERRIDES, *map(ord, _ISOLATES), ord(_END_OF_ISOLATE))
"""What turns the writing direction of the text after it: a name with one would reorder the sentence around it."""
_WITHOUT_OVERRIDES: Final = dict.fromkeys(_OVERRIDES, "\N{REPLACEMENT CHARACTER}")
_WITHOUT_CONTROLS: Final = dict.fromkeys(DIRECTION_CONTROLS, "\N{REPLACEMENT CHARACTER}")


def _translated(value: Any) -> Any:
    return value.translated() if isinstance(value, TranslatableText) else value


def _isolated(values: Mapping[K, Any]) -> Mapping[K, Any]:
    """Return the values of a sentence so that names written from right to left do not turn the rest of a page around.

    Templates do the same with `<bdi>`.
    """
    values = {name: _translated(value) for name, value in values.items()}
    if not _is_page.get():
        return values
    values = {name: _turning_nothing(one) if isinstance(one, str) else one for name, one in values.items()}
    is_mirrored = _current.get().direction == "rtl"
    return {name: f"\u2068{one}\u2069" if is_mirrored or _is_rtl(one) else one for name, one in values.items()}


def _turning_nothing(text: str) -> str:
    """Return a text in which no control turns what follows it. Isolates that end stay: a sentence within has them."""
    depth = 0
    for one in text:
        depth += (one in _ISOLATES) - (one == _END_OF_ISOLATE)
        if depth < 0:
            break
    return text.translate(_WITHOUT_CONTROLS if depth else _WITHOUT_OVERRIDES)


def _is_rtl(value: Any) -> bool:
    return isinstance(value, str) and not value.isascii() and any(bidirectional(one) in {"R", "AL"} for one in value)


def listed(names: Iterable[str]) -> str:
    """Return names with commas between; on a page, one that is written from right to left does not turn the others."""
    return ", ".join(map(str, _isolated(dict(enumerate(names))).values()))


def ngettext(singular: str, plural: str, number: int, /, **values: Any) -> str:
    """Return the text for a number of things; `%(num)s` stands for the number."""
    found = _current.get().texts.ngettext(singular, plural, number)
    return found % _isolated({"num": number_text(number), **values})


def pgettext(context: str, message: str, /) -> str:
    """Return the text in the current language; the context distinguishes equal texts of different meaning."""
    return _current.get().texts.pgettext(context, message)


class TranslatableText(str):
    """An English text that pages show in the language of their reader.

    It keeps what it was made of. As a text, such as in JSON, on a terminal and in the database, and after any change it
    is English; templates show `__html__`, and Python code gets the text of a page from `gettext`. `str()` of it, and so
    of an exception that has it as its message, is the object itself.
    """

    __slots__ = ("_message", "_number", "_plural", "_values")
    _message: str
    _values: Mapping[str, Any]
    _plural: str
    _number: int

    def __new__(cls, message: str, values: Mapping[str, Any], plural: str = "", number: int = 1) -> Self:
        english = plural if plural and number != 1 else message
        made = super().__new__(cls, english % values if values else english)
        made._message, made._values, made._plural, made._number = message, values, plural, number
        return made

    def translated(self) -> str:
        """Return the text in the current language."""
        values = {name: _in_language(value) for name, value in self._values.items()}
        if self._plural:
            return ngettext(self._message, self._plural, self._number, **values)
        return gettext(self._message, **values)

    def __html__(self) -> str:
        return str(escape(self.translated()))

    def __str__(self) -> str:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._message, self._values, self._plural, self._number)


def translatable(message: str, /, **values: Any) -> str:
    """Return an English text that pages translate, with values in the place of `%(name)s`.

    Values that are translatable are translated, too. Numbers are written as the language of the page writes them; what
    is no quantity, such as an id of digits, is passed as text.
    """
    return TranslatableText(message, _kept(values))


def recorded(message: str, /) -> str:
    """Return an English text that goes into the database as it is; pages that show it later translate it there."""
    return message


def ntranslatable(singular: str, plural: str, number: int, /, **values: Any) -> str:
    """Return an English text about a number of things, which pages translate; `%(num)s` stands for the number."""
    return TranslatableText(singular, {"num": number, **_kept(values)}, plural, number)


def joined(separator: str, texts: Iterable[object]) -> str:
    """Return texts in one; pages translate each of them, and the separator, that is translatable."""
    values = {str(place): str(text) for place, text in enumerate(texts)}
    return TranslatableText("%(by)s".join(f"%({place})s" for place in values), {**values, "by": separator})


def _kept(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return values as numbers and texts: others, such as errors, may be large, or change."""
    return {name: value if type(value) in {int, float} else str(value) for name, value in values.items()}


def _in_language(value: Any) -> Any:
    if isinstance(value, str):
        return _translated(value)
    return number_text(value, len(str(value).partition(".")[2]) if isinstance(value, float) else 0)


def number_text(value: float, digits: int = 0) -> str:
    """Return a number as the current language writes it."""
    return _current.get().number(value, digits)
