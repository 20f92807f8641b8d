"""The orders in which the kinds of processes are replaced, and how one is replaced."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import Final

from deploy.local.stack import run_once
from deploy.processes.process import Process
from tests.chaos.runner import Field, NotInjectedError, Scenario
from tests.chaos.site import aside

DOCUMENTED: Final = ("events", "mqtt-admin", "mqtt", "relay", "ingest", "webhooks", "core")
"""The order of docs/deployment.md; the migration comes before it."""
INNER: Final = ("events", "relay", "ingest", "core")
"""The kinds of which every mixture of old and new is tested; the others exchange less with them."""
_BESIDE_S: Final = 3.0
"""How long old and new processes run beside each other."""
_READY_WITHIN_S: Final = 120.0
_NUMBER: Final = re.compile(r"-\d+$")
"""The end of the name of a kind's second process: `mqtt-2` is a gateway, `mqtt-admin` is not."""


def all_orders() -> list[Sequence[str]]:
    """All orders of the kinds; the documented one is the first."""
    return sorted(permutations(DOCUMENTED), key=lambda order: order != DOCUMENTED)


def pair_orders() -> list[Sequence[str]]:
    """Two orders, in one of which each kind comes before each other kind; the documented one is
    the first."""
    return [DOCUMENTED, DOCUMENTED[::-1]]


def covering_orders() -> list[Sequence[str]]:
    """A few orders that have every mixture of old and new inner kinds; the pairs' orders first."""
    chosen = pair_orders()
    met = {mixture for order in chosen for mixture in _mixtures(order)}
    left = all_orders()
    while True:
        best = max(left, key=lambda order: len(_mixtures(order) - met))
        if not _mixtures(best) - met:
            return chosen
        chosen.append(best)
        met |= _mixtures(best)


def begun_with(orders: Sequence[Sequence[str]], number: int) -> list[Sequence[str]]:
    """The same orders, beginning with this number (from 1); those before it come last."""
    at = (number - 1) % len(orders)
    return [*orders[at:], *orders[:at]]


def _mixtures(order: Sequence[str]) -> set[frozenset[str]]:
    """The sets of inner kinds that are new at the same time, in this order of replacement."""
    inner = [kind for kind in order if kind in INNER]
    return {frozenset(inner[:count]) for count in range(1, len(inner))}


@dataclass(frozen=True)
class Code:
    """The environments in which the code of both releases runs."""

    old: Mapping[str, str]
    new: Mapping[str, str]


def migration(code: Code) -> Scenario:
    """The new release's migration, while all processes of the previous one run."""

    async def migrate(ground: Field) -> str:
        site = ground.site
        environment = {**site.stack.environment, **code.new}
        command = [sys.executable, "-m", "client_sdk.cli", "db", "upgrade"]
        log = site.folder / "log" / "migrate-new.log"
        before = await _revision(ground)
        began = time.monotonic()
        await aside(partial(run_once, Process("migrate-new", command, environment, log, None)))
        took_s = time.monotonic() - began
        after = await _revision(ground)
        if before == after:
            raise NotInjectedError(f"both releases have the schema {after}")
        await ground.last(_BESIDE_S)
        return f"from {before} to {after} in {took_s:.1f} s"

    return Scenario("migration", "the new migrations while all that is old works", migrate)


def upgrade(order: Sequence[str], code: Code) -> Scenario:
    """Replace all processes by the new ones, kind by kind."""
    return _exchange("upgrade", "new", order, code.new)


def way_back(order: Sequence[str], code: Code) -> Scenario:
    """Replace all processes by the previous ones; the schema stays the new one."""
    return _exchange("back", "previous", order, code.old)


def _exchange(
    verb: str, release: str, order: Sequence[str], environment: Mapping[str, str]
) -> Scenario:
    async def exchange(ground: Field) -> str:
        slowest_s = 0.0
        for kind in order:
            for process in _of_kind(ground, kind):
                began = time.monotonic()
                status = await aside(process.stop)
                if status != 0:
                    raise NotInjectedError(f"{process.name} ended with status {status}")
                await aside(partial(process.start, environment))
                await aside(partial(process.wait_ready, _READY_WITHIN_S))
                slowest_s = max(slowest_s, time.monotonic() - began)
                await ground.last(_BESIDE_S)
        return f"each was back and ready after {slowest_s:.1f} s at most"

    steps = ", ".join(order)
    return Scenario(f"{verb} {steps}", f"each stopped, and started as the {release} one", exchange)


def _of_kind(ground: Field, kind: str) -> list[Process]:
    return [one for one in ground.site.stack.processes if _NUMBER.sub("", one.name) == kind]


async def _revision(ground: Field) -> str:
    ((revision,),) = await ground.site.ledger.fetch("SELECT version_num FROM alembic_version")
    return str(revision)
