"""Languages from `.po` files, with the numbers and times of the locale that the file is named after."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache, partial
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import Final

from babel import Locale
from babel.dates import format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from app.translation import ENGLISH, Language

TRANSLATIONS: Final = Path(__file__).parent


def languages() -> Mapping[str, Language]:
    """Return the languages of the console by tag, English first."""
    return read_languages(TRANSLATIONS)


@cache
def read_languages(folder: Path) -> Mapping[str, Language]:
    """Return English and the language of each `.po` file by tag, English first; raises PoFileError."""
    found = [_read(path) for path in sorted(folder.glob("*.po"))]
    return {one.tag: one for one in (ENGLISH, *found)}


def _read(path: Path) -> Language:
    locale = Locale.parse(path.stem)
    with path.open("rb") as file:
        catalogue = read_po(file, locale, abort_invalid=True)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Language(
        tag=path.stem.replace("_", "-"),
        name=(locale.get_display_name() or path.stem).capitalize(),
        direction=locale.text_direction,
        texts=GNUTranslations(compiled),
        number=partial(_number, locale),
        moment=partial(_moment, locale),
    )


def _number(locale: Locale, value: float, digits: int) -> str:
    whole = locale.decimal_formats[None].pattern.partition(".")[0]
    return format_decimal(value, f"{whole}.{'0' * digits}" if digits else whole, locale)


def _moment(locale: Locale, instant: datetime) -> str:
    return format_datetime(instant, "medium", locale=locale)
