"""What the clients of one process record between two reports."""

from __future__ import annotations

from collections import Counter

from client_sdk.machine.status import Mode
from deploy.load.clients.messages import Report


class Notes:
    """Filled by the clients, taken by the report."""

    def __init__(self) -> None:
        self._modes: Counter[str] = Counter()
        self._forget()

    def _forget(self) -> None:
        self._counts: Counter[str] = Counter()
        self._syncs: list[float] = []
        self._seen: list[tuple[str, int, float]] = []
        self._gave_up: list[tuple[str, str]] = []

    def count(self, what: str, times: int = 1) -> None:
        """Count this many occurrences."""
        if times:
            self._counts[what] += times

    def synced(self, seconds: float) -> None:
        """Record the duration of a sync."""
        self._syncs.append(seconds)

    def saw(self, reference: str, version: int, at: float) -> None:
        """Note that a client has received an order's event.

        Args:
            reference: the order's, by which the run finds when it was sent; "": it has none.
            version: the order's version in the event.
            at: monotonic seconds, by the clock that all processes of the machine share.
        """
        self._seen.append((reference, version, at))

    def turned(self, before: Mode | None, now: Mode) -> None:
        """A client has changed its mode; `before` None: it has just started."""
        if before is not None:
            self._modes[before] -= 1
        self._modes[now] += 1

    def gave_up(self, channel: str, why: str) -> None:
        """A client of this channel has failed for good."""
        self._gave_up.append((channel, why))

    def take(self) -> Report:
        """Return all since the last call, and the current modes."""
        report = Report(
            dict(self._modes), dict(self._counts), self._syncs, self._seen, self._gave_up
        )
        self._forget()
        return report
