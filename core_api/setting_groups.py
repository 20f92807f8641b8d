"""Groups of settings that several processes of Core have in common."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field

from core_api.orders.admission import OpenLimits
from server_common.environment import FromEnvironment
from server_common.kafka.settings import KafkaAccessSettings
from server_common.limits import (
    OPEN_STORE_BYTES,
    OPEN_STORE_ORDERS,
    OPEN_SUBJECT_BYTES,
    OPEN_SUBJECT_ORDERS,
    OPEN_TABLE_BYTES,
    OPEN_TABLE_ORDERS,
)
from server_common.settings.groups import (
    EventsTopicSettings,
    PartitionSettings,
    SideTopicSettings,
)


def _database_url(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("write postgresql://user:password@host:port/database")
    return url


DatabaseUrl = Annotated[str, AfterValidator(_database_url)]


def _network(text: str) -> str:
    ip_network(text)
    return text


class DocumentSettings(PartitionSettings):
    """The definitions of documents."""

    definitions: list[str] = Field(["demonstration"])
    """Which definitions of documents hold: names of entry points in the group `yabam.definitions`,
    as JSON."""


class DatabaseSettings(FromEnvironment):
    """The database, which every process of Core needs."""

    database_url: DatabaseUrl
    """Postgres: postgresql://user:password@host:port/database; of several hosts
    (host:port,host:port), the one that is the primary."""
    session_database_url: DatabaseUrl | None = None
    """Postgres itself, where YABAM_DATABASE_URL is a pooler in transaction mode: for what needs a
    session of its own."""

    @property
    def session_url(self) -> str:
        """Postgres, past any pooler."""
        return self.session_database_url or self.database_url

    @property
    def is_pooled(self) -> bool:
        """Whether a pooler in transaction mode stands before Postgres."""
        return self.session_database_url is not None


class TokenSettings(FromEnvironment):
    """What makes and verifies access tokens."""

    token_keys: dict[str, str]
    """Keys of access tokens, as JSON {"kid": "secret of 32 bytes or more"}."""
    token_kid: str
    """The token key that signs."""


class OpenOrderSettings(FromEnvironment):
    """How much may be open at once; beyond it an order is refused with 409 `too-many-open`."""

    open_table_orders: int = Field(OPEN_TABLE_ORDERS, ge=1)
    """Orders of one table that may be open at once."""
    open_table_bytes: int = Field(OPEN_TABLE_BYTES, ge=1)
    """Their bytes as JSON."""
    open_subject_orders: int = Field(OPEN_SUBJECT_ORDERS, ge=1)
    """Orders of one token's subject in one store that may be open at once."""
    open_subject_bytes: int = Field(OPEN_SUBJECT_BYTES, ge=1)
    """Their bytes as JSON."""
    open_store_orders: int = Field(OPEN_STORE_ORDERS, ge=1)
    """Orders of one store that may be open at once."""
    open_store_bytes: int = Field(OPEN_STORE_BYTES, ge=1)
    """Their bytes as JSON."""

    @property
    def open_limits(self) -> OpenLimits:
        """The same for the write path."""
        return OpenLimits(
            self.open_table_orders,
            self.open_table_bytes,
            self.open_subject_orders,
            self.open_subject_bytes,
            self.open_store_orders,
            self.open_store_bytes,
        )


class SendingSettings(FromEnvironment):
    """What registers and signs webhooks."""

    webhooks_keys: dict[str, str] = Field({})
    """Keys that webhooks' secrets are derived with, as JSON {"kid": "secret of 32 bytes or more"};
    without one no webhook can be registered."""
    webhooks_kid: str = ""
    """The key of webhooks for new secrets; without it, the only one."""
    webhooks_networks: list[Annotated[str, AfterValidator(_network)]] = Field([])
    """Networks of your own that webhooks may be sent to, beside the Internet, as JSON such as
    ["10.1.0.0/16"]; to these also by http."""


class PushSettings(FromEnvironment):
    """What tells owners' phones of new orders."""

    push_key: str = ""
    """The key by which push services know this installation: 32 random bytes in base64url; without
    it no phone is told of orders."""
    push_contact: str = ""
    """How push services reach the operator: mailto:… or https://…; needed with YABAM_PUSH_KEY."""


class KafkaSettings(KafkaAccessSettings, EventsTopicSettings, SideTopicSettings):
    """Where Kafka is and what its topics are called."""

    inbound_topic: str = "orders.inbound"
    """The topic that producers write."""
    alerts_topic: str = "store-alerts"
    """Topic for receipt alerts: orders that nobody has received or accepted."""
    inbound_dlq_topic: str = "orders.inbound.dlq"
    """Where commands go that cannot be applied."""
