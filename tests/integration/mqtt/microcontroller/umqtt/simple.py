"""`umqtt.simple` as its documentation describes it: MQTT 3.1.1, no pings, a lost connection is an
`OSError`.
"""

from __future__ import annotations

from collections.abc import Callable
from ssl import SSLContext
from typing import Final

from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

_WAITS_S: Final = 1.0


class MQTTException(Exception):  # noqa: N818 - the library calls it so
    """The broker refuses."""


class MQTTClient:
    """A connection, with the same arguments as the library's."""

    def __init__(
        self, client_id: str, server: str, port: int, user: str, password: str, keepalive: int,
        ssl: SSLContext,
    ) -> None:  # fmt: skip
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id, clean_session=True, protocol=MQTTv311
        )
        self._client.username_pw_set(user, password)
        self._client.tls_set_context(ssl)
        self._where = server, port, keepalive
        self._refused: list[bool] = []

    def set_callback(self, heard: Callable[[bytes, bytes], None]) -> None:
        """Call this with topic and payload of each message."""
        self._client.on_message = lambda _client, _data, message: heard(
            message.topic.encode(), bytes(message.payload)
        )

    def connect(self) -> None:
        """Connect, and wait for the broker's answer."""
        self._client.on_connect = lambda *told: self._refused.append(told[3].is_failure)
        self._client.connect(*self._where)
        self._wait_until_told()

    def subscribe(self, topic: str, qos: int) -> None:
        """Follow a topic, and wait for the broker's answer."""
        self._client.on_subscribe = lambda *told: self._refused.append(told[3][0].is_failure)
        self._client.subscribe(topic, qos)
        self._wait_until_told()

    def publish(self, topic: str, payload: str, retain: bool = False, qos: int = 0) -> None:
        """Publish a message. With QoS 1, wait for the acknowledgement."""
        message = self._client.publish(topic, payload, qos, retain)
        while qos and not message.is_published():
            self._turn(_WAITS_S)

    def check_msg(self) -> None:
        """Handle the messages that have arrived."""
        self._turn(0)

    def _wait_until_told(self) -> None:
        while not self._refused:
            self._turn(_WAITS_S)
        if self._refused.pop():
            raise MQTTException

    def _turn(self, wait_s: float) -> None:
        if self._client.loop(wait_s) is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise OSError(-1)
