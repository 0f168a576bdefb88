"""Commands over the JSON API of a running Usher (`--server`, `--token`), without its database."""
