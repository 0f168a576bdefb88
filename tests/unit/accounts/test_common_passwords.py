"""Passwords that are tried first are refused; long and unusual ones of any characters are not."""

from __future__ import annotations

import pytest

from app.accounts.common_passwords import is_common
from app.accounts.password import check_password

COMMON = [
    "password1234", "Password123!", "P@ssw0rd1234", "passwordpassword", "adminadmin12", "qwertyuiop12", "letmein12345",
    "123456789012", "iloveyou1234", "asdfghjkl123", "aaaabbbbcccc", "dragon2026!!", "abcdefghijkl", "1qaz2wsx3edc",
    "livekit-2026", "usher1234567", "maria1234567", "zyxwvutsrqpo", "2026password", "pass word 1234", "!!welcome2026",
]  # fmt: skip
UNCOMMON = [
    "correct horse battery", "a good pass phrase", "dragon839471038472", "xk2#99 bq!pl0", "mariachi loves tacos",
    "8f4kq0zt1m2v", "193847562910", "ñandú über straße", "пароль из четырёх слов",
]  # fmt: skip


@pytest.mark.parametrize("password", COMMON)
def test_what_is_tried_first_is_refused(password: str) -> None:
    assert is_common(password, "maria")
    assert [problem.path for problem in check_password(password, name="maria")] == ["password"]


@pytest.mark.parametrize("password", UNCOMMON)
def test_anything_else_of_twelve_characters_is_a_password(password: str) -> None:
    assert check_password(password, name="maria") == []


def test_the_list_holds_the_three_thousand_commonest() -> None:
    assert sum(is_common(f"{word}") for word in ("123456", "password", "qwerty", "dragon", "monkey", "letmein")) == 6
    assert not is_common("# Source: @zxcvbn-ts/language-common")


@pytest.mark.parametrize("name", ["", "a", "x" * 100, "(.*", "\\"])
def test_any_name_may_be_compared(name: str) -> None:
    assert not is_common("correct horse battery", name)
