"""The root of every error this product raises, and the contract's own branch of it.

    YabamError
    ├── UsageError             an argument or a setting is wrong
    └── ContractError          (also a ValueError) text from outside that breaks the contract
        ├── ChannelError       not `store:{store_id}` or `table:{store_id}/{table_id}`
        ├── CursorError        not a seq, an event id or a cursor
        ├── DeviceError        not a device's name, or not its header
        ├── FrameError         an SSE stream that breaks a limit
        ├── RecordError        a Kafka record of an unknown form
        │   └── DamagedRecordError  one of ours, whose event cannot be read
        ├── StateError         shared state, or an edit of it, that breaks a rule
        │   ├── PointerError   not a JSON Pointer, or there is nothing at it
        │   ├── PatchError     a JSON Patch that does not apply
        │   ├── OperationError an operation that is malformed or cannot be done
        │   └── StateValueError  a value that a document may not contain
        └── TicketError        a stream ticket that is forged, expired or for something else

The other packages' error trees start here too: ``except YabamError`` catches all of them.
"""

from __future__ import annotations


class YabamError(Exception):
    """Anything this product raises on purpose."""


class UsageError(YabamError):
    """An argument or a setting is wrong; a retry is no use.

    A command ends with exit status 2.
    """


class ContractError(YabamError, ValueError):
    """Text or bytes from outside that break the contract; the message says why."""


class ChannelError(ContractError):
    """Not a channel name: write `store:{store_id}` or `table:{store_id}/{table_id}`."""


class CursorError(ContractError):
    """Not a seq, an event id or a cursor such as `store:12@482,store:15@77`."""


class DeviceError(ContractError):
    """A device's name or its header is malformed."""


class FrameError(ContractError):
    """An SSE stream that goes over a limit; close it and sync."""


class RecordError(ContractError):
    """A Kafka record of another form (`server_common/kafka_records/events.py`); count it and skip
    it."""


class DamagedRecordError(RecordError):
    """A record with an order event that cannot be read: skipping it loses that event.

    Args:
        reason: what is wrong.
        epoch: the record's; empty: that cannot be read either.
        ids: its event ids; empty: they cannot be read either.
    """

    def __init__(self, reason: str, epoch: str = "", ids: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.epoch = epoch
        self.ids = ids


class StateError(ContractError):
    """Shared state, or an edit of it, that breaks a rule; nothing is changed."""


class PointerError(StateError):
    """Not a JSON Pointer (RFC 6901), or one to a place that does not exist."""


class PatchError(StateError):
    """A JSON Patch (RFC 6902) that does not apply.

    Args:
        index: the index of the failing operation, from 0.
        reason: why it does not apply.
    """

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"operation {index}: {reason}")
        self.index = index
        self.reason = reason


class OperationError(StateError):
    """An operation of an edit that is malformed, or does not fit this value."""


class StateValueError(StateError):
    """A value that a document may not contain.

    Args:
        pointer: the JSON Pointer to the wrong part.
        reason: what is wrong.
    """

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"{pointer or 'the value'}: {reason}")
        self.pointer = pointer
        self.reason = reason


class TicketError(ContractError):
    """A ticket that is not valid; get a new one by Fetch Sync."""
