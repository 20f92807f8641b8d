"""Several who are to be seen through each exchange, as one."""

from __future__ import annotations

from tests.chaos.proof import Ledger, Verdict
from tests.chaos.runner import Others


class Bystanders:
    """All of them.

    Args:
        all_of_them: each with a proof of its own.
    """

    def __init__(self, *all_of_them: Others) -> None:
        self._all = all_of_them

    async def start(self) -> None:
        """Start each."""
        for one in self._all:
            await one.start()

    async def stop(self) -> None:
        """End each."""
        for one in self._all:
            await one.stop()

    async def rest(self, within_s: float) -> bool:
        """Bring each to rest; whether all came to it."""
        return all([await one.rest(within_s) for one in self._all])

    async def judge(self, ledger: Ledger, within_s: float) -> Verdict:
        """The verdicts of all."""
        verdict = Verdict()
        for one in self._all:
            verdict.add(await one.judge(ledger, within_s))
        return verdict
