"""What both servers raise alike."""

from __future__ import annotations

from client_sdk.contract.errors import YabamError


class SettingsError(YabamError):
    """A setting is missing or wrong, or the world does not fit it; the process does not start.

    The text names the variable, the value and the reason.
    """
