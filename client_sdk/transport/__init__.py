"""How a client speaks with the servers: HTTP, streams and WebSockets; errors made into inputs."""
