"""The programs of docs/state.md, started as a reader would, with the whole system."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from client_sdk import Item, OrderProducer, RefusedError
from client_sdk.contract.channel import Channel
from core_api.access.callers import Caller
from core_api.wiring import token_keys
from tests.end_to_end.conftest import Installation
from tests.end_to_end.proxy import Proxy

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka")]

EXAMPLES: Final = Path(__file__).parents[2] / "docs" / "examples" / "state"
TIMEOUT_S: Final = 60
"""A program's first answer may take this long on a busy machine; nothing is measured by it."""

TABLE: Final = Caller("table-1-5", "table", table=Channel("table", "1", "5"))
OWNER: Final = Caller("owner-1", "owner", frozenset({"1"}))
BRAND: Final = Caller("kimbap", "brand", brand="kimbap")


class Program:
    """An example in a process of its own, which is typed to."""

    def __init__(self, name: str, *arguments: str, folder: Path, url: str, token: str) -> None:
        self._command = [sys.executable, str(EXAMPLES / name), *arguments]
        self._folder = folder
        self._environment = os.environ | {"YABAM_CORE_URL": url, "YABAM_TOKEN": token}
        folder.mkdir(exist_ok=True)
        self.start()

    def start(self) -> None:
        """Start it anew; what it printed before is forgotten."""
        self._output = self._folder / "output"
        with self._output.open("wb") as out:
            self._child = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
            )

    def type(self, line: str) -> None:
        """Type a line."""
        assert self._child.stdin is not None
        self._child.stdin.write(f"{line}\n".encode())
        self._child.stdin.flush()

    def kill(self) -> None:
        """SIGKILL: it can do nothing more."""
        self._child.kill()
        self._child.wait()
        if self._child.stdin is not None:
            self._child.stdin.close()

    @property
    def lines(self) -> list[str]:
        """What it has printed."""
        return self._output.read_text(encoding="utf-8").splitlines()

    async def shows(self, line: str) -> None:
        """Return once this is the last line that it printed."""
        async with asyncio.timeout(TIMEOUT_S):
            while self.lines[-1:] != [line]:
                assert self._child.poll() is None, self.lines
                await asyncio.sleep(0.05)


class Place:
    """The system, and a network to it that can be cut."""

    def __init__(self, stack: Installation, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.network = Proxy(stack.addresses.ports.core)
        self.programs: list[Program] = []

    def token(self, caller: Caller) -> str:
        """A token for the caller."""
        return token_keys({"local": self.stack.keys.token}, "local").sign(caller, 3600)

    def start(self, name: str, *arguments: str, caller: Caller, behind: bool = False) -> Program:
        """Start an example; `behind` the network that can be cut."""
        port = self.network.port if behind else self.stack.addresses.ports.core
        program = Program(
            name,
            *arguments,
            folder=self.folder / f"program-{len(self.programs)}",
            url=f"http://127.0.0.1:{port}",
            token=self.token(caller),
        )
        self.programs.append(program)
        return program

    async def document(self, channel: str, key: str, caller: Caller) -> dict[str, Any]:
        """What Core holds."""
        async with httpx.AsyncClient(base_url=self.stack.core_url) as http:
            response = await http.get(
                "/v1/documents",
                params={"channel": channel, "key": key},
                headers={"authorization": f"Bearer {self.token(caller)}"},
            )
        document: dict[str, Any] = json.loads(response.content)
        return document


@pytest.fixture
async def place(stack: Installation, tmp_path: Path) -> AsyncIterator[Place]:
    """Everything, running."""
    made = Place(stack, tmp_path)
    await made.network.start()
    try:
        yield made
    finally:
        for program in made.programs:
            program.kill()
        await made.network.stop()


async def test_four_phones_end_with_one_cart_though_one_was_cut_off(place: Place) -> None:
    ann = place.start("cart.py", "Ann", caller=TABLE, behind=True)
    others = [place.start("cart.py", name, caller=TABLE) for name in ("Bo", "Cho", "Dan")]
    for phone in (ann, *others):
        await phone.shows("empty = 0")
    ann.type("1 Tea 2000")
    for phone in (ann, *others):
        await phone.shows("1 Tea (Ann) = 2000")
    await place.network.stop()
    ann.type("2 Bibimbap 9500")
    await ann.shows("1 Tea (Ann), 2 Bibimbap (Ann) = 21000 [1 on the way]")
    for phone in others:
        phone.type("1 Kimbap 3500")
    together = "1 Kimbap (Bo), 1 Kimbap (Cho), 1 Kimbap (Dan), 1 Tea (Ann)"
    for phone in others:
        await phone.shows(f"{together} = 12500")
    await place.network.start()
    for phone in (ann, *others):
        await phone.shows(f"{together}, 2 Bibimbap (Ann) = 31500")
    document = await place.document("party:1/5", "cart", TABLE)
    assert len(document["value"]["lines"]) == 5


async def test_a_switch_thrown_without_a_network_outlives_its_killed_program(place: Place) -> None:
    switch = place.start("sold_out.py", caller=OWNER, behind=True)
    switch.type("bibimbap Bibimbap")
    await switch.shows("sold out: Bibimbap")
    await place.network.stop()
    switch.type("kimbap Kimbap")
    await switch.shows("sold out: Bibimbap, Kimbap (1 not sent)")
    switch.kill()
    switch.start()
    await switch.shows("sold out: Bibimbap, Kimbap (1 not sent)")
    before = await place.document("public:1", "sold-out", OWNER)
    await place.network.start()
    await switch.shows("sold out: Bibimbap, Kimbap")
    assert set(before["value"]["items"]) == {"bibimbap"}
    async with OrderProducer(place.stack.core_url, place.token(OWNER)) as producer:
        with pytest.raises(RefusedError, match="Kimbap"):
            await producer.place("1", [Item("Kimbap", 1, 3500)], currency="KRW", table_id="5")


async def test_the_resolver_keeps_both_sides_changes_and_the_higher_price(place: Place) -> None:
    one = place.start("menu.py", caller=BRAND, behind=True)
    other = place.start("menu.py", caller=BRAND)
    one.type("bibimbap 9500 Bibimbap")
    for side in (one, other):
        await side.shows("Bibimbap 9500")
    await place.network.stop()
    one.type("bibimbap 9900 Bibimbap")
    await one.shows("Bibimbap 9900 ...")
    other.type("bibimbap 9700 Bibimbap")
    await other.shows("Bibimbap 9700")
    other.type("kimbap 3500 Kimbap")
    await other.shows("Bibimbap 9700, Kimbap 3500")
    await place.network.start()
    for side in (one, other):
        await side.shows("Bibimbap 9900, Kimbap 3500")
    assert "others were first: decided" in one.lines


async def test_a_till_without_a_network_takes_orders_and_then_sells_out(place: Place) -> None:
    till = place.start("till.py", caller=OWNER, behind=True)
    till.type("new Tea 2000")
    await till.shows("Tea placed")
    await place.network.stop()
    till.type("accepted")
    await till.shows("Tea accepted ...")
    till.type("new Kimbap 3500")
    await till.shows("Tea accepted ..., Kimbap placed ...")
    till.type("-Kimbap")
    till.type("new Kimbap 3500")
    await till.shows("Tea accepted ..., Kimbap placed ..., Kimbap placed ...")
    till.kill()
    till.start()
    await place.network.start()
    await till.shows("Tea accepted, Kimbap placed")
    async with httpx.AsyncClient(base_url=place.stack.core_url) as http:
        headers = {"authorization": f"Bearer {place.token(OWNER)}"}
        answer = await http.get("/v1/sync", params={"channel": "store:1"}, headers=headers)
    (channel,) = answer.json()["channels"]
    orders = channel["snapshot"]["orders"]
    assert [(one["items"][0]["name"], one["status"], one["version"]) for one in orders] == [
        ("Tea", "accepted", 2),
        ("Kimbap", "placed", 1),
    ]
    document = await place.document("public:1", "sold-out", OWNER)
    assert document["value"]["items"]["kimbap"] == {"name": "Kimbap"}
