"""`make chaos`: causes faults of all kinds in a real installation; checks that nothing is lost."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from client_sdk import Settings
from client_sdk.contract.errors import YabamError
from deploy.kafka.server import ensure_libs
from tests.chaos import reruns
from tests.chaos.crowd import Crowd, Watcher
from tests.chaos.editor import Editor
from tests.chaos.editors import Editors, roles
from tests.chaos.kitchen.kitchen import Kitchen
from tests.chaos.kitchen.names import STORE
from tests.chaos.load import Load
from tests.chaos.report import Table, cells, markdown, summary, write_json, write_notes
from tests.chaos.runner import RECOVERS_WITHIN_S, Field, Others, Outcome, Runner, Scenario
from tests.chaos.scenarios import ALL
from tests.chaos.site import Site

_TABLES: Final = 4
_SHORT_SCALE: Final = 0.3
_EDITS_PER_S: Final = 8.0
_INBOUND: Final = "orders.inbound"
_FIRST_LEVEL_WITHIN_S: Final = 240.0


def main() -> int:
    """Run the scenarios. Returns 0 if all have passed, 1 otherwise."""
    options = _options()
    # SIGTERM works like Ctrl-C, so that processes are stopped and disks unmounted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # During a fault the writers' Kafka client logs each failed attempt, which says nothing new.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    chosen = [s for s in ALL if s.name in options.scenario or not options.scenario]
    folder = Path(tempfile.mkdtemp(prefix="yabam-chaos-"))
    libs = None if options.embedded else ensure_libs(options.build / "kafka", print)
    if libs is None:
        chosen = [s for s in chosen if not s.needs_kafka]
    start = time.monotonic()
    outcomes: list[Outcome] = []
    passed = True
    load = reruns.Load(options.clients, options.rate, options.scale, reruns.commit())
    before = reruns.read(options.build) if options.again else None
    if not options.scenario:
        reruns.begun_anew(options.build, load)

    def save() -> None:
        if before is not None:
            found = reruns.added(before, outcomes, load, len(chosen), cells)
            reruns.save(options.build, found)
            return
        write_json(options.build / "chaos.json", outcomes)
        write_notes(options.build / "chaos-notes.json", outcomes)
        said = summary(outcomes, options.seed, options.clients, options.rate, options.scale)
        took = f"{(time.monotonic() - start) / 60:.0f} minutes"
        (options.build / "chaos.md").write_text(f"{said} {took}.\n\n{markdown(outcomes)}")

    for name, those in _by_installation(chosen).items():
        if those:
            home = folder / name
            home.mkdir()
            disk = any(s.needs_disk for s in those)
            try:
                site = Site(
                    home,
                    libs,
                    {},
                    nodes=3 if name == "cluster" else 1,
                    own_disk=disk,
                    devices=name == "devices",
                    webhooks=name == "webhooks",
                    fails_over=name == "standby",
                )
            except YabamError as error:
                print(error, file=sys.stderr)
                passed = False
                continue
            passed &= _run(site, those, options, outcomes, save)
    passed &= len(outcomes) == len(chosen) and all(o.passed or o.skipped for o in outcomes)
    took_s = time.monotonic() - start
    print(
        f"\n{len(outcomes)} scenarios with seed {options.seed} in {took_s:.0f} s: "
        f"{'nothing lost, doubled or out of order' if passed else 'FAILED'}"
    )
    if before is not None:
        print(f"Report: {options.build / reruns.FILE}")
    else:
        print(f"Report: {options.build / 'chaos.json'} and {options.build / 'chaos.md'}")
    if passed and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"Logs: {folder}")
    return 0 if passed else 1


def _by_installation(scenarios: Sequence[Scenario]) -> dict[str, list[Scenario]]:
    """The scenarios that share an installation, by its name."""
    names = ("plain", "webhooks", "standby", "devices", "cluster")
    found: dict[str, list[Scenario]] = {name: [] for name in names}
    for one in scenarios:
        if one.needs_devices:
            found["devices"].append(one)
        elif one.needs_cluster:
            found["cluster"].append(one)
        elif one.needs_webhooks:
            found["webhooks"].append(one)
        else:
            found["standby" if one.fails_over else "plain"].append(one)
    return found


def _run(
    site: Site,
    scenarios: Sequence[Scenario],
    options: argparse.Namespace,
    outcomes: list[Outcome],
    save: Callable[[], None],
) -> bool:
    """Run scenarios on one installation. Returns whether it could be started."""
    before = list(outcomes)

    def add(new: Sequence[Outcome]) -> None:
        outcomes[:] = [*before, *new]
        save()

    try:
        asyncio.run(
            rehearse(
                site,
                scenarios,
                options.seed,
                options.clients,
                options.scale,
                rate_per_s=options.rate,
                patience_s=options.patience,
                save=add,
            )
        )
    except YabamError as error:
        print(error, file=sys.stderr)
        return False
    return True


async def rehearse(
    site: Site,
    scenarios: Sequence[Scenario],
    seed: int,
    clients: int,
    scale: float,
    *,
    rate_per_s: float,
    edits_per_s: float = _EDITS_PER_S,
    patience_s: float = RECOVERS_WITHIN_S,
    settings: Settings | None = None,
    save: Callable[[Sequence[Outcome]], None] = lambda outcomes: None,
    others: Others | None = None,
) -> list[Outcome]:
    """Start everything, run the scenarios, stop everything; `save` is called after each one."""
    table = Table()
    async with contextlib.AsyncExitStack() as cleanup:
        cleanup.push_async_callback(site.stop)
        await site.start()
        stores = [str(number + 1) for number in range(max(1, clients // (1 + _TABLES)))]
        places = [(store, str(number + 1)) for store in stores for number in range(_TABLES)]
        channels = [f"store:{store}" for store in stores]
        channels += [f"table:{store}/{number}" for store, number in places]
        crowd = Crowd([_watcher(site, channel, settings) for channel in channels[:clients]])
        cleanup.push_async_callback(crowd.stop)
        load = Load(
            site.core_url,
            site.token("writer", "owner", "*"),
            places,
            rate_per_s,
            random.Random(seed),
            (site.bootstrap, _INBOUND),
        )
        cleanup.push_async_callback(load.stop)
        own = site.folder / "editors"
        editors = Editors(
            [
                Editor(site.core_url, role, own / role.name, settings or Settings(), chance)
                for role in roles(site.token, site.guest_token)
                for chance in (random.Random(f"{seed}/{role.name}"),)
            ],
            random.Random(f"{seed}/edits"),
            edits_per_s,
        )
        await editors.open()
        cleanup.push_async_callback(editors.stop)
        await crowd.start()
        if not await crowd.level(site.ledger, live=True, within_s=_FIRST_LEVEL_WITHIN_S):
            raise YabamError(f"the clients do not all go live: {dict(crowd.modes())}")
        kitchen = None
        if site.door is not None:
            owner = site.token("kitchen", "owner", STORE)
            kitchen = Kitchen(
                site.core_front.port, owner, site.door, site.ledger, site.folder / "kitchen"
            )
            cleanup.push_async_callback(kitchen.stop)
            await kitchen.open()
        table.begin(f"{len(channels)} clients are live, seed {seed}, {rate_per_s:g} writes/s")
        ground = Field(
            site, crowd, load, editors, random.Random(seed), scale, patience_s, kitchen, others
        )
        if others is not None:
            cleanup.push_async_callback(others.stop)
        runner = Runner(ground, seed, table.show)
        outcomes = []
        for scenario in scenarios:
            outcome = await runner.run(scenario)
            outcomes.append(outcome)
            table.add(outcome)
            save(outcomes)
        return outcomes


def _watcher(site: Site, channel: str, settings: Settings | None) -> Watcher:
    store = channel.partition(":")[2].partition("/")[0]
    token = site.token(f"device-{channel}", "owner", store)
    return Watcher(site.core_url, token, channel, settings or Settings())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rate", type=float, default=30.0, help="writes per second over HTTP")
    parser.add_argument(
        "--scenario", nargs="+", default=[], choices=[s.name for s in ALL], metavar="NAME",
        help="only these: " + ", ".join(s.name for s in ALL),
    )  # fmt: skip
    parser.add_argument(
        "--short",
        dest="scale",
        action="store_const",
        const=_SHORT_SCALE,
        default=1.0,
        help="faults last a third of their time",
    )
    parser.add_argument("--scale", type=float, help="how long faults last: 1 as written")
    parser.add_argument(
        "--patience", type=float, default=RECOVERS_WITHIN_S, metavar="S",
        help="how long after a fault clients may need at most",
    )  # fmt: skip
    parser.add_argument("--embedded", action="store_true", help="with the embedded broker")
    parser.add_argument("--build", type=Path, default=Path("build"), help="jars and reports")
    parser.add_argument(
        "--again",
        action="store_true",
        help="add what comes of --scenario to the report of the last run of all",
    )
    parser.add_argument("--keep", action="store_true", help="keep data and logs")
    options = parser.parse_args()
    if options.again and not options.scenario:
        parser.error("--again is for the scenarios of --scenario")
    if options.again and reruns.read(options.build) is None:
        parser.error(f"--again adds to a run of all, and {options.build} has none")
    return options


if __name__ == "__main__":
    sys.exit(main())
