"""Makes the document from the channels and from the types that our code sends and reads. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from deploy.asyncapi.channels import CHANNELS, JSON, Channel, Message
from deploy.asyncapi.messages import DeviceEvent

Json = dict[str, Any]
_SCHEMA: Final = "#/components/schemas/{name}"
_SERVERS: Final[Json] = {
    "events": {
        "host": "events.example",
        "protocol": "https",
        "description": "An event server. A client needs a ticket, which it gets by Fetch Sync.",
    },
    "sockets": {
        "host": "events.example",
        "protocol": "wss",
        "description": "The same server.",
    },
    "kafka": {"host": "kafka.example:9092", "protocol": "kafka"},
    "mqtt": {
        "host": "broker.example:8883",
        "protocol": "secure-mqtt",
        "description": "Each device has a user, a client id and a role of its own.",
    },
}
_PARAMETERS: Final = {
    "store": "A store's id",
    "table": "A table's id",
    "device": "A device's name",
    "key": "A document's key",
    "name": "What is measured",
    "mac": "A Star printer's MAC address",
}
_PARAMETER: Final = re.compile(r"\{(\w+)\}")


def document() -> Json:
    """The whole document, as JSON values."""
    refs, schemas = _schemas(CHANNELS)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Yabam events",
            "version": "1",
            "description": (
                "All messages that are not answers to requests: server-sent events, WebSockets, "
                "the topics of Kafka, the topics of the MQTT broker. Readers ignore fields that "
                "they do not know. Made by `make docs`; do not edit it by hand."
            ),
            "license": {"name": "Apache 2.0"},
        },
        "defaultContentType": JSON,
        "servers": _SERVERS,
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": dict(_operations(CHANNELS)),
        "components": {
            "messages": {
                _key(channel, message): _message(channel, message, refs)
                for channel in CHANNELS
                for message in channel.messages
            },
            "schemas": schemas,
        },
    }


def _key(channel: Channel, message: Message) -> str:
    """The name of a message in the document; on a socket it differs from that on a stream."""
    return f"Socket{message.name}" if channel.server == "sockets" else message.name


def _schemas(channels: Iterable[Channel]) -> tuple[Mapping[Any, Json], Json]:
    """The schema of each type, by the type, and the components that these schemas refer to."""
    types: dict[Any, None] = {}
    for message in (message for channel in channels for message in channel.messages):
        for one in (message.payload, message.headers):
            if one is not None and not isinstance(one, Mapping):
                types[one] = None
    found, components = msgspec.json.schema_components(list(types), ref_template=_SCHEMA)
    plain = {name: _plain(schema) for name, schema in sorted(components.items())}
    # Its further fields are data of the device, not fields of a newer version.
    plain[DeviceEvent.__name__]["additionalProperties"] = True
    return dict(zip(types, map(_plain, found), strict=True)), plain


def _plain(schema: Any) -> Any:
    """The schema without `discriminator`, which in AsyncAPI has another form than in OpenAPI. The
    tag of each alternative already tells them apart."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: _plain(value) for name, value in schema.items() if name != "discriminator"}


def _channel(channel: Channel) -> Json:
    described: Json = {
        "address": channel.address,
        "summary": channel.summary,
        "servers": [{"$ref": f"#/servers/{channel.server}"}],
        "messages": {
            one.name: {"$ref": f"#/components/messages/{_key(channel, one)}"}
            for one in channel.messages
        },
    }
    if names := _PARAMETER.findall(channel.address):
        described["parameters"] = {name: {"description": _PARAMETERS[name]} for name in names}
    return described


def _operations(channels: Iterable[Channel]) -> Iterable[tuple[str, Json]]:
    for channel in channels:
        for action in ("send", "receive"):
            those = [one.name for one in channel.messages if one.direction == action]
            if not those:
                continue
            place = f"#/channels/{channel.name}"
            operation: Json = {
                "action": action,
                "channel": {"$ref": place},
                "messages": [{"$ref": f"{place}/messages/{name}"} for name in those],
            }
            if channel.binding:
                operation["bindings"] = dict(channel.binding)
            yield f"{action}{channel.name[0].upper()}{channel.name[1:]}", operation


def _message(channel: Channel, message: Message, refs: Mapping[Any, Json]) -> Json:
    described: Json = {
        "name": message.event or message.name,
        "title": message.name,
        "summary": message.summary,
        "contentType": message.content_type,
    }
    if message.headers is not None:
        described["headers"] = refs[message.headers]
    if message.payload is None:
        described["payload"] = {"type": "null"}
    elif isinstance(message.payload, Mapping):
        described["payload"] = dict(message.payload)
    elif channel.server == "sockets":
        described["payload"] = _envelope(message, refs[message.payload])
    else:
        described["payload"] = refs[message.payload]
    return described


def _envelope(message: Message, data: Json) -> Json:
    """The schema of a message on a socket: the event's name, its data, and its id in the log."""
    event: Json = {"const": message.event}
    if message.event.endswith("…"):
        event = {"type": "string", "pattern": f"^{re.escape(message.event[:-1])}"}
    fields: Json = {"event": event, "data": data}
    required = ["event", "data"]
    if message.name in ("OrderEvent", "DocumentEvent"):
        fields["id"] = {"type": "string"}
        required.append("id")
    return {"type": "object", "properties": fields, "required": required}
