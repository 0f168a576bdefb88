"""The database: engines, tables, column types, and the writer that commits."""
