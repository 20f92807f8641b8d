"""The provider's keys that are known, and what to do about an unknown one. Pure.

A token of an unknown key is not refused at once: the provider may have begun to sign with a new
one. The caller is told to retry, and the keys are read again. The token is refused only if they
still lack the key. So a change of keys signs nobody out, and made-up keys cost one more read of the
key set now and then, never one for each request.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from core_api.access.provider.key_set import KeyName, PublicKeys
from core_api.errors import ProviderKeysUnknownError, UnauthorizedError

_MAX_MISSED: Final = 1000
_MISSED_FOR_S: Final = 60.0
"""How long a key counts as missing after a read without it; it may be published later."""


class KnownKeys:
    """The keys of one provider.

    Args:
        clock: seconds that only go forward.
        wanted: called when the keys should be read again.
    """

    def __init__(self, clock: Callable[[], float], wanted: Callable[[], None]) -> None:
        self._clock = clock
        self._wanted = wanted
        self._keys: PublicKeys = {}
        self._asked_at = float("-inf")
        self._missed: OrderedDict[KeyName, float] = OrderedDict()
        self.generation = 0
        """How often the keys have changed: a token that was verified before may be invalid now."""

    def __len__(self) -> int:
        return len(self._keys)

    def replace(self, keys: PublicKeys, asked_at: float) -> None:
        """Take what the provider has answered.

        Args:
            keys: all that are good now; those that are missing here are good no longer.
            asked_at: when it was asked, by the clock.
        """
        # Two keys with the same name may differ, so they are compared, and not their names alone.
        if keys != self._keys:
            self.generation += 1
        self._keys, self._asked_at = dict(keys), asked_at

    def find(self, name: KeyName) -> Any:
        """The key.

        Raises:
            ProviderKeysUnknownError: it is not known yet; retry.
            UnauthorizedError: the provider was asked, and has no such key.
        """
        key = self._keys.get(name)
        if key is not None:
            return key
        now = self._clock()
        missed_at = self._missed.get(name)
        if missed_at is None or now - missed_at > _MISSED_FOR_S:
            missed_at = self._missed[name] = now
            self._missed.move_to_end(name)
            if len(self._missed) > _MAX_MISSED:
                self._missed.popitem(last=False)
        if self._asked_at > missed_at:
            raise UnauthorizedError("the token is signed by a key that the provider lacks")
        self._wanted()
        raise ProviderKeysUnknownError("the provider's keys are being read")
