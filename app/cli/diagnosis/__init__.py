"""Commands that try an installation out: every part of it by itself, and a whole call."""
