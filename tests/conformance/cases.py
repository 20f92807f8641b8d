"""The case files as they are read: short forms filled in, and differences told so that they help.

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
"""What `json` reads and writes; the subjects know the shapes."""

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
    """What there are cases of."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def cases(of: str) -> Sequence[Json]:
    """The cases of one file, filled in; whatever is told in pieces also byte by byte.

    They are made once and shared: nobody may change one.
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
    """The value as it looks after a journey as JSON: tuples are lists."""
    return json.loads(json.dumps(value))


def order(short: Json) -> Json:
    """An order."""
    return ORDER | short


def event(short: Json) -> Json:
    """An event of a channel."""
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
    """One channel's part of an answer of Fetch Sync."""
    channel = short.get("channel", "store:12")
    # What has a key is an event of a document, and stands there in full.
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
    """An answer of Fetch Sync."""
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
    """Where the two differ, line by line; empty: nowhere."""
    if expected == actual:
        return ""
    one, other = (
        json.dumps(_plain(value), indent=1, sort_keys=True, ensure_ascii=False).splitlines()
        for value in (expected, actual)
    )
    return "\n".join(difflib.unified_diff(one, other, "expected", "actual", lineterm="", n=8))


def _plain(value: Json) -> Json:
    """The value with 7.0 as 7: JavaScript knows one kind of number."""
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
    """The response with what the case puts `to` the place `at`, or without the place `without`."""
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
    """The pages; of one with `times` so many, numbered where its text says `{n}`."""
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
