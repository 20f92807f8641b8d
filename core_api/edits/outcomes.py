"""The outcome of an edit as its client gets it. Pure."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from client_sdk.contract.digest import canonical
from client_sdk.contract.limits import MAX_SHOWN_VALUE_BYTES
from client_sdk.contract.state.edit import (
    Conflict,
    Edit,
    EditOutcome,
    UnreadableEdit,
    decode_outcome,
    edit_fingerprint,
)
from core_api.documents.kept_versions import Head
from core_api.documents.settling import Settlement
from core_api.edits.requests import refused
from core_api.edits.what_was_read import KeptAnswer
from core_api.errors import EditMismatchError

FORGOTTEN: Final = "forgotten"
"""The outcome of a settled edit whose client has confirmed that it has the answer."""


def repeated(edit: Edit | UnreadableEdit, kept: KeptAnswer | None) -> EditOutcome:
    """The stored answer of an edit that was settled before, marked as repeated.

    Raises:
        EditMismatchError: it had different content then.
    """
    if kept is None:
        return EditOutcome(edit.n, FORGOTTEN, repeated=True)
    if kept.request_hash != fingerprint(edit):
        raise EditMismatchError(
            f"edit {edit.n} was settled with other content: send pending edits with a new client id"
        )
    return replace(decode_outcome(kept.outcome), repeated=True)


def fingerprint(edit: Edit | UnreadableEdit) -> bytes:
    """A hash that distinguishes the edit from another one with the same number."""
    return edit.fingerprint if isinstance(edit, UnreadableEdit) else edit_fingerprint(edit)


def outcome_of(settlement: Settlement, before: Head, content: bytes) -> EditOutcome:
    """The answer of one settled edit; with the value where the client cannot know it.

    Args:
        settlement: what became of it.
        before: the document before it.
        content: its value after it, in the form of RFC 8785.
    """
    refusal = settlement.refusal
    if refusal is not None:
        return replace(
            refused(settlement.n, refusal.slug, refusal.detail, refusal.pointer),
            version=before.version or None,
            conflict=None if refusal.conflict is None else _bounded(refusal.conflict),
        )
    is_told = settlement.outcome != "applied" and len(content) <= MAX_SHOWN_VALUE_BYTES
    return EditOutcome(
        settlement.n,
        settlement.outcome,
        version=settlement.head.version or None,
        value=settlement.head.value if is_told else UNSET,
        strategy=settlement.strategy,
        aside=list(settlement.aside),
    )


def _bounded(conflict: Conflict) -> Conflict:
    """The conflict without values that are too large for an answer: the client fetches those."""
    return Conflict(
        conflict.version,
        *(
            UNSET if value is UNSET or len(canonical(value)) > MAX_SHOWN_VALUE_BYTES else value
            for value in (conflict.current, conflict.base, conflict.own)
        ),
    )
