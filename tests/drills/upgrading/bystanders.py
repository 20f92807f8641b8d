"""Combines several clients and writers that are checked in each scenario."""

from __future__ import annotations

from tests.chaos.proof import Ledger, Verdict
from tests.chaos.runner import Others


class Bystanders:
    """All of these clients and writers, as one `Others`.

    Args:
        all_of_them: the clients and writers, each with its own check.
    """

    def __init__(self, *all_of_them: Others) -> None:
        self._all = all_of_them

    async def start(self) -> None:
        """Start all."""
        for one in self._all:
            await one.start()

    async def stop(self) -> None:
        """Stop all."""
        for one in self._all:
            await one.stop()

    async def rest(self, within_s: float) -> bool:
        """Let all finish what is under way. Returns whether all have."""
        return all([await one.rest(within_s) for one in self._all])

    async def judge(self, ledger: Ledger, within_s: float) -> Verdict:
        """The sum of all verdicts."""
        verdict = Verdict()
        for one in self._all:
            verdict.add(await one.judge(ledger, within_s))
        return verdict
