"""The texts of the console: none is written past the catalogue, and each language fits it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.server.templating import environment
from app.server.translations.catalogues import TRANSLATIONS
from tests.architecture.translations.extraction import (
    TEMPLATE,
    console_templates,
    extracted,
    placeholders,
    read_catalogue,
    written,
)
from tests.architecture.translations.template_texts import untranslated_texts

LANGUAGES = sorted(TRANSLATIONS.glob("*.po"))


@pytest.mark.parametrize("path", console_templates(), ids=lambda path: path.stem)
def test_no_text_of_a_template_is_written_past_the_catalogue(path: Path) -> None:
    found = untranslated_texts(environment, path.read_text(encoding="utf-8"))
    assert found == [], 'write {{ _("Text") }}, or {% trans %}Text with {{ values }}{% endtrans %}'


@pytest.mark.parametrize(
    "source",
    [
        "<p>Calls</p>",
        '<input placeholder="agent name">',
        "<p>{{ 'on' if x else 'off' }}</p>",
        "{% for key, title in (('a', 'Agents'),) %}<b>{{ title }}</b>{% endfor %}",
        '{{ parts.table(calls, "Latest calls") }}',
        '{% macro table(calls, title="Latest calls") %}{{ title }}{% endmacro %}',
        "{% trans kind='rule' if x else 'rules' %}{{ kind }}{% endtrans %}",
    ],
)
def test_a_text_past_the_catalogue_is_found(source: str) -> None:
    assert untranslated_texts(environment, source) != []


@pytest.mark.parametrize(
    "source",
    [
        '<p>{{ _("Calls") }}</p><p>{{ call.name }}, 95 %</p><code>usher serve</code>',
        "<div class=\"{{ 'good' if x else 'bad' }}\"{{ \" hidden\" if x }}></div>",
        '<input placeholder="22:00-06:00">',
        "{% trans n=calls %}{{ n }} call{% pluralize %}{{ n }} calls{% endtrans %}",
    ],
)
def test_what_needs_no_translation_is_let_be(source: str) -> None:
    assert untranslated_texts(environment, source) == []


def test_the_list_of_texts_is_complete() -> None:
    assert TEMPLATE.read_text(encoding="utf-8") == written(extracted(), is_template=True), "run make texts"


@pytest.mark.parametrize("path", LANGUAGES, ids=lambda path: path.stem)
def test_each_translation_has_the_places_of_its_text(path: Path) -> None:
    wrong = []
    for message in read_catalogue(path):
        sources = [message.id] if isinstance(message.id, str) else list(message.id)
        known = set().union(*map(placeholders, sources))
        for text in [message.string] if isinstance(message.string, str) else message.string or ():
            # One of several forms may say the number as a word.
            missing = known - placeholders(text) if isinstance(message.string, str) else set()
            if message.id and text and (missing or placeholders(text) - known):
                wrong.append((message.id, text))
    assert wrong == []


@pytest.mark.parametrize("path", LANGUAGES, ids=lambda path: path.stem)
def test_a_language_translates_nothing_that_is_gone(path: Path) -> None:
    known = {(one.context, one.id) for one in extracted()}
    assert [one.id for one in read_catalogue(path) if (one.context, one.id) not in known] == []
