"""What a client that is behind could still be given: asked of Core by plain Fetch Sync."""

from __future__ import annotations

from typing import Final

import httpx

from client_sdk.contract.sync import MAX_LIMIT, decode_sync
from tests.chaos.proof import Fact

_WITHIN_S: Final = 30.0


async def to_come(core_url: str, token: str, channel: str, after: int) -> set[Fact]:
    """The events of a channel behind a place, as Core gives them to who asks now.

    None where Core does not answer, or lets the client begin anew: then nothing shows that what it
    lacks would have come.

    Args:
        core_url: where Core is.
        token: whom it is.
        channel: what it follows.
        after: the newest seq that it was given.
    """
    found: set[Fact] = set()
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=core_url, headers=headers, timeout=_WITHIN_S) as http:
        while True:
            asked = {"lastEventId": f"{channel}@{after}", "limit": str(MAX_LIMIT)}
            try:
                response = await http.get("/v1/sync", params=asked)
                response.raise_for_status()
            except httpx.HTTPError:
                return set()
            answer = decode_sync(response.content)
            events = [event for one in answer.channels for event in one.events]
            if any(one.reset for one in answer.channels):
                return set()
            found |= {Fact(one.seq, one.order_id, one.order_version) for one in events}
            if not (answer.has_more and events):
                return found
            after = events[-1].seq
