"""The settings of `yabam events`: defaults and ranges. `docs/settings.md` is made from here."""

from __future__ import annotations

import platform
from random import choice
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from server_common.kafka.settings import KafkaAccessSettings
from server_common.limits import RINGS_BYTES, SLOW_CLIENT_BYTES
from server_common.settings.groups import (
    DeviceTopicSettings,
    EventsTopicSettings,
    MqttAddress,
    Port,
    SideTopicSettings,
    StreamNodeSettings,
)
from server_common.stream_placement import StreamNodes
from server_common.tls.settings import ServerTlsSettings, check_authorities, check_certificate


class EventSettings(
    KafkaAccessSettings, EventsTopicSettings, SideTopicSettings, StreamNodeSettings
):
    """`yabam events`."""

    kafka: str = "127.0.0.1:9092"
    """Kafka: host:port[,host:port]."""
    events_partitions: list[int] | None = None
    """The partitions that this server reads, as JSON such as [0,2]; all if not set."""
    ticket_keys: dict[str, str]
    """Keys of stream tickets, as JSON {"kid": "secret of 32 bytes or more"}."""
    ticket_kid: str
    """The ticket key that Core signs with."""
    ticket_ttl_s: float | None = Field(None, gt=0, le=600)
    """The lifetime of Core's tickets, if set here too; the server does not start unless
    YABAM_EVENTS_WINDOW_S is longer."""
    token_keys: dict[str, str]
    """Keys of access tokens, as JSON {"kid": "secret of 32 bytes or more"}."""
    cors_origins: list[str] = Field(["*"])
    """Origins whose pages may call; no cookies are ever used."""
    events_host: str = "127.0.0.1"
    """Address that the event server listens on."""
    events_port: Port = 8001
    """Port that the event server listens on; 0 picks a free one."""
    events_worker_port: int = Field(0, ge=0, le=65_000)
    """With `yabam events --workers N`: worker 0 to N-1 also listen on this port and those after it,
    each by itself, for its own /metrics and /readyz; 0: they do not."""
    events_push_path: Literal["edge", "asgi"] = "edge"
    """How streams are written: `edge` straight to the connection, `asgi` by a task per stream,
    which is what an ASGI server offers and costs several times as much."""
    events_tls_cert: str = ""
    """File of the certificate chain (PEM); with it the server speaks TLS."""
    events_tls_key: str = ""
    """File of the certificate's private key (PEM)."""
    events_name: str = Field("", max_length=200)
    """This server's name in the hello of its streams; the host's name if empty."""
    events_fetch_wait_ms: int = Field(100, ge=1, le=2_000)
    """How long Kafka may hold back an answer while nothing is new. Apache Kafka answers as soon as
    something comes; librdkafka's mock broker waits it out."""
    events_window_s: float = Field(120.0, ge=1, le=86_400)
    """Replay window: how long an event is kept for those who connect; well above
    YABAM_TICKET_TTL_S."""
    events_ring_events: int = Field(256, ge=1, le=100_000)
    """How many events are kept per channel."""
    events_ring_bytes: int = Field(RINGS_BYTES, ge=64 * 1024)
    """How many bytes of events are kept in all; over it the oldest go early."""
    events_lifetime_min_s: float = Field(45.0, gt=0, le=86_400)
    """The shortest lifetime of a stream."""
    events_lifetime_max_s: float = Field(90.0, gt=0, le=86_400)
    """The longest lifetime of a stream."""
    events_retry_min_ms: int = Field(1_000, ge=0, le=600_000)
    """The least `retry:` that a stream tells its client."""
    events_retry_max_ms: int = Field(3_000, ge=0, le=600_000)
    """The greatest `retry:` that a stream tells its client."""
    events_heartbeat_s: float = Field(5.0, ge=0.1, le=300)
    """How often a stream gets a heartbeat."""
    events_degraded_after_s: float = Field(5.0, ge=2, le=300)
    """Watermark lag above which streams are ended and new ones refused; the relay writes a
    watermark every second."""
    events_max_streams: int = Field(20_000, ge=1)
    """How many streams may be open at once; beyond it they get 503."""
    events_buffer_bytes: int = Field(SLOW_CLIENT_BYTES, ge=1024)
    """How much may wait in memory for one slow client before its stream is ended."""
    events_request_timeout_s: float = Field(10.0, gt=0, le=300)
    """How long a client may take over a request, from the connection or the request's first byte to
    its last; then the connection is cut."""
    events_abort_after_s: float = Field(5.0, gt=0, le=300)
    """How long a stream's last event may take to leave before its connection is cut."""
    events_drain_s: float = Field(10.0, ge=0, le=600)
    """After SIGTERM: over how long the streams are ended."""

    @property
    def certificate(self) -> tuple[str, str] | None:
        """The files of the chain and of its key; None: the port speaks plain HTTP."""
        return (self.events_tls_cert, self.events_tls_key) if self.events_tls_cert else None

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        if self.events_lifetime_min_s > self.events_lifetime_max_s:
            raise ValueError("YABAM_EVENTS_LIFETIME_MIN_S is above YABAM_EVENTS_LIFETIME_MAX_S")
        if self.ticket_ttl_s is not None and self.ticket_ttl_s >= self.events_window_s:
            # A ticket could be valid, but older than all events that can be replayed.
            raise ValueError(
                f"YABAM_TICKET_TTL_S={self.ticket_ttl_s:g} must be shorter than "
                f"YABAM_EVENTS_WINDOW_S={self.events_window_s:g}"
            )
        check_certificate("YABAM_EVENTS_TLS", self.events_tls_cert, self.events_tls_key)
        if self.events_retry_min_ms > self.events_retry_max_ms:
            raise ValueError("YABAM_EVENTS_RETRY_MIN_MS is above YABAM_EVENTS_RETRY_MAX_MS")
        stray = [p for p in self.owned_partitions if not 0 <= p < self.partitions]
        if stray or not self.owned_partitions:
            raise ValueError(
                f"YABAM_EVENTS_PARTITIONS must name some of 0 to {self.partitions - 1}"
            )
        return self

    @property
    def fleet(self) -> StreamNodes | None:
        """Which server carries which partitions; None: this server need not know."""
        if not self.stream_nodes:
            return None
        return StreamNodes(self.stream_nodes, self.partitions, choice)

    @property
    def server_name(self) -> str:
        """This server's name."""
        return self.events_name or platform.node() or "events"

    @property
    def owned_partitions(self) -> frozenset[int]:
        """The partitions that this server reads."""
        if self.events_partitions is None:
            return frozenset(range(self.partitions))
        return frozenset(self.events_partitions)


class GatewaySettings(
    KafkaAccessSettings, EventsTopicSettings, DeviceTopicSettings, ServerTlsSettings
):
    """`yabam mqtt`."""

    mqtt_broker: MqttAddress
    """The MQTT broker: host:port."""
    mqtt_user: str = ""
    """The gateway's user name at the broker."""
    mqtt_password: str = ""
    """Its password."""
    mqtt_ca_file: str = ""
    """File of the authorities (PEM) that sign the broker's certificate; with it the gateway speaks
    TLS."""
    mqtt_version: Literal["5", "3.1.1"] = "5"
    """The version of MQTT that the broker speaks. 3.1.1 has no shared subscriptions: run one
    gateway."""
    mqtt_group: str = "mqtt-gateway"
    """The consumer group in which gateways share the partitions."""
    mqtt_device_rate_per_s: float = Field(20.0, gt=0, le=10_000)
    """Messages per second that one device may send on average; further ones are dropped, and a
    device sends its results and events again."""
    mqtt_device_burst: int = Field(100, ge=1, le=100_000)
    """Messages that one device may send at once."""
    mqtt_host: str = "127.0.0.1"
    """Address of the gateway's health and metrics."""
    mqtt_port: Port = 8005
    """Port of the gateway's health and metrics."""
    core_url: str = "http://127.0.0.1:8000"
    """Core, where the gateway reads documents."""
    core_token: str = Field(min_length=1)
    """An access token of role ops that Core takes."""
    core_ca_file: str = ""
    """File of the authorities (PEM) that sign Core's certificate; without it, the usual ones."""
    kafka: str = "127.0.0.1:9092"
    """Kafka: host:port[,host:port]."""
    token_keys: dict[str, str]
    """Keys of the access tokens that may read the gateway's metrics, as JSON {"kid": "secret of 32
    bytes or more"}."""

    @field_validator("core_ca_file")
    @classmethod
    def _readable(cls, file: str) -> str:
        check_authorities("YABAM_CORE_CA_FILE", file)
        return file
