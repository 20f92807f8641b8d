"""TLS at the ports of our own processes."""
