"""Who may do what with a store's devices. Pure.

| | owner of the store | ops | the device itself |
| --- | --- | --- | --- |
| register, change, remove | yes | | |
| ask it to do something | yes | | |
| see it, its commands, its picture | yes | yes | yes |
| see all devices of the store | yes | yes | |
"""

from __future__ import annotations

from client_sdk.contract.channel import Channel
from core_api.access.callers import Caller
from core_api.errors import ForbiddenError


def check_keeps(caller: Caller, store_id: str) -> None:
    """Whether the caller may register, remove and command the store's devices.

    Raises:
        ForbiddenError: it may not.
    """
    if caller.role != "owner" or not caller.has_store(store_id):
        raise ForbiddenError("only an owner of the store registers, removes and commands devices")


def check_sees(caller: Caller, store_id: str, device_id: str) -> None:
    """Whether the caller may see the device, its commands and its picture.

    Args:
        caller: who asks.
        store_id: the store of the device.
        device_id: which device.

    Raises:
        ForbiddenError: it may not.
    """
    if caller.role == "ops" or (caller.role == "owner" and caller.has_store(store_id)):
        return
    if caller.role == "device" and caller.device == Channel("device", store_id, device_id):
        return
    raise ForbiddenError("this token does not permit seeing that device")
