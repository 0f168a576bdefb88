"""Lookup: joins that a lookup matches are evaluated once it is answered, or its time is over."""
