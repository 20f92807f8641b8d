"""The settings of Core's processes: defaults and ranges. `docs/settings.md` is made from here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from random import choice
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from client_sdk.contract.channel import Channel
from client_sdk.contract.limits import MAX_URL_CHARS
from core_api.access.provider.settings import ProviderSettings
from core_api.setting_groups import (
    DatabaseSettings,
    DatabaseUrl,
    DocumentSettings,
    KafkaSettings,
    OpenOrderSettings,
    PushSettings,
    SendingSettings,
    TokenSettings,
)
from server_common.access.derived_secrets import newest_kid
from server_common.devices.identity import DeviceKeys
from server_common.kafka.settings import KafkaAccessSettings
from server_common.settings.groups import (
    DeviceTopicSettings,
    EventsTopicSettings,
    MqttAddress,
    PartitionSettings,
    Port,
    StreamNodeSettings,
)
from server_common.stream_placement import StreamNodes
from server_common.tls.settings import ServerTlsSettings, check_authorities

_LONGEST_RETENTION_S: Final = 10 * 365 * 86_400.0


def _http_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^/?#]+/?", url):
        raise ValueError("write http://host:port")
    return url


def _page_url(url: str) -> str:
    if url and not re.fullmatch(r"https?://[^\s\"<>]+", url):
        raise ValueError("write https://host/path")
    return url


class StateSettings(DatabaseSettings, DocumentSettings):
    """`yabam state`: shared documents."""


class CoreSettings(
    DatabaseSettings,
    TokenSettings,
    ProviderSettings,
    OpenOrderSettings,
    DocumentSettings,
    SendingSettings,
    PushSettings,
    StreamNodeSettings,
    ServerTlsSettings,
):
    """`yabam core`."""

    core_host: str = "127.0.0.1"
    """Address that Core listens on."""
    core_port: Port = 8000
    """Port that Core listens on; 0 picks a free one."""
    stream_url: str = Field("http://127.0.0.1:8001/v1/stream", max_length=MAX_URL_CHARS)
    """Where clients find the event servers."""
    ticket_keys: dict[str, str]
    """Keys of stream tickets, as JSON {"kid": "secret of 32 bytes or more"}."""
    ticket_kid: str
    """The ticket key that signs."""
    devices_keys: dict[str, str] = Field({})
    """Keys that devices' passwords are derived with, as JSON {"kid": "secret of 32 bytes or more"};
    without one no device can be registered."""
    devices_kid: str = ""
    """The key of devices for new passwords; without it, the only one."""
    star_broker: MqttAddress | None = None
    """The MQTT broker as Star printers reach it, by TLS: host:port. With it they are called when
    there is something to print; without it they poll."""
    star_mode: Literal["trigger", "full"] = "trigger"
    """How Star printers at the broker get their jobs: trigger, by HTTP after a message (Trigger
    POST); full, over MQTT (Full MQTT)."""
    print_names: Literal["dated", "plain"] = "dated"
    """How print jobs are named: dated, so that no ticket gets the name of another after a restore;
    plain, as v0.2.0-alpha.1 names them, for as long as its Cores may still serve Star printers."""
    ticket_ttl_s: float = Field(30.0, gt=0, le=600)
    """How long a ticket is good for; less than the event servers' replay window."""
    poll_after_ms: int = Field(3000, ge=100, le=600_000)
    """How long a polling client waits between syncs."""
    pool_size: int = Field(10, ge=2, le=500)
    """Connections to Postgres; about a third of them only write."""
    statement_timeout_s: float = Field(10.0, gt=0, le=300)
    """The time-out of a statement."""
    replica_database_url: DatabaseUrl | None = None
    """A standby of Postgres, which answers syncs that it has enough for; without it, the primary
    answers all."""
    tail_interval_s: float = Field(0.25, gt=0, le=10)
    """How often waiting syncs look for commits of other processes."""
    max_waiting: int = Field(20_000, ge=1)
    """How many syncs may wait at once; beyond it they get 503."""
    max_syncs: int = Field(2000, ge=1)
    """How many syncs may read at once; beyond it they get 503."""
    max_commands: int = Field(1000, ge=1)
    """How many commands may be under way; beyond it they get 503."""
    sign_in_max_s: int = Field(604_800, ge=3600, le=31_536_000)
    """How long an owner who has signed in once may renew the token, in seconds."""
    rate_per_s: float = Field(1000.0, gt=0)
    """Requests per second that one token's subject may send on average."""
    rate_burst: int = Field(5000, ge=1)
    """Requests that one token's subject may send at once."""
    deadline_s: float = Field(15.0, gt=0, le=300)
    """A request without a result by then gets 503."""
    request_timeout_s: float = Field(10.0, gt=0, le=300)
    """How long a client may take over a request, from the connection or the request's first byte to
    its last; then the connection is cut."""
    log_retention_s: float = Field(7 * 86_400.0, gt=0, le=_LONGEST_RETENTION_S)
    """How long events are kept; an older cursor gets a reset and a snapshot."""
    key_retention_s: float = Field(7 * 86_400.0, gt=0, le=_LONGEST_RETENTION_S)
    """How long the answer of an Idempotency-Key is kept."""
    drain_s: float = Field(10.0, ge=0, le=600)
    """How long requests may take to finish after SIGTERM."""
    cors_origins: list[str] = Field(["*"])
    """Origins whose pages may call; no cookies are ever used."""
    ops_nodes: list[Annotated[str, AfterValidator(_http_url)]] = Field([])
    """The processes that the page /ops shows, as JSON: the addresses of the event servers, relays
    and ingests; behind a name each address counts, such as ["http://events-1:8001",
    "http://relay-1:8002"]."""
    ops_cores: list[Annotated[str, AfterValidator(_http_url)]] = Field([])
    """The Cores that the page /ops shows, as JSON like YABAM_OPS_NODES; without it, the one that
    was asked. They get a token of Core's own key, so name nothing else."""
    ops_nodes_key: dict[str, str] = Field({})
    """The key that signs the tokens which Core shows to YABAM_OPS_NODES, as JSON {"kid": "secret of
    32 bytes or more"}; Core itself takes no token of it. Without it, Core's own key signs, and its
    nodes can then sign for everything."""
    ops_ca_file: str = ""
    """File of the authorities (PEM) that sign the certificates of YABAM_OPS_CORES and
    YABAM_OPS_NODES where these begin with https; without it, the usual ones."""
    ops_viewers: int = Field(20, ge=1, le=1000)
    """How many may watch the page /ops; beyond it they get 503."""

    ops_grafana_url: Annotated[str, AfterValidator(_page_url)] = ""
    """Where people open Grafana: the page /ops links to it, such as
    https://grafana.example/d/yabam."""

    @property
    def device_keys(self) -> DeviceKeys | None:
        """The ring of the keys of devices; None: there is none.

        Raises:
            SettingsError: the newest is not among them, or one is too short.
        """
        if not self.devices_keys:
            return None
        keys = {kid: key.encode() for kid, key in self.devices_keys.items()}
        return DeviceKeys(keys, newest_kid(self.devices_keys, self.devices_kid))

    @field_validator("ops_ca_file")
    @classmethod
    def _readable(cls, file: str) -> str:
        check_authorities("YABAM_OPS_CA_FILE", file)
        return file

    @field_validator("ops_nodes_key")
    @classmethod
    def _of_the_nodes(cls, key: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        if len(key) > 1:
            raise ValueError("name one key, the one that signs")
        if any(len(secret.encode()) < 32 for secret in key.values()):
            raise ValueError("the key is shorter than 32 bytes")
        if not set(key.values()).isdisjoint(info.data.get("token_keys", {}).values()):
            raise ValueError("the key is among YABAM_TOKEN_KEYS: it must be one of its own")
        return key

    @property
    def stream_urls(self) -> list[str]:
        """Where the event servers are, all of them."""
        return list(self.stream_nodes) or [self.stream_url]

    def stream_url_for(self) -> Callable[[Iterable[Channel]], str | None]:
        """The function that finds the event server for channels."""
        if self.stream_nodes:
            return StreamNodes(self.stream_nodes, self.partitions, choice).url_for
        return lambda _channels: self.stream_url


class RelaySettings(
    DatabaseSettings, TokenSettings, KafkaSettings, PartitionSettings, ServerTlsSettings
):
    """`yabam relay`."""

    relay_host: str = "127.0.0.1"
    """Address of the relay's health and metrics."""
    relay_port: Port = 8002
    """Port of the relay's health and metrics."""
    relay_lease_s: float = Field(5.0, ge=0.5, le=60)
    """How long a dead relay's shards are not published at most."""
    unreceived_after_s: float = Field(30.0, ge=1, le=86_400)
    """An order that no owner's device has received after this time is reported. Devices report
    receipts within 2 s; with an older SDK only at each sync: then set 180."""
    unaccepted_after_s: float = Field(300.0, ge=1, le=86_400)
    """An order that is still `placed` after this time is reported."""
    reach_every_s: float = Field(5.0, ge=0.1, le=3600)
    """How often to look for orders that reach nobody."""


class IngestSettings(
    DatabaseSettings,
    TokenSettings,
    KafkaSettings,
    DeviceTopicSettings,
    OpenOrderSettings,
    DocumentSettings,
    ServerTlsSettings,
):
    """`yabam ingest`."""

    ingest_host: str = "127.0.0.1"
    """Address of ingest's health and metrics."""
    ingest_port: Port = 8003
    """Port of ingest's health and metrics."""
    ingest_pool_size: int = Field(10, ge=2, le=500)
    """Connections to Postgres; about a third of them only write."""


class WebhooksSettings(
    DatabaseSettings, TokenSettings, SendingSettings, PushSettings, ServerTlsSettings
):
    """`yabam webhooks`."""

    webhooks_host: str = "127.0.0.1"
    """Address of its health and metrics."""
    webhooks_port: Port = 8007
    """Port of its health and metrics."""
    push_after_s: float = Field(10.0, ge=2, le=3600)
    """Phones are notified of an order that no owner's device has received after this time; devices
    report receipts within 2 s."""


class BrokerAdminSettings(DatabaseSettings, TokenSettings, ServerTlsSettings):
    """`yabam mqtt-admin`."""

    mqtt_broker: MqttAddress
    """The MQTT broker: host:port."""
    mqtt_ca_file: str = ""
    """File of the authorities (PEM) that sign the broker's certificate; with it the admin speaks
    TLS."""
    mqtt_admin_password: str = Field(min_length=16)
    """The password of the user `yabam-admin` at the broker."""
    mqtt_password: str = Field(min_length=16)
    """The password that the gateway's user `yabam-gateway` gets."""
    devices_keys: dict[str, str]
    """Keys that the passwords of devices are derived with, as JSON {"kid": "secret of 32 bytes or
    more"}."""
    mqtt_readers_of_orders: list[str] = Field(["terminal-*"])
    """Names of devices that may follow all orders of their store, guests' names included, as JSON;
    `*` stands for anything."""
    mqtt_admin_host: str = "127.0.0.1"
    """Address of its health and metrics."""
    mqtt_admin_port: Port = 8006
    """Port of its health and metrics."""


class RestoreSettings(
    DatabaseSettings, KafkaAccessSettings, EventsTopicSettings, PartitionSettings
):
    """`yabam db restore-check`."""

    kafka: str = ""
    """Kafka: host:port[,host:port]; without it, only the database is checked."""


class PermitSettings(KafkaSettings, DeviceTopicSettings):
    """`yabam kafka permit`."""

    mqtt_group: str = "mqtt-gateway"
    """The consumer group in which gateways share the partitions."""
