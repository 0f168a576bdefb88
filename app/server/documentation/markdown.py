"""Markdown files → pages: HTML, headings with the anchors that GitHub gives them, and the text that search reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

_COMMENT: Final = re.compile(r"\s*<!--.*?-->\s*", re.DOTALL)

_FEW: Final = 3  # headings; a page with so few has its entries beneath them, as the runbook

LinkOf = Callable[[str], str | None]
"""Return the address at which the target of a link is served, or None if it is not."""


@dataclass(frozen=True, slots=True)
class Section:
    """What stands beneath one heading, as plain text. `level` is 1 for the title of the page."""

    level: int
    anchor: str
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `name` is its path below `/docs/`; `html` is what follows its title."""

    name: str
    title: str
    html: Markup
    sections: Sequence[Section]

    @property
    def contents(self) -> Sequence[Section]:
        """The headings of a table of contents; those beneath them, too, if they are few."""
        headings = [section for section in self.sections if section.level == 2]
        if len(headings) > _FEW:
            return headings
        return [section for section in self.sections if section.level in {2, 3}]


def anchor_of(heading: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def read_page(name: str, text: str, link_of: LinkOf) -> Page:
    """Return the page that a Markdown file is; `link_of` says where the targets of its links are served."""
    reader = MarkdownIt("commonmark", renderer_cls=_Renderer).enable("table")
    tokens = reader.parse(text)
    _set_anchors(tokens)
    _set_links(tokens, link_of)
    sections = _sections(tokens)
    if tokens and (tokens[0].type, tokens[0].tag) == ("heading_open", "h1"):
        tokens = tokens[3:]  # the title: its beginning, its text, its end
    title = next((section.heading for section in sections if section.level == 1), name)
    return Page(name, title, Markup(reader.renderer.render(tokens, reader.options, {})), sections)  # noqa: S704 - ours


def _set_anchors(tokens: Sequence[Token]) -> None:
    """Give each heading an id; a heading that repeats an earlier one gets a number, as on GitHub."""
    given: dict[str, int] = {}
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            anchor = anchor_of(_plain(inline))
            repeated = given.get(anchor, 0)
            given[anchor] = repeated + 1
            opening.attrSet("id", f"{anchor}-{repeated}" if repeated else anchor)


def _set_links(tokens: Sequence[Token], link_of: LinkOf) -> None:
    """Lead links to where their targets are served; one whose target is not becomes plain text."""
    for token in tokens:
        is_open = True
        for child in token.children or ():
            if child.type == "link_open":
                target = link_of(str(child.attrGet("href") or ""))
                is_open = target is not None
                if target is not None:
                    child.attrSet("href", target)
            if child.type in {"link_open", "link_close"} and not is_open:
                child.type, child.tag = "text", ""


def _plain(inline: Token) -> str:
    return "".join(child.content for child in inline.children or () if child.type in {"text", "code_inline"})


def _sections(tokens: Sequence[Token]) -> Sequence[Section]:
    found: list[Section] = []
    opened, texts = Section(1, "", "", ""), list[str]()

    def close() -> None:
        if opened.heading:
            found.append(Section(opened.level, opened.anchor, opened.heading, " ".join(" ".join(texts).split())))

    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            close()
            heading = _plain(tokens[index + 1])
            opened, texts = Section(int(token.tag[1:]), str(token.attrGet("id")), heading, ""), []
        elif token.type == "inline" and tokens[index - 1].type != "heading_open":
            texts.append(_readable(token))
        elif token.type in {"fence", "code_block"}:
            texts.append(token.content)
    close()
    return found


def _readable(inline: Token) -> str:
    breaks = {"softbreak": " ", "hardbreak": " "}
    return "".join(breaks.get(child.type, child.content) for child in inline.children or ())


class _Renderer(RendererHTML):
    """HTML for narrow screens and keyboards: wide content scrolls by itself, headings can be linked to."""

    def heading_close(self, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
        opening, tag = tokens[index - 2], tokens[index].tag
        heading = escape(_plain(tokens[index - 1]))
        return f' <a class="anchor" href="#{opening.attrGet("id")}" aria-label="Link to: {heading}">#</a></{tag}>\n'

    def table_open(self, _tokens: Sequence[Token], _index: int, _options: Any, _env: Any) -> str:
        return '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>\n'

    def table_close(self, _tokens: Sequence[Token], _index: int, _options: Any, _env: Any) -> str:
        return "</table></div>\n"

    def th_open(self, _tokens: Sequence[Token], _index: int, _options: Any, _env: Any) -> str:
        return '<th scope="col">'

    def fence(self, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
        language = tokens[index].info.partition(" ")[0]
        attribute = f' class="language-{escape(language)}"' if language else ""
        return f'<pre tabindex="0"><code{attribute}>{escape(tokens[index].content)}</code></pre>\n'

    def code_block(self, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
        return f'<pre tabindex="0"><code>{escape(tokens[index].content)}</code></pre>\n'

    def html_block(self, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
        """Leave out comments, which mark what is generated; other HTML is shown as text."""
        return str(escape(_COMMENT.sub("", tokens[index].content)))

    def html_inline(self, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
        return self.html_block(tokens, index, _options, _env)
