"""The proof that each edit is in the history once; reads the documents in the database.

Core's tables are read by SQL. Each edit has a mark in its metadata, by which it is found in the
history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from client_sdk.contract.digest import canonical
from tests.chaos.proof import Ledger, Verdict


@dataclass
class Told:
    """One edit, with the answer that its client has received."""

    mark: str
    order: int
    outcome: str | None = None
    """None: not answered yet."""


@dataclass(frozen=True)
class Entry:
    """One entry of the history of all documents."""

    mark: str
    document: tuple[str, str]
    version: int
    took_effect: bool


def judge_edits(
    name: str, told: Sequence[Told], history: Sequence[Entry], *, forgiving: bool = False
) -> Verdict:
    """Compare one editor's edits with the history: each once, and those of a document in order.

    Editors make no edits that Core refuses, so all accepted ones must be in the history.

    Args:
        name: the editor's name, for the notes.
        told: its edits, with their answers.
        history: the entries of all documents, ordered by version.
        forgiving: whether acknowledged edits may be missing, as after a restore.
    """
    by_mark: dict[str, list[Entry]] = {}
    for entry in history:
        by_mark.setdefault(entry.mark, []).append(entry)
    verdict = Verdict()
    newest: dict[tuple[str, str], int] = {}
    for one in sorted(told, key=lambda edit: edit.order):
        found = by_mark.get(one.mark, [])
        wrong = _wrong(one, found)
        is_lost = wrong == "lost" and not forgiving
        verdict.lost += is_lost
        verdict.doubled += wrong == "doubled"
        if is_lost or wrong == "doubled":
            verdict.notes.append(f"{name}: the edit {one.mark} ({one.outcome}) is {wrong}")
        for entry in found:
            if entry.took_effect:
                before = newest.get(entry.document, 0)
                verdict.out_of_order += entry.version < before
                newest[entry.document] = max(before, entry.version)
    return verdict


def _wrong(told: Told, found: Sequence[Entry]) -> str | None:
    if len(found) > 1:
        return "doubled"
    if not found:
        return "lost"
    # The answer is unknown if it arrived while the client was being restarted.
    is_taken = told.outcome in ("applied", "settled")
    return "lost" if is_taken and not found[0].took_effect else None


async def stored_documents(ledger: Ledger) -> dict[tuple[str, str], bytes]:
    """The value of each document, in the canonical form of RFC 8785."""
    rows = await ledger.fetch("SELECT channel, key, value FROM documents WHERE value IS NOT NULL")
    return {
        (str(channel), str(key)): canonical(msgspec.json.decode(str(value)))
        for channel, key, value in rows
    }


async def read_history(ledger: Ledger) -> list[Entry]:
    """All entries with a mark, ordered by version."""
    rows = await ledger.fetch(
        "SELECT entry, channel, key, version, took_effect FROM document_history"
        " ORDER BY channel, key, version"
    )
    entries = []
    for entry, channel, key, version, took_effect in rows:
        metadata: dict[str, Any] = msgspec.json.decode(str(entry)).get("metadata") or {}
        if "mark" in metadata:
            place = str(channel), str(key)
            entries.append(Entry(metadata["mark"], place, int(str(version)), took_effect is True))
    return entries
