"""Compares all rooms of LiveKit with the database: trigger, the sweep interval, one replica at a time.

Accepts callers that no webhook reported, tries again what failed for LiveKit's trouble, and has unclear rooms checked.
"""
