"""The addresses of an OpenID provider, and which addresses may be trusted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SAFE_URL: Final = re.compile(
    r"https://[^/?#\s@]+(/[^#\s]*)?|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?(/[^#\s]*)?"
)


@dataclass(frozen=True, slots=True)
class Provider:
    """Where the keys are."""

    issuer: str
    keys_url: str = ""
    """Of the key set; empty: the provider's own description names it."""
    ca_file: str = ""
    """File of the authorities (PEM) that sign its certificate; empty: the usual ones."""


def is_safe_url(url: str) -> bool:
    """Whether nobody on the network can pose as the provider: https, or this machine."""
    return _SAFE_URL.fullmatch(url) is not None
