"""Columns of a rule by subject, as parts of `app.db.rule_columns.RULE_COLUMNS`."""
