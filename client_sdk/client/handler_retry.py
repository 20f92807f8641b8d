"""How often a program's handler is retried when it raises. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from client_sdk.errors import HandlerError
from client_sdk.machine.backoff import longest_wait
from client_sdk.machine.sequencing import Change


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a failing handler is retried.

    Args:
        attempts: how often a change is handed to the handler, the first time included; at least 1.
        first_delay: seconds before the second attempt; each further delay is twice as long.

    Raises:
        ValueError: `attempts` is less than 1.
    """

    attempts: int = 3
    first_delay: float = 0.1

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("attempts must be at least 1")

    def delay(self, failed: int) -> float | None:
        """The delay in seconds after so many failed attempts; None: no attempt is left."""
        return None if failed >= self.attempts else longest_wait(failed, self.first_delay)


def handler_failed(change: Change, attempts: int, error: Exception) -> HandlerError:
    """The error that ends a client whose handler kept raising.

    Args:
        change: what the handler did not handle.
        attempts: how often it was handed over.
        error: what the handler raised last; it is the `__cause__` of the result.
    """
    failed = HandlerError(
        f"the handler raised {attempts} times at {change.channel}; the change is not "
        f"acknowledged: {error!r}"
    )
    failed.__cause__ = error
    return failed
