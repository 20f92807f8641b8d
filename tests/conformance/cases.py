"""Reads the case files, expands their short forms, and shows differences.

Short forms, so that a case shows what it is about:
    order     {"id": "a", …}                  the rest as in ORDER
    event     {"seq": 1, "order": {…}, …}     of `store:12` unless `channel` says otherwise
    answer    {"events": […], …}              one channel's part of a sync; head: where it ends
    response  {"channels": [answer, …], …}    the answer of Fetch Sync, with a stream
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

Json = Any
"""Any value that `json` reads and writes."""

FOLDER: Final = Path(__file__).parent
TIME: Final = "2026-11-21T12:00:00Z"
ORDER: Final[dict[str, Json]] = {
    "id": "a",
    "store_id": "12",
    "table_id": "5",
    "status": "placed",
    "version": 1,
    "currency": "KRW",
    "items": [{"name": "Bibimbap", "quantity": 1, "unit_price": 9500, "note": ""}],
    "total": 9500,
    "note": "",
    "reference": None,
    "reason": None,
    "created_at": TIME,
    "updated_at": TIME,
}
STREAM: Final = {"url": "https://events.example/v1/stream", "ticket": "t", "expires_in": 30}


def files() -> list[str]:
    """The names of all case files."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def cases(of: str) -> Sequence[Json]:
    """The cases of one file, without short forms; cases with pieces of bytes also byte by byte.

    They are made once and shared, so they must not be changed.
    """
    return _filled(of)


@cache
def _filled(of: str) -> tuple[Json, ...]:
    return tuple(_of_file(of))


def _of_file(of: str) -> Iterator[Json]:
    for case in json.loads((FOLDER / f"{of}.json").read_text())["cases"]:
        yield filled(of, case)
        if of == "sse" and "repeat" not in json.dumps(case["bytes"]):
            pieces = [f"{byte:02x}" for byte in bytes.fromhex("".join(filled(of, case)["bytes"]))]
            yield case | {"name": f"{case['name']}, byte by byte", "bytes": pieces}


def filled(of: str, case: Json) -> Json:
    """The case without short forms."""
    match of:
        case "sse":
            return case | {"bytes": [_hex(piece) for piece in case["bytes"]]}
        case "answers":
            return case | {"response": _changed(response(case["response"]), case)}
        case "signals" if "order_event" in case:
            return case | {"data": json.dumps(event(case["order_event"]))}
        case "paging":
            return {"sizes": [1000, 1000]} | case | {"pages": list(_pages(case["pages"]))}
        case "merge":
            return case | {"answer": answer(case["answer"])}
        case "book":
            return case | {"steps": [_book_step(step) for step in case["steps"]]}
        case "machine" | "wake":
            return case | {
                "steps": [step | {"input": _input(step["input"])} for step in case["steps"]]
            }
    return case


def as_told(value: Json) -> Json:
    """The value after encoding and decoding as JSON: tuples become lists."""
    return json.loads(json.dumps(value))


def order(short: Json) -> Json:
    """An order, from its short form."""
    return ORDER | short


def event(short: Json) -> Json:
    """An event of a channel, from its short form."""
    data = order(short.get("order", {"id": f"order-{short['seq']}"}))
    return {
        "id": short.get("id", f"{short.get('channel', 'store:12')}@{short['seq']}"),
        "seq": short["seq"],
        "type": f"order.{data['status']}",
        "occurred_at": TIME,
        "order_id": data["id"],
        "order_version": data["version"],
        "data": data,
    }


def answer(short: Json) -> Json:
    """One channel's part of an answer of Fetch Sync, from its short form."""
    channel = short.get("channel", "store:12")
    # An event with a key is of a document, and has no short form.
    events = [
        one if "key" in one else event({"channel": channel} | one)
        for one in short.get("events", [])
    ]
    snapshot = short.get("snapshot")
    if snapshot is not None:
        snapshot = {"next": None} | snapshot
        if "orders" in snapshot:
            snapshot["orders"] = [order(one) for one in snapshot["orders"]]
    end = events[-1]["seq"] if events else snapshot["head"] if snapshot else 0
    known = {"head": end, "digest": "0" * 16, "reset": None, "has_more": False}
    return known | short | {"channel": channel, "events": events, "snapshot": snapshot}


def response(short: Json) -> Json:
    """An answer of Fetch Sync, from its short form."""
    channels = [answer(one) for one in short.get("channels", [])]
    known = {
        "epoch": "E1",
        "server_time": TIME,
        "cursor": "",
        "has_more": any(one["has_more"] for one in channels),
        "stream": STREAM,
        "poll_after_ms": 3000,
    }
    return known | short | {"channels": channels}


def difference(expected: Json, actual: Json) -> str:
    """A diff of the two values; empty: they are equal."""
    if expected == actual:
        return ""
    one, other = (
        json.dumps(_plain(value), indent=1, sort_keys=True, ensure_ascii=False).splitlines()
        for value in (expected, actual)
    )
    return "\n".join(difflib.unified_diff(one, other, "expected", "actual", lineterm="", n=8))


def _plain(value: Json) -> Json:
    """The value with 7.0 as 7, as JavaScript has only one kind of number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value


def _hex(piece: Json) -> str:
    if isinstance(piece, list):
        return "".join(_hex(part) for part in piece)
    if isinstance(piece, str):
        return piece.encode().hex()
    if "repeat" in piece:
        text, times = piece["repeat"]
        return str((text * times).encode().hex())
    return str(piece["hex"])


def _changed(whole: Json, case: Json) -> Json:
    """The response with the case's value `to` at the path `at`, or without the path `without`."""
    whole = json.loads(json.dumps(whole))
    *path, last = case.get("at") or case.get("without") or [None]
    if last is None:
        return whole
    place = whole
    for key in path:
        place = place[key]
    if "at" in case:
        place[last] = case["to"]
    else:
        del place[last]
    return whole


def _pages(short: Json) -> Iterator[Json]:
    """The pages. One with `times` is repeated, with `{n}` in its text replaced by the number."""
    for one in short:
        text = json.dumps({key: value for key, value in one.items() if key != "times"})
        for n in range(one.get("times", 1)):
            yield response(json.loads(text.replace("{n}", str(n))))


def _book_step(step: Json) -> Json:
    if "apply" in step:
        return {"apply": event(step["apply"])}
    return step | {"orders": [order(one) for one in step["orders"]]}


def _input(short: Json) -> Json:
    if "response" in short:
        return short | {"response": response(short["response"])}
    if "event" in short:
        return short | {"event": event(short["event"])}
    return short
