"""HTTP: webhooks, the JSON API, the console, health and metrics."""
