"""Lookups over the API."""
