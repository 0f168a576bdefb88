"""The JSON API: all that the console can do. `routes` lists the endpoints; the OpenAPI document is made of the list."""
