"""Who may use the console: logging in, sessions, the own account, users."""
