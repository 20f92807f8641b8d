"""Clients of the previous release beside those of this one, and the check of what they received.

They run in their own process (`old_program.py`), whose output is read here.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from deploy.processes.process import Process
from tests.chaos.final_sync import to_come
from tests.chaos.proof import (
    OVER,
    Fact,
    Ledger,
    Standing,
    Verdict,
    judge,
    judge_orders,
    judge_writes,
)
from tests.chaos.site import Site

STORE: Final = "1"
CHANNELS: Final = (f"store:{STORE}", f"table:{STORE}/1", f"table:{STORE}/2")
_PROGRAM: Final = Path(__file__).with_name("old_program.py")


class OldClients:
    """The process with these clients.

    Args:
        site: the installation.
        code: the environment in which the previous release's code runs.
        every_s: the seconds from one order to the next.
    """

    def __init__(self, site: Site, code: Mapping[str, str], every_s: float) -> None:
        self._place = site.core_url, site.token("old-program", "owner", STORE)
        told = {
            "url": self._place[0],
            "token": self._place[1],
            "store": STORE,
            "channels": CHANNELS,
            "every_s": every_s,
        }
        self._environment = {**code, "OLD_PROGRAM": json.dumps(told)}
        self._folder = site.folder / "log"
        self._starts = 0
        self._process = self._new_process()

    async def start(self) -> None:
        """Start new clients, which follow channels and place orders."""
        self._starts += 1
        self._process = self._new_process()
        self._process.start()

    async def stop(self) -> None:
        """Kill the process."""
        self._process.kill()

    async def rest(self, within_s: float) -> bool:
        """Place no more orders, and wait until all are closed. Returns whether they are."""
        self._process.signal(signal.SIGUSR1)
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and self._process.running:
            if any("rest" in line for line in self._lines()):
                return True
            await asyncio.sleep(0.2)
        return False

    async def judge(self, ledger: Ledger, within_s: float) -> Verdict:
        """Compare what they received, and what was acknowledged to them, with the database.

        Nothing may be written meanwhile. It waits for late events until none has arrived for
        `within_s` seconds.
        """
        await self._until_level(await ledger.heads(), within_s)
        lines = self._lines()
        verdict = Verdict()
        if not self._process.running:
            note = f"the clients of the previous release ended: {self._process.log_tail()}"
            verdict.add(Verdict(lost=1, notes=[note]))
        orders = await ledger.open_orders()
        for channel in CHANNELS:
            log = await ledger.log({channel: _base(lines, channel)})
            late = await to_come(*self._place, channel, _newest(lines, channel))
            verdict.add(judge_channel(channel, lines, log[channel], orders.get(channel, {}), late))
        written: dict[str, int] = {}
        for line in lines:
            if "reference" in line:
                written[line["reference"]] = line["version"]
        if not written:
            verdict.add(Verdict(lost=1, notes=["the previous release's producer wrote nothing"]))
        stored = await ledger.by_reference(list(written))
        verdict.add(judge_writes(written, stored, "by the previous release's producer"))
        return verdict

    async def _until_level(self, heads: Mapping[str, int], within_s: float) -> None:
        """Wait until all clients have all events, or none has received any for so long."""
        count, deadline = -1, 0.0
        while True:
            lines = self._lines()
            if all(_newest(lines, channel) >= heads.get(channel, 0) for channel in CHANNELS):
                return
            if len(lines) > count:
                count, deadline = len(lines), time.monotonic() + within_s
            elif time.monotonic() > deadline:
                return
            await asyncio.sleep(0.2)

    def _new_process(self) -> Process:
        name = f"old-clients-{self._starts}"
        command = [sys.executable, str(_PROGRAM)]
        return Process(name, command, self._environment, self._folder / f"{name}.log", None)

    def _lines(self) -> list[dict[str, Any]]:
        log = self._process.log
        text = log.read_text() if log.exists() else ""
        # The last line may not be complete yet.
        whole = text[: text.rfind("\n") + 1].splitlines()
        return [json.loads(line) for line in whole if line.startswith("{")]


def _newest(lines: list[dict[str, Any]], channel: str) -> int:
    """The newest seq that the channel's client has received; -1: it has not synced yet."""
    told = [line for line in lines if line.get("channel") == channel]
    if not told:
        return -1
    return int(told[-1]["seq"] if "seq" in told[-1] else told[-1]["head"])


def _base(lines: list[dict[str, Any]], channel: str) -> int:
    """The seq after which the channel's client began."""
    heads = [line["head"] for line in lines if line.get("channel") == channel and "head" in line]
    return int(heads[0]) if heads else 0


def judge_channel(
    channel: str,
    lines: list[dict[str, Any]],
    log: Sequence[Fact],
    open_orders: Mapping[str, Standing],
    to_come: Collection[Fact] = (),
) -> Verdict:
    """Check what one client has received of one channel.

    Args:
        channel: the channel's name.
        lines: the program's output, of all its clients.
        log: the channel's log after the client's first state.
        open_orders: the open orders in the database.
        to_come: the events that Core would send the client now.
    """
    of_channel = [line for line in lines if line.get("channel") == channel]
    resets = [line for line in of_channel if "reset" in line]
    if [line["reset"] for line in resets] != ["first_sync"]:
        told = [line["reset"] for line in resets]
        return Verdict(lost=1, notes=[f"{channel} (previous release): resets {told}"])
    events = [line for line in of_channel if "seq" in line]
    got = [Fact(line["seq"], line["order"], line["version"]) for line in events]
    name = f"{channel} (previous release)"
    verdict = judge(name, log, got, to_come)
    if verdict.late:
        return verdict
    shown = {order: Standing(version, status) for order, version, status in resets[0]["orders"]}
    for line in events:
        shown[line["order"]] = Standing(line["version"], line["status"])
    still_open = {key: order for key, order in shown.items() if order.status not in OVER}
    verdict.add(judge_orders(name, open_orders, still_open))
    return verdict
