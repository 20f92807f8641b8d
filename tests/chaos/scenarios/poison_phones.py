"""Phones of poisoned stores: push services that hang or refuse, a damaged subscription and event.

A phone that works must get its own message, and what fails with the others must be counted.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import httpx
import msgspec

from tests.chaos.runner import Field, NotInjectedError
from tests.chaos.ward import Ward
from tests.push_service import PushService
from tests.webhook_receiver import status

_HANG: Final = 10
"""How many phones of a store have a push service that hangs: as many as one owner may have asked
at once, and more than can be asked one after the other while the working phone waits."""
_NO_POINT: Final = "B" + "A" * 86
"""It has the form of a public key, so the door takes it, but it is on no curve."""
_KEY: Final = "UPDATE push_subscriptions SET p256dh = $2 WHERE store_id = $1"
_CUT: Final = "UPDATE channel_log SET body = left(body, length(body) - 1) WHERE channel = $1"
_MEND: Final = "UPDATE channel_log SET body = body || '}' WHERE channel = $1 AND seq = 1"


async def phones(ground: Field, ward: Ward) -> str:
    """Place orders in stores whose phones cannot be told; the last one's phone works."""
    site = ward.site
    damaged, hang, refuse, good = (
        f"{ward.stores[0]}-{what}" for what in ("key", "hangs", "refuses", "works")
    )
    bugs = partial(site.metrics, "webhooks", "yabam_pushes_bugs_total")
    refused = partial(site.metrics, "webhooks", "yabam_pushes_attempts_total", '"refused"')
    unreachable = partial(site.metrics, "webhooks", "yabam_pushes_attempts_total", '"unreachable"')
    before = await bugs(), await refused(), await unreachable()

    async def counted() -> bool:
        now = await bugs(), await refused(), await unreachable()
        return all(new > old for new, old in zip(now, before, strict=True))

    key = (await ward.http.get("/v1/push", headers=ward.owner(good))).json()["key"]
    async with PushService(key) as works, PushService(key) as hangs, PushService(key) as refuses:
        hangs.answer = lambda _: None
        refuses.answer = lambda _: status(400)
        async with contextlib.AsyncExitStack() as subscribed:
            for store, service, count in (
                (damaged, works, 1), (hang, hangs, _HANG), (refuse, refuses, 1), (good, works, 1),
            ):  # fmt: skip
                await subscribed.enter_async_context(_phones(ward, store, service, count))
            async with _senders_wait(ward):
                await site.ledger.run(_KEY, damaged, _NO_POINT)
                # Who waits longest is told first, so the phone that works comes last.
                for store in (damaged, hang, refuse, good):
                    await ward.place(store)
                await _published(ground, ward, good)
                await site.ledger.run(_CUT, f"store:{good}")
                await ward.place(good)
            try:
                await ground.until(
                    partial(_is_told, works), "a phone beside bad ones is told of its orders", 30
                )
                await ground.until(counted, "what fails with the other phones is counted")
            finally:
                await site.ledger.run(_MEND, f"store:{good}")
    told = [one.told for one in works.taken]
    if told != [{"store": good, "count": 2, "language": "ko"}] or hangs.taken or refuses.taken:
        raise NotInjectedError(f"only the phone that works is told, and once: {told}")
    return f"{_HANG + 2} phones that cannot be told"


async def _is_told(service: PushService) -> bool:
    return bool(service.taken)


async def _published(ground: Field, ward: Ward, store: str) -> None:
    async def published() -> bool:
        left = "SELECT count(*) FROM outbox WHERE store_id = $1"
        return (await ward.site.ledger.fetch(left, store))[0][0] == 0

    await ground.until(published, "an order is published before its event is damaged", 30)


@asynccontextmanager
async def _senders_wait(ward: Ward) -> AsyncIterator[None]:
    """Let all senders stand still for the time of a block, so that they find all of it at once."""
    senders = [p for p in ward.site.stack.processes if p.name.startswith("webhooks")]
    for sender in senders:
        sender.suspend()
    try:
        yield
    finally:
        for sender in senders:
            sender.resume()


@asynccontextmanager
async def _phones(ward: Ward, store: str, service: PushService, count: int) -> AsyncIterator[None]:
    """Subscribe so many phones of a store for the time of a block."""
    paths = [f"/v1/stores/{store}/pushes/phone-{number}" for number in range(count)]
    try:
        for path in paths:
            body = msgspec.to_builtins(service.browser().subscription)
            answer = await ward.http.put(path, json=body, headers=ward.owner(store))
            if answer.status_code != 204:
                raise NotInjectedError(f"a phone is subscribed: {answer.status_code}")
        yield
    finally:
        for path in paths:
            with contextlib.suppress(httpx.HTTPError):
                await ward.http.delete(path, headers=ward.owner(store))
