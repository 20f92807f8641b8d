"""The events of a stream or a socket as the machine's inputs. Pure."""

from __future__ import annotations

from datetime import datetime

from client_sdk.contract import stream as wire
from client_sdk.contract.channel import event_id
from client_sdk.contract.order import decode_event
from client_sdk.contract.sse import SseEvent
from client_sdk.contract.state.document import decode_document_event
from client_sdk.machine.messages import (
    Input,
    StreamBye,
    StreamDocument,
    StreamEvent,
    StreamHeartbeat,
    StreamHello,
    StreamSyncRequired,
)


def input_of(generation: int, event: SseEvent) -> Input | None:
    """What an event of the stream means; None for one that we do not know.

    Raises:
        msgspec.DecodeError: its data is not what its type demands.
        ValueError: it contradicts itself.
    """
    data = event.data.encode()
    match event.type:
        case _ if event.type.startswith("order."):
            order_event = decode_event(data)
            if order_event.id != event_id(order_event.channel, order_event.seq):
                raise ValueError(f"the event {order_event.id} says seq {order_event.seq}")
            return StreamEvent(generation, order_event)
        case _ if event.type.startswith("document."):
            document_event = decode_document_event(data)
            if document_event.id != event_id(document_event.channel, document_event.seq):
                raise ValueError(f"the event {document_event.id} says seq {document_event.seq}")
            return StreamDocument(generation, document_event)
        case wire.HELLO:
            hello = wire.decode_hello(data)
            return StreamHello(generation, hello.epoch, _instant(hello.watermark))
        case wire.HEARTBEAT:
            beat = wire.decode_heartbeat(data)
            return StreamHeartbeat(generation, _instant(beat.watermark))
        case wire.SYNC_REQUIRED:
            required = wire.decode_sync_required(data)
            return StreamSyncRequired(generation, required.channel, required.reason)
        case wire.BYE:
            bye = wire.decode_bye(data)
            return StreamBye(generation, bye.reason, bye.reconnect_after_ms)
    return None


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"the time {text[:40]!a} has no offset")
    return instant
