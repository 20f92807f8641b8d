"""The foundation of Core's HTTP: the server, its connections, probes and traces."""
