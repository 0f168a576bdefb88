"""How endpoints are declared, authenticated, checked and documented."""
