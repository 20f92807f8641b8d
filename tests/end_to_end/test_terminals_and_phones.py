"""Two terminals and four phones, Python and browsers, order and edit while their networks go.

What they did without a network is done once, in each one's order, and all end with the same. The
hour of edits alone is `make chaos-edits`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from client_sdk.contract.channel import Channel
from client_sdk.contract.digest import canonical
from core_api.access.callers import Caller
from core_api.wiring import token_keys
from tests.browser.module_page import chromium
from tests.end_to_end.conftest import Installation
from tests.end_to_end.people import PARTY, STORE, Browsing, Person, Scripted, do

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka")]

SECONDS: Final = 60.0
LEVEL_WITHIN_S: Final = 90.0
OWNER: Final = Caller("owner-1", "owner", frozenset({STORE}))


def token(stack: Installation, caller: Caller) -> str:
    """A token of the caller."""
    return token_keys({"local": stack.keys.token}, "local").sign(caller, 3600)


def guest(name: str) -> Caller:
    """A phone at the table."""
    return Caller(name, "table", table=Channel("table", STORE, "5"))


async def people(stack: Installation, folder: Path, cleanup: AsyncExitStack) -> list[Person]:
    """Who is there, each online."""
    store, table = f"store:{STORE}", f"table:{STORE}/5"
    made: list[Person] = []
    for name, caller, channel in (
        ("terminal-1", OWNER, store),
        ("phone-1", guest("phone-1"), table),
        ("phone-2", guest("phone-2"), table),
    ):
        one = Scripted.of(name, stack.core_url, token(stack, caller), channel, folder)
        living = asyncio.create_task(one.live())
        cleanup.push_async_callback(_ended, living)
        made.append(one)
    browser = await cleanup.enter_async_context(chromium())
    for name, caller, channel in (
        ("terminal-2", OWNER, store),
        ("phone-3", guest("phone-3"), table),
        ("phone-4", guest("phone-4"), table),
    ):
        context = await browser.new_context()
        made.append(await Browsing.of(name, context, stack.core_url, token(stack, caller), channel))
    return made


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def wander(everybody: list[Person], chance: random.Random) -> tuple[set[str], set[str], int]:
    """Let them order and edit for a while; the lines and the orders that they made, and cuts."""
    lines, orders, cuts = set[str](), set[str](), 0
    end = time.monotonic() + SECONDS
    number = 0
    while time.monotonic() < end:
        person = chance.choice(everybody)
        number += 1
        name = f"{person.name}-{number}"
        if chance.random() < 0.2:
            await person.cut(gone=not person.is_cut)
            cuts += person.is_cut
        elif person.name.startswith("terminal"):
            await do(person, "accept", name)
        elif chance.random() < 0.4:
            await do(person, "place", name)
            orders.add(name)
        else:
            await do(person, "add", name)
            lines.add(name)
        await asyncio.sleep(chance.uniform(0.0, 0.4))
    return lines, orders, cuts


async def level(everybody: list[Person]) -> None:
    """Return once nobody waits for anything and all show the same."""
    async with asyncio.timeout(LEVEL_WITHIN_S):
        while True:
            waiting = [await one.waiting() for one in everybody]
            shown = {canonical(await one.level()) for one in everybody}
            if not any(waiting) and len(shown) == 1:
                return
            await asyncio.sleep(0.2)


async def asked(stack: Installation, path: str, **params: str) -> Any:
    """What Core answers the owner."""
    headers = {"authorization": f"Bearer {token(stack, OWNER)}"}
    async with httpx.AsyncClient(base_url=stack.core_url, headers=headers) as http:
        answer = await http.get(path, params=params)
    answer.raise_for_status()
    return answer.json()


async def test_all_end_with_the_same_and_nothing_is_lost_or_doubled(
    stack: Installation, tmp_path: Path
) -> None:
    chance = random.Random(14)
    async with AsyncExitStack() as cleanup:
        everybody = await people(stack, tmp_path, cleanup)
        await level(everybody)
        lines, orders, cuts = await wander(everybody, chance)
        for person in everybody:
            await person.cut(gone=False)
        await level(everybody)
        cart, shown = await everybody[0].level()
    assert cuts > 5
    assert cart is not None
    assert set(cart["lines"]) == lines
    document = await asked(stack, "/v1/documents", channel=PARTY, key="cart")
    assert canonical(document["value"]) == canonical(cart)
    sync = await asked(stack, "/v1/sync", channel=f"store:{STORE}")
    stored = sync["channels"][0]["snapshot"]["orders"]
    placed = Counter(one["reference"] for one in stored)
    assert placed == Counter(orders)
    assert shown == sorted([one["reference"], one["status"], one["version"]] for one in stored)
    # An order is accepted at most once: version 1 is placed, 2 accepted.
    assert {(one["status"], one["version"]) for one in stored} <= {("placed", 1), ("accepted", 2)}
    assert any(one["status"] == "accepted" for one in stored)
