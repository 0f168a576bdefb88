"""The pages Rules and History."""
