"""Who a device is at the broker: its user name and its password. Pure.

A password is derived and never stored: HMAC-SHA256(key, "{store}/{device}/{generation}") in
base64url. Whoever reads the database learns none, and Core and the broker's admin both find it.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from client_sdk.contract.channel import Channel
from client_sdk.contract.errors import DeviceError
from client_sdk.contract.text import ID_PATTERN, shown
from server_common.errors import SettingsError

MAX_GENERATION: Final = 2**31 - 1
MIN_KEY_BYTES: Final = 32
# No id holds a tilde, MQTT and Mosquitto give it no meaning, and no file of passwords is split at
# it, as one is at a colon.
_SEPARATOR: Final = "~"
_USER: Final = re.compile(rf"({ID_PATTERN})~({ID_PATTERN})~([1-9][0-9]{{0,9}})")


class Identity(Struct, frozen=True, order=True):
    """One generation of a device. Each new password begins a new generation, another identity."""

    store: str
    device: str
    generation: int

    @property
    def user(self) -> str:
        """Its MQTT user name, which is its client id too."""
        return _SEPARATOR.join((self.store, self.device, str(self.generation)))

    @property
    def channel(self) -> Channel:
        """The channel of its documents."""
        return Channel("device", self.store, self.device)


def parse_user(text: str) -> Identity:
    """Read a user name.

    Raises:
        DeviceError: the name does not have the form that `Identity.user` writes.
    """
    match = _USER.fullmatch(text)
    if match is None or int(match[3]) > MAX_GENERATION:
        raise DeviceError(f"{shown(text)} is not a device's user name: store~device~generation")
    return Identity(match[1], match[2], int(match[3]))


class DeviceKeys:
    """The keys that passwords are derived with: one for new generations, all for older ones.

    A registration names its key, so a key can be removed once no registration names it.

    Args:
        keys: secrets of at least 32 bytes by `kid`.
        newest: the `kid` of the key for new generations.

    Raises:
        SettingsError: there is no key `newest`, or a key is too short.
    """

    def __init__(self, keys: Mapping[str, bytes], newest: str) -> None:
        if newest not in keys:
            raise SettingsError(f"the key {newest!r} is not among the keys of devices")
        for kid, key in keys.items():
            if len(key) < MIN_KEY_BYTES:
                raise SettingsError(f"the key of devices {kid!r} is shorter than 32 bytes")
        self._keys = dict(keys)
        self.newest: Final = newest

    def password(self, identity: Identity, kid: str) -> str:
        """The password of a generation that was registered under the key `kid`.

        Raises:
            DeviceError: this process has no such key.
        """
        key = self._keys.get(kid)
        if key is None:
            raise DeviceError(f"no key {kid!r} among the keys of devices: rotate {identity.user}")
        name = f"{identity.store}/{identity.device}/{identity.generation}".encode()
        return urlsafe_b64encode(hmac.digest(key, name, "sha256")).rstrip(b"=").decode()

    def kid_of(self, identity: Identity, password: str) -> str | None:
        """The `kid` of the key that gives this password; None: the password is wrong."""
        given = password.encode(errors="replace")
        for kid in self._keys:
            if hmac.compare_digest(self.password(identity, kid).encode(), given):
                return kid
        return None
