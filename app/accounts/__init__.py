"""Users, their roles, API tokens and one-time links."""
