"""What an account at an OpenID provider is: who asks for tokens to Kafka, and where. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Where tokens come from."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""
    ca_file: str = ""
    """File of the authorities (PEM) that sign the certificate there; empty: the usual ones."""
