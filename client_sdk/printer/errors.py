"""The errors of printing.

YabamError
├── PrinterError        the printer cannot be reached, or the connection broke
├── AgentError          the agent cannot go on; the text says what to do
└── HeldError           another agent prints on this printer
"""

from __future__ import annotations

from client_sdk.contract.errors import YabamError


class PrinterError(YabamError):
    """The printer cannot be reached, or its connection broke; the agent tries again."""


class AgentError(YabamError):
    """The agent cannot go on; the text says what to do."""


class HeldError(YabamError):
    """Another agent prints on this printer; this one waits until that one has stopped."""
