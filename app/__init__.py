"""Usher dispatches agents to the callers of a LiveKit deployment; README.md beside this file says how it is built."""
