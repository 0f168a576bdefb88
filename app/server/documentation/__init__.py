"""The user documentation of this version, at `/docs`: pages of `app/docs`, their search and the links to them."""
