"""Compares the cost of a sync in a channel with documents and in one without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from client_sdk.contract.state.edit import Edit, EditBatch
from client_sdk.contract.state.operations import Delete, Set
from core_api.access.callers import Caller
from core_api.documents.definitions import Definition, Definitions
from core_api.edits.service import EditService
from core_api.postgres.pool import open_pool
from deploy.local.postgres import EmbeddedPostgres
from tests.bench.edits.cases import CLIENTS, SyncCase
from tests.bench.edits.serving import Serving, tokens
from tests.bench.sync.cases import Sample
from tests.bench.sync.systems import measured
from tests.bench.sync.wrk import Request, run_wrk, write_requests

DOCUMENTS: Final = 8
CHANNELS: Final = 500
_SEED: Final = 11
_FULL: Final = 100_000
"""Stores above this number have all documents. Nobody edits them during the measurement."""
_BARE: Final = 200_000
"""Stores above this number had documents, now deleted; their channels have a log, too."""
_BARE_EDITS: Final = 2


def _definitions() -> Definitions:
    return Definitions(
        Definition(
            key=f"document-{n}",
            scopes=frozenset({"party"}),
            strategy="last",
            writers=frozenset({"owner"}),
            schema={"type": "object"},
        )
        for n in range(DOCUMENTS)
    )


async def fill(database: str) -> None:
    """Give each of `CHANNELS` channels its documents through Core's own write path.

    As many other channels get one document, which is deleted again.
    """
    pool = await open_pool(database, size=2, command_timeout_s=30, name="fill")
    service = EditService(pool, _definitions(), 4, _tell_nobody, lambda _channel, _key: False)
    owner = Caller("till", "owner", frozenset({"*"}))
    value = {"lines": {f"line-{n}": {"name": "Gimbap", "quantity": n} for n in range(1, 5)}}
    try:
        for store in range(1, CHANNELS + 1):
            channel = f"party:{_FULL + store}/1"
            edits = [
                Edit(
                    n=n + 1, channel=f"party:{_FULL + store}/1", key=f"document-{n}", do=Set(value)
                )
                for n in range(DOCUMENTS)
            ]
            await service.apply(owner, EditBatch(f"fill-{store}", list(edits)))
            channel = f"party:{_BARE + store}/1"
            gone = [
                Edit(n=1, channel=channel, key="document-0", do=Set(value)),
                Edit(n=2, channel=channel, key="document-0", do=Delete(), base=1),
            ]
            await service.apply(owner, EditBatch(f"empty-{store}", list(gone)))
    finally:
        await pool.close()


def request_files(folder: Path) -> dict[SyncCase, Path]:
    """The requests of each case."""
    paths: dict[SyncCase, Path] = {
        "no document": folder / "bare.txt",
        "8 documents": folder / "documents.txt",
        "8 documents, first sync": folder / "first.txt",
    }
    owners = tokens()
    write_requests(paths["no document"], list(_requests(owners, _BARE, _BARE_EDITS)))
    write_requests(paths["8 documents"], list(_requests(owners, _FULL, DOCUMENTS)))
    write_requests(paths["8 documents, first sync"], list(_requests(owners, _FULL, None)))
    return paths


def _requests(owners: Sequence[str], first: int, after: int | None) -> Iterator[Request]:
    for n in range(1, CHANNELS + 1):
        channel = f"party:{first + n}/1"
        seen = "" if after is None else f"&lastEventId={channel}@{after}"
        yield Request("GET", f"/v1/sync?channel={channel}{seen}", owners[n % len(owners)])


def measure(core: Serving, postgres: EmbeddedPostgres, requests: Path, seconds: int) -> Sample:
    """Measure one run of one case."""
    work = partial(run_wrk, core.url, requests, CLIENTS, seconds, _SEED)
    return measured(work, core.process, postgres, seconds)


def _tell_nobody(_channels: Sequence[str]) -> None:
    return None
