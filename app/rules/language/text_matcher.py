"""The match types that search in text; each costs time linear in the value (a wildcard: value times its pieces)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.rules.language.letter_case import holds_in_cases
from app.rules.language.matcher import Matcher, show_value
from app.translation import translatable


@dataclass(frozen=True, slots=True)
class Prefix(Matcher):
    text: str

    def holds(self, value: Any) -> bool:
        return type(value) is str and value.startswith(self.text)

    def describe(self) -> str:
        return translatable("a string that starts with %(text)s", text=show_value(self.text))


@dataclass(frozen=True, slots=True)
class Suffix(Matcher):
    text: str

    def holds(self, value: Any) -> bool:
        return type(value) is str and value.endswith(self.text)

    def describe(self) -> str:
        return translatable("a string that ends with %(text)s", text=show_value(self.text))


@dataclass(frozen=True, slots=True)
class IgnoreCase(Matcher):
    """A string that equals, starts with or ends with `text`, each character in its lower or its upper case.

    The cases are those of each character of `text` by itself, as in event-ruler: "ß" also finds "SS", never "ss".
    """

    text: str
    where: str  # "equals", "prefix" or "suffix"

    def holds(self, value: Any) -> bool:
        if type(value) is not str:
            return False
        if not self.text.isascii():
            return holds_in_cases(self.text, self.where, value)
        size = len(self.text)
        if self.where == "prefix":
            value = value[:size]
        elif self.where == "suffix":
            value = value[-size:] if size else ""
        # Only ASCII letters are cases of ASCII letters here, though the Kelvin sign lowers to "k".
        return len(value) == size and value.isascii() and value.lower() == self.text.lower()

    def describe(self) -> str:
        text = show_value(self.text)
        match self.where:
            case "prefix":
                return translatable("a string that starts with %(text)s in any case", text=text)
            case "suffix":
                return translatable("a string that ends with %(text)s in any case", text=text)
            case _:
                return translatable("a string that equals %(text)s in any case", text=text)


@dataclass(frozen=True, slots=True)
class Wildcard(Matcher):
    """A string made of the `pieces` in their order, with anything between them."""

    pieces: tuple[str, ...]
    text: str

    def holds(self, value: Any) -> bool:
        if type(value) is not str:
            return False
        first, *middle = self.pieces
        if not middle:
            return bool(value == first)
        last = middle.pop()
        end = len(value) - len(last)
        if len(first) > end or not value.startswith(first) or not value.endswith(last):
            return False
        position = len(first)
        for piece in middle:
            position = value.find(piece, position, end)
            if position < 0:
                return False
            position += len(piece)
        return True

    def describe(self) -> str:
        return translatable("a string like %(text)s", text=show_value(self.text))


def wildcard(text: str) -> Wildcard:
    r"""Build the matcher for `wildcard`; `*` stands for anything, `\*` and `\\` for themselves.

    ValueError says what is wrong with the text.
    """
    pieces = [""]
    characters = iter(enumerate(text))
    star_before = False
    for position, character in characters:
        if character == "*":
            if star_before:
                raise ValueError(
                    translatable(
                        "two '*' next to each other at character %(position)s; one is enough", position=position
                    )
                )
            pieces.append("")
            star_before = True
            continue
        star_before = False
        if character == "\\":
            _, escaped = next(characters, (0, ""))
            if escaped not in {"*", "\\"}:
                raise ValueError(
                    translatable(
                        "the backslash at character %(position)s must be followed by '*' or another backslash",
                        position=position,
                    )
                )
            pieces[-1] += escaped
        else:
            pieces[-1] += character
    return Wildcard(tuple(pieces), text)
