"""The errors of the SDK.

YabamError
├── ContractError            text from outside that breaks the contract (contract.errors)
└── ClientError
    ├── UnauthorizedError    the token was refused, and refreshing it did not help
    ├── RefusedError         the server refuses this request for good; `.problem` says why
    ├── UnreachableError     the server cannot be reached or is busy, as often as we tried
    ├── HandlerError         your handler kept raising; its last error is the `__cause__`
    ├── CursorStoreError     the stored cursor cannot be read or written
    ├── StateStoreError      the stored edits cannot be read or written, or are not yours
    ├── BufferedStartError   the buffered start failed
    └── ClosedError          the client is closed
"""

from __future__ import annotations

import msgspec

from client_sdk.contract.errors import ChannelError as ChannelError
from client_sdk.contract.errors import ContractError as ContractError
from client_sdk.contract.errors import CursorError as CursorError
from client_sdk.contract.errors import FrameError as FrameError
from client_sdk.contract.errors import StateError as StateError
from client_sdk.contract.errors import TicketError as TicketError
from client_sdk.contract.errors import YabamError as YabamError
from client_sdk.contract.order import Order, decode_order
from client_sdk.contract.problem import Problem


class ClientError(YabamError):
    """Anything that the SDK raises by itself."""


class UnauthorizedError(ClientError):
    """The token was refused, and refreshing it did not help: get another one."""


class RefusedError(ClientError):
    """The server refuses this request, and a retry is no use: correct the request.

    Args:
        message: the text of the error, for a person.
        status: the HTTP status of the answer.
        problem: the answer's problem; None: the answer has none.
    """

    def __init__(self, message: str, status: int, problem: Problem | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem

    @property
    def order(self) -> Order | None:
        """The current order, which Core sends with 409 and 412; None: there is none."""
        raw = None if self.problem is None else self.problem.order
        if not isinstance(raw, msgspec.Raw):
            return None
        try:
            return decode_order(bytes(raw))
        except msgspec.DecodeError:
            return None


class UnreachableError(ClientError):
    """The server cannot be reached or is busy; the write may or may not have been done.

    Send it again with the same idempotency key.
    """


class HandlerError(ClientError):
    """Your handler kept raising; the event is not acknowledged and will be delivered again."""


class CursorStoreError(ClientError):
    """The stored cursor cannot be read or written; the text says what to do."""


class StateStoreError(ClientError):
    """The stored edits cannot be read or written, are another subject's, or in use elsewhere."""


class BufferedStartError(ClientError):
    """The buffered start failed; the text says in which state it stopped."""


class ClosedError(ClientError):
    """The client is closed: make a new one."""
