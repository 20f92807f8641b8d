"""The shared state against a real Core: offline edits, two clients, a killed process."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from client_sdk import (
    BlockingYabamClient,
    MemoryState,
    Settings,
    SharedDocument,
    SqliteState,
    StateStoreError,
    YabamClient,
)
from client_sdk.contract.digest import canonical
from tests.children import child
from tests.integration.core_service import CoreService, bearer, new_store, token

FAST: Final = Settings(backoff_first=0.02, backoff_most=0.1)
_GUIDE: Final = Path(__file__).parents[3] / "docs" / "sdk.md"
_KILLED: Final = """
import asyncio, sys
from client_sdk import SqliteState, YabamClient

async def main(url, token, channel, folder):
    async with YabamClient(url, token, [channel], state=SqliteState(folder)) as client:
        cart = client.state(channel)["cart"]
        for number in range(1000):
            line = {"name": "kimbap", "quantity": 1, "unit_price": 1}
            await cart.merge({"lines": {f"l{number}": line}})
            print(number, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


class Cable(httpx.AsyncBaseTransport):
    """A network that a test can cut."""

    def __init__(self) -> None:
        self._wire = httpx.AsyncHTTPTransport()
        self.cut = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.cut:
            raise httpx.ConnectError("the cable is cut")
        return await self._wire.handle_async_request(request)

    async def aclose(self) -> None:
        await self._wire.aclose()


def line(quantity: int) -> dict[str, Any]:
    return {"name": "김밥", "quantity": quantity, "unit_price": 3500}


def guest(core: CoreService, store: str, cable: Cable, **more: Any) -> YabamClient:
    table = token("table", table=f"{store}/5")
    return YabamClient(
        core.stack.core_url,
        table,
        [f"party:{store}/5"],
        settings=FAST,
        transport=cable,
        **more,
    )


async def until(document: SharedDocument, holds: Callable[[], bool]) -> None:
    looked = asyncio.Event()
    end = document.subscribe(lambda _: looked.set())
    async with asyncio.timeout(30):
        while not holds():
            await looked.wait()
            looked.clear()
    end()


async def test_two_clients_that_edit_one_cart_offline_end_equal(core: CoreService) -> None:
    store, cables = new_store(), [Cable(), Cable()]
    channel = f"party:{store}/5"
    async with guest(core, store, cables[0]) as one, guest(core, store, cables[1]) as other:
        carts = [one.state(channel)["cart"], other.state(channel)["cart"]]
        await (await carts[0].merge({"lines": {"a": line(1)}})).settled()
        for cart in carts:
            await until(cart, lambda cart=cart: cart.version == 1 and cart.pending == 0)  # type: ignore[misc]
        for cable in cables:
            cable.cut = True
        await carts[0].merge({"lines": {"a": {"quantity": 2}}})
        await carts[0].merge({"lines": {"b": line(1)}})
        await carts[1].merge({"lines": {"c": line(5)}})
        await carts[1].merge({"lines": {"a": {"quantity": 3}}})
        for cable in cables:
            cable.cut = False
        newest = await _settled(core, store, channel, carts)
        for cart in carts:
            await until(
                cart,
                lambda cart=cart: cart.version == newest and cart.pending == 0,  # type: ignore[misc]
            )
        values = [canonical(cart.value) for cart in carts]
    held = await _document(core, store, channel)
    assert values == [canonical(held["value"])] * 2
    assert set(held["value"]["lines"]) == {"a", "b", "c"}


async def _settled(core: CoreService, store: str, channel: str, carts: list[SharedDocument]) -> int:
    """Core's version once both have nothing pending."""
    for cart in carts:
        await until(cart, lambda cart=cart: cart.pending == 0)  # type: ignore[misc]
    version: int = (await _document(core, store, channel))["version"]
    return version


async def _document(core: CoreService, store: str, channel: str) -> dict[str, Any]:
    response = await core.client.get(
        f"/v1/documents?channel={channel}&key=cart", headers=bearer(token("owner", store))
    )
    document: dict[str, Any] = response.json()
    return document


async def test_no_edit_that_was_accepted_is_lost_by_kill_9(
    core: CoreService, tmp_path: Path
) -> None:
    store = new_store()
    channel = f"party:{store}/5"
    table = token("table", table=f"{store}/5")
    async with child(
        sys.executable, "-c", _KILLED, "http://127.0.0.1:1", table, channel, str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        accepted = [await process.stdout.readline() for _ in range(12)]
        process.send_signal(signal.SIGKILL)
        accepted += [line for line in (await process.stdout.read()).splitlines() if line]
    cable = Cable()
    async with guest(core, store, cable, state=SqliteState(tmp_path)) as client:
        cart = client.state(channel)["cart"]
        await until(cart, lambda: cart.pending == 0)
    lines = (await _document(core, store, channel))["value"]["lines"]
    assert {f"l{int(number)}" for number in accepted} <= set(lines)


async def test_a_queue_belongs_to_one_process(core: CoreService, tmp_path: Path) -> None:
    store = new_store()
    async with guest(core, store, Cable(), state=SqliteState(tmp_path)):
        second = guest(core, store, Cable(), state=SqliteState(tmp_path))
        with pytest.raises(StateStoreError, match="in use"):
            await second.__aenter__()


async def test_a_refusal_says_where_the_value_breaks_its_schema(core: CoreService) -> None:
    store = new_store()
    channel = f"party:{store}/5"
    async with guest(core, store, Cable()) as client:
        cart = client.state(channel)["cart"]
        outcome = await (await cart.merge({"lines": {"a": {"quantity": 0}}})).settled()
        assert outcome.outcome == "refused"
        assert cart.value is None
        assert cart.meta.error is not None
        assert (cart.meta.error.pointer or "").startswith("/lines/a")


async def test_a_large_value_is_shown_when_it_is_fetched(core: CoreService) -> None:
    store = new_store()
    channel = f"party:{store}/5"
    lines = {f"l{index}": line(1) | {"note": "x" * 400} for index in range(60)}
    async with guest(core, store, Cable()) as one, guest(core, store, Cable()) as other:
        edit = await one.state(channel)["cart"].set({"lines": lines})
        assert (await edit.settled()).outcome == "applied"
        cart = other.state(channel)["cart"]
        await until(cart, lambda: cart.version == 1 and not cart.meta.loading)
        assert cart.value == {"lines": lines}


async def test_a_call_is_run_by_core(core: CoreService) -> None:
    store = new_store()
    channel = f"party:{store}/5"
    async with guest(core, store, Cable()) as client:
        bell = client.state(channel)["bell"]
        await (await bell.call("ring", {"reason": "water"})).settled()
        await until(bell, lambda: bell.pending == 0)
        assert (bell.value or {})["rung"] == 1
        assert [one["version"] for one in (await bell.history()).events] == [1]


def test_a_program_without_asyncio_edits_documents(core_process: CoreService) -> None:
    store = new_store()
    channel = f"party:{store}/5"
    table = token("table", table=f"{store}/5")
    url = core_process.stack.core_url
    with BlockingYabamClient(url, table, [channel], settings=FAST, state=MemoryState()) as client:
        cart, bell = client.state(channel)["cart"], client.state(channel)["bell"]
        with client.state.batch():
            edit = cart.merge({"lines": {"a": line(1)}})
            bell.call("ring", {"reason": "water"})
        assert edit.settled().outcome == "applied"
        assert cart.value == {"lines": {"a": line(1)}}
        assert client.state.export()[channel]["cart"] == {"lines": {"a": line(1)}}


def test_the_guides_program_does_what_it_says(core_process: CoreService, tmp_path: Path) -> None:
    section = _GUIDE.read_text().partition("## Share documents\n")[2]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    environment = os.environ | {
        "YABAM_CORE_URL": core_process.stack.core_url,
        "YABAM_TOKEN": token("owner", "1"),
    }
    done = subprocess.run(
        [sys.executable, "-c", found[1]],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "applied"
