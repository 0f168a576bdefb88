"""Everything that is stored about one person, by identity or phone number."""
