"""A small Core for documents in tests: a log per channel, edits settled once, answers stored.

The document's key decides how a concurrent edit is settled: `first…` and `ask…` refuse it, `last…`
sets it aside, any other applies it to the newest value.
"""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET

from client_sdk.contract.digest import EMPTY, format_content_digest
from client_sdk.contract.errors import StateError
from client_sdk.contract.problem import Problem
from client_sdk.contract.state.digest import document_hash
from client_sdk.contract.state.document import Document, DocumentEvent, EditName
from client_sdk.contract.state.edit import (
    Conflict,
    Edit,
    EditBatch,
    EditOutcome,
    OwnEdit,
    decode_edits,
    edit_fingerprint,
)
from client_sdk.contract.state.operations import Call, apply
from client_sdk.contract.state.patch import diff
from client_sdk.contract.state.pointer import MISSING
from client_sdk.contract.state.values import Value
from client_sdk.machine.sequencing import DocumentReset

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass
class ClientLog:
    """What Core knows of one client."""

    settled: int = 0
    outcomes: dict[int, EditOutcome] = field(default_factory=dict)
    fingerprints: dict[int, bytes] = field(default_factory=dict)
    results: dict[int, int | None] = field(default_factory=dict)
    """The version that each edit's number made; None: the edit was refused."""


@dataclass
class State:
    """What a backup of Core contains."""

    events: dict[str, list[DocumentEvent]] = field(default_factory=dict)
    values: dict[tuple[str, str], list[Value | None]] = field(default_factory=dict)
    clients: dict[str, ClientLog] = field(default_factory=dict)


class CoreModel:
    """Core as a client sees it.

    Args:
        large: values with more JSON characters than this are left out of events and snapshots.
    """

    def __init__(self, large: int = 10**9) -> None:
        self.epoch = "E1"
        self.state = State()
        self.large = large
        self.requests: list[EditBatch] = []
        self._backup = deepcopy(self.state)

    # ── edits ────────────────────────────────────────────────────────────────

    def post(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """`POST /v1/edits`: status and answer."""
        batch = decode_edits(body)
        self.requests.append(batch)
        client = self.state.clients.setdefault(batch.client, ClientLog())
        edits = [edit for edit in batch.edits if isinstance(edit, Edit)]
        is_of_another_log = batch.epoch not in (None, self.epoch)
        if is_of_another_log or (edits and edits[0].n > client.settled + 1):
            return 409, _problem("edit-gap", settled=client.settled)
        for edit in edits:
            known = client.fingerprints.get(edit.n)
            if known is not None and known != edit_fingerprint(edit):
                return 409, _problem("edit-mismatch")
        outcomes = [self._settle(batch.client, client, edit) for edit in edits]
        for n in [n for n in client.outcomes if n <= batch.answered]:
            del client.outcomes[n]
        told = [json.loads(msgspec.json.encode(outcome)) for outcome in outcomes]
        return 200, {"settled": client.settled, "outcomes": told}

    def settled(self, client: str) -> int:
        """`GET /v1/edits`: how far the client's edits are settled."""
        return self.state.clients.get(client, ClientLog()).settled

    def _settle(self, name: str, client: ClientLog, edit: Edit) -> EditOutcome:
        if edit.n <= client.settled:
            # The answer was deleted when the client confirmed it, so asking again is a mistake.
            return msgspec.structs.replace(client.outcomes[edit.n], repeated=True)
        outcome, result = self._decided(name, client, edit)
        client.settled = edit.n
        client.outcomes[edit.n] = outcome
        client.fingerprints[edit.n] = edit_fingerprint(edit)
        client.results[edit.n] = result
        return outcome

    def _decided(self, name: str, client: ClientLog, edit: Edit) -> tuple[EditOutcome, int | None]:
        key = edit.channel, edit.key
        versions = self.state.values.setdefault(key, [None])
        head, current = len(versions) - 1, versions[-1]
        base: int | None
        if isinstance(edit.base, OwnEdit):
            base = client.results[edit.base.n]
            if base is None:
                return _refused(edit, head, "depends"), None
        else:
            base = edit.base
        if base is not None and base > head:
            return _refused(edit, head, "base-ahead"), None
        if base != head and edit.key.startswith("last"):
            return EditOutcome(edit.n, "put-aside", head, strategy="last"), base or 0
        if base != head and edit.key.startswith(("first", "ask")):
            conflict = Conflict(head, current)
            if edit.key.startswith("ask"):
                before = UNSET if base is None else versions[base]
                own = UNSET if before is UNSET else _applied(edit, before)
                conflict = Conflict(head, current, before, own)
            return _refused(edit, head, "edit-conflict", conflict), None
        value = _applied(edit, current)
        if value is UNSET:
            return _refused(edit, head, "patch-failed"), None
        if value == current:
            return EditOutcome(edit.n, "applied", head), head
        self.write(edit.channel, edit.key, value, EditName(name, edit.n))
        return EditOutcome(edit.n, "applied", head + 1), head + 1

    # ── the log ──────────────────────────────────────────────────────────────

    def write(
        self, channel: str, key: str, value: Value | None, edit: EditName | None = None
    ) -> DocumentEvent:
        """Add a version."""
        versions = self.state.values.setdefault((channel, key), [None])
        before = versions[-1]
        versions.append(value)
        log = self.state.events.setdefault(channel, [])
        large = self._is_large(value)
        changes = diff(MISSING if before is None else before, MISSING if value is None else value)
        event = DocumentEvent(
            f"{channel}@{len(log) + 1}",
            len(log) + 1,
            "document.changed",
            NOW,
            key,
            len(versions) - 1,
            "delete" if value is None else "create" if before is None else "update",
            1,
            "somebody",
            edit=edit,
            diff=UNSET if self._is_large(changes) else changes,
            data=UNSET if large else value,
        )
        log.append(event)
        return event

    def value(self, channel: str, key: str) -> Value | None:
        """The newest value."""
        return self.state.values.get((channel, key), [None])[-1]

    def head(self, channel: str) -> int:
        """The channel's newest seq."""
        return len(self.state.events.get(channel, []))

    def event(self, channel: str, seq: int) -> DocumentEvent:
        """One event."""
        return self.state.events[channel][seq - 1]

    def document(self, channel: str, key: str, version: int | None = None) -> Document | None:
        """`GET /v1/documents`."""
        versions = self.state.values.get((channel, key), [None])
        at = len(versions) - 1 if version is None else version
        if not 1 <= at < len(versions):
            return None
        made = [
            event.edit
            for event in self.state.events.get(channel, [])
            if (event.key, event.version) == (key, at)
        ]
        return Document(channel, key, at, 1, NOW, "somebody", versions[at], *made)

    def snapshot(self, channel: str, reason: str) -> DocumentReset:
        """The existing documents, at the head."""
        found = []
        for (of, key), versions in sorted(self.state.values.items()):
            if of == channel and versions[-1] is not None:
                document = self.document(channel, key)
                assert document is not None
                if self._is_large(versions[-1]):
                    document = msgspec.structs.replace(document, value=UNSET)
                found.append(document)
        return DocumentReset(channel, reason, self.head(channel), tuple(found))

    def digest(self, channel: str) -> str:
        """The channel's content digest at its head."""
        total = EMPTY
        for (of, key), versions in self.state.values.items():
            if of == channel:
                total ^= document_hash(key, len(versions) - 1, versions[-1])
        return format_content_digest(total)

    def back_up(self) -> None:
        """Back up the current state."""
        self._backup = deepcopy(self.state)

    def restore(self) -> None:
        """Restore the backup, which starts another log."""
        self.state = deepcopy(self._backup)
        self.epoch = f"E{int(self.epoch[1:]) + 1}"

    def _is_large(self, value: object) -> bool:
        return len(json.dumps(value)) > self.large


def _applied(edit: Edit, value: Value | None) -> Any:
    if isinstance(edit.do, Call):
        return UNSET
    try:
        return apply(edit.do, value)
    except StateError:
        return UNSET


def _refused(edit: Edit, version: int, slug: str, conflict: Conflict | None = None) -> EditOutcome:
    problem = Problem(f"urn:yabam:problem:{slug}", slug, 409)
    return EditOutcome(edit.n, "refused", version, problem=problem, conflict=conflict)


def _problem(slug: str, **fields: object) -> dict[str, Any]:
    return {"type": f"urn:yabam:problem:{slug}", "title": slug, "status": 409, **fields}
