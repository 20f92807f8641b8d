"""Writes the JavaScript SDK's `contract_lists.js` from the Python modules that define the lists.

python -m deploy.contract_lists
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from textwrap import fill
from types import ModuleType
from typing import Any, Final, get_args

from client_sdk.client import order_book
from client_sdk.client.order_book import ChangeKind
from client_sdk.contract import device, limits, stream, sync
from client_sdk.contract.channel import KINDS
from client_sdk.contract.device import DeviceMode
from client_sdk.contract.order import CLOSED_STATUSES, ENDED_EARLY, STATUSES
from client_sdk.contract.problem import TITLES
from client_sdk.contract.sse import MAX_EVENT_BYTES
from client_sdk.contract.state.edit import Outcome
from client_sdk.contract.stream import ByeReason
from client_sdk.contract.sync import ResetReason
from client_sdk.machine import (
    actions,
    backoff,
    freshness,
    healing_backoff,
    sse_or_websocket,
    sync_connect_or_poll,
)
from client_sdk.machine.messages import FailureKind, State
from client_sdk.machine.sse_or_websocket import Via
from client_sdk.machine.status import Mode
from client_sdk.settings import Settings
from client_sdk.state.orders import commands
from client_sdk.state.orders.commands import CommandKind
from client_sdk.transport import http_failures
from core_api.printing.jobs import JobState

TARGET: Final = Path("client_sdk/javascript/contract/contract_lists.js")
_HEAD: Final = """\
// The lists and limits that Python and JavaScript both hold. Pure.
//
// Made by `make lists` from the Python modules named below; do not edit it by hand.
"""
_LISTS: Final[tuple[tuple[str, str, Iterable[str]], ...]] = (
    ("STATUSES", "The statuses that this version knows: contract/order.py.", STATUSES),
    (
        "CLOSED_STATUSES",
        "An order in one of these is over: contract/order.py.",
        [status for status in STATUSES if status in CLOSED_STATUSES],
    ),
    (
        "ENDED_EARLY",
        "An order in one of these was not carried out to its end: contract/order.py.",
        [status for status in STATUSES if status in ENDED_EARLY],
    ),
    ("DEVICE_MODES", "How a device receives events: contract/device.py.", get_args(DeviceMode)),
    ("PROBLEMS", "The problems that servers answer: contract/problem.py.", TITLES),
    ("JOB_STATES", "How a print job stands: core_api/printing/jobs.py.", get_args(JobState)),
)
_TYPES: Final[tuple[tuple[str, str, Iterable[Any]], ...]] = (
    ("State", "machine/messages.py", [state.value for state in State]),
    ("FailureKind", "machine/messages.py", get_args(FailureKind)),
    ("Mode", "machine/status.py", get_args(Mode)),
    ("Via", "machine/sse_or_websocket.py", get_args(Via)),
    (
        "StreamEventName",
        "contract/stream.py",
        [stream.HELLO, stream.HEARTBEAT, stream.SYNC_REQUIRED, stream.BYE],
    ),
    ("ByeReason", "contract/stream.py", get_args(ByeReason)),
    ("ResetReason", "contract/sync.py", get_args(ResetReason)),
    ("Outcome", "contract/state/edit.py", get_args(Outcome)),
    ("CommandKind", "state/orders/commands.py", get_args(CommandKind)),
    ("ChangeKind", "client/order_book.py", get_args(ChangeKind)),
)
"""Types for JavaScript's type checker: a misspelt value then fails `make types`."""
_LIMITS: Final[tuple[tuple[ModuleType, Mapping[str, str]], ...]] = (
    (
        device,
        {
            "MAX_SEEN_ORDERS": "The most orders that one report says are shown",
            "RECEIPTS_EVERY_S": "How long a device collects receipts for one report, in seconds",
        },
    ),
    (sync, {"MAX_ORDERS": "The most orders of one page of a snapshot"}),
    (
        limits,
        {
            "MAX_SYNC_BYTES": "The longest answer of Fetch Sync",
            "MAX_TICKET_CHARS": "The longest ticket",
            "MAX_URL_CHARS": "The longest address of a stream",
            "MAX_NEXT_CHARS": "The longest `next` of a snapshot",
            "MAX_VALUE_BYTES": "The largest value of a document",
            "MAX_VALUE_DEPTH": "How deep a document may be nested",
            "MAX_EDIT_BYTES": "The largest edit",
            "MAX_METADATA_BYTES": "The largest metadata",
            "MAX_EDITS": "The most edits of one request",
            "MAX_EDITS_BODY_BYTES": "The longest request of edits",
            "MAX_EDITS_ANSWER_BYTES": "The longest answer to edits, and the longest document",
            "MAX_PAGES": "The most pages of one sync",
            "MAX_ANEW": "How often the pages of a sync may start anew",
            "MAX_EMPTY_PAGES": "How many pages of a sync in a row may be empty",
            "MAX_PAGED_SYNC_BYTES": "The most bytes of one sync over all its pages",
        },
    ),
    (
        commands,
        {
            "MAX_COMMAND_BYTES": "The longest body of a command",
            "MAX_COMMANDS": "The most commands that wait",
            "MAX_COMMAND_AGE_S": "How old a command may be when it is first sent, in seconds",
            "MAX_SENT_AGE_S": "How long a command that was sent is sent again, in seconds",
        },
    ),
    (backoff, {"MAX_RESTARTS": "How often in a row channels may begin anew"}),
    (
        actions,
        {
            "LONG_POLL_GAP_S": "The longest time between a long poll with news and the next (s)",
            "LONG_FAULT": "Failed syncs in a row, after which a good one resets the stream's "
            "back-off",
        },
    ),
    (
        sync_connect_or_poll,
        {
            "LEAST_POLL_AFTER_MS": "The shortest wait between polls, whatever Core says",
            "MAX_POLL_AFTER_MS": "The longest wait between polls, whatever Core says",
            "MAX_RECONNECT_MS": "The longest that a `bye` can keep a client away",
        },
    ),
    (freshness, {"DRIFT": "The drift assumed between two clocks, as a share of time"}),
    (healing_backoff, {"MAX_HEALING_S": "The most seconds between healing snapshots"}),
    (
        sse_or_websocket,
        {"AT_ONCE_AGAIN": "After so many streams that end at once, the next is a WebSocket"},
    ),
    (
        http_failures,
        {
            "MAX_RETRY_AFTER_S": "The longest Retry-After in seconds",
            "MAX_DETAIL_CHARS": "The longest text of a failure",
        },
    ),
    (order_book, {"MAX_CLOSED": "How many closed orders a channel remembers"}),
)
"""The limits whose name is the same in both languages, by the module that defines them."""
_KINDS_COMMENT: Final = (
    "The kinds of channels: the ids in a name, and what the events are about: contract/channel.py."
)
_SETTINGS_COMMENT: Final = "The machine's numbers, times in seconds: client_sdk/settings.py."
_NOT_IN_JAVASCRIPT: Final = frozenset({"max_pending"})
"""The browser's client applies each event at once, so none is ever pending."""


def render() -> str:
    """The text of the JavaScript module."""
    parts = [_HEAD]
    for name, comment, items in _LISTS:
        told = fill(
            ", ".join(map(json.dumps, items)),
            width=100,
            initial_indent="  ",
            subsequent_indent="  ",
            break_on_hyphens=False,
        )
        parts.append(f"/** {comment} */\nexport const {name} = Object.freeze([\n{told},\n]);\n")
    kinds = "".join(_kinds())
    parts.append(f"/** {_KINDS_COMMENT} */\nexport const KINDS = Object.freeze({{\n{kinds}}});\n")
    parts.append(
        "".join(
            f"/** @typedef {{{' | '.join(map(json.dumps, words))}}} {name} {place} */\n"
            for name, place, words in _TYPES
        )
    )
    # Under another name than in Python, as JavaScript counts UTF-16 units, not bytes.
    longest = ("MAX_EVENT_LENGTH", "The longest event or line: contract/sse.py.", MAX_EVENT_BYTES)
    parts += [
        f"/** {comment} */\nexport const {name} = {_number(value)};\n"
        for name, comment, value in (*_same_names(), longest)
    ]
    defaults = Settings()
    lines = "".join(
        f"  {_camel_case(field.name)}: {_number(getattr(defaults, field.name))},\n"
        for field in fields(Settings)
        if field.name not in _NOT_IN_JAVASCRIPT
    )
    parts.append(
        f"/** {_SETTINGS_COMMENT} */\nexport const SETTINGS = Object.freeze({{\n{lines}}});\n"
    )
    parts.append("/** @typedef {{[name in keyof typeof SETTINGS]: number}} Settings */\n")
    return "\n".join(parts)


def _same_names() -> Iterable[tuple[str, str, float]]:
    for module, comments in _LIMITS:
        place = module.__name__.removeprefix("client_sdk.").replace(".", "/")
        for name, comment in comments.items():
            yield name, f"{comment}: {place}.py.", getattr(module, name)


def _kinds() -> Iterable[str]:
    for name, kind in KINDS.items():
        ids, carries = json.dumps(kind.ids), json.dumps(kind.carries)
        yield f"  {name}: Object.freeze({{ ids: {ids}, carries: {carries} }}),\n"


def _number(value: float) -> str:
    return f"{value:_}" if isinstance(value, int) else f"{value:g}"


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


if __name__ == "__main__":
    TARGET.write_text(render())
    print(f"wrote {TARGET}", file=sys.stderr)
