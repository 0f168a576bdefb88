"""Recognizes passwords that attackers try first: those of published leaks, and obvious variations of them.

NIST SP 800-63B asks for this comparison in place of rules of composition. `common_passwords.txt` says where the list is
from, and its licence.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

_LIST: Final = Path(__file__).with_name("common_passwords.txt")
_CONTEXT: Final = ("usher", "livekit", "console", "dispatch")
"""Words that this service suggests."""
_MAX_EDGES: Final = 6
"""Digits and signs around a common word that make no new password: `dragon2026!`. More of them may be random; a run
counts as one."""
_MIN_RUN: Final = 4
_LEET: Final = str.maketrans({"@": "a", "4": "a", "3": "e", "0": "o", "1": "i", "!": "i", "$": "s", "5": "s", "7": "t"})
_ROWS: Final = ("0123456789", "1234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm",
                "qwertzuiop", "azertyuiop", "qsdfghjklm")  # fmt: skip
_PARTS: Final = re.compile(r"([\W\d_]*)(.*?)([\W\d_]*)", re.DOTALL)


def is_common(password: str, *also: str) -> bool:
    """Return whether a password is a common one, or one of the words `also`, apart from case, l33t and a few digits."""
    words = {*_CONTEXT, *(word.casefold() for word in also if len(word) >= 3)}
    folded = "".join(password.casefold().split())
    if _length_without_runs(folded) <= _MAX_EDGES:  # "asdfgh123456"
        return True
    return any(_is_word(form, words) for form in (folded, folded.translate(_LEET)))


def _is_word(text: str, words: set[str]) -> bool:
    forms = {text, _repeated(text)}
    parts = _PARTS.fullmatch(text)
    if parts is not None and _length_without_runs(parts[1]) + _length_without_runs(parts[3]) <= _MAX_EDGES:
        forms |= {parts[2], _repeated(parts[2])}
    return any(form in words or _is_listed(form) for form in forms)


def _repeated(text: str) -> str:
    """Return what `text` repeats, such as `admin` for `adminadmin`; `text` itself if it repeats nothing."""
    return text[: (text + text).index(text, 1)] if text else text


def _is_listed(text: str) -> bool:
    return len(text) >= _MIN_RUN and f"\n{text}\n" in _listed()


@cache
def _listed() -> str:
    # One text of 0.4 MB, searched in 0.1 ms: a set of its lines would take ten times the memory.
    return "\n" + "\n".join(line for line in _LIST.read_text("utf-8").splitlines() if not line.startswith("# ")) + "\n"


def _length_without_runs(text: str) -> int:
    """Return the length of `text` if each run of a keyboard row, the alphabet or one character counts as one."""
    at = length = 0
    while at < len(text):
        run = _run_at(text, at)
        at += run if run >= _MIN_RUN else 1
        length += 1
    return length


def _run_at(text: str, at: int) -> int:
    """Return the length of the run that begins at `at`, at least 1."""
    longest = 1
    while at + longest < len(text) and text[at + longest] == text[at]:
        longest += 1
    for row in _ROWS:
        for line in (row, row[::-1]):
            length = 1
            while at + length < len(text) and text[at : at + length + 1] in line:
                length += 1
            longest = max(longest, length)
    return longest
