"""Webhooks of poisoned stores: a receiver that hangs, one that refuses, and a damaged event.

Each store of a webhook is a lane of its own. A working receiver must get all events of all stores.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import httpx

from tests.chaos.runner import Field, NotInjectedError
from tests.chaos.ward import Ward
from tests.webhook_receiver import Receiver, status

_BODY: Final = "SELECT body FROM channel_log WHERE channel = $1 AND seq = 1"
_DAMAGE: Final = "UPDATE channel_log SET body = $2 WHERE channel = $1 AND seq = 1"
_GAP: Final = "webhook.gap"
_REFUSES: Final = status(400)


class Lanes:
    """The webhooks, and the heads before they were created.

    Args:
        ward: the stores.
        works: a receiver that accepts all requests.
        fail: receivers that accept none.
        damaged: a store that only these webhooks use.
        before: the heads of all channels when the webhooks were created.
    """

    def __init__(
        self,
        ward: Ward,
        works: Receiver,
        fail: list[Receiver],
        damaged: str,
        before: dict[str, int],
    ) -> None:
        self._ward = ward
        self._works = works
        self._fail = fail
        self._damaged = damaged
        self._before = before

    async def pass_damage(self, ground: Field) -> None:
        """Damage an event before it is sent: the receiver must get a gap, and all other events."""
        ward, channel = self._ward, f"store:{self._damaged}"
        senders = [p for p in ward.site.stack.processes if p.name.startswith("webhooks")]
        for sender in senders:
            sender.suspend()
        try:
            await ward.place(self._damaged)
            [(body,)] = await ward.site.ledger.fetch(_BODY, channel)
            await ward.site.ledger.run(_DAMAGE, channel, f"{body}"[:-1])
            await ward.place(self._damaged)
        finally:
            for sender in senders:
                sender.resume()

        async def passed() -> bool:
            return self._works.seqs(channel) == [1, 2]

        try:
            await ground.until(passed, "a webhook gets what is behind an event that is none")
        finally:
            await ward.site.ledger.run(_DAMAGE, channel, body)
        gaps = [one.body["data"]["reason"] for one in self._works.taken if one.body["type"] == _GAP]
        if gaps != ["unreadable"]:
            raise NotInjectedError(f"one event is told as unreadable: {gaps}")

    async def prove(self, ground: Field) -> None:
        """Check that the working receiver gets all events of every store, in order."""
        heads = await self._ward.site.ledger.heads()
        wanted = {
            channel: list(range(self._before.get(channel, 0) + 1, heads[channel] + 1))
            for channel in (f"store:{store}" for store in self._ward.stores)
        }

        async def all_there() -> bool:
            return all(self._works.seqs(channel) == seqs for channel, seqs in wanted.items())

        await ground.until(all_there, "a receiver that works has all of every store")
        if not all(receiver.requests and not receiver.taken for receiver in self._fail):
            raise NotInjectedError("the other receivers were asked, and took nothing")
        name = "yabam_webhooks_attempts_total"
        refused = partial(self._ward.site.metrics, "webhooks", name, '"refused"')

        async def told() -> bool:
            return await refused() > 0

        await ground.until(told, "what is refused is counted")


@asynccontextmanager
async def webhooks(ward: Ward) -> AsyncIterator[Lanes]:
    """Create three webhooks of all stores of the ward, for the time of a block."""
    damaged = f"{ward.stores[0]}-damaged"
    stores = [*ward.stores, damaged]
    token = ward.site.token("hooks", "owner", *stores)
    headers = {"authorization": f"Bearer {token}"}
    before = await ward.site.ledger.heads()
    async with (
        Receiver() as works,
        Receiver(lambda _: None) as hangs,
        Receiver(lambda _: _REFUSES) as refuses,
    ):
        made = []
        try:
            for receiver in (hangs, refuses, works):
                body = {"url": receiver.url, "stores": stores}
                answer = await ward.http.post("/v1/webhooks", json=body, headers=headers)
                if answer.status_code != 201:
                    raise NotInjectedError(f"a webhook is taken: {answer.status_code}")
                receiver.secret = answer.json()["secret"]
                made.append(answer.json()["webhook"]["id"])
            yield Lanes(ward, works, [hangs, refuses], damaged, before)
        finally:
            for one in made:
                with contextlib.suppress(httpx.HTTPError):
                    await ward.http.delete(f"/v1/webhooks/{one}", headers=headers)
