"""Secrets that are derived from a key and stored nowhere: HMAC-SHA256(key, name). Pure.

A copy of the database reveals none. The row of a secret has the `kid` of its key, so a key can be
removed once no row names it.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final

from server_common.errors import SettingsError

MIN_KEY_BYTES: Final = 32


class DerivingKeys:
    """The keys of one kind of secret: one for new secrets, all for older ones.

    Args:
        keys: secrets of at least 32 bytes by `kid`.
        newest: the `kid` of the key for new secrets.
        setting: the variable that names the keys.

    Raises:
        SettingsError: there is no key `newest`, or a key is too short.
    """

    def __init__(self, keys: Mapping[str, bytes], newest: str, setting: str) -> None:
        if newest not in keys:
            raise SettingsError(f"the key {newest!r} is not among {setting}")
        for kid, key in keys.items():
            if len(key) < MIN_KEY_BYTES:
                raise SettingsError(f"{setting}: the key {kid!r} is shorter than 32 bytes")
        self._keys = dict(keys)
        self.newest: Final = newest

    @property
    def kids(self) -> tuple[str, ...]:
        """The keys that there are."""
        return tuple(self._keys)

    def derived(self, name: str, kid: str) -> bytes | None:
        """The secret for this name; None: this process has no such key."""
        key = self._keys.get(kid)
        return None if key is None else hmac.digest(key, name.encode(), "sha256")


def newest_kid(keys: Mapping[str, str], newest: str) -> str:
    """The key for new secrets, as settings name it: `newest`; where that is empty, the only one."""
    return newest or (next(iter(keys)) if len(keys) == 1 else "")
