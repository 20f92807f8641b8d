"""A store with a printer and its agent: two processes that are killed while orders are placed."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from deploy.processes.process import Process
from tests.forked import FORKED
from tests.integration.core_service import an_order

DEVICE = "kitchen-1"
ORDERS = 16
KILLS = 6
_LOOKS_EVERY_S = 0.3
"""How often a person looks what waits."""


@dataclass
class Child:
    """A process that can be killed and started again."""

    arguments: list[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: Process | None = None

    async def start(self) -> None:
        command = [sys.executable, *self.arguments]
        self.process = Process(
            self.log.stem, command, self.environment, self.log, None, starter=FORKED
        )
        await asyncio.to_thread(self.process.start)

    async def kill(self) -> None:
        if self.process is not None:
            await asyncio.to_thread(self.process.kill)

    async def again(self) -> None:
        await self.kill()
        await self.start()


@dataclass
class Kitchen:
    """A store, its printer, and the agent that takes jobs from Core to the printer."""

    core_url: str
    owner: dict[str, str]
    """The headers of the store's owner."""
    store: str
    folder: Path
    sink: Child
    agent: Child

    @property
    def papers(self) -> list[str]:
        return [path.read_text() for path in sorted((self.folder / "papers").glob("*.txt"))]

    def copies(self, reference: str) -> tuple[int, int]:
        """How many tickets of the order were printed unmarked, and how many marked REPEAT."""
        of_order = [text for text in self.papers if f"#{reference} " in text]
        marked = sum("REPEAT" in text for text in of_order)
        return len(of_order) - marked, marked

    async def route(self, http: httpx.AsyncClient, status: str = "placed", n: int = 1) -> None:
        """Set at which status orders are printed; `n` counts these edits from 1."""
        routing = {"statuses": [status], "language": "en", "media": "text", "max_age_s": 3600}
        edit = {
            "n": n,
            "channel": f"team:{self.store}",
            "key": "printing",
            "base": n - 1,
            "do": {"set": {"printers": {DEVICE: routing}}},
        }
        answer = await http.post(
            f"{self.core_url}/v1/edits",
            json={"client": f"c-{self.store}", "edits": [edit]},
            headers=self.owner,
        )
        assert answer.json()["outcomes"][0]["outcome"] == "applied", answer.text

    async def order(self, http: httpx.AsyncClient, reference: str) -> None:
        """Place an order; try again until Core accepts it."""
        headers = self.owner | {"idempotency-key": reference}
        body = an_order(self.store, reference=reference)
        while True:
            try:
                answer = await http.post(f"{self.core_url}/v1/orders", json=body, headers=headers)
                if answer.status_code == 201:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():  # noqa: ASYNC110 - another process's files send no event
            await asyncio.sleep(0.05)

    async def jobs(self, http: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
        """The jobs that Core has for the printer, by their names."""
        where = {"channel": f"device:{self.store}/{DEVICE}"}
        answer = await http.get(f"{self.core_url}/v1/sync", params=where, headers=self.owner)
        (channel,) = answer.json()["channels"]
        return {
            document["key"].removeprefix("print."): document["value"]
            for document in channel["snapshot"]["documents"]
            if document["key"].startswith("print.") and document["value"]
        }

    async def until_core_knows_all_done(self, http: httpx.AsyncClient) -> None:
        """Return once the agent has told Core that every job is on paper."""
        jobs = await self.jobs(http)
        while any(job["state"] != "done" for job in jobs.values()):
            await asyncio.sleep(0.05)
            jobs = await self.jobs(http)

    async def let_print_what_waits(self, http: httpx.AsyncClient) -> None:
        """As a person does, ask again for each job that waits, as its printing was in doubt."""
        url = f"{self.core_url}/v1/stores/{self.store}/devices/{DEVICE}/prints"
        while True:
            await asyncio.sleep(_LOOKS_EVERY_S)
            for name, job in (await self.jobs(http)).items():
                if job.get("waits"):
                    again = {"step": "again", "agent": "ann"}
                    await http.post(f"{url}/{name}", json=again, headers=self.owner)


async def prints_all_though_killed(
    kitchen: Kitchen, kills: Sequence[Callable[[], object]], seed: int
) -> None:
    """Place orders while agent, printer and other processes are killed, and check the tickets.

    Each ticket must be printed, at most once without the mark REPEAT, and in the order in which the
    orders were placed.

    Args:
        kitchen: the store with its printer and agent.
        kills: functions, each of which kills another process and starts it again.
        seed: of the random choices.
    """
    references = [f"A-{number:03}" for number in range(ORDERS)]
    async with httpx.AsyncClient(timeout=10) as http:
        killing = asyncio.create_task(_kill_at_random(kitchen, kills, random.Random(seed)))
        for reference in references:
            await kitchen.order(http, reference)
        await killing
        person = asyncio.create_task(kitchen.let_print_what_waits(http))
        try:
            await kitchen.until(lambda: all(sum(kitchen.copies(one)) for one in references))
        finally:
            person.cancel()
            await asyncio.gather(person, return_exceptions=True)
    counts = {one: kitchen.copies(one) for one in references}
    assert all(unmarked <= 1 for unmarked, _ in counts.values()), counts
    firsts = [text.partition("#")[2][:5] for text in kitchen.papers if "REPEAT" not in text]
    assert firsts == sorted(firsts), "in the order in which they were placed"


async def _kill_at_random(
    kitchen: Kitchen, kills: Sequence[Callable[[], object]], chance: random.Random
) -> None:
    """Kill each process once, and the agent more often, at random times while tickets are
    printed."""
    victims: list[str | int] = ["agent", "sink", *range(len(kills))]
    victims += ["agent"] * (KILLS - len(victims))
    chance.shuffle(victims)
    for victim in victims:
        before = len(kitchen.papers)
        await kitchen.until(lambda: len(kitchen.papers) > before)  # noqa: B023 - awaited here
        await asyncio.sleep(chance.uniform(0, 0.6))
        if victim == "agent":
            await kitchen.agent.again()
        elif victim == "sink":
            await kitchen.sink.again()
        else:
            await asyncio.to_thread(kills[int(victim)])
