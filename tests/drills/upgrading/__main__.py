"""`make upgrade-drill`: upgrades the previous release to this one under load, in every order."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from client_sdk.contract.errors import YabamError
from deploy.kafka.server import ensure_libs
from tests.chaos.__main__ import rehearse
from tests.chaos.report import markdown, summary, write_json, write_notes
from tests.chaos.runner import RECOVERS_WITHIN_S, Outcome
from tests.chaos.site import Site
from tests.drills.upgrading.bystanders import Bystanders
from tests.drills.upgrading.old_clients import STORE, OldClients
from tests.drills.upgrading.open_pages import OpenPages
from tests.drills.upgrading.orders import (
    DOCUMENTED,
    Code,
    all_orders,
    begun_with,
    covering_orders,
    migration,
    pair_orders,
    upgrade,
    way_back,
)
from tests.drills.upgrading.partner import Partner
from tests.drills.upgrading.previous import (
    commit_of,
    copied,
    environment_of,
    exported,
    newest,
)
from tests.drills.upgrading.star_printers import rehearse_star_printer

_OLD_SHARE: Final = 10.0
"""The previous release's producer places one order for so many writes of the others."""


def main() -> int:
    """Run the drill. Returns 0 if all scenarios have passed; 1 otherwise."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="yabam-upgrade-"))
    try:
        release = newest()
        print(f"from {options.previous or f'{release.tag} ({release.commit})'}")
        previous = exported(options.build, options.previous or commit_of(release))
        code = Code(environment_of(previous), environment_of(copied(folder / "release-new")))
        libs = None if options.embedded else ensure_libs(options.build / "kafka", print)
        folder.chmod(0o755)
        star = asyncio.run(rehearse_star_printer(code, folder))
        print(f"a Star printer between both: {'; '.join(star.notes) or 'passed'}", flush=True)
        site = Site(folder, libs, code.old, devices=True, webhooks=True)
        outcomes = asyncio.run(_rehearse(site, code, options))
    except YabamError as error:
        print(error, file=sys.stderr)
        print(f"Logs: {folder}")
        return 1
    passed = bool(outcomes) and all(outcome.passed for outcome in outcomes) and not star.notes
    if passed:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"Logs: {folder}")
    return 0 if passed else 1


async def _rehearse(site: Site, code: Code, options: argparse.Namespace) -> Sequence[Outcome]:
    chosen: dict[str, list[Sequence[str]]] = {
        "documented": [DOCUMENTED],
        "pairs": pair_orders(),
        "covering": covering_orders(),
        "all": all_orders(),
    }
    scenarios = [migration(code)]
    before: Sequence[str] = ()
    for order in begun_with(chosen[options.orders], options.first):
        if before:
            # The kinds that were upgraded last are set back first.
            scenarios.append(way_back(before[::-1], code))
        scenarios.append(upgrade(order, code))
        before = order
    began = time.monotonic()

    def save(outcomes: Sequence[Outcome]) -> None:
        write_json(options.build / "upgrade-drill.json", outcomes)
        write_notes(options.build / "upgrade-drill-notes.json", outcomes)
        said = summary(outcomes, options.seed, options.clients, options.rate, 1.0)
        took = f"{(time.monotonic() - began) / 60:.0f} minutes"
        report = f"{said} {took}.\n\n{markdown(outcomes)}"
        (options.build / "upgrade-drill.md").write_text(report)

    pages, partner = OpenPages(site), Partner(site, [STORE])
    old_clients = OldClients(site, code.old, _OLD_SHARE / options.rate)
    try:
        return await rehearse(
            site,
            scenarios,
            options.seed,
            options.clients,
            1.0,
            rate_per_s=options.rate,
            patience_s=options.patience,
            save=save,
            others=Bystanders(old_clients, pages, partner),
        )
    finally:
        await pages.close()
        await partner.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make upgrade-drill", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--rate", type=float, default=20.0, help="writes per second over HTTP")
    parser.add_argument(
        "--orders", choices=("documented", "pairs", "covering", "all"), default="covering",
        help="of the kinds: that of the documentation; with it the reverse one, so that each kind "
        "comes before each other; so many that every mixture of the inner kinds is met; all 5,040",
    )  # fmt: skip
    parser.add_argument(
        "--first", type=int, default=1, metavar="N",
        help="begin with the Nth of these orders and go round, as after a run that was stopped",
    )  # fmt: skip
    parser.add_argument(
        "--previous", metavar="COMMIT", help="begin with this one, not the newest of releases.toml"
    )
    parser.add_argument(
        "--patience", type=float, default=RECOVERS_WITHIN_S, metavar="S",
        help="how long after the last exchange clients may need at most",
    )  # fmt: skip
    parser.add_argument("--embedded", action="store_true", help="with the embedded broker")
    parser.add_argument("--build", type=Path, default=Path("build"), help="code, jars and reports")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
