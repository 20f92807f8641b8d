"""Runs scenarios one after the other on one installation, and checks each result."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from tests.chaos.crowd import Crowd
from tests.chaos.editors import Editors
from tests.chaos.kitchen.kitchen import Kitchen
from tests.chaos.load import Load
from tests.chaos.proof import Ledger, Verdict
from tests.chaos.site import Site
from tests.chaos.starvation import complaint, scheduled

RECOVERS_WITHIN_S: Final = 150.0
_FAULT_WITHIN_S: Final = 300.0
_LEVEL_WITHIN_S: Final = 60.0
_WARM_UP_S: Final = 2.0
_SHOW_EVERY_S: Final = 1.0
_MAX_TEXT: Final = 200


class NotInjectedError(Exception):
    """The fault did not happen as intended, so the scenario shows nothing; the text says why."""


class NotPossibleError(Exception):
    """This machine lacks what the scenario needs; the text says what."""


class Others(Protocol):
    """More clients and writers beside the crowd, with a check of their own."""

    async def start(self) -> None:
        """Begin to follow and to write."""

    async def stop(self) -> None:
        """Stop at once."""

    async def rest(self, within_s: float) -> bool:
        """Begin nothing new, and wait until everything under way is done. Returns whether it is."""

    async def judge(self, ledger: Ledger, within_s: float) -> Verdict:
        """Compare what they received, and what was acknowledged to them, with the database."""


@dataclass(slots=True)
class Field:
    """The installation, the clients and the writers of a scenario."""

    site: Site
    crowd: Crowd
    load: Load
    editors: Editors
    chance: random.Random
    scale: float
    """Multiplies the duration of faults; below 1 in the short form."""
    patience_s: float = RECOVERS_WITHIN_S
    """How long after the fault clients may need until they are live and have all events."""
    kitchen: Kitchen | None = None
    """The printer and devices, if the scenario has them."""
    others: Others | None = None
    """More clients and writers, which are checked in each scenario, too."""

    async def last(self, seconds: float) -> None:
        """Wait while the fault lasts."""
        await asyncio.sleep(seconds * self.scale)

    async def until(
        self, condition: Callable[[], Awaitable[bool]], what: str, within_s: float = 60.0
    ) -> float:
        """Wait until the condition is true. Returns how long that took.

        It waits at most `within_s` or `patience_s` seconds, whichever is less.

        Raises:
            NotInjectedError: it did not become true; `what` describes it.
        """
        start = time.monotonic()
        within_s = min(within_s, self.patience_s)
        while not await condition():
            if time.monotonic() - start > within_s:
                raise NotInjectedError(f"within {within_s:g} s it was not seen that {what}")
            await asyncio.sleep(0.1)
        return time.monotonic() - start

    async def all_in(self, *modes: str, within_s: float = 60.0) -> float:
        """Wait until every client is in one of these modes. Returns how long that took.

        Raises:
            NotInjectedError: not all clients reached one of them.
        """

        async def there() -> bool:
            found = self.crowd.modes()
            return sum(found[mode] for mode in modes) == len(self.crowd.watchers)

        try:
            return await self.until(there, f"all clients are {' or '.join(modes)}", within_s)
        except NotInjectedError as error:
            raise NotInjectedError(f"{error}: {dict(self.crowd.modes())}") from error


Inject = Callable[[Field], Awaitable[str]]
"""Causes a fault and ends it. Returns a short text about what was seen."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One fault."""

    name: str
    injected: str
    """What the scenario does, for the report."""
    inject: Inject
    needs_kafka: bool = False
    """Whether it needs Apache Kafka, not the embedded broker."""
    needs_disk: bool = False
    """Whether PostgreSQL must have a separate disk."""
    needs_cluster: bool = False
    """Whether it needs three nodes of Apache Kafka."""
    needs_devices: bool = False
    """Whether it needs an MQTT broker, gateways and a kitchen."""
    needs_webhooks: bool = False
    """Whether it needs senders of webhooks."""
    fails_over: bool = False
    """Whether PostgreSQL must have a second host."""
    new_epoch: bool = False
    """Whether it begins a new epoch, so that clients must start anew."""


@dataclass(slots=True)
class Outcome:
    """The result of a scenario."""

    scenario: Scenario
    seed: int
    seen: str = ""
    written: int = 0
    edits: int = 0
    """How many edits, and commands of the editors, were answered."""
    verdict: Verdict = field(default_factory=Verdict)
    recovery_s: float | None = None
    """The time from the end of the fault until every client was live and had all events; None: that
    took too long."""
    slowest_s: float = 0.0
    live_s: float = 0.0
    polling_s: float = 0.0
    offline_s: float = 0.0
    trouble: str = ""
    """Why the scenario shows nothing, or what else was wrong."""
    skipped: bool = False

    @property
    def passed(self) -> bool:
        """Whether it was run, nothing was wrong, and all clients recovered in time."""
        return self.verdict.clean and self.recovery_s is not None and not self.trouble


Show = Callable[[str, str, float, Field], None]
"""Called once a second with the scenario, its phase, and the seconds since its beginning."""


class Runner:
    """Runs scenarios.

    Args:
        ground: the installation, the clients and the writers.
        seed: of all random choices.
        show: called to show progress.
    """

    def __init__(self, ground: Field, seed: int, show: Show) -> None:
        self._ground = ground
        self._seed = seed
        self._show = show
        self._phase = ""

    async def run(self, scenario: Scenario) -> Outcome:
        """Cause the fault under load, wait for recovery, pause the load, and check the result.

        An error in a scenario is reported as the outcome's `trouble`; the next one can be run.
        """
        outcome = Outcome(scenario, self._seed)
        began = scheduled()
        showing = asyncio.create_task(self._keep_showing(scenario.name))
        try:
            await self._run(scenario, outcome)
        except Exception as error:
            outcome.trouble = outcome.trouble or f"the run failed: {_brief(error)}"
        finally:
            showing.cancel()
        if not outcome.passed and not outcome.skipped:
            words = (outcome.trouble, complaint(began, scheduled()))
            outcome.trouble = "; ".join(filter(None, words))
        return outcome

    async def _run(self, scenario: Scenario, outcome: Outcome) -> None:
        site, crowd, load = self._ground.site, self._ground.crowd, self._ground.load
        crowd.turn_page()
        # Each scenario has its own random numbers, whatever was run before it.
        self._ground.chance = random.Random(f"{self._seed}/{scenario.name}")
        load.forgiving = scenario.new_epoch
        load.patience_s = min(load.patience_s, self._ground.patience_s)
        self._phase = "load"
        load.start()
        self._ground.editors.start()
        if self._ground.kitchen is not None:
            self._ground.kitchen.start()
        if self._ground.others is not None:
            await self._ground.others.start()
        await asyncio.sleep(_WARM_UP_S * self._ground.scale)
        self._phase = "fault"
        await self._inject(scenario, outcome)
        self._phase = "recovery"
        healed = time.monotonic()
        if await crowd.level(site.ledger, live=True, within_s=self._ground.patience_s):
            outcome.recovery_s = time.monotonic() - healed
        self._phase = "proof"
        await self._prove(scenario, outcome)

    async def _inject(self, scenario: Scenario, outcome: Outcome) -> None:
        """Cause the fault, and end it in any case."""
        site = self._ground.site
        try:
            async with asyncio.timeout(_FAULT_WITHIN_S):
                outcome.seen = await scenario.inject(self._ground)
        except NotInjectedError as error:
            outcome.trouble = f"not as it should be: {error}"
        except NotPossibleError as error:
            outcome.trouble, outcome.skipped = str(error), True
        except Exception as error:
            # The other scenarios must still be run, whatever the error is.
            outcome.trouble = f"the scenario failed: {_brief(error)}"
        kitchen = self._ground.kitchen
        words = await site.heal() + ([] if kitchen is None else await kitchen.heal())
        outcome.trouble = "; ".join(filter(None, [outcome.trouble, *words]))

    async def _prove(self, scenario: Scenario, outcome: Outcome) -> None:
        site, crowd, load = self._ground.site, self._ground.crowd, self._ground.load
        editors = self._ground.editors
        others = self._ground.others
        editors.pause()
        is_done = await load.pause()
        if others is not None:
            is_done &= await others.rest(self._ground.patience_s)
        if not is_done:
            outcome.trouble = outcome.trouble or "writers could not finish their orders"
        await load.ingested(site.ledger)
        patience_s = min(_LEVEL_WITHIN_S, self._ground.patience_s)
        await crowd.rest(site.ledger, patience_s)
        outcome.written = sum(
            len(facts)
            for facts in (
                await site.ledger.log({w.channel: w.base for w in crowd.watchers})
            ).values()
        )
        outcome.verdict.add(await crowd.judge(site.ledger, new_epoch=scenario.new_epoch))
        outcome.verdict.add(await load.judge(site.ledger))
        outcome.verdict.add(
            await editors.judge(site.ledger, within_s=patience_s, forgiving=scenario.new_epoch)
        )
        outcome.edits = editors.acknowledged
        if others is not None:
            outcome.verdict.add(await others.judge(site.ledger, patience_s))
            await others.stop()
        if self._ground.kitchen is not None:
            verdict, said = await self._ground.kitchen.judge(2 * patience_s)
            outcome.verdict.add(verdict)
            outcome.seen = "; ".join(filter(None, [outcome.seen, said]))
        outcome.slowest_s = crowd.slowest_s
        outcome.live_s = crowd.seconds["live"]
        outcome.polling_s = crowd.seconds["polling"]
        outcome.offline_s = sum(crowd.seconds.values()) - outcome.live_s - outcome.polling_s

    async def _keep_showing(self, name: str) -> None:
        start = time.monotonic()
        while True:
            self._show(name, self._phase, time.monotonic() - start, self._ground)
            await asyncio.sleep(_SHOW_EVERY_S)


def _brief(error: Exception) -> str:
    """The type of an error, and the first line of its text."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:_MAX_TEXT]
