"""Runs cases with the Python SDK; the results have the form of a case's `expect`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Final

import msgspec

from client_sdk.client.order_book import BookChange, OrderBook
from client_sdk.contract.channel import parse_channel, parse_event_id
from client_sdk.contract.cursor import format_cursor, parse_cursor
from client_sdk.contract.digest import (
    EMPTY,
    canonical,
    format_content_digest,
    format_digest,
    order_hash,
)
from client_sdk.contract.errors import ContractError, PatchError, StateValueError
from client_sdk.contract.order import Order, decode_event
from client_sdk.contract.sse import SseEvent, SseParser
from client_sdk.contract.state.digest import document_hash
from client_sdk.contract.state.merge_patch import merge_patch
from client_sdk.contract.state.operations import Call, apply, decode_operation
from client_sdk.contract.state.patch import apply_patch, diff
from client_sdk.contract.state.pointer import MISSING, get, parse_pointer
from client_sdk.contract.state.sync import decode_mixed_sync
from client_sdk.contract.state.values import check_document
from client_sdk.contract.sync import ChannelSync, SyncResponse, decode_sync
from client_sdk.machine.messages import Failure
from client_sdk.machine.sequencing import Change, Positions, Reset, changes_of
from client_sdk.machine.snapshot_pages import Assembly
from client_sdk.transport.http_failures import refusal
from client_sdk.transport.stream_events import input_of
from tests.conformance import cases
from tests.conformance.cases import Json
from tests.conformance.commands_subject import answer_commands
from tests.conformance.machine_subject import answer_machine
from tests.conformance.state_subject import answer_state

REFUSED: Final = {"refused": True}
ABSENT: Final = {"absent": True}
"""Stands for an absent value in a case, as null is a value."""
_REST: Final = (
    '"id":"store:12@1","seq":1,"type":"order.placed","occurred_at":"2026-11-21T12:00:00Z",'
    '"order_id":"a","order_version":1'
)


def answer(of: str, case: Json) -> Json:
    """The SDK's result of a case of the file `of`."""
    try:
        return cases.as_told(_SUBJECTS[of](case))
    except (ContractError, msgspec.DecodeError, ValueError):
        return REFUSED


def change_of(change: Change) -> Json:
    """A change, in the form of a case."""
    if isinstance(change, Reset):
        return {
            "reset": change.reason,
            "channel": change.channel,
            "head": change.head,
            "orders": [[order.id, order.version] for order in change.orders],
        }
    return {"event": change.id, "order": [change.order_id, change.order_version]}


def failure_of(failure: Failure) -> Json:
    """A failure, in the form of a case."""
    return {"kind": failure.kind, "detail": failure.detail, "retry_after": failure.retry_after}


def _sse(case: Json) -> Json:
    parser = SseParser()
    events = [event for piece in case["bytes"] for event in parser.feed(bytes.fromhex(piece))]
    told = [[event.type, event.data, event.last_event_id] for event in events]
    return {"events": told, "retry": parser.reconnection_time_ms}


def _names(case: Json) -> Json:
    match case["what"]:
        case "channel":
            channel = parse_channel(case["text"])
            return {
                "kind": channel.kind,
                "root": channel.root,
                "part": channel.part,
                "store": channel.store_id,
                "table": channel.table_id,
                "carries": channel.carries,
            }
        case "event id":
            return parse_event_id(case["text"])
        case "cursor":
            return parse_cursor(case["text"])
    return format_cursor(case["cursor"])


def _digest(case: Json) -> Json:
    digest = EMPTY
    for order_id, version in case["orders"]:
        digest ^= order_hash(order_id, version)
    return format_digest(digest)


def _content(case: Json) -> Json:
    if "text" in case:
        return canonical(json.loads(case["text"])).decode()
    digest = EMPTY
    for text in case["orders"]:
        content = decode_event(f'{{"data":{text},{_REST}}}').data.content
        if content is None:
            return None
        digest ^= content
    return format_content_digest(digest)


def _answers(case: Json) -> Json:
    decode_mixed_sync(json.dumps(case["response"]).encode())
    return "taken"


def _signals(case: Json) -> Json:
    signal = input_of(7, SseEvent(case["type"], case["data"], ""))
    if signal is None:
        return None
    told: dict[str, Json] = {"type": type(signal).__name__}
    for key, value in asdict(signal).items():
        if isinstance(value, datetime):
            told[key] = value.timestamp()
        elif key == "event":
            told[key] = signal.event.id  # type: ignore[union-attr]
        else:
            told[key] = value
    return told


def _refusals(case: Json) -> Json:
    body = case["body"]
    text = body if isinstance(body, str) else json.dumps(body)
    status, phrase, headers = case["status"], case["phrase"], case["headers"]
    return failure_of(refusal(status, phrase, headers, text.encode(), case["unauthorized"]))


def _paging(case: Json) -> Json:
    answer, *pages = (msgspec.convert(one, SyncResponse) for one in case["pages"])
    size, *sizes = case["sizes"]
    assembly = Assembly(answer, size)
    for n, page in enumerate(pages):
        if assembly.next is None:
            break
        assembly.add(page, sizes[n % len(sizes)])
    whole = assembly.answer
    channels = [
        {
            "channel": one.channel,
            "head": one.head,
            "reset": one.reset,
            "orders": [order.id for order in one.snapshot.orders] if one.snapshot else None,
            "events": [event.id for event in one.events],
        }
        for one in whole.channels
    ]
    return {"next": assembly.next, "has_more": whole.has_more, "channels": channels}


def _merge(case: Json) -> Json:
    positions = Positions(case["positions"])
    changes, sound = changes_of(positions, msgspec.convert(case["answer"], ChannelSync))
    told = [change_of(change) for change in changes]
    return {"changes": told, "sound": sound, "positions": positions.all}


def _pointers(case: Json) -> Json:
    path = parse_pointer(case["pointer"])
    found = get(case["value"], path)
    return {"path": path, "found": ABSENT if found is MISSING else found}


def _values(case: Json) -> Json:
    try:
        check_document(case["value"])
    except StateValueError as error:
        return {"pointer": error.pointer}
    return "taken"


def _documents(case: Json) -> Json:
    digest = EMPTY
    for key, version, value in case["documents"]:
        digest ^= document_hash(key, version, value)
    return format_content_digest(digest)


def _patches(case: Json) -> Json:
    try:
        result = apply_patch(_or_missing(case["value"]), case["patch"])
    except PatchError as error:
        return {"fails at": error.index}
    return ABSENT if result is MISSING else result


def _operations(case: Json) -> Json:
    operation = decode_operation(case["do"])
    assert not isinstance(operation, Call)
    return apply(operation, case["value"])


def _or_missing(value: Json) -> Json:
    return MISSING if value == ABSENT else value


def _book(case: Json) -> Json:
    book = OrderBook()
    seen: list[BookChange] = []
    book.observe(seen.append)
    steps = []
    for step in case["steps"]:
        if "apply" in step:
            book.apply(decode_event(json.dumps(step["apply"])))
        else:
            book.replace(step["replace"], _orders(step["orders"]))
        steps.append([[c.kind, c.channel, c.order_id, _version(c.order)] for c in seen])
        seen.clear()
    channels = case["channels"]
    return {
        "steps": steps,
        "orders": [_order(order) for order in book],
        "found": [_order(found) for order in book if (found := book.get(order.id)) is not None],
        "in": {name: [_order(order) for order in book.in_channel(name)] for name in channels},
        "digests": {name: format_digest(book.digest(name)) for name in channels},
        "contents": {name: _shown(book.content_digest(name)) for name in channels},
    }


def _orders(orders: Json) -> list[Order]:
    """The orders of a snapshot, decoded as from an answer of Core."""
    one = cases.answer({"reset": "first_sync", "snapshot": {"head": 1, "orders": orders}})
    answer = decode_sync(json.dumps(cases.response({"channels": [one]})).encode())
    snapshot = answer.channels[0].snapshot
    assert snapshot is not None
    return snapshot.orders


def _shown(content: int | None) -> str | None:
    return None if content is None else format_content_digest(content)


def _version(order: Order | None) -> int | None:
    return None if order is None else order.version


def _order(order: Order) -> Json:
    return [order.id, order.version, order.status, order.note]


_SUBJECTS: Final[dict[str, Callable[[Json], Json]]] = {
    "answers": _answers,
    "book": _book,
    "commands": answer_commands,
    "content": _content,
    "diffs": lambda case: diff(_or_missing(case["before"]), _or_missing(case["after"])),
    "digest": _digest,
    "document_digests": _documents,
    "machine": lambda case: answer_machine(case, change_of, failure_of),
    "merge": _merge,
    "merge_patches": lambda case: merge_patch(case["target"], case["patch"]),
    "names": _names,
    "operations": _operations,
    "paging": _paging,
    "patches": _patches,
    "pointers": _pointers,
    "refusals": _refusals,
    "signals": _signals,
    "sse": _sse,
    "state": answer_state,
    "values": _values,
}
