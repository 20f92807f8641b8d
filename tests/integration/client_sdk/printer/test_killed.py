"""Agent, printer and Core are killed at any moment: none is lost, none comes twice unmarked."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from client_sdk.contract.channel import Channel
from core_api.access.callers import Caller
from core_api.wiring import token_keys
from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from tests.integration.core_service import KEYS, CoreService, an_order, bearer, new_store, token
from tests.parts import make_database

DEVICE = "kitchen-1"
ORDERS = 16
KILLS = 6
TIMEOUT_S = 170


@dataclass
class Child:
    """A process that is started again after each kill."""

    arguments: list[str]
    log: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, *self.arguments, stdout=log, stderr=log
            )

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()

    async def again(self) -> None:
        await self.kill()
        await self.start()


@dataclass
class Kitchen:
    """A store, its printer, and the agent between."""

    core: CoreService
    store: str
    folder: Path
    sink: Child
    agent: Child

    @property
    def owner(self) -> dict[str, str]:
        return bearer(token("owner", self.store))

    @property
    def papers(self) -> list[str]:
        return [path.read_text() for path in sorted((self.folder / "papers").glob("*.txt"))]

    def copies(self, reference: str) -> tuple[int, int]:
        """How many tickets of the order came out unmarked, and how many marked as a repeat."""
        of_order = [text for text in self.papers if f"#{reference} " in text]
        marked = sum("REPEAT" in text for text in of_order)
        return len(of_order) - marked, marked

    async def order(self, http: httpx.AsyncClient, reference: str) -> None:
        """Place an order, whatever happens to Core."""
        headers = self.owner | {"idempotency-key": reference}
        body = an_order(self.store, reference=reference)
        while True:
            try:
                answer = await http.post(
                    f"{self.core.stack.core_url}/v1/orders", json=body, headers=headers
                )
                if answer.status_code == 201:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)

    async def until(self, condition: object) -> None:
        assert callable(condition)
        while not condition():  # noqa: ASYNC110 - files of another process tell nothing
            await asyncio.sleep(0.05)


@pytest.fixture
async def kitchen(postgres_server: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[Kitchen]:
    core = CoreService.start(await make_database(postgres_server), tmp_path / "core")
    store, port = new_store(), free_port()
    routing = {"statuses": ["placed"], "language": "en", "media": "text", "max_age_s": 3600}
    edit = {
        "n": 1,
        "channel": f"team:{store}",
        "key": "printing",
        "do": {"set": {"printers": {DEVICE: routing}}},
    }
    answer = await core.client.post(
        "/v1/edits",
        json={"client": "c", "edits": [edit]},
        headers=bearer(token("owner", store)),
    )
    assert answer.json()["outcomes"][0]["outcome"] == "applied"
    device = Caller("printer", "device", device=Channel("device", store, DEVICE))
    of_device = token_keys({"local": KEYS.token}, "local").sign(device, 600)
    made = Kitchen(
        core,
        store,
        tmp_path,
        Child(
            ["-m", "tests.escpos_printer", str(port), str(tmp_path / "papers")],
            tmp_path / "sink.log",
        ),
        Child(
            [
                *("-m", "client_sdk.cli", "printer", "--sse", "--store", store),
                *("--device", DEVICE, "--to", f"socket://127.0.0.1:{port}"),
                *("--core", core.stack.core_url, "--token", of_device),
                *("--journal", str(tmp_path / "journal")),
            ],
            tmp_path / "agent.log",
        ),
    )
    await made.sink.start()
    await made.agent.start()
    yield made
    await made.agent.kill()
    await made.sink.kill()
    core.stop()
    await core.client.aclose()


async def kill_at_random(kitchen: Kitchen, seed: int) -> None:
    """Kill while tickets come out: each time at another moment of the one after the next."""
    chance = random.Random(seed)
    for _ in range(KILLS):
        before = len(kitchen.papers)
        await kitchen.until(lambda: len(kitchen.papers) > before)  # noqa: B023 - awaited here
        await asyncio.sleep(chance.uniform(0, 0.6))
        victim = chance.choice(["agent", "agent", "sink", "core"])
        if victim == "agent":
            await kitchen.agent.again()
        elif victim == "sink":
            await kitchen.sink.again()
        else:
            kitchen.core.stack.core.kill()
            kitchen.core.stack.core.start()


async def let_print_what_waits(kitchen: Kitchen, http: httpx.AsyncClient) -> None:
    """A person asks again for what was doubtful too often."""
    url = f"{kitchen.core.stack.core_url}/v1"
    while True:
        await asyncio.sleep(1)
        answer = await http.get(
            f"{url}/sync", params={"channel": f"device:{kitchen.store}/{DEVICE}"},
            headers=kitchen.owner,
        )  # fmt: skip
        (channel,) = answer.json()["channels"]
        for document in channel["snapshot"]["documents"]:
            if document["key"].startswith("print.") and (document["value"] or {}).get("waits"):
                job = document["key"].removeprefix("print.")
                await http.post(
                    f"{url}/stores/{kitchen.store}/devices/{DEVICE}/prints/{job}",
                    json={"step": "again", "agent": "ann"},
                    headers=kitchen.owner,
                )


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("seed", [1, 2])
async def test_every_ticket_comes_out_and_none_twice_unmarked(kitchen: Kitchen, seed: int) -> None:
    references = [f"A-{number:03}" for number in range(ORDERS)]
    async with httpx.AsyncClient(timeout=10) as http:
        killing = asyncio.create_task(kill_at_random(kitchen, seed))
        for reference in references:
            await kitchen.order(http, reference)
        await killing
        person = asyncio.create_task(let_print_what_waits(kitchen, http))
        try:
            await kitchen.until(lambda: all(sum(kitchen.copies(one)) for one in references))
        finally:
            person.cancel()
            await asyncio.gather(person, return_exceptions=True)
    counts = {one: kitchen.copies(one) for one in references}
    assert all(unmarked <= 1 for unmarked, _ in counts.values()), counts
    firsts = [text.partition("#")[2][:5] for text in kitchen.papers if "REPEAT" not in text]
    assert firsts == sorted(firsts), "in the order in which they were placed"


async def test_a_second_agent_takes_over_only_when_the_first_is_gone(kitchen: Kitchen) -> None:
    second = Child([*kitchen.agent.arguments], kitchen.folder / "second.log")
    second.arguments[-1] = str(kitchen.folder / "second.journal")
    async with httpx.AsyncClient(timeout=10) as http:
        await kitchen.order(http, "A-001")
        await kitchen.until(lambda: kitchen.copies("A-001") == (1, 0))
        await second.start()
        try:
            await kitchen.until(lambda: b"another agent" in second.log.read_bytes())
            assert kitchen.agent.process is not None
            kitchen.agent.process.send_signal(signal.SIGTERM)
            await kitchen.agent.process.wait()
            await kitchen.order(http, "A-002")
            await kitchen.until(lambda: kitchen.copies("A-002") == (1, 0))
        finally:
            await second.kill()
    assert kitchen.copies("A-001") == (1, 0)
