"""Search over the titles, headings and texts of pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from app.server.documentation.markdown import Page, Section

MAX_QUERY: Final = 200
MAX_WORDS: Final = 10
MAX_FOUND: Final = 25
_IN_TITLE, _IN_HEADING, _IN_TEXT_MOST = 8, 6, 3  # points of a word; one in the text counts at most so often
_BEFORE, _AFTER = 60, 160  # characters of an excerpt around the first word found


@dataclass(frozen=True, slots=True)
class Found:
    """A section of a page that answers a query; words of the query are marked in `excerpt`."""

    page: Page
    section: Section
    excerpt: Markup

    @property
    def path(self) -> str:
        """Name and anchor, as below `/docs/`."""
        name = "" if self.page.name == "index" else self.page.name
        return name if self.section.level == 1 else f"{name}#{self.section.anchor}"


def search(pages: Sequence[Page], query: str) -> Sequence[Found]:
    """Return the sections in which all words of `query` occur, the best first; if none has all, those with most."""
    words = list(dict.fromkeys(query[:MAX_QUERY].casefold().split()))[:MAX_WORDS]
    rated = [(*_rate(page, section, words), page, section) for page in pages for section in page.sections]
    most = max((held for held, *_ in rated), default=0)
    best = sorted((one for one in rated if one[0] == most > 0), key=lambda one: -one[1])[:MAX_FOUND]
    any_word = re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))))
    return [Found(page, section, _excerpt(section.text, any_word)) for _, _, page, section in best]


def _rate(page: Page, section: Section, words: Sequence[str]) -> tuple[int, int]:
    """Return how many of the words occur, and the points of the section."""
    title, heading, text = page.title.casefold(), section.heading.casefold(), section.text.casefold()
    held = points = 0
    for word in words:
        in_title = _IN_TITLE if section.level == 1 and word in title else 0
        rating = in_title + (_IN_HEADING if word in heading else 0) + min(text.count(word), _IN_TEXT_MOST)
        held += rating > 0
        points += rating
    return held, points


def _excerpt(text: str, any_word: re.Pattern[str]) -> Markup:
    """Return the part of the text around the first word, with each word marked."""
    folded = text.casefold()
    if len(folded) != len(text):  # some characters fold into two
        folded = text.lower() if len(text.lower()) == len(text) else text
    first = any_word.search(folded)
    start = max(0, first.start() - _BEFORE) if first else 0
    end = min(len(text), (first.start() if first else 0) + _AFTER)
    marked, at = escape("… " if start else ""), start
    for hit in any_word.finditer(folded, start, end):
        marked += escape(text[at : hit.start()]) + Markup("<mark>{}</mark>").format(text[hit.start() : hit.end()])
        at = hit.end()
    return marked + escape(text[at:end]) + (" …" if end < len(text) else "")
