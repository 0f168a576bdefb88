"""Logins through an OpenID Connect provider: what its ID token proves, and which user that is."""
