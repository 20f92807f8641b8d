"""The client's network side: HTTP, streams and WebSockets; errors become inputs."""
