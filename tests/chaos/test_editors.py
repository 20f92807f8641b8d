"""The judge of edits finds planted faults, and a client's own network fails and returns."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.chaos.edit_proof import Entry, Told, judge_edits
from tests.chaos.network import OwnNetwork
from tests.serving import serving

CART = ("party:1/1", "cart")
TOLD = [Told("a-1", 1, "applied"), Told("a-2", 2, "put-aside"), Told("a-3", 3, None)]
HISTORY = [
    Entry("a-1", CART, 1, took_effect=True),
    Entry("a-2", CART, 1, took_effect=False),
    Entry("a-3", CART, 2, took_effect=True),
]


def test_edits_that_are_all_there_once_and_in_order_are_right() -> None:
    assert judge_edits("a", TOLD, HISTORY).clean


@pytest.mark.parametrize(
    ("history", "lost", "doubled", "out_of_order"),
    [
        (HISTORY[1:], 1, 0, 0),
        (HISTORY[:2], 1, 0, 0),
        ([*HISTORY, Entry("a-1", CART, 3, took_effect=True)], 0, 1, 1),
        ([Entry("a-1", CART, 1, took_effect=False), *HISTORY[1:]], 1, 0, 0),
        ([Entry("a-1", CART, 3, took_effect=True), *HISTORY[1:]], 0, 0, 1),
    ],
)
def test_each_deviation_is_counted(
    history: list[Entry], lost: int, doubled: int, out_of_order: int
) -> None:
    verdict = judge_edits("a", TOLD, history)
    assert verdict.lost == lost
    assert verdict.doubled == doubled
    assert bool(verdict.out_of_order) == bool(out_of_order)


def test_after_a_restore_what_was_acknowledged_may_be_gone_but_not_doubled() -> None:
    twice = [HISTORY[0], HISTORY[0]]
    assert judge_edits("a", TOLD, [], forgiving=True).clean
    assert judge_edits("a", TOLD, twice, forgiving=True).doubled == 1


async def test_what_is_open_breaks_when_the_network_goes_and_nothing_passes_until_it_is_back() -> (
    None
):
    begun = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        begun.set()
        await reader.read()

    network = OwnNetwork()
    async with serving(answer) as port, httpx.AsyncClient(transport=network.transport()) as http:
        url = f"http://127.0.0.1:{port}/"
        asking = asyncio.create_task(http.get(url))
        await begun.wait()
        network.take_away()
        with pytest.raises(httpx.TransportError):
            await asking
        with pytest.raises(httpx.ConnectError):
            await http.get(url)
        network.give_back()
        async with http.stream("GET", url) as response:
            assert response.status_code == 200
