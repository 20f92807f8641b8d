"""Editors lose their network for a while, go on editing, and reconnect."""

from __future__ import annotations

from tests.chaos.runner import Field, NotInjectedError, Scenario


async def _offline(ground: Field) -> str:
    editors = ground.editors.all
    for editor in editors:
        editor.network.take_away()
    await ground.last(15)
    waiting = sum(editor.client.state.waiting for editor in editors)
    if not waiting:
        raise NotInjectedError("edits are made without a network")
    # Half of them are restarted while they are offline: their queues are on disk.
    again = editors[::2]
    for editor in again:
        await editor.restart()
    await ground.last(5)
    ground.chance.shuffle(editors)
    for editor in editors:
        editor.network.give_back()
        await ground.last(1)
    return f"{waiting} edits of {len(editors)} clients waited; {len(again)} were started anew"


SCENARIOS = [
    Scenario(
        "offline-edits",
        "terminals and phones edit without a network for 20 s, half of them are started anew",
        _offline,
    )
]
