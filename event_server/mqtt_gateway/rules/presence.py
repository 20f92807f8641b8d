"""Which devices were heard at the broker, and so which stores have any. Pure."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec import Struct

ONLINE_FOR_S: Final = 180.0
"""A device sends its status each minute; one that is silent for so many seconds is offline."""
MAX_DEVICES: Final = 100_000


class _Device(Struct):
    connection: str
    online: bool
    heard_at: float
    served: bool = False


class Heard(NamedTuple):
    """What is new in a status message."""

    is_new_store: bool
    """Whether no device of the store was heard before."""
    is_new_connection: bool
    """Whether the device may have missed earlier messages."""


class Due(NamedTuple):
    """It changes when the messages that wait for a device must be sent again."""

    connection: str
    round: int
    """How often devices had to be served again."""


class Presence:
    """The devices that have been heard.

    Args:
        limit: how many are remembered; above that those heard longest ago are forgotten.
    """

    def __init__(self, limit: int = MAX_DEVICES) -> None:
        self._limit = limit
        self._devices: OrderedDict[tuple[str, str], _Device] = OrderedDict()
        self._of_store: Counter[str] = Counter()
        self._round = 0

    def hear(self, store: str, device: str, connection: str, online: bool, now: float) -> Heard:
        """Take a device's status.

        Args:
            store: the device's.
            device: its name.
            connection: which of its connections sent it.
            online: whether the status says that it is online.
            now: in seconds.
        """
        place = store, device
        known = self._devices.get(place)
        if known is None:
            is_new_store = store not in self._of_store
            self._of_store[store] += 1
            self._devices[place] = _Device(connection, online, now)
            self._forget_oldest()
            return Heard(is_new_store, online)
        is_same = known.connection == connection
        if not online and not is_same:
            return Heard(False, False)  # the will of an older connection
        is_new = online and not (is_same and known.online)
        served = known.served and not is_new
        self._devices[place] = _Device(connection, online, now, served)
        self._devices.move_to_end(place)
        return Heard(False, is_new)

    def due(self, store: str, device: str) -> Due | None:
        """It changes when all that waits for the device must be sent; None: not heard."""
        known = self._devices.get((store, device))
        return None if known is None else Due(known.connection, self._round)

    def serve(self, store: str, device: str, due: Due | None) -> None:
        """Record that the device was sent all that waited for it.

        Args:
            store: the device's store.
            device: its id there.
            due: what `due` returned before the messages were read. If it returns another value by
                now, the device may have missed some, and stays due.
        """
        known = self._devices.get((store, device))
        if known is not None and due == self.due(store, device):
            known.served = True

    def unserve(self, is_meant: Callable[[str], bool]) -> None:
        """Make the devices of these stores due again; what is being sent to them now does not
        count."""
        self._round += 1
        for (store, _), device in self._devices.items():
            if is_meant(store):
                device.served = False

    def unserved(self, now: float) -> list[tuple[str, str]]:
        """The online devices to which this gateway has not sent what waits for them."""
        return [place for place in self.online(now) if not self._devices[place].served]

    def online(self, now: float) -> list[tuple[str, str]]:
        """The devices that are online, each with its store."""
        return [
            place
            for place, device in self._devices.items()
            if device.online and now - device.heard_at < ONLINE_FOR_S
        ]

    def known_stores(self) -> list[str]:
        """The stores of which a device was heard, online or not."""
        return list(self._of_store)

    def _forget_oldest(self) -> None:
        if len(self._devices) <= self._limit:
            return
        (store, _), _ = self._devices.popitem(last=False)
        self._of_store[store] -= 1
        if not self._of_store[store]:
            del self._of_store[store]
