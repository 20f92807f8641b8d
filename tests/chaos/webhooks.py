"""`make chaos-webhooks`: checks webhooks while senders are killed and receivers fail.

Core, Postgres and two senders run as processes. Orders are placed all the time. One receiver works,
one fails in all ways in turn, and one hangs. Every few seconds a sender is killed and started
again. At the end all receivers work. Then each of them must have received all orders: each once or
more, in order within a store, and with the same id each time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from deploy.local.webhook_sender import LOOPBACK, add_sender
from deploy.processes.ports import free_port
from deploy.processes.process import Process
from tests.drilled_postgres import DrilledPostgres
from tests.integration.core_service import CoreService, an_order, bearer, new_store, token
from tests.parts import ROOMY, migrated_database
from tests.webhook_receiver import OK, Received, Receiver, status

_STORES: Final = 10
_ORDERS_PER_S: Final = 20.0
_KILL_EVERY_S: Final = 5.0
_MOOD_S: Final = 3.0
_LAST_S: Final = 120.0
_MOODS: Final = ("works", "500", "503", "hangs", "cuts", "refuses")


class Watched(Receiver):
    """A receiver that can fail, and records when it first accepted each message.

    Args:
        name: its name in the report.
        mood: its behaviour, one of `_MOODS`.
    """

    def __init__(self, name: str, mood: str = "works") -> None:
        super().__init__(self._in_its_mood)
        self.name = name
        self.mood = mood
        self.first_at: dict[str, float] = {}
        self.kept: list[Received] = []
        """The requests that it accepted, also those whose answer was lost."""
        self._rng = random.Random(name)

    def _in_its_mood(self, received: Received) -> str | None:
        if self.mood == "500":
            return status(500)
        if self.mood == "503":
            return status(503, Retry_After="1")
        if self.mood == "hangs":
            return None
        self.kept.append(received)
        self.first_at.setdefault(received.id, time.time())
        return "" if self.mood == "cuts" and self._rng.random() < 0.5 else OK

    async def change(self, mood: str) -> None:
        """Change its behaviour."""
        self.mood = mood
        if mood == "refuses":
            await self.stop()
        else:
            await self.start()

    async def until_all(self, count: int) -> None:
        """Wait until it has so many messages, or time is over."""
        try:
            await self.until(lambda _: len(self.first_at) >= count, _LAST_S)
        except TimeoutError:
            print(f"{self.name}: not everything came within {_LAST_S:g} s")


@dataclass(frozen=True)
class Findings:
    """What was found about one receiver."""

    name: str
    placed: int
    lost: int
    out_of_order: int
    doubles: int
    """Requests with events that it had accepted before."""
    other_ids: int
    """Events that arrived with two different ids."""
    p50_s: float
    p99_s: float
    latest_s: float

    @property
    def is_sound(self) -> bool:
        """Whether it got everything, in order, each with one id."""
        return not (self.lost or self.out_of_order or self.other_ids)


def judge(
    name: str, heads: dict[str, int], taken: Sequence[Received], at: dict[str, float]
) -> Findings:
    """Compare what a receiver accepted, in that order, with the heads of the stores."""
    firsts: dict[str, list[int]] = {}
    ids: dict[tuple[str, int], set[str]] = {}
    seen = Counter(one.id for one in taken)
    for one in taken:
        ids.setdefault((one.channel, one.seq), set()).add(one.id)
        got = firsts.setdefault(one.channel, [])
        if one.seq not in got:
            got.append(one.seq)
    lost = sum(len(set(range(1, head + 1)) - set(firsts.get(c, []))) for c, head in heads.items())
    disorder = sum(a > b for got in firsts.values() for a, b in pairwise(got))
    delays = sorted(
        at[one.id] - datetime.fromisoformat(one.body["timestamp"]).timestamp()
        for one in {one.id: one for one in taken}.values()
    ) or [0.0]
    return Findings(
        name,
        sum(heads.values()),
        lost,
        disorder,
        sum(seen.values()) - len(seen),
        sum(len(found) > 1 for found in ids.values()),
        round(delays[len(delays) // 2], 2),
        round(delays[int(len(delays) * 0.99)], 2),
        round(delays[-1], 2),
    )


async def place(core: CoreService, stores: Sequence[str], until: float) -> dict[str, int]:
    """Place orders until this time. Returns the number of events of each store."""
    heads: Counter[str] = Counter()
    rng = random.Random(1)
    while time.monotonic() < until:
        store = rng.choice(stores)
        headers = bearer(token("owner", store))
        answer = await core.client.post("/v1/orders", json=an_order(store), headers=headers)
        if answer.status_code == 201:
            heads[f"store:{store}"] += 1
        await asyncio.sleep(1 / _ORDERS_PER_S)
    return dict(heads)


async def kill_senders(senders: Sequence[Process], until: float) -> int:
    """Kill and restart senders until this time. Returns how many were killed."""
    kills = 0
    while time.monotonic() < until:
        await asyncio.sleep(_KILL_EVERY_S)
        victim = senders[kills % len(senders)]
        await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(victim.start)
        kills += 1
    return kills


async def fail(receiver: Watched, until: float) -> None:
    """Let a receiver fail in random ways until this time, and then work."""
    rng = random.Random(2)
    while time.monotonic() < until:
        await receiver.change(rng.choice(_MOODS))
        await asyncio.sleep(_MOOD_S)
    await receiver.change("works")


async def run(database: str, folder: Path, seconds: float) -> tuple[list[Findings], int]:
    """Run it. Returns what was found about each receiver, and how many senders were killed."""
    core = CoreService.start(database, folder, ROOMY | LOOPBACK)
    senders = [add_sender(core.stack, free_port(), f"webhooks-{n}") for n in (1, 2)]
    stores = [new_store() for _ in range(_STORES)]
    receivers = [Watched("works"), Watched("fails"), Watched("hangs", "hangs")]
    try:
        for process in senders:
            process.start()
        for receiver in receivers:
            await receiver.start()
            answer = await core.client.post(
                "/v1/webhooks",
                json={"url": receiver.url, "stores": stores},
                headers=bearer(token("owner", *stores)),
            )
            receiver.secret = answer.json()["secret"]
        until = time.monotonic() + seconds
        heads, kills, _ = await asyncio.gather(
            place(core, stores, until),
            kill_senders(senders, until),
            fail(receivers[1], until),
        )
        await receivers[2].change("works")
        for receiver in receivers:
            await receiver.until_all(sum(heads.values()))
        return [judge(one.name, heads, one.kept, one.first_at) for one in receivers], kills
    finally:
        for process in senders:
            process.kill()
        for receiver in receivers:
            await receiver.stop()
        await core.client.aclose()
        core.stop()


async def _main(seconds: float) -> int:
    with tempfile.TemporaryDirectory(prefix="yabam-webhooks-") as name:
        server = DrilledPostgres(Path(name) / "postgres", durable=False)
        server.start()
        try:
            found, kills = await run(await migrated_database(server), Path(name), seconds)
        finally:
            server.stop_at_once()
    print(f"{kills} senders killed in {seconds:g} s")
    for one in found:
        print(json.dumps(one.__dict__))
    return 0 if all(one.is_sound for one in found) else 1


def main() -> int:
    """Run it. Returns 1 if an event was lost, out of order, or had two ids; otherwise 0."""
    parser = argparse.ArgumentParser(prog="make chaos-webhooks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long orders are placed")
    return asyncio.run(_main(parser.parse_args().seconds))


if __name__ == "__main__":
    sys.exit(main())
