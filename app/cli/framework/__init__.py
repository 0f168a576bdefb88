"""What commands share: the terminal, common options, times as users type them, and access to the database."""
