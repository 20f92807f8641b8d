"""All channels of the AsyncAPI document, with their messages. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from client_sdk.contract import socket as wire
from client_sdk.contract import stream
from client_sdk.contract.state.document import CHANGED, DocumentEvent
from core_api.devices.commands.alarm import UnansweredAlert
from core_api.ingest.inbound_commands import InboundCommand
from core_api.receipts.alarm import OrderAlert
from core_api.settings import IngestSettings
from deploy.asyncapi import messages as forms
from deploy.asyncapi import star
from event_server.mqtt_gateway.rules.publications import marks_topic, orders_topic, state_topic
from event_server.sockets.talk import ChannelMessage
from server_common.devices.messages import (
    DeadLetter,
    Inbound,
    Outbound,
    Received,
    Result,
    Ring,
    Snapshot,
    Status,
    Telemetry,
)
from server_common.devices.mqtt_topics import (
    StarCall,
    StarWord,
    accepted_topic,
    commands_topic,
    star_topic,
    star_up_topic,
    up_topic,
)
from server_common.devices.star import StarSaid
from server_common.kafka_records.receipts import ReceiptBatch
from server_common.revocations.records import Revocation

Direction = Literal["send", "receive"]
"""`send`: our servers send the message; `receive`: they receive it."""

JSON: Final = "application/json"
LINES: Final = "application/x-ndjson"
PICTURE: Final = "application/octet-stream"
BYTES: Final[Mapping[str, Any]] = {"type": "string", "format": "binary"}


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a channel."""

    name: str
    summary: str
    payload: Any = None
    """The type or the schema of its payload; None: it has no payload."""
    headers: Any = None
    """The type of its headers, if it is a record in Kafka."""
    event: str = ""
    """The name of its event on a stream or socket; `…` at the end stands for any event type."""
    direction: Direction = "send"
    content_type: str = JSON


@dataclass(frozen=True, slots=True)
class Channel:
    """An address of a server, with the messages that are sent there."""

    name: str
    server: str
    address: str
    summary: str
    messages: Sequence[Message]
    binding: Mapping[str, Any] = field(default_factory=dict)
    """What the protocol's binding says of the channel's operations."""


_TO_FOLLOWER: Final = (
    Message("OrderEvent", "An order has changed", forms.SentOrderEvent, event="order.…"),
    Message("DocumentEvent", "A document has changed", DocumentEvent, event=CHANGED),
    Message("Hello", "The first message", stream.Hello, event=stream.HELLO),
    Message(
        "Heartbeat", "All events before a time were sent", stream.Heartbeat, event=stream.HEARTBEAT
    ),
    Message(
        "SyncRequired", "The client must sync", stream.SyncRequired, event=stream.SYNC_REQUIRED
    ),
    Message("Bye", "The stream ends as planned", stream.Bye, event=stream.BYE),
)
_SOCKET_SAYS: Final = (
    Message("Subscribed", "Channels are followed", wire.Subscribed, event=wire.SUBSCRIBED),
    Message(
        "Unsubscribed", "Channels no longer followed", wire.Unsubscribed, event=wire.UNSUBSCRIBED
    ),
    Message("Pong", "The answer to a ping", wire.Pong, event=wire.PONG),
    Message("Refused", "A request was refused", wire.Refused, event=wire.REFUSED),
    Message("Told", "From another client of the channel", wire.Told, event=wire.MESSAGE),
)
_SOCKET_HEARS: Final = (
    Message(
        "Subscribe", "Follow channels", wire.Subscribe, event=wire.SUBSCRIBE, direction="receive"
    ),
    Message(
        "Unsubscribe", "Stop following channels", wire.Unsubscribe, event=wire.UNSUBSCRIBE,
        direction="receive",
    ),
    Message("Ping", "Ask for a pong", wire.Ping, event=wire.PING, direction="receive"),
    Message(
        "CursorReceived", "What the device has applied", wire.Received, event=wire.RECEIVED,
        direction="receive",
    ),
    Message(
        "ShortMessage", "To the others of a channel", forms.ShortMessage, event=wire.MESSAGE,
        direction="receive",
    ),
)  # fmt: skip
_STREAMS: Final = (
    Channel(
        "stream", "events", wire.STREAM_PATH, "Server-sent events of the channels of a ticket",
        _TO_FOLLOWER, {"http": {"method": "GET", "bindingVersion": "0.3.0"}},
    ),
    Channel(
        "socket", "sockets", wire.SOCKET_PATH,
        f"The same over a WebSocket, subprotocol {wire.SUBPROTOCOL}",
        (*_TO_FOLLOWER, *_SOCKET_SAYS, *_SOCKET_HEARS),
    ),
)  # fmt: skip


def _default(name: str) -> str:
    return str(IngestSettings.model_fields[name].default)


def _topic(name: str, setting: str, summary: str, *found: Message) -> Channel:
    return Channel(name, "kafka", _default(setting), summary, found)


_KAFKA: Final = (
    _topic(
        "orderEvents", "events_topic", "The log of events, a partition for each shard",
        Message(
            "OrderRecord", "An order's event, a line of JSON for each of its channels",
            forms.SentOrderEvent,
            forms.EventHeaders, content_type=LINES,
        ),
        Message(
            "DocumentRecord", "A document's event, a line of JSON for each of its channels",
            DocumentEvent,
            forms.EventHeaders, content_type=LINES,
        ),
        Message(
            "Watermark", "All events committed before this time are published", None,
            forms.WatermarkHeaders,
        ),
        Message("Omitted", "An event that cannot be published", None, forms.OmittedHeaders),
    ),
    _topic(
        "ordersInbound", "inbound_topic", "Commands of producers",
        Message("OrderCommand", "Places or changes an order", InboundCommand, direction="receive"),
    ),
    _topic(
        "ordersInboundDeadLetters", "inbound_dlq_topic", "Commands that can never be applied",
        Message(
            "DeadCommand", "The unchanged command, with the reason", BYTES, forms.DeadLetterHeaders,
            content_type=PICTURE,
        ),
    ),
    Channel(
        "storeAlerts", "kafka", "store-alerts", "Stores that should be phoned, and why",
        (
            Message(
                "StoreUnreached", "No device has received an order", OrderAlert, forms.AlertHeaders
            ),
            Message(
                "DeviceUnanswered", "No device has answered a command", UnansweredAlert,
                forms.AlertHeaders,
            ),
        ),
    ),
    _topic(
        "deviceReceipts", "receipts_topic", "What the owners' devices have applied",
        Message("Receipts", "The newest receipt of each device of a store", ReceiptBatch),
    ),
    _topic(
        "channelMessages", "messages_topic", "Short messages between sockets; never stored",
        Message("ChannelMessage", "To the other clients of a channel", ChannelMessage),
    ),
    Channel(
        "tokenRevocations", "kafka", _default("revocations_topic"), "Which tokens are revoked",
        (Message("Revocation", "A token, a session or a subject", Revocation),),
    ),
    _topic(
        "devicesInbound", "devices_inbound_topic", "Messages of devices, from the MQTT gateway",
        Message("DeviceSaid", "One message of a device", Inbound),
        Message("StarSaid", "One message of a Star printer", StarSaid),
    ),
    _topic(
        "devicesOutbound", "devices_outbound_topic", "Core's answers to devices",
        Message("DeviceAnswered", "What Core did with a message", Outbound),
        Message("StarTold", "A message for a Star printer", Ring),
    ),
    _topic(
        "devicesDeadLetters", "devices_dlq_topic", "Messages of devices that Core cannot use",
        Message("DeviceDeadLetter", "The unchanged message, with the reason", DeadLetter),
    ),
)  # fmt: skip

_STORE, _DEVICE = "{store}", "{device}"
_KEPT: Final = {"mqtt": {"qos": 1, "retain": True, "bindingVersion": "0.2.0"}}
_ONCE_OR_MORE: Final = {"mqtt": {"qos": 1, "retain": False, "bindingVersion": "0.2.0"}}
_AT_MOST_ONCE: Final = {"mqtt": {"qos": 0, "retain": False, "bindingVersion": "0.2.0"}}
_DOWN: Final = (
    Channel(
        "storeOrders", "mqtt", orders_topic(_STORE), "Order events of a store",
        (Message("StoreOrderEvent", "An order has changed", forms.EpochOrderEvent),),
        _ONCE_OR_MORE,
    ),
    Channel(
        "tableOrders", "mqtt", orders_topic(_STORE, "{table}"), "Order events of a table",
        (Message("TableOrderEvent", "An order has changed", forms.EpochOrderEvent),),
        _ONCE_OR_MORE,
    ),
    Channel(
        "state", "mqtt", state_topic(_STORE, "{key}"), "Public documents",
        (Message("State", "The newest value", forms.StateMessage),), _KEPT,
    ),
    Channel(
        "marks", "mqtt", marks_topic(_STORE), "How far a store's orders are published",
        (Message("Marks", "The heads of its channels", forms.MarksMessage),), _AT_MOST_ONCE,
    ),
    Channel(
        "commands", "mqtt", commands_topic(_STORE, _DEVICE), "Commands to a device",
        (Message("Command", "A command, or a job to print", forms.CommandMessage),), _ONCE_OR_MORE,
    ),
    Channel(
        "accepted", "mqtt", accepted_topic(_STORE, _DEVICE), "Acknowledgements by Core",
        (Message("Accepted", "Core has handled a result or an event", forms.AcceptedMessage),),
        _ONCE_OR_MORE,
    ),
)  # fmt: skip
_UP: Final = (
    Channel(
        "results", "mqtt", up_topic(_STORE, _DEVICE, "result"), "Results of commands",
        (Message("Result", "The result of a command", Result, direction="receive"),), _ONCE_OR_MORE,
    ),
    Channel(
        "events", "mqtt", up_topic(_STORE, _DEVICE, "event"), "What happens at a device",
        (Message("Event", "Such as a pressed bell", forms.DeviceEvent, direction="receive"),),
        _ONCE_OR_MORE,
    ),
    Channel(
        "received", "mqtt", up_topic(_STORE, _DEVICE, "received"), "What a device has applied",
        (Message("Received", "A cursor", Received, direction="receive"),), _ONCE_OR_MORE,
    ),
    Channel(
        "status", "mqtt", up_topic(_STORE, _DEVICE, "status"), "A device's status; also its will",
        (Message("Status", "Whether the device is connected", Status, direction="receive"),), _KEPT,
    ),
    Channel(
        "telemetry", "mqtt", up_topic(_STORE, _DEVICE, "telemetry", "{name}"), "Measurements",
        (Message("Telemetry", "A measurement", Telemetry, direction="receive"),), _AT_MOST_ONCE,
    ),
    Channel(
        "snapshot", "mqtt", up_topic(_STORE, _DEVICE, "snapshot"), "A device's newest picture",
        (
            Message("Snapshot", "A picture in base64", Snapshot, direction="receive"),
            Message(
                "Picture", "The bytes of a JPEG or PNG", BYTES, direction="receive",
                content_type=PICTURE,
            ),
        ),
        _ONCE_OR_MORE,
    ),
)  # fmt: skip

_MAC: Final = "{mac}"


def _star_hears(name: str, call: StarCall, summary: str, form: Any) -> Channel:
    messages = (Message(form.__name__, summary, form),)
    return Channel(name, "mqtt", star_topic(_MAC, call), summary, messages, _ONCE_OR_MORE)


def _star_says(name: str, word: StarWord, summary: str, form: Any) -> Channel:
    messages = (Message(form.__name__, summary, form, direction="receive"),)
    return Channel(name, "mqtt", star_up_topic(_MAC, word), summary, messages, _ONCE_OR_MORE)


_STAR: Final = (
    _star_hears("starPost", "request-post", "Asks a Star printer to poll", star.RequestPost),
    _star_hears(
        "starStatus", "request-client-status", "Asks a Star printer for its status",
        star.RequestClientStatus,
    ),
    _star_hears(
        "starAction", "order-client-action", "Asks a Star printer about its properties",
        star.OrderClientAction,
    ),
    _star_hears("starJob", "print-job", "A ticket for a Star printer", star.PrintJob),
    _star_says("starClientStatus", "client-status", "A Star printer's status", star.ClientStatus),
    _star_says("starResult", "print-result", "Whether a ticket was printed", star.PrintResult),
    _star_says("starWill", "client-will", "A Star printer has disconnected", star.ClientWill),
)  # fmt: skip

CHANNELS: Final[Sequence[Channel]] = (*_STREAMS, *_KAFKA, *_DOWN, *_UP, *_STAR)
