"""The event server's other routes, and the HTTP server under all routes."""
