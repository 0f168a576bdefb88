"""The rule book: all rules compiled, read from the database, and evaluated for one event."""
