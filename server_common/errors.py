"""The errors that both servers raise."""

from __future__ import annotations

from client_sdk.contract.errors import UsageError


class SettingsError(UsageError):
    """A setting is missing, wrong or at odds with the environment; the process does not start.

    The text names the variable, the value and the reason.
    """
