"""Checks real messages against the AsyncAPI document."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs

_ROOT = Path(__file__).parents[1]
_SPECIFICATION = _ROOT / "tests/vendored/asyncapi/3.0.0.json"


def specification() -> Any:
    """A validator, which checks whether a document is a valid AsyncAPI 3.0 document."""
    return jsonschema_rs.validator_for(json.loads(_SPECIFICATION.read_text()))


def strict(schema: Any) -> Any:
    """The schema, but with all fields forbidden that it does not name.

    Readers ignore such fields. But every field that our servers send must be in the document.
    """
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(value) for name, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        made.setdefault("additionalProperties", False)
    return made


STAR = {
    ("devicesInbound", "StarSaid"),
    ("devicesOutbound", "StarTold"),
    ("starStatus", "RequestClientStatus"),
    ("starAction", "OrderClientAction"),
    ("starJob", "PrintJob"),
    ("starClientStatus", "ClientStatus"),
    ("starResult", "PrintResult"),
    ("starWill", "ClientWill"),
}
"""The (channel, message) pairs that are sent only if a Star printer gets its jobs over MQTT."""


class Judge:
    """Finds out which message of the document a real message is.

    Args:
        document: the AsyncAPI document.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._schemas = strict(document["components"]["schemas"])
        self._validators: dict[str, Any] = {}
        self.seen: set[tuple[str, str]] = set()
        """The (channel, message) pairs that were found."""

    def judge(
        self, channel: str, value: Any, *, among: set[str] | None = None, headers: Any = None
    ) -> str:
        """The name of the message in the document.

        Args:
            channel: the channel on which the message was received.
            value: its content, as values of JSON.
            among: compare it only with these messages; None: with all of the channel.
            headers: its headers, if it is a Kafka record.

        Raises:
            AssertionError: the channel has no such message; the text says why.
        """
        errors = []
        for name, ref in self._document["channels"][channel]["messages"].items():
            if among is not None and name not in among:
                continue
            message = self._document["components"]["messages"][ref["$ref"].rpartition("/")[2]]
            wrong = self._wrong(message["payload"], value)
            if not wrong and "headers" in message:
                wrong = self._wrong(message["headers"], headers)
            if not wrong:
                self.seen.add((channel, name))
                return str(name)
            errors.append(f"{name}: {wrong}")
        raise AssertionError(f"{channel}: {value!r} is none of its messages: {errors}")

    def judge_mqtt(self, topic: str, payload: bytes) -> str:
        """The name of a message over MQTT; raises as `judge`.

        Args:
            topic: the topic on which the message was received.
            payload: a picture, or JSON.
        """
        for name, channel in self._document["channels"].items():
            form = re.sub(r"\\{\w+\\}", r"[^/]+", re.escape(channel["address"]))
            if channel["servers"] == [{"$ref": "#/servers/mqtt"}] and re.fullmatch(form, topic):
                is_picture = payload.startswith(b"\x89PNG")
                return self.judge(name, "a picture" if is_picture else json.loads(payload))
        raise AssertionError(f"{topic} is no topic of the document")

    def messages(self) -> set[tuple[str, str]]:
        """All (channel, message) pairs of the document."""
        channels = self._document["channels"].items()
        return {(name, one) for name, channel in channels for one in channel["messages"]}

    def _wrong(self, schema: Any, value: Any) -> str:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            whole = {**strict(schema), "components": {"schemas": self._schemas}}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole)
        return "; ".join(str(one)[:200] for one in self._validators[key].iter_errors(value))
