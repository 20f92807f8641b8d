"""When a certificate is valid. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self


@dataclass(frozen=True, slots=True)
class Validity:
    """The time in which all certificates of a chain are valid."""

    begins: datetime
    ends: datetime

    @classmethod
    def of_chain(cls, pem: bytes) -> Self:
        """The validity of the certificates in a file.

        Raises:
            ValueError: there is none, or one that cannot be read.
        """
        # A process that speaks no TLS starts without it.
        from cryptography import x509

        chain = x509.load_pem_x509_certificates(pem)
        return cls(
            max(one.not_valid_before_utc for one in chain),
            min(one.not_valid_after_utc for one in chain),
        )

    def refusal(self, now: datetime) -> str | None:
        """Why a certificate should not replace another one now; None: it is valid."""
        if now >= self.ends:
            return f"it ended at {self.ends.isoformat()}"
        if now < self.begins:
            return f"it begins at {self.begins.isoformat()}"
        return None
