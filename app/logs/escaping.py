"""Keeps the text of callers from steering the terminal that shows the log."""

from __future__ import annotations

from collections.abc import MutableMapping
from io import StringIO
from typing import Any, Final, TextIO

import structlog

_LINE_BREAK: Final = 0x0A
_UNSAFE: Final = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (
        *(code for code in range(0x20) if code != _LINE_BREAK),  # ESC begins a terminal's commands
        *range(0x7F, 0xA0),  # DEL, and the 8-bit forms of such commands
        0x2028,  # separators that some viewers break lines at
        0x2029,
        *range(0x202A, 0x202F),  # marks that reverse the direction of what follows
        *range(0x2066, 0x206A),
    )
}


def escape_controls(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace control characters in the texts of a log line by their escapes; a structlog processor."""
    for name, value in fields.items():
        if isinstance(value, str) and not (value.isascii() and value.isprintable()):
            fields[name] = value.translate(_UNSAFE)
    return fields


def write_traceback(output: TextIO, exc_info: Any) -> None:
    """Write a traceback without local variables, with control characters escaped."""
    text = StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    output.write(text.getvalue().translate(_UNSAFE))
