"""The worst records in the topics of receipts, revocations and short messages.

Each bad record must be reported, and the good one after it must have its effect: a receipt, a
sign-out, a message.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from client_sdk.contract.channel import MAX_SEQ
from client_sdk.contract.socket import SUBPROTOCOL, socket_url
from server_common.kafka_records.receipts import Receipt, ReceiptBatch, encode_receipts
from server_common.revocations.records import Revocation, encode_revocation
from tests.chaos.runner import Field, NotInjectedError
from tests.chaos.site import Site, log_lines
from tests.chaos.ward import GARBAGE, Ward, send

RECEIPTS: Final = "device-receipts"
REVOCATIONS: Final = "token-revocations"
MESSAGES: Final = "channel-messages"
_WITHIN_S: Final = 30.0


async def receipts(ground: Field, ward: Ward) -> str:
    """Write receipts that cannot be read: invalid records, and one that no database can store,
    which shares a record with a good one."""
    site = ward.site
    for store in ward.stores:
        epoch = (await ward.synced(store))["epoch"]

        def of(device: str, subject: str, applied: int, epoch: str = epoch) -> Receipt:
            return Receipt(device, subject, epoch, applied)

        batches = [
            [of("nul", "\0", 1), of("beside", "till", 1)],
            [of("ahead", "\U0001f372" * 255, MAX_SEQ)],
            [of("behind", "till", 1)],
        ]
        values = [encode_receipts(ReceiptBatch(store, some)) for some in batches]
        await send(site, RECEIPTS, [*GARBAGE, *values], store)

        async def stored(store: str = store) -> bool:
            found, first = await ward.applied(store), f"store:{store}@1"
            return found.get("beside") == found.get("behind") == first and (
                found.get("ahead") == f"store:{store}@0"
            )

        await ground.until(stored, "receipts beside and behind bad ones are stored")
    ingest = site.process("ingest")
    told = sum(int(str(line["left_out"])) for line in log_lines(ingest, "receipts_unreadable"))
    sent = len(ward.stores) * (len(GARBAGE) + 1)
    if told < sent:
        raise NotInjectedError(f"ingest tells of each receipt that it cannot read: of {told}")
    return f"{sent} bad receipts"


async def revocations(ground: Field, ward: Ward) -> str:
    """Write invalid revocations: also with a name that no database can store, or a huge time."""
    site = ward.site
    worst = [
        encode_revocation(Revocation("subject", "\0", 10**3000)),
        encode_revocation(Revocation("session", "", -1)),
    ]
    await send(site, REVOCATIONS, [*GARBAGE, *worst])
    ops = {"authorization": f"Bearer {site.token('ops', 'ops')}"}
    for store in ward.stores:
        # A revocation is for tokens that were issued in this second or before.
        subject = f"leaves-{store}-{time.time_ns()}"
        headers = {"authorization": f"Bearer {site.token(subject, 'owner', store)}"}
        grant = (await ward.synced_as(headers, f"store:{store}"))["stream"]
        async with (
            asyncio.timeout(min(_WITHIN_S, ground.patience_s)),
            httpx.AsyncClient(timeout=_WITHIN_S) as http,
            http.stream("GET", grant["url"], params={"ticket": grant["ticket"]}) as stream,
        ):
            if stream.status_code != 200:
                raise NotInjectedError(f"a stream is opened: {stream.status_code}")
            chunks = stream.aiter_text()
            await anext(chunks)
            body = {"kind": "subject", "name": subject}
            answer = await ward.http.post("/v1/revocations", json=body, headers=ops)
            if answer.status_code != 204:
                raise NotInjectedError(f"a sign-out is taken: {answer.status_code}")
            if '"expired"' not in "".join([chunk async for chunk in chunks]):
                raise NotInjectedError("a stream that ends by a sign-out says so")
    await ground.until(
        partial(_all_told, site, "revocation_malformed"), "each event server tells of bad ones"
    )
    return f"{len(GARBAGE) + len(worst)} bad revocations"


async def messages(ground: Field, ward: Ward) -> str:
    """Write short messages that are invalid, or as deep and strange as is accepted."""
    site, store = ward.site, ward.stores[0]
    malformed = partial(site.metrics, "events", "yabam_events_socket_talk_total", '"malformed"')
    before = await malformed()
    deep = "[" * 1500 + "]" * 1500
    text = '{"channel":"store:%s","name":"%s","sender":"","origin":"nobody","body":%s}'
    worst = [
        (text % (store, "deep", deep)).encode(),
        (text % (store, "\\u0000\\n\\n" * 99, "null")).encode(),
        (text % (store, "half", '"\\ud800"')).encode(),
    ]
    async with _socket(ward, store) as speaker, _socket(ward, store) as listener:
        await send(site, MESSAGES, [*GARBAGE, *worst])
        heard: set[str] = set()

        async def listen() -> None:
            async for message in listener:
                told = json.loads(message)
                if told["event"] == "message":
                    heard.add(told["data"]["name"])

        listening = asyncio.create_task(listen())

        async def passed() -> bool:
            said = {"channel": f"store:{store}", "name": "behind", "body": None}
            await speaker.send(json.dumps({"event": "message", "data": said}))
            return "behind" in heard

        try:
            await ground.until(passed, "a message behind bad ones is heard")
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    servers = sum(p.name.startswith("events") for p in site.stack.processes)
    if await malformed() - before < servers * len(GARBAGE):
        raise NotInjectedError("messages that cannot be read are counted by each event server")
    return f"{len(GARBAGE) + len(worst)} bad messages"


@asynccontextmanager
async def _socket(ward: Ward, store: str) -> AsyncIterator[ClientConnection]:
    """A WebSocket of the store's owner, which has received its hello."""
    grant = (await ward.synced(store))["stream"]
    url = f"{socket_url(grant['url'])}?ticket={grant['ticket']}"
    protocols = [Subprotocol(SUBPROTOCOL)]
    async with connect(url, subprotocols=protocols, compression=None, proxy=None) as connection:
        await connection.recv()
        yield connection


async def _all_told(site: Site, event: str) -> bool:
    """Whether every event server has logged this event."""
    servers = [p for p in site.stack.processes if p.name.startswith("events")]
    return all(log_lines(server, event) for server in servers)
