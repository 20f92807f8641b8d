"""The transition table: for each state and input the rule of `machine.py` that answers.

It is total: a test holds that every state meets every input here. A dash means that the input says
nothing in that state: it is of something that is over, or cannot come.
"""

from __future__ import annotations

from typing import Final, get_args

from client_sdk.machine.messages import Input, State

IGNORE: Final = "-"

_ROWS: Final = """
                    IDLE     SYNCING          CONNECTING       LIVE           POLLING          CLOSED FAILED
Start               start    -                -                -              -                -      -
SyncDone            -        sync_done        -                -              sync_done        -      -
SyncFailed          -        sync_failed      -                -              sync_failed      -      -
StreamHello         -        -                hello            -              hello            -      -
StreamEvent         -        -                -                event          event            -      -
StreamHeartbeat     -        -                -                heartbeat      heartbeat        -      -
StreamSyncRequired  -        -                sync_required    sync_required  sync_required    -      -
StreamBye           -        -                bye              bye            bye              -      -
StreamEnded         -        -                ended            ended          ended            -      -
Tick                -        tick             tick             tick           tick             -      -
Acknowledged        -        acknowledged     acknowledged     acknowledged   acknowledged     -      -
Diverged            -        diverge          diverge          diverge        diverge          -      -
GiveUp              give_up  give_up          give_up          give_up        give_up          -      -
Close               close    close            close            close          close            -      close
"""  # noqa: E501


def _read(rows: str) -> dict[tuple[State, type[Input]], str]:
    inputs = {signal.__name__: signal for signal in get_args(Input)}
    head, *lines = rows.strip("\n").splitlines()
    states = [State[name] for name in head.split()]
    return {
        (state, inputs[name]): rule
        for name, *rules in map(str.split, lines)
        for state, rule in zip(states, rules, strict=True)
    }


TABLE: Final = _read(_ROWS)
"""The rule for each state and input, by name; `IGNORE` for none."""
