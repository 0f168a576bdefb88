"""The JSON API, which can do all that the console can: `routes` lists the endpoints, and OpenAPI follows from it."""
