"""WebSockets: handshake, messages, and requests of the client."""
