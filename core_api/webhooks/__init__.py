"""Orders pushed to the URLs of integrators who cannot hold a connection."""
