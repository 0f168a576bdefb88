"""Reads what conditions decide by: recent rows through an index, a bounded number of each."""
