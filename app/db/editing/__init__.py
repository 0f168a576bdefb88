"""What edits of tables have in common that people also edit with plain SQL: rules, lookups, agents."""
