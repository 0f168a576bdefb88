"""Logging in, through an OpenID Connect provider too, and the sessions that it begins."""
