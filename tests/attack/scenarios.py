"""All attacks by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tests.attack import channels, connections, critical, inputs, stalls
from tests.attack.site import Figures, Site

Scenario = Callable[[Site, bool], Awaitable[Figures]]

SCENARIOS: Final[Mapping[str, Scenario]] = {
    "half-open": connections.half_open,
    "slow-loris": connections.slow_loris,
    "huge-heads": connections.huge_heads,
    "pipelined": connections.pipelined,
    "smuggling": connections.smuggling,
    "out-of-files": connections.out_of_files,
    "many-channels": channels.many_channels,
    "many-subscribers": channels.many_subscribers,
    "wide-cursors": channels.wide_cursors,
    "ticket-replay": channels.ticket_replay,
    "another-store": inputs.another_store,
    "bodies": inputs.bodies,
    "log-injection": inputs.log_injection,
    "one-order": critical.one_order,
    "one-epoch": critical.one_epoch,
    "locked-row": stalls.locked_row,
    "locked-command": stalls.locked_command,
    "huge-syncs": stalls.huge_syncs,
    "slow-shard": stalls.slow_shard,
    "flooded-shard": stalls.flooded_shard,
}
