"""Warnings about rules that may be saved but probably do not do what their author meant."""
