"""Saved views of the list of calls: above the list, and the page on which they are managed."""
