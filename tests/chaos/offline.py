"""Terminals and phones that edit while their networks fail: `python -m tests.chaos.offline`.

At the end all must show what the database has, and each accepted edit must be in the history once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from client_sdk import Settings
from tests.chaos.editor import Editor
from tests.chaos.editors import Editors, roles
from tests.chaos.proof import Verdict
from tests.chaos.site import Site

EDITS_PER_S: Final = 12.0
MAX_S: Final = 6 * 3600.0
_LEVEL_WITHIN_S: Final = 60.0
_WITH: Final = ("terminal", "phone")


@dataclass(frozen=True)
class Seen:
    """The result of a run."""

    verdict: Verdict
    acknowledged: int
    cuts: int
    restarts: int


async def wander(
    site: Site, *, seed: int, seconds: float, settings: Settings | None = None
) -> Seen:
    """Start everything, switch networks off and on for so many seconds, stop everything."""
    chance = random.Random(seed)
    async with contextlib.AsyncExitStack() as cleanup:
        cleanup.push_async_callback(site.stop)
        await site.start()
        chosen = [r for r in roles(site.token, site.guest_token) if r.name.startswith(_WITH)]
        all_of_them = [
            Editor(
                site.core_url,
                role,
                site.folder / "editors" / role.name,
                settings or Settings(),
                random.Random(f"{seed}/{role.name}"),
            )
            for role in chosen
        ]
        editors = Editors(all_of_them, random.Random(f"{seed}/edits"), EDITS_PER_S)
        await editors.open()
        cleanup.push_async_callback(editors.stop)
        editors.start()
        end = time.monotonic() + min(seconds, MAX_S)
        cuts = restarts = 0
        while time.monotonic() < end:
            editor = chance.choice(all_of_them)
            if editor.network.is_gone:
                editor.network.give_back()
            else:
                editor.network.take_away()
                cuts += 1
            if chance.random() < 0.1:
                await editor.restart()
                restarts += 1
            await asyncio.sleep(chance.uniform(0.1, 1.0))
        editors.pause()
        for editor in all_of_them:
            editor.network.give_back()
        verdict = await editors.judge(site.ledger, within_s=_LEVEL_WITHIN_S, forgiving=False)
        return Seen(verdict, editors.acknowledged, cuts, restarts)


def main() -> int:
    """Run it. Returns 0 if nothing was lost, doubled or out of order, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make chaos-edits", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0, help="how long (default an hour)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="yabam-edits-"))
    seen = asyncio.run(wander(Site(folder, None, {}), seed=options.seed, seconds=options.seconds))
    print(
        f"seed {options.seed}, {options.seconds:.0f} s: {seen.acknowledged:,} edits acknowledged, "
        f"{seen.cuts:,} times a network was taken away, {seen.restarts:,} clients started anew; "
        f"{seen.verdict.lost} lost, {seen.verdict.doubled} doubled, "
        f"{seen.verdict.out_of_order} out of order"
    )
    for note in seen.verdict.notes[:20]:
        print(f"  {note}")
    if seen.verdict.clean:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if seen.verdict.clean else 1


if __name__ == "__main__":
    sys.exit(main())
