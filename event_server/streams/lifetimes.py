"""How long streams last, and when their clients may reconnect: spread over time. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from client_sdk.contract.stream import ByeReason

RECONNECT_MS: Final[Mapping[ByeReason, tuple[int, int]]] = {
    "timeout": (0, 500),
    "expired": (0, 500),
    "drain": (0, 2_000),
    "slow": (500, 3_000),
    "degraded": (1_000, 5_000),
}
"""How long a client waits after `bye`, picked evenly between the two, by reason."""

Uniform = Callable[[float, float], float]
"""A random number evenly between two (`random.uniform`)."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long streams last and when their clients reconnect."""

    lifetime_s: tuple[float, float]
    retry_ms: tuple[int, int]
    uniform: Uniform

    def lifetime(self) -> float:
        """One stream's lifetime in seconds: spread widely, so that a storm does not come back."""
        return self.uniform(*self.lifetime_s)

    def retry(self) -> int:
        """One stream's `retry:` in milliseconds."""
        return round(self.uniform(*self.retry_ms))

    def reconnect(self, reason: ByeReason) -> int:
        """When the client may reconnect after this `bye`, in milliseconds."""
        return round(self.uniform(*RECONNECT_MS[reason]))
