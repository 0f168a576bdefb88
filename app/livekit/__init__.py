"""Everything that speaks LiveKit's language. README.md says what LiveKit does and which constants rest on it."""
