"""Markdown as the documentation shows it, and its search."""

from __future__ import annotations

import pytest

from app.server.documentation.markdown import Page, anchor_of, read_page
from app.server.documentation.search import MAX_FOUND, search

ACCESS = "access.md"


def page(text: str, name: str = "page") -> Page:
    return read_page(name, text, lambda target: None if target.startswith("../") else f"/docs/{target}")


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Back up and restore", "back-up-and-restore"),
        ("Hours: active_hours, timezone", "hours-active_hours-timezone"),
        ("What's new?", "whats-new"),
        ("10 % rollout", "10--rollout"),
    ],
)
def test_anchors_are_those_of_github(heading: str, anchor: str) -> None:
    assert anchor_of(heading) == anchor


def test_headings_that_repeat_are_numbered() -> None:
    found = page("# T\n\n## Look\n\n## Look\n\n## `Look`\n")
    assert [section.anchor for section in found.sections] == ["t", "look", "look-1", "look-2"]
    assert 'id="look-2"' in found.html


def test_links_lead_to_where_the_target_is_served_and_others_become_text() -> None:
    found = page(f"# T\n\n[one]({ACCESS}) and **[the `code`](../code.py)** here [two]({ACCESS})\n")
    assert f'<a href="/docs/{ACCESS}">one</a> and <strong>the <code>code</code></strong> here' in found.html
    assert found.html.count("<a ") == 2


def test_html_is_shown_as_text_and_comments_are_left_out() -> None:
    found = page('# T\n\n<!-- generated -->\n\n<script src="x"></script>\n\na <b>c</b> <!-- no --> d\n')
    assert "generated" not in found.html
    assert "<script" not in found.html
    assert "<b>" not in found.html
    assert "&lt;b&gt;" in found.html


def test_tables_and_code_can_be_scrolled_by_keyboard() -> None:
    found = page("# T\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```sh\nusher <x>\n```\n")
    assert '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>' in found.html
    assert '<pre tabindex="0"><code class="language-sh">usher &lt;x&gt;\n</code></pre>' in found.html


LIBRARY = [
    page("# Backup\n\nHow to copy the database.\n\n## Restore\n\nPut a backup back.\n", "backup"),
    page("# Rules\n\nA rule has a name.\n\n## Order\n\nMake a backup <first> of the rules.\n", "rules"),
]


def test_titles_come_before_texts_in_search() -> None:
    assert [found.path for found in search(LIBRARY, "BACKUP")] == ["backup", "backup#restore", "rules#order"]


def test_all_words_must_occur_if_any_section_has_all() -> None:
    assert [found.path for found in search(LIBRARY, "rules backup")] == ["rules#order"]
    assert [found.path for found in search(LIBRARY, "name unheard")] == ["rules"]
    assert search(LIBRARY, "unheard") == []
    assert search(LIBRARY, " ") == []


def test_excerpts_mark_the_words_and_are_escaped() -> None:
    (found,) = search(LIBRARY, "rules backup")
    assert found.excerpt == "Make a <mark>backup</mark> &lt;first&gt; of the <mark>rules</mark>."


@pytest.mark.parametrize("query", ["a" * 100_000, "İ" * 500, "<script>", "a\0b", "rules " * 1_000, "ß"])
def test_any_query_is_answered(query: str) -> None:
    assert len(search(LIBRARY, query)) <= MAX_FOUND
