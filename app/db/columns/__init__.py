"""Types of columns, and the columns of tables that people write, by subject."""
