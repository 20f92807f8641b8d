"""Reads a process's settings from the environment, with messages that say what to do.

A setting's range is declared with it: `core_api/settings.py`, `event_server/settings.py` and
`groups.py`. How the limits must fit each other: `limit_table/check.py`.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings
from pydantic_settings.exceptions import SettingsError as UnreadableError

from server_common.errors import SettingsError
from server_common.limit_table.check import contradictions, with_settings

_FIELD: Final = re.compile(r'field "(\w+)"')
_SECRET: Final = ("_key", "_keys", "_token", "database_url", "password")

S = TypeVar("S", bound=BaseSettings)


def load(settings: type[S]) -> S:
    """Read settings from the environment.

    Raises:
        SettingsError: naming each variable that is missing or wrong, its value and the reason, or
            two limits that do not fit each other.
    """
    try:
        found = settings()
    except UnreadableError as error:
        # A variable is not valid JSON; the library names the field, not the value.
        field = _FIELD.search(str(error))
        name = f"YABAM_{field[1].upper()}" if field else "a setting"
        raise SettingsError(f"{name} is not JSON: see docs/settings.md for its form") from None
    except ValidationError as error:
        raise SettingsError(
            "; ".join(_told(dict(item)) for item in error.errors(include_url=False))
        ) from None
    if unfit := contradictions(with_settings(found)):
        raise SettingsError("; ".join(unfit))
    return found


def _told(item: dict[str, object]) -> str:
    place = item["loc"]
    path = [str(part) for part in place] if isinstance(place, tuple) else []
    reason = str(item["msg"]).removeprefix("Value error, ")
    if not path:
        return reason
    variable = f"YABAM_{'.'.join(path).upper()}"
    if item["type"] == "missing":
        return f"{variable} is not set"
    # A secret must never appear in a message.
    shown = "(hidden)" if path[0].endswith(_SECRET) else repr(item["input"])[:80]
    return f"{variable}={shown}: {reason}"
