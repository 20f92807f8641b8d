"""The gateway's reads from Core: current documents, by Fetch Sync and by name."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Final

import httpx
import msgspec

from client_sdk.contract.state.document import decode_document
from client_sdk.contract.state.sync import decode_mixed_sync
from client_sdk.contract.sync import MAX_LIMIT
from event_server.errors import CoreLostError
from event_server.mqtt_gateway.rules.publications import Changed, of_snapshot

_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class DocumentsSnapshot:
    """A channel's documents, all of them, at one moment."""

    epoch: str
    head: int
    documents: list[Changed]
    """One whose value is `UNSET` is too large for an answer: ask for it by its name."""


class CoreDocuments:
    """Reads documents from Core.

    Args:
        url: where Core answers.
        token: an access token of role ops. The holder of a signing key of Core could read every
            order, so the gateway has none.
        ca_file: a file with the authorities (PEM) that sign Core's certificate; empty: the
            usual ones.
    """

    def __init__(self, url: str, token: str, ca_file: str = "") -> None:
        self._token = token
        trust = ssl.create_default_context(cafile=ca_file) if ca_file else True
        self._http = httpx.AsyncClient(
            base_url=url, timeout=_TIMEOUT_S, trust_env=False, verify=trust
        )

    async def close(self) -> None:
        """Close the connections to Core."""
        await self._http.aclose()

    async def all_of(self, channel: str) -> DocumentsSnapshot:
        """All documents of a channel.

        Raises:
            CoreLostError: Core does not answer, or not with that.
        """
        body = await self._get("/v1/sync", {"channel": channel, "limit": str(MAX_LIMIT)})
        try:
            answer = decode_mixed_sync(body)
        except msgspec.DecodeError as error:
            raise CoreLostError(f"an answer of Core cannot be read: {error}") from error
        found = next((one for one in answer.documents if one.channel == channel), None)
        if found is None or found.snapshot is None:
            raise CoreLostError(f"Core's answer has no snapshot of {channel}")
        return DocumentsSnapshot(
            answer.epoch,
            found.head,
            [of_snapshot(answer.epoch, one) for one in found.snapshot.documents],
        )

    async def whole(self, changed: Changed) -> Changed | None:
        """The current document with its value; None: Core no longer has it.

        Raises:
            CoreLostError: Core does not answer, or not with that.
        """
        name = {"channel": str(changed.channel), "key": changed.key}
        try:
            document = decode_document(await self._get("/v1/documents", name))
        except _NotThereError:
            return None
        except msgspec.DecodeError as error:
            raise CoreLostError(f"an answer of Core cannot be read: {error}") from error
        return of_snapshot(changed.epoch, document)

    async def _get(self, path: str, parameters: dict[str, str]) -> bytes:
        headers = {"authorization": f"Bearer {self._token}"}
        try:
            answer = await self._http.get(path, params=parameters, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            raise CoreLostError(f"Core does not answer: {error!r}") from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise _NotThereError("Core has no such document")
        if answer.status_code != httpx.codes.OK:
            raise CoreLostError(f"Core answers {answer.status_code}: {answer.text[:200]}")
        return answer.content


class _NotThereError(CoreLostError):
    """Core answers 404."""
