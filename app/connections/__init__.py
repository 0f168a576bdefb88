"""HTTP connections of peers that have proved nothing yet: what each, and all together, may hold."""
