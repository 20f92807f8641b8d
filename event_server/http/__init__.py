"""The event server's other routes, and the HTTP server below."""
