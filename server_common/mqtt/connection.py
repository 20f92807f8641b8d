"""One connection to an MQTT broker in asyncio, over paho.

paho is used because few MQTT libraries let the caller acknowledge a message once it is done with
it, and report the broker's reason for each publication. This module turns its callbacks into
futures; `socket_loop.py` lets it work on the event loop. A lost connection is never opened again:
its user makes a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from server_common.mqtt.broker import MAX_PACKET_BYTES, Broker, MqttError, MqttRefusedError
from server_common.mqtt.socket_loop import SocketLoop, tls_context

if TYPE_CHECKING:
    from paho.mqtt.reasoncodes import ReasonCode

_OPEN_WITHIN_S: Final = 10.0
_ANSWER_WITHIN_S: Final = 10.0
_CLOSE_WITHIN_S: Final = 2.0
_KEEP_ALIVE_S: Final = 5
"""A broker that is silent for up to twice as long counts as lost."""
_WAITING_IN_PAHO: Final = 1000


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that a broker has delivered."""

    topic: str
    payload: bytes
    qos: int
    number: int
    """Its packet identifier in this connection."""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes for us if the connection ends without a goodbye."""

    topic: str
    payload: bytes
    retain: bool = True


class BrokerConnection:
    """A connection to a broker; the broker forgets its subscriptions when it ends.

    Args:
        broker: its address, and our user name and password.
        client_id: our MQTT client id; a second connection with the same id ends this one.
        received: called with each message, on the event loop; it must not raise.
        unanswered: how many messages of QoS 1 may wait for an acknowledgement, in each direction.
        will: what the broker publishes for us if the connection breaks.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        received: Callable[[Incoming], None] = lambda _message: None,
        *,
        unanswered: int = 100,
        will: Will | None = None,
    ) -> None:
        self._broker = broker
        self._received = received
        self._unanswered = unanswered
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._timer: asyncio.Task[None] | None = None
        self._connecting: asyncio.Future[None] | None = None
        self._client = self._new_client(client_id)
        self._socket_loop = SocketLoop(self._client, self._fail)
        if will is not None:
            self._client.will_set(will.topic, will.payload, 1, will.retain)

    @property
    def is_lost(self) -> bool:
        """Whether the connection has ended."""
        return self._lost.done()

    async def open(self) -> None:
        """Connect.

        Raises:
            MqttRefusedError: the broker refuses the user, the password or the client id.
            MqttError: the broker does not answer.
        """
        # Looking up the name, connecting and the TLS handshake would block the event loop.
        self._connecting = asyncio.ensure_future(asyncio.to_thread(self._connect))
        try:
            async with asyncio.timeout(_OPEN_WITHIN_S):
                await asyncio.shield(self._connecting)
                self._timer = self._loop.create_task(
                    self._socket_loop.keep_time(self._lost), name="mqtt"
                )
                await asyncio.wait({self._opened, self._lost}, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, TimeoutError, ValueError) as error:
            await self.close()
            raise MqttError(
                f"the MQTT broker at {self._broker.address} does not answer: {error!r}"
            ) from error
        except BaseException:
            await self.close()
            raise
        ended = self._opened if self._opened.done() else self._lost
        if (failure := ended.exception()) is not None:
            await self.close()
            raise failure

    async def subscribe(self, filters: Sequence[str], qos: int = 1) -> None:
        """Subscribe; returns once later messages will be delivered.

        Raises:
            MqttRefusedError: the broker does not permit one of them.
            MqttError: the connection is lost, or the broker does not answer.
        """
        _, number = self._client.subscribe([(one, qos) for one in filters])
        await self._answered(number)

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Unsubscribe; returns once no further messages are delivered.

        Raises:
            MqttError: the connection is lost, or the broker does not answer.
        """
        _, number = self._client.unsubscribe(list(filters))
        await self._answered(number)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expires_s: int | None = None,
    ) -> asyncio.Future[None]:
        """Publish a message.

        Args:
            topic: where to.
            payload: the message.
            qos: 0 or 1.
            retain: whether the broker keeps it for later subscribers of the topic.
            expires_s: how long the broker may keep it for offline clients; None, or over MQTT
                3.1.1: without limit.

        Returns:
            A future that is done once the broker has acknowledged the message (QoS 1), or once it
            is handed to the connection (QoS 0). It fails with `MqttRefusedError` if the broker does
            not permit it, and with `MqttError` if the connection is lost before: then the broker
            may have it or not.
        """
        done = self._loop.create_future()
        if self._lost.done():
            done.set_exception(MqttError("the connection to the MQTT broker is lost"))
            return done
        info = self._client.publish(topic, payload, qos, retain, self._lifetime(expires_s))
        if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            done.set_exception(MqttError("too many messages wait for the MQTT broker"))
        elif info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            done.set_exception(MqttError(f"the MQTT broker cannot be reached: {info.rc!r}"))
        elif qos == 0:
            done.set_result(None)
        else:
            self._answers[info.mid] = done
        return done

    def acknowledge(self, message: Incoming) -> None:
        """Acknowledge a message: the broker will not send it again."""
        if not self._lost.done() and message.qos > 0:
            self._client.ack(message.number, message.qos)

    async def until_lost(self) -> None:
        """Wait until the connection is lost, and raise the reason.

        Raises:
            MqttError: always; the text says why the connection was lost.
        """
        await asyncio.shield(self._lost)

    async def close(self) -> None:
        """Disconnect properly, so that the broker publishes no will, and free everything."""
        if self._connecting is not None:
            # A thread cannot be cancelled, and the socket that it opens must be closed.
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._timer is not None and not self._lost.done():
            self._client.disconnect()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN_S):
                    await asyncio.wait({self._lost})
        self._end(MqttError("the connection to the MQTT broker was closed"))
        self._client._reset_sockets()
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)

    def _new_client(self, client_id: str) -> Client:
        is_new = self._broker.version == "5"
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if is_new else MQTTProtocolVersion.MQTTv311,
            clean_session=None if is_new else True,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.max_inflight_messages_set(self._unanswered)
        client.max_queued_messages_set(_WAITING_IN_PAHO)
        if self._broker.user:
            client.username_pw_set(self._broker.user, self._broker.password)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        return client

    def _connect(self) -> None:
        client, broker = self._client, self._broker
        if broker.ca_file:
            client.tls_set_context(tls_context(broker.ca_file))
        if broker.version == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.ReceiveMaximum = self._unanswered
            properties.MaximumPacketSize = MAX_PACKET_BYTES
            client.connect(
                broker.host, broker.port, _KEEP_ALIVE_S, clean_start=True, properties=properties
            )
        else:
            client.connect(broker.host, broker.port, _KEEP_ALIVE_S)

    def _lifetime(self, expires_s: int | None) -> Properties | None:
        if expires_s is None or self._broker.version != "5":
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.MessageExpiryInterval = expires_s
        return properties

    async def _answered(self, number: int | None) -> None:
        if number is None or self._lost.done():
            raise MqttError("the connection to the MQTT broker is lost")
        answer = self._answers.setdefault(number, self._loop.create_future())
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await answer
        except TimeoutError as error:
            raise MqttError("the MQTT broker does not answer") from error
        finally:
            self._answers.pop(number, None)

    def _end(self, error: MqttError) -> None:
        if not self._lost.done():
            self._lost.set_exception(error)
            self._lost.exception()  # without this asyncio warns if nobody waited for it
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)
                answer.exception()
        self._answers.clear()

    def _fail(self, error: Exception) -> None:
        self._end(MqttError(f"the connection to the MQTT broker is lost: {error!r}"))
        self._client._reset_sockets()

    def _settle(self, number: int, reason: ReasonCode | None) -> None:
        answer = self._answers.pop(number, None)
        if answer is None or answer.done():
            return
        if reason is None or not reason.is_failure:
            answer.set_result(None)
        else:
            answer.set_exception(MqttRefusedError(f"the MQTT broker refuses: {reason}"))
            answer.exception()

    def _on_connect(
        self, _client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if self._opened.done():
            return
        if reason.is_failure:
            text = f"the MQTT broker at {self._broker.address} refuses {self._broker.user!r}"
            self._opened.set_exception(MqttRefusedError(f"{text}: {reason}"))
            self._opened.exception()
        else:
            self._opened.set_result(None)

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        self._end(MqttError(f"the connection to the MQTT broker is lost: {reason}"))

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        payload = bytes(message.payload)
        incoming = Incoming(topic, payload, message.qos, message.mid)
        self._received(incoming)

    def _on_publish(
        self, _client: Client, _data: Any, number: int, reason: ReasonCode, _properties: Any
    ) -> None:
        self._settle(number, reason)

    def _on_subscribe(
        self, _client: Client, _data: Any, number: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        self._settle(number, next((one for one in reasons if one.is_failure), None))

    def _on_unsubscribe(
        self, _client: Client, _data: Any, number: int, _reasons: Any, _properties: Any
    ) -> None:
        self._settle(number, None)
