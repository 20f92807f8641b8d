"""How often a program's handler is tried again when it raises. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from client_sdk.errors import HandlerError
from client_sdk.machine.backoff import longest_wait
from client_sdk.machine.sequencing import Change


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a failing handler is retried; the delay doubles each time (seconds).

    Raises:
        ValueError: there would be no attempt at all.
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
    """The error that ends a client whose handler raised `error` at its last attempt."""
    failed = HandlerError(
        f"the handler raised {attempts} times at {change.channel}; the change is not "
        f"acknowledged: {error!r}"
    )
    failed.__cause__ = error
    return failed
