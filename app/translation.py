"""Texts in the reader's language: GNU gettext, with the language of a request of the console.

English is the source. API, command line, logs and the database stay English: the console alone chooses another
language, for as long as it makes a page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from gettext import NullTranslations
from typing import Any, Final
from unicodedata import bidirectional

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
    found = _current.get().texts.gettext(message) if message else ""  # of "", gettext returns the head of the file
    return found % _isolated(values) if values else found


def _isolated(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values of a sentence so that names written from right to left do not turn the rest of a page around.

    Templates do the same with `<bdi>`.
    """
    if not _is_page.get():
        return values
    is_mirrored = _current.get().direction == "rtl"
    return {name: f"\u2068{one}\u2069" if is_mirrored or _is_rtl(one) else one for name, one in values.items()}


def _is_rtl(value: Any) -> bool:
    return isinstance(value, str) and not value.isascii() and any(bidirectional(one) in {"R", "AL"} for one in value)


def ngettext(singular: str, plural: str, number: int, /, **values: Any) -> str:
    """Return the text for a number of things; `%(num)s` stands for the number."""
    found = _current.get().texts.ngettext(singular, plural, number)
    return found % _isolated({"num": number_text(number), **values})


def pgettext(context: str, message: str, /) -> str:
    """Return the text in the current language; the context distinguishes equal texts of different meaning."""
    return _current.get().texts.pgettext(context, message)


def translatable(message: str) -> str:
    """Return the text as it is: it is listed for translators, and translated where it is shown."""
    return message


def number_text(value: float, digits: int = 0) -> str:
    """Return a number as the current language writes it."""
    return _current.get().number(value, digits)
