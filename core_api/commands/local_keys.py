"""The keys that `make run` leaves in a checkout, for `yabam token` beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from client_sdk.command_line.output import tell
from client_sdk.contract.json_decoding import decode
from core_api.setting_groups import TokenSettings
from server_common.errors import SettingsError
from server_common.settings.loader import load

LOCAL_KEYS: Final = Path("var/local/keys.json")
"""Where `make run` keeps its keys, from the top of the checkout."""
LOCAL_KID: Final = "local"
"""The name of its keys."""

_SETTINGS: Final = frozenset({"YABAM_TOKEN_KEYS", "YABAM_TOKEN_KID"})
_CHECKOUT: Final = Path(__file__).parents[2]


class LocalKeys(msgspec.Struct, frozen=True):
    """The secrets of a system that `make run` started."""

    token: str
    ticket: str


def signing_settings() -> TokenSettings:
    """The keys to sign with: those of the settings, else those of `make run` nearby.

    Raises:
        SettingsError: there are neither, or they cannot be used.
    """
    if _SETTINGS & {name.upper() for name in os.environ}:
        return load(TokenSettings)
    folders = (Path.cwd(), *Path.cwd().parents, _CHECKOUT)
    found = next(filter(Path.is_file, (folder / LOCAL_KEYS for folder in folders)), None)
    if found is None:
        raise SettingsError(
            "YABAM_TOKEN_KEYS and YABAM_TOKEN_KID are not set, and there is no "
            f"{LOCAL_KEYS} of `make run` in this folder or above it"
        )
    tell(f"● signed with the keys of `make run` in {found}; YABAM_TOKEN_KEYS is not set")
    return TokenSettings(token_keys={LOCAL_KID: read_keys(found).token}, token_kid=LOCAL_KID)


def read_keys(path: Path) -> LocalKeys:
    """The keys in a file.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        return decode(_keys, path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(f"{path} cannot be read as keys of `make run`: {error}") from error


_keys: Final = msgspec.json.Decoder(LocalKeys)
