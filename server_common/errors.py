"""The errors that both servers raise."""

from __future__ import annotations

from client_sdk.contract.errors import UsageError, YabamError


class SettingsError(UsageError):
    """A setting is missing, wrong or does not fit the environment; the process does not start.

    The text names the variable, the value and the reason.
    """


class DeviceMessageError(YabamError):
    """A message from a device, or about one, is invalid; a retry would not help.

    Args:
        text: what is wrong.
        reason: one of `server_common.devices.messages.REASONS`.
    """

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason
