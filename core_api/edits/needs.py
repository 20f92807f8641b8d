"""What has to be read before edits can be settled, beside their documents. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from client_sdk.contract.json_decoding import decode
from client_sdk.contract.state.edit import Edit, OwnEdit
from core_api.documents.basis import OwnResult
from core_api.documents.kept_versions import History
from core_api.edits.requests import EditRequest
from core_api.edits.what_was_read import DocumentName, KeptAnswer, KnownState

_STEP_BYTES: Final = 64
"""About what a change of one path has in the history."""

_result_decoder: Final = msgspec.json.Decoder(OwnResult)


def answers_needed(requests: Sequence[EditRequest], state: KnownState) -> list[tuple[str, int]]:
    """The earlier edits whose answers are needed: those sent again, or that an edit is made on."""
    needed = set()
    for request in requests:
        settled = _settled(state, request.client)
        for edit in request.batch.edits:
            if edit.n <= settled:
                needed.add((request.client, edit.n))
            elif isinstance(edit, Edit) and isinstance(edit.base, OwnEdit):
                needed.add((request.client, edit.base.n))
    return sorted(needed)


def histories_needed(
    requests: Sequence[EditRequest],
    state: KnownState,
    answers: Mapping[tuple[str, int], KeptAnswer],
) -> dict[DocumentName, int]:
    """The documents whose history is needed, each with the lowest version that an edit is made on.

    A document needs none if each of its edits is made on its newest version or names no version.

    Args:
        requests: whose edits are to be settled.
        state: their documents and clients, as they were read.
        answers: the stored answers of edits that these are made on, by client and number.
    """
    lowest: dict[DocumentName, int] = {}
    for request in requests:
        settled = _settled(state, request.client)
        for edit in request.batch.edits:
            if not isinstance(edit, Edit) or edit.n <= settled:
                continue
            name = (edit.channel, edit.key)
            head = state.heads.get(name)
            if head is None or head.version == 0:
                continue
            base = _base_of(request.client, edit, settled, answers)
            # A version that does not exist has no history: the edit is refused, or its base is made
            # by another one of these requests.
            if base is not None and base < head.version:
                lowest[name] = min(base, lowest.get(name, base))
    return lowest


def work_of(
    requests: Sequence[EditRequest],
    state: KnownState,
    histories: Mapping[DocumentName, History],
) -> int:
    """About how many bytes are processed to settle these requests.

    Args:
        requests: whose edits are to be settled; each edit counts with its whole document.
        state: their documents and clients, as they were read.
        histories: what was read of the documents' histories.
    """
    documents = sum(
        state.sizes.get((edit.channel, edit.key), 0)
        for request in requests
        for edit in request.batch.edits
        if isinstance(edit, Edit)
    )
    steps = sum(history.steps for history in histories.values())
    return documents + steps * _STEP_BYTES + sum(request.size for request in requests)


def _base_of(
    client: str, edit: Edit, settled: int, answers: Mapping[tuple[str, int], KeptAnswer]
) -> int | None:
    if not isinstance(edit.base, OwnEdit):
        return edit.base
    if edit.base.n > settled:
        return None
    kept = answers.get((client, edit.base.n))
    result = result_of(kept, (edit.channel, edit.key))
    if result is None:
        return None
    return result.version if result.plain else result.base


def _settled(state: KnownState, client: str) -> int:
    known = state.clients.get(client)
    return 0 if known is None else known.settled


def result_of(kept: KeptAnswer | None, name: DocumentName) -> OwnResult | None:
    """The part that an edit made on this one needs.

    Args:
        kept: the stored answer of an own edit; None: there is none.
        name: the document of the edit that is made on it.

    Returns:
        None: it was refused, is not kept, or is of another document.
    """
    if kept is None or kept.result is None:
        return None
    result = decode(_result_decoder, kept.result)
    return result if result.of in ("", " ".join(name)) else None
