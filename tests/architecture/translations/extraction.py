"""Writes `messages.pot`, all texts of the console, and adds new ones to each language. `make texts` runs it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from app.server.templating import HERE, environment
from app.server.translations.catalogues import TRANSLATIONS
from tests.architecture.translations.declared_texts import declared_texts

ROOT: Final = Path(__file__).parents[3]
TEMPLATE: Final = TRANSLATIONS / "messages.pot"
ENGLISH_TEMPLATES: Final = re.compile(r"docs.*|reference")
"""Pages of the documentation, which is English."""
TEXTS_OF: Final = {"gettext": 1, "translatable": 1, "recorded": 1, "ngettext": 2, "ntranslatable": 2, "pgettext": 2}
"""By function of `app.translation`, how many of its first arguments are texts for translators."""
_CHANGING: Final = re.compile(
    r'^"(Project-Id-Version|Report-Msgid-Bugs-To|POT-Creation-Date|PO-Revision-Date|Last-Translator|Language-Team'
    r"|Generated-By): .*\n",
    re.MULTILINE,
)
_PLACEHOLDER: Final = re.compile(r"%\((\w+)\)s")


def console_templates() -> list[Path]:
    """Return the templates whose texts are translated."""
    found = sorted((HERE / "templates").glob("*.html"))
    return [path for path in found if not ENGLISH_TEMPLATES.fullmatch(path.stem)]


def extracted() -> Catalog:
    """Return every text that the console can show."""
    catalogue = Catalog(fuzzy=False)
    for place, context, message in sorted(_texts(), key=str):
        catalogue.add(message, locations=[(place, 0)], context=context)
    return catalogue


def _texts() -> Iterator[tuple[str, str | None, str | tuple[str, ...]]]:
    for path in console_templates():
        for _, function, message in environment.extract_translations(path.read_text(encoding="utf-8")):  # type: ignore[attr-defined]
            yield _found(path, function, message)
    for path in sorted((ROOT / "app").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "app.translation import" in source:
            for function, message in _calls(source):
                yield _found(path, function, message)
    for place, text in declared_texts():
        yield place, None, text


def _calls(source: str) -> Iterator[tuple[str, Any]]:
    """Yield each look-up with its texts, also one within another, which Babel does not find."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TEXTS_OF:
            arguments = node.args[: TEXTS_OF[node.func.id]]
            texts = [one.value for one in arguments if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            if texts and len(texts) == TEXTS_OF[node.func.id]:
                yield node.func.id, texts[0] if len(texts) == 1 else texts


def _found(path: Path, function: str, message: Any) -> tuple[str, str | None, str | tuple[str, ...]]:
    place = str(path.relative_to(ROOT))
    match function:
        case "pgettext":
            return place, message[0], message[1]
        case "ngettext" | "ntranslatable":
            return place, None, (message[0], message[1])
        case _:
            return place, None, message if isinstance(message, str) else message[0]


def written(catalogue: Catalog, *, is_template: bool = False) -> str:
    """Return a catalogue as text, without what would change with each run; the list of all texts has no head."""
    file = BytesIO()
    write_po(file, catalogue, width=120, omit_header=is_template, sort_output=True, include_lineno=False)
    return _CHANGING.sub("", file.getvalue().decode())


def placeholders(text: str) -> set[str]:
    """Return the names of the values that a text has places for."""
    return set(_PLACEHOLDER.findall(text))


def read_catalogue(path: Path) -> Catalog:
    """Return the texts of a file."""
    with path.open("rb") as file:
        return read_po(file, path.stem if path.suffix == ".po" else None)


def main() -> None:
    """Write the list of texts, and add what is new to each language."""
    found = extracted()
    TEMPLATE.write_text(written(found, is_template=True), encoding="utf-8")
    for path in sorted(TRANSLATIONS.glob("*.po")):
        language = read_catalogue(path)
        language.update(found, no_fuzzy_matching=True, update_header_comment=False)
        language.obsolete.clear()
        path.write_text(written(language), encoding="utf-8")
        missing = sum(not any(_strings(one.string)) for one in language if one.id)
        print(f"{path.name}: {missing} of {len(language)} texts are to be translated")


def _strings(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


if __name__ == "__main__":
    main()
