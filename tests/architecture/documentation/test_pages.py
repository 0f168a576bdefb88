"""The pages of the documentation: all are listed, and links between pages, code and templates lead somewhere."""

from __future__ import annotations

import re

import pytest

from app.server.documentation.library import APP, library, page_files
from app.server.documentation.links import CALL_HELP, CONSOLE_HELP, ERROR_HELP, docs_url

ROOT = APP.parent
USER_PAGES = [page.name for page in library().order]
_DOCS_URL = re.compile(r"""docs_url\(\s*["']([^"']+)["'](?:,\s*["']([^"']+)["'])?""")


def test_every_page_for_users_is_in_the_index_once() -> None:
    expected = {name for name in page_files() if not name.startswith("decisions")}
    assert sorted(USER_PAGES) == sorted(expected)


@pytest.mark.parametrize("name", USER_PAGES)
def test_links_of_pages_for_users_are_served(name: str) -> None:
    """A link to a file that only the repository has is no link at `/docs`."""
    text = re.sub(r"```.*?```|`[^`]*`", "", (APP / page_files()[name]).read_text("utf-8"), flags=re.DOTALL)
    written = len(re.findall(r"(?<!!)\[[^\]]*\]\([^)\s]+\)", text))
    html = library().pages[name].html
    assert html.count("<a ") - html.count('<a class="anchor"') >= written


def test_addresses_of_pages_in_code_and_templates_lead_to_a_heading() -> None:
    named = [
        (str(path.relative_to(ROOT)), page, anchor)
        for folder in (APP / "server", APP / "cli")
        for path in folder.rglob("*")
        if path.suffix in {".py", ".html"}
        for page, anchor in _DOCS_URL.findall(path.read_text("utf-8"))
    ]
    named += [("CONSOLE_HELP", page, "") for page, _ in CONSOLE_HELP.values()]
    named += [("links", page, anchor) for page, anchor in (*ERROR_HELP.values(), *CALL_HELP.values())]
    anchors = {name: {section.anchor for section in page.sections} for name, page in library().pages.items()}
    wrong = [one for one in named if one[1] not in anchors or (one[2] and one[2] not in anchors[one[1]])]
    assert wrong == []
    assert docs_url("operations", "upgrade") == "/docs/operations#upgrade"
