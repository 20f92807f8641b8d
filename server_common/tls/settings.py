"""The certificate with which a process of ours speaks TLS at its own port.

A process whose files cannot be used does not start.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Self

from pydantic import model_validator

from server_common.environment import FromEnvironment
from server_common.tls.validity import Validity


class ServerTlsSettings(FromEnvironment):
    """The certificate of a process's own port."""

    tls_cert: str = ""
    """File of this process's certificate chain (PEM); with it its port speaks TLS and nothing
    else."""
    tls_key: str = ""
    """File of the certificate's private key (PEM)."""

    @property
    def certificate(self) -> tuple[str, str] | None:
        """The files of the chain and of its key; None: the port speaks plain HTTP."""
        return (self.tls_cert, self.tls_key) if self.tls_cert else None

    @model_validator(mode="after")
    def _can_be_shown(self) -> Self:
        check_certificate("YABAM_TLS", self.tls_cert, self.tls_key)
        return self


def check_certificate(prefix: str, chain: str, key: str) -> None:
    """Check that a server can start with these files, so that it does not fail once it serves.

    Args:
        prefix: of the two settings, which errors name.
        chain: the file of the certificate chain; empty: none.
        key: the file of its private key; empty: none.

    Raises:
        ValueError: only one is named, one cannot be read, or they do not belong together.
    """
    if bool(chain) != bool(key):
        raise ValueError(f"{prefix}_CERT and {prefix}_KEY go together")
    if not chain:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key)
        Validity.of_chain(Path(chain).read_bytes())
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise ValueError(f"the files of {prefix}_CERT and {prefix}_KEY: {error}") from error


def check_authorities(variable: str, file: str) -> None:
    """Check that a file of authorities can be read.

    Args:
        variable: the setting that names it.
        file: the file (PEM); empty: none.

    Raises:
        ValueError: it cannot be read, or has no certificate in it.
    """
    if not file:
        return
    try:
        ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"the file of {variable}: {error}") from error
