"""Users, roles, API tokens, and links that let somebody in."""
