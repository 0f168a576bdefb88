"""Commands about the routing rules: edit, check and test them, and simulate a draft on past traffic."""
