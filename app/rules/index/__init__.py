"""Finds, among very many rules, the few whose pattern an event could match.

A persistent tree: two versions of a rule book share what did not change.
"""
