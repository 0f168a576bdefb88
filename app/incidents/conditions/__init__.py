"""Decides what is wrong: one module for each kind of incident, pure functions from facts to sightings."""
