"""Which channels a caller may follow: the whole matrix. Pure.

| channel | owner of the store | table | device | producer | brand | ops |
| --- | --- | --- | --- | --- | --- | --- |
| `store:` | yes | | | | | yes |
| `table:`, `party:` | yes | its own | | | | yes |
| `team:` | yes | | | | | yes |
| `public:` | yes | of its store | of its store | of its stores | | yes |
| `device:` | yes | | its own | | | yes |
| `brand:` | if its token names the brand, whatever its role | | | | | yes |
| `global` | yes | yes | yes | yes | yes | yes |

Who may write a document is declared with it, and is one of those who may follow its channel.
"""

from __future__ import annotations

from client_sdk.contract.channel import Channel
from core_api.access.callers import Caller
from core_api.errors import ForbiddenError


def check_follow(caller: Caller, channel: Channel) -> None:
    """Whether the caller may follow the channel.

    Raises:
        ForbiddenError: it may not.
    """
    if not may_follow(caller, channel):
        raise ForbiddenError(f"this token does not permit following {channel}")


def may_follow(caller: Caller, channel: Channel) -> bool:
    """Whether the caller may follow the channel."""
    if caller.role == "ops" or channel.kind == "global":
        return True
    if channel.kind == "brand":
        return caller.brand == channel.root
    if caller.role == "owner":
        return caller.has_store(channel.root)
    if caller.role == "producer":
        return channel.kind == "public" and caller.has_store(channel.root)
    if caller.role == "table":
        return _may_table_follow(caller.table, channel)
    return caller.role == "device" and _may_device_follow(caller.device, channel)


def _may_table_follow(table: Channel | None, channel: Channel) -> bool:
    if table is None or table.root != channel.root:
        return False
    return channel.kind == "public" or (
        channel.kind in ("table", "party") and channel.part == table.part
    )


def _may_device_follow(device: Channel | None, channel: Channel) -> bool:
    if device is None or device.root != channel.root:
        return False
    return channel.kind == "public" or channel == device
