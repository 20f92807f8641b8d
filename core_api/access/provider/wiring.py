"""What verifies a provider's tokens, made of its settings."""

from __future__ import annotations

import time
from collections.abc import Callable

from core_api.access.provider.key_reading import KeyReader
from core_api.access.provider.known_keys import KnownKeys
from core_api.access.provider.settings import ProviderSettings
from core_api.access.provider.tokens import ProviderTokens
from server_common.supervision import Work


def provider_of(
    settings: ProviderSettings, read: Callable[[bool], None]
) -> tuple[ProviderTokens, Work] | None:
    """What verifies the provider's tokens, and the task that keeps its keys; None: there is no
    provider.

    Args:
        settings: which provider.
        read: called after each reading of its keys with whether it succeeded.
    """
    rules = settings.provider_rules
    if rules is None:
        return None
    reader = KeyReader(settings.provider, time.monotonic, read)
    known = KnownKeys(time.monotonic, reader.want)
    return ProviderTokens(rules, known, time.time), lambda: reader.keep(known)
