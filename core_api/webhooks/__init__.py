"""Webhooks: orders sent to the URLs of integrators who cannot keep a connection open."""
