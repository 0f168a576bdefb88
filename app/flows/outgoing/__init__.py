"""HTTP to services of the operator: those that answer lookups, and programs that get webhooks."""
