"""The HTTP server over a real database, without sockets."""
