"""Secrets of LiveKit's keys that can be guessed; with one of them, webhooks are forged and access tokens made."""

from __future__ import annotations

from typing import Final

from app.errors import Problem
from app.settings.model import Settings

SHORTEST_SECRET: Final = 32
"""Characters; livekit-server warns about shorter ones, too. What it generates has more."""
_LEAST_VARIETY: Final = 8  # different characters in it


def weak_secrets(settings: Settings) -> list[Problem]:
    """Return a warning for each weak secret, without the secret; `usher serve` starts all the same."""
    warnings = []
    for project in settings.projects:
        for key, secret in project.keys.items():
            text = secret.get_secret_value()
            if is_weak(text):
                setting = _setting(settings, project.name, is_main=key == project.api_key)
                message = (
                    f"the secret of key {key!r} can be guessed (it has {len(text)} characters, {len(set(text))} of "
                    "them different), and it is all that is needed to forge webhooks and access tokens; use at least "
                    f"{SHORTEST_SECRET} random characters"
                )
                warnings.append(Problem(setting, message))
    return warnings


def is_weak(secret: str) -> bool:
    """Return whether a secret can be guessed."""
    return len(secret) < SHORTEST_SECRET or len(set(secret)) < _LEAST_VARIETY or _repeats_itself(secret)


def _repeats_itself(text: str) -> bool:
    """Return whether the text is a shorter one, written again and again."""
    return any(text[length:] == text[:-length] for length in range(1, len(text) // 2 + 1))


def _setting(settings: Settings, project: str, *, is_main: bool) -> str:
    if settings.projects_file is not None:
        return f"USHER_PROJECTS_FILE project {project!r}"
    return "LIVEKIT_API_SECRET" if is_main else "LIVEKIT_KEYS"
