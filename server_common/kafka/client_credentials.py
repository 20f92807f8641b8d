"""An account at an OpenID provider that gets tokens for Kafka, with its address. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """How tokens are obtained."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""
    ca_file: str = ""
    """File of the authorities (PEM) that sign the certificate there; empty: the usual ones."""
