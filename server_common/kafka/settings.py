"""The settings by which every process of ours reaches Kafka."""

from __future__ import annotations

import re
from typing import Final, Literal, Self

from pydantic import field_validator, model_validator

from server_common.environment import FromEnvironment
from server_common.errors import SettingsError
from server_common.kafka.client_credentials import ClientCredentials
from server_common.kafka.connection import (
    SENT_AS_THEY_ARE,
    Account,
    KafkaCluster,
    Mechanism,
    Tls,
)

_SAFE_URL: Final = re.compile(
    r"https://[^/?#\s@]+(/[^#\s]*)?|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?(/[^#\s]*)?"
)


class KafkaAccessSettings(FromEnvironment):
    """A process's account at Kafka, and its transport."""

    kafka: str
    """Kafka: host:port[,host:port]."""
    kafka_tls: bool = False
    """Whether to use TLS to Kafka: true or false."""
    kafka_ca_file: str = ""
    """File of the authorities (PEM) that sign the brokers' certificates; without it, the usual
    ones."""
    kafka_cert_file: str = ""
    """File of this process's certificate chain (PEM), for brokers that ask."""
    kafka_key_file: str = ""
    """File of the certificate's private key (PEM)."""
    kafka_key_password: str = ""
    """The password of that file, if it has one."""
    kafka_sasl: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = ""
    """The SASL mechanism of this process's account at Kafka: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or
    OAUTHBEARER; empty: it has none."""
    kafka_user: str = ""
    """The account; with OAUTHBEARER, the client's id."""
    kafka_password: str = ""
    """Its password; with OAUTHBEARER, its secret."""
    kafka_token_url: str = ""
    """With OAUTHBEARER: where tokens are given for client credentials (https)."""
    kafka_token_scope: str = ""
    """With OAUTHBEARER: the scope that is asked for."""

    @field_validator("kafka_token_url")
    @classmethod
    def _safe(cls, url: str) -> str:
        if url and not _SAFE_URL.fullmatch(url):
            raise ValueError("write https://…: the client's secret goes there")
        return url

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kafka_cert_file and not self.kafka_tls:
            raise ValueError("YABAM_KAFKA_CERT_FILE is for TLS: set YABAM_KAFKA_TLS=true")
        if self.kafka_tls:
            try:
                self._tls.context()
            except SettingsError as error:
                raise ValueError(str(error)) from error
        if self.kafka_sasl and not (self.kafka_user and self.kafka_password):
            raise ValueError("YABAM_KAFKA_SASL needs YABAM_KAFKA_USER and YABAM_KAFKA_PASSWORD")
        if self.kafka_sasl == "OAUTHBEARER" and not self.kafka_token_url:
            raise ValueError("OAUTHBEARER needs YABAM_KAFKA_TOKEN_URL")
        if self.kafka_sasl in SENT_AS_THEY_ARE and not self.kafka_tls:
            raise ValueError(
                f"{self.kafka_sasl} sends its secret unencrypted: set YABAM_KAFKA_TLS=true"
            )
        return self

    @property
    def cluster(self) -> KafkaCluster:
        """Kafka, and this process's account there."""
        tls = self._tls if self.kafka_tls else None
        return KafkaCluster(self.kafka, tls, self._account(self.kafka_sasl or None))

    @property
    def _tls(self) -> Tls:
        return Tls(
            self.kafka_ca_file, self.kafka_cert_file, self.kafka_key_file, self.kafka_key_password
        )

    def _account(self, mechanism: Mechanism | None) -> Account | None:
        if mechanism is None:
            return None
        credentials = None
        if mechanism == "OAUTHBEARER":
            credentials = ClientCredentials(
                self.kafka_token_url,
                self.kafka_user,
                self.kafka_password,
                self.kafka_token_scope,
                self.kafka_ca_file,
            )
        return Account(mechanism, self.kafka_user, self.kafka_password, credentials)
