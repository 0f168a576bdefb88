"""The rule language: from a pattern in JSON to conditions, and whether a document satisfies them.

README.md of the parent package is normative. Nothing here knows a rule or a database.
"""
