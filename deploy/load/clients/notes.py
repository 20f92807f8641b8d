"""What the clients of one process record between two reports."""

from __future__ import annotations

from collections import Counter

from client_sdk.machine.status import Mode
from deploy.load.clients.messages import Report


class Notes:
    """The clients add to it; each report takes it and begins anew."""

    def __init__(self) -> None:
        self._modes: Counter[str] = Counter()
        self._forget()

    def _forget(self) -> None:
        self._counts: Counter[str] = Counter()
        self._syncs: list[float] = []
        self._seen: list[tuple[str, int, float]] = []
        self._gave_up: list[tuple[str, str]] = []

    def count(self, what: str, times: int = 1) -> None:
        """Add so many occurrences of `what`."""
        if times:
            self._counts[what] += times

    def synced(self, seconds: float) -> None:
        """Record the duration of a sync."""
        self._syncs.append(seconds)

    def saw(self, reference: str, version: int, at: float) -> None:
        """Record that a client has received an order's event.

        Args:
            reference: the order's reference, by which the load test finds when the command was
                due; "": the order has none.
            version: the order's version in the event.
            at: monotonic seconds, by the clock that all processes of the machine share.
        """
        self._seen.append((reference, version, at))

    def turned(self, before: Mode | None, now: Mode) -> None:
        """Record a client's change of mode; `before` None: the client has just started."""
        if before is not None:
            self._modes[before] -= 1
        self._modes[now] += 1

    def gave_up(self, channel: str, why: str) -> None:
        """Record that a client of this channel has given up."""
        self._gave_up.append((channel, why))

    def take(self) -> Report:
        """Everything since the last call, and the current modes."""
        report = Report(
            dict(self._modes), dict(self._counts), self._syncs, self._seen, self._gave_up
        )
        self._forget()
        return report
