"""Reads Core's log through Fetch Sync, with a token of the role ops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

import httpx

from client_sdk.contract.sync import MAX_LIMIT, SyncResponse, decode_sync
from deploy.load.measured.proof import Fact, Log
from deploy.load.plan import LoadTestError

_CHANNELS_AT_ONCE: Final = 200


class Ledger:
    """Reads the heads and the logs of channels.

    Args:
        core_url: Core's address.
        token: an access token with the role ops.
    """

    def __init__(self, core_url: str, token: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=core_url, headers={"authorization": f"Bearer {token}"}, timeout=60.0
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def heads(self, channels: Sequence[str]) -> dict[str, int]:
        """The head of each channel.

        Raises:
            LoadTestError: Core does not answer.
        """
        heads: dict[str, int] = {}
        for start in range(0, len(channels), _CHANNELS_AT_ONCE):
            part = channels[start : start + _CHANNELS_AT_ONCE]
            answer = await self._sync(dict.fromkeys(part, 0), limit=1)
            heads |= {found.channel: found.head for found in answer.channels}
        return heads

    async def logs(self, heads: Mapping[str, int]) -> dict[str, Log]:
        """All events of each channel up to its head.

        Raises:
            LoadTestError: Core does not answer, or has deleted a part of the log.
        """
        facts: dict[str, list[Fact]] = {channel: [] for channel in heads}
        behind = {channel: 0 for channel, head in heads.items() if head > 0}
        while behind:
            part = dict(list(behind.items())[:_CHANNELS_AT_ONCE])
            answer = await self._sync(part, limit=MAX_LIMIT)
            for found in answer.channels:
                if found.reset is not None:
                    raise LoadTestError(
                        f"the log of {found.channel} cannot be read from its start "
                        f"({found.reset}): nothing can be proven"
                    )
                facts[found.channel] += [
                    Fact(event.seq, event.order_id, event.order_version) for event in found.events
                ]
                reached = part[found.channel] + len(found.events)
                if reached >= heads[found.channel]:
                    del behind[found.channel]
                else:
                    behind[found.channel] = reached
        return {channel: Log(found) for channel, found in facts.items()}

    async def _sync(self, after: Mapping[str, int], limit: int) -> SyncResponse:
        body = {"channels": dict(after), "limit": limit}
        try:
            response = await self._http.post("/v1/sync", json=body)
        except httpx.TransportError as error:
            raise LoadTestError(f"Core does not answer: {error!r}") from error
        if response.status_code != 200:
            raise LoadTestError(f"Core refused to show its log: {response.text}")
        return decode_sync(response.content)
