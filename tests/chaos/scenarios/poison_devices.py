"""The worst messages of devices in the topic that leads to Core, before a good one.

Each bad one must be kept as a dead letter, and the good one must have its effect.
Records from Core to devices are in no scenario: only Core writes them.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Final

import msgspec

from server_common.devices.messages import Inbound, encode
from server_common.devices.mqtt_topics import MessageKind
from tests.chaos.runner import Field, NotInjectedError
from tests.chaos.ward import GARBAGE, Ward, producer

_INBOUND: Final = "devices.inbound"
_DEVICE: Final = "bell"
_DEEP: Final = "[" * 900 + "]" * 900
_HUGE: Final = 2**53 - 1
_KNOWN: Final[tuple[tuple[MessageKind, str], ...]] = (
    ("event", '{"boot":1,"n":2,"name":"nul","a":"\\u0000"}'),
    ("event", f'{{"boot":1,"n":{_HUGE},"name":"last"}}'),
    ("status", f'{{"connection":"x","online":true,"at":{_HUGE},"boot":{_HUGE}}}'),
    ("received", '{"cursor":"store:elsewhere@9007199254740991"}'),
)
"""Messages of a known device that may be applied or refused."""
_REFUSED: Final[tuple[tuple[MessageKind, str], ...]] = (
    ("event", f'{{"boot":1,"n":1,"name":"deep","data":{_DEEP}}}'),
    ("event", '{"boot":1,"n":0,"name":"none"}'),
    ("event", '{"boot":1e99,"n":1,"name":"late"}'),
    ("result", '{"boot":2,"n":3,"id":"no-command","outcome":"done"}'),
    ("snapshot", '{"media_type":"image/png","data":"?"}'),
    ("status", "[" * 2000),
)
"""Messages of a known device that must be refused."""


async def device_messages(ground: Field, ward: Ward) -> str:
    """Send the worst messages before a good one, in every partition of the topic."""
    letters = partial(ward.site.metrics, "ingest", "yabam_devices_dead_letters_total")
    before = await letters()
    async with producer(ward.site) as kafka:
        for partition, store in enumerate(ward.stores):
            path = f"/v1/stores/{store}/devices/{_DEVICE}"
            answer = await ward.http.put(path, json={}, headers=ward.owner(store))
            if answer.status_code != 201:
                raise NotInjectedError(f"a device is registered: {answer.status_code}")
            values = [
                *GARBAGE,
                _said(store, "event", '{"boot":1,"n":1,"name":"x"}', "stranger"),
                *(_said(store, kind, payload) for kind, payload in (*_KNOWN, *_REFUSED)),
                _said(store, "event", '{"boot":2,"n":4,"name":"behind"}'),
            ]
            for value in values:
                # All have the device's key, so the good one has to wait for them.
                await kafka.send_and_wait(
                    _INBOUND, value, key=f"{store}/{_DEVICE}".encode(), partition=partition
                )
    for store in ward.stores:
        await ground.until(
            partial(_is_applied, ward, store), "a device's message behind bad ones is applied"
        )
    sent = len(ward.stores) * (len(GARBAGE) + 1 + len(_REFUSED))

    async def told() -> bool:
        return await letters() - before >= sent

    await ground.until(told, "each bad message of a device is kept as a dead letter")
    return f"{sent} bad messages of devices"


def _said(store: str, kind: MessageKind, payload: str, device: str = _DEVICE) -> bytes:
    """The record that a gateway makes of a device's message."""
    return encode(Inbound(store, device, kind, time.time_ns() // 10**6, _raw(payload)))


def _raw(payload: str) -> msgspec.Raw:
    return msgspec.Raw(payload.encode())


async def _is_applied(ward: Ward, store: str) -> bool:
    where: dict[str, Any] = {"channel": f"device:{store}/{_DEVICE}", "key": "event.behind"}
    answer = await ward.http.get("/v1/documents", params=where, headers=ward.owner(store))
    return answer.status_code == 200 and bool(answer.json()["value"]["n"] == 4)
