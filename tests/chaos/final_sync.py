"""Asks Core by Fetch Sync which events a client that is behind could still receive."""

from __future__ import annotations

from typing import Final

import httpx

from client_sdk.contract.sync import MAX_LIMIT, decode_sync
from tests.chaos.proof import Fact

_WITHIN_S: Final = 30.0


async def to_come(core_url: str, token: str, channel: str, after: int) -> set[Fact]:
    """The events of a channel after a seq, as Core returns them now.

    Empty if Core does not answer, or resets the channel: then nothing shows that the client would
    have received what it lacks.

    Args:
        core_url: Core's address.
        token: the client's access token.
        channel: the channel that it follows.
        after: the newest seq that it has received.
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
