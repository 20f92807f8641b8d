"""Which inputs count in which states: the transition table of the machine. Pure.

What an input leads to stands in `sync_connect_or_poll.py`. The table is total: a test checks that
it has every input in every state. A dash means that the input is ignored in that state: it belongs
to something that is over, or cannot come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from client_sdk.machine.messages import Input, State

_ROWS: Final = """
                    IDLE  SYNCING  CONNECTING  LIVE  POLLING  CLOSED  FAILED
Start               x     -        -           -     -        -       -
SyncDone            -     x        -           -     x        -       -
SyncFailed          -     x        -           -     x        -       -
StreamHello         -     -        x           -     x        -       -
StreamEvent         -     -        -           x     x        -       -
StreamDocument      -     -        -           x     x        -       -
StreamHeartbeat     -     -        -           x     x        -       -
StreamSyncRequired  -     -        x           x     x        -       -
StreamBye           -     -        x           x     x        -       -
StreamEnded         -     -        x           x     x        -       -
Tick                -     x        x           x     x        -       -
Acknowledged        -     x        x           x     x        -       -
Diverged            -     x        x           x     x        -       -
GiveUp              x     x        x           x     x        -       -
Close               x     x        x           x     x        -       x
"""


def _read(rows: str) -> dict[type[Input], frozenset[State]]:
    inputs: dict[str, type[Input]] = {signal.__name__: signal for signal in get_args(Input)}
    head, *lines = rows.strip("\n").splitlines()
    states = [State[name] for name in head.split()]
    return {
        inputs[name]: frozenset(
            state for state, mark in zip(states, marks, strict=True) if mark == "x"
        )
        for name, *marks in map(str.split, lines)
    }


COUNTS: Final[Mapping[type[Input], frozenset[State]]] = _read(_ROWS)
"""The states in which each input counts; in all others it is ignored."""
