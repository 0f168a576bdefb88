"""A position in a list of tokens, with what parsers ask of it."""

from __future__ import annotations

from app.rules.conditions.hours.lexer import HoursError, Kind, Token


class TokenStream:
    """Tokens read one after the other; `position` may be set back."""

    __slots__ = ("position", "tokens")

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.position = 0

    @property
    def next(self) -> Token:
        """The token that `take` would return."""
        return self.tokens[self.position]

    @property
    def after_next(self) -> Token:
        """The token after `next`; the last one at the end."""
        return self.tokens[min(self.position + 1, len(self.tokens) - 1)]

    def take(self) -> Token:
        """Return the next token and go on to the one after it."""
        token = self.next
        self.position += token.kind is not Kind.END
        return token

    def sees(self, *expected: Kind | str) -> bool:
        """Return whether the next tokens are of these kinds, or these symbols."""
        position = self.position
        for wanted in expected:
            token = self.tokens[min(position, len(self.tokens) - 1)]
            if token.kind is not wanted and not (token.kind is Kind.SYMBOL and token.text == wanted):
                return False
            position += 1
        return True

    def accept(self, symbol: str) -> bool:
        """Take the next token if it is this symbol, and return whether it was."""
        if self.next.kind is Kind.SYMBOL and self.next.text == symbol:
            self.position += 1
            return True
        return False

    def expect(self, wanted: Kind | str, message: str) -> Token:
        """Return the next token if it is of this kind, or this symbol; else raise HoursError with the message."""
        if not self.sees(wanted):
            raise HoursError(message, self.next.at)
        return self.take()
