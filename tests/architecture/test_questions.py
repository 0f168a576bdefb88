"""Every command that asks says without a terminal that it needs --yes."""

from __future__ import annotations

import re
from pathlib import Path

CLI = Path(__file__).parents[2] / "app/cli"


def test_one_function_asks() -> None:
    asking = [str(path.relative_to(CLI)) for path in sorted(CLI.rglob("*.py"))
              if re.search(r"\b(?:confirm|prompt|input)\(", path.read_text())]  # fmt: skip
    assert asking == ["framework/terminal.py"], "use require_consent"


def test_each_command_that_asks_has_the_option_that_its_error_names() -> None:
    for path in CLI.rglob("*.py"):
        text = path.read_text()
        if "require_consent(" in text and path.name != "terminal.py":
            assert '"--yes"' in text, path
