"""Core's HTTP API: its routes, and their description in OpenAPI."""
