"""A device's identity at the broker: its user name and its password. Pure.

A password is derived and never stored (`server_common/access/derived_secrets.py`), so Core and the
broker's admin can both compute it.
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
from server_common.access.derived_secrets import DerivingKeys

MAX_GENERATION: Final = 2**31 - 1
# No id has a tilde, it has no meaning in MQTT and Mosquitto, and password files are not split at
# it, as they are at a colon.
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


class DeviceKeys(DerivingKeys):
    """The keys that passwords are derived with: one for new generations, all for older ones.

    Args:
        keys: secrets of at least 32 bytes by `kid`.
        newest: the `kid` of the key for new generations.

    Raises:
        SettingsError: there is no key `newest`, or a key is too short.
    """

    def __init__(self, keys: Mapping[str, bytes], newest: str) -> None:
        super().__init__(keys, newest, "YABAM_DEVICES_KEYS")

    def password(self, identity: Identity, kid: str) -> str:
        """The password of a generation that was registered under the key `kid`.

        Raises:
            DeviceError: this process has no such key.
        """
        name = f"{identity.store}/{identity.device}/{identity.generation}"
        secret = self.derived(name, kid)
        if secret is None:
            raise DeviceError(f"no key {kid!r} among the keys of devices: rotate {identity.user}")
        return urlsafe_b64encode(secret).rstrip(b"=").decode()

    def kid_of(self, identity: Identity, password: str) -> str | None:
        """The `kid` of the key that gives this password; None: the password is wrong."""
        given = password.encode(errors="replace")
        for kid in self.kids:
            if hmac.compare_digest(self.password(identity, kid).encode(), given):
                return kid
        return None
