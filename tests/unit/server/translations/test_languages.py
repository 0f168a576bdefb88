"""Which language a reader gets, and what a file of a language gives."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages.pofile import PoFileError

from app.audit import duration_text
from app.server.formatting import count, moment, share, times
from app.server.translations.catalogues import read_languages
from app.server.translations.choice import choose_language
from app.translation import ENGLISH, Language, gettext, listed, ngettext, pgettext, translatable, use_language

HEAD = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"
"""
KNOWN = {tag: Language(tag) for tag in ("en", "de", "fr", "pt-BR")}


@pytest.mark.parametrize(
    ("accepted", "tag"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("nl, fr;q=0.5, de;q=0.7", "de"),
        ("pt-br", "pt-BR"),
        ("pt-PT", "en"),
        ("de;q=0", "en"),
        ("*", "en"),
        ("de;q=nonsense, fr", "fr"),
    ],
)
def test_the_browser_gets_the_language_that_it_likes_best(accepted: str, tag: str) -> None:
    assert choose_language(KNOWN, "", accepted).tag == tag


def test_the_chosen_language_goes_before_that_of_the_browser() -> None:
    assert choose_language(KNOWN, "fr", "de").tag == "fr"
    assert choose_language(KNOWN, "unheard-of", "de").tag == "de"


def test_a_language_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "de.po").write_text(
        f"""{HEAD}
msgid "Calls"
msgstr "Anrufe"

msgid "%(num)s call"
msgid_plural "%(num)s calls"
msgstr[0] "%(num)s Anruf"
msgstr[1] "%(num)s Anrufe"

msgctxt "of a rule"
msgid "Test"
msgstr "Prüfen"

#, fuzzy
msgid "Rules"
msgstr "nicht geprüft"
""",
        encoding="utf-8",
    )
    german = read_languages(tmp_path)["de"]
    assert (german.name, german.direction) == ("Deutsch", "ltr")
    with use_language(german):
        assert gettext("Calls") == "Anrufe"
        assert gettext("Rules") == "Rules", "a fuzzy text is a guess of a tool"
        assert ngettext("%(num)s call", "%(num)s calls", 1) == "1 Anruf"
        assert ngettext("%(num)s call", "%(num)s calls", 1200) == "1.200 Anrufe"
        assert pgettext("of a rule", "Test") == "Prüfen"
    assert gettext("Calls") == "Calls"


def test_numbers_and_times_are_those_of_the_locale(tmp_path: Path) -> None:
    (tmp_path / "de.po").write_text(HEAD, encoding="utf-8")
    german, instant = read_languages(tmp_path)["de"], datetime(2026, 11, 6, 8, 5, 1, tzinfo=UTC)
    assert (count(1234567), share(0.0125), times(1.25), duration_text(2.44)) == (
        "1\u202f234\u202f567", "1.2 %", "1.2×", "2.4 s"
    )  # fmt: skip
    assert "2026-11-06 08:05:01 UTC" in moment(instant)
    with use_language(german):
        assert (count(1234567), share(0.0125), times(1.25), duration_text(2.44)) == (
            "1.234.567", "1,2 %", "1,2×", "2,4 s"
        )  # fmt: skip
        assert "06.11.2026, 08:05:01 UTC" in moment(instant)


def test_a_right_to_left_language_says_so(tmp_path: Path) -> None:
    (tmp_path / "ar.po").write_text(HEAD, encoding="utf-8")
    assert read_languages(tmp_path)["ar"].direction == "rtl"


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "de.po").write_text(f'{HEAD}\nmsgid "Calls"\nAnrufe\n', encoding="utf-8")
    with pytest.raises(PoFileError):
        read_languages(tmp_path)


def test_without_files_there_is_english(tmp_path: Path) -> None:
    assert list(read_languages(tmp_path).values()) == [ENGLISH]


def test_no_name_turns_the_sentence_around_it() -> None:
    name = "\u202eroom\u2069"
    assert gettext("room %(room)s was opened", room=name) == f"room {name} was opened"
    with use_language(ENGLISH):
        assert gettext("room %(room)s was opened", room=name) == "room \ufffdroom\ufffd was opened"


def test_names_of_a_list_keep_their_order() -> None:
    names = ["\u05d0\u05d1", "support", "\u202ex"]
    assert listed(names) == "\u05d0\u05d1, support, \u202ex"
    with use_language(ENGLISH):
        assert listed(names) == "\u2068\u05d0\u05d1\u2069, support, \ufffdx"
        assert (
            gettext("%(agents)s joined", agents=listed(names[:2]))
            == "\u2068\u2068\u05d0\u05d1\u2069, support\u2069 joined"
        )


def test_a_name_in_a_sentence_within_a_sentence_stays_isolated() -> None:
    inner = translatable("%(agent)s left", agent="\u05d0\u05d1")
    with use_language(ENGLISH):
        isolated = "\u2068\u05d0\u05d1\u2069"
        assert gettext("failed: %(why)s", why=inner) == f"failed: \u2068{isolated} left\u2069"
        assert gettext("failed: %(why)s", why=gettext(inner)) == f"failed: \u2068{isolated} left\u2069"
        assert gettext("failed: %(why)s", why="\u2067\u202eroom\u2069") == "failed: \u2067\ufffdroom\u2069"
        assert gettext("failed: %(why)s", why="room\u2069\u2068") == "failed: room\ufffd\ufffd"
