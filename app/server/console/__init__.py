"""The web console: pages made on the server, which work without script and need no other host."""
