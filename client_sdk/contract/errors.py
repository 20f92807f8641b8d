"""The root of every error this product raises, and the contract's own branch of it.

    YabamError
    ├── UsageError             asked for in a way that can never work
    └── ContractError          (also a ValueError) text from outside that breaks the contract
        ├── ChannelError       not `store:{store_id}` or `table:{store_id}/{table_id}`
        ├── CursorError        not a seq, an event id or a cursor
        ├── DeviceError        not a device's name, or not its header
        ├── FrameError         an SSE stream that breaks a limit
        ├── RecordError        a Kafka record that is not of our making
        │   └── DamagedRecordError  one that is, and whose event cannot be read
        ├── StateError         shared state, or an edit of it, that breaks a rule
        │   ├── PointerError   not a JSON Pointer, or it leads nowhere
        │   ├── PatchError     a JSON Patch that does not apply
        │   ├── OperationError an operation that is malformed or cannot be done
        │   └── StateValueError  what no document may hold
        └── TicketError        a stream ticket that is forged, expired or for something else

The other packages root their trees here too: ``except YabamError`` catches all of them.
"""

from __future__ import annotations


class YabamError(Exception):
    """Anything this product raises on purpose."""


class UsageError(YabamError):
    """A person asked for it in a way that can never work: an argument or a setting is wrong.

    A command ends with exit status 2.
    """


class ContractError(YabamError, ValueError):
    """Text or bytes from outside that are not of the wire contract; the message says why."""


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
        ids: its event ids as they stand there; empty: they cannot be read either.
    """

    def __init__(self, reason: str, epoch: str = "", ids: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.epoch = epoch
        self.ids = ids


class StateError(ContractError):
    """Shared state, or an edit of it, that breaks a rule; nothing is changed."""


class PointerError(StateError):
    """Not a JSON Pointer (RFC 6901), or one that leads to where nothing can be."""


class PatchError(StateError):
    """A JSON Patch (RFC 6902) that does not apply.

    Args:
        index: which of its operations, from 0.
        reason: why that one does not apply.
    """

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"operation {index}: {reason}")
        self.index = index
        self.reason = reason


class OperationError(StateError):
    """An operation of an edit that is malformed, or that cannot be done to this value."""


class StateValueError(StateError):
    """A value that no document may hold.

    Args:
        pointer: the JSON Pointer of what is wrong in it.
        reason: what is wrong.
    """

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"{pointer or 'the value'}: {reason}")
        self.pointer = pointer
        self.reason = reason


class TicketError(ContractError):
    """A ticket that proves nothing; ask Fetch Sync for a new one."""
