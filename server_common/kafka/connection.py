"""How every process of ours connects to Kafka: makes the arguments of all aiokafka clients.

Without an account and without TLS the address as a text is enough.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from server_common.errors import SettingsError
from server_common.kafka.client_credentials import ClientCredentials

Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
SENT_AS_THEY_ARE: Final = frozenset({"PLAIN", "OAUTHBEARER"})
"""Mechanisms that send the secret itself, so that TLS is needed against eavesdroppers."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Trusted authorities, and our own certificate."""

    ca_file: str = ""
    """File of the authorities (PEM) that sign the brokers' certificates; empty: the usual ones."""
    cert_file: str = ""
    """File of our certificate chain (PEM); empty: we show none."""
    key_file: str = ""
    key_password: str = field(default="", repr=False)

    def context(self) -> ssl.SSLContext:
        """The TLS context of the connections; the brokers' names are always checked. Renewed files
        are used from the next connection on.

        Raises:
            SettingsError: a file cannot be read, or they do not belong together.
        """
        # A program that only reads settings, such as `make run`, does not load logging.
        from server_common.tls.client_context import RenewedContext

        files = [file for file in (self.cert_file, self.key_file, self.ca_file) if file]
        try:
            return RenewedContext(self._load, files)
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            raise SettingsError(f"the files of YABAM_KAFKA_… for TLS: {error}") from error

    def _load(self, context: ssl.SSLContext) -> None:
        if self.ca_file:
            context.load_verify_locations(self.ca_file)
        else:
            context.load_default_certs()
        if self.cert_file:
            context.load_cert_chain(
                self.cert_file, self.key_file or None, lambda: self.key_password
            )


@dataclass(frozen=True, slots=True)
class Account:
    """Our account, for SASL."""

    mechanism: Mechanism
    user: str = ""
    password: str = field(default="", repr=False)
    credentials: ClientCredentials | None = None
    """With OAUTHBEARER: where tokens come from."""


@dataclass(frozen=True, slots=True)
class KafkaCluster:
    """A cluster, and our account there. Its text is its address only."""

    bootstrap: str
    """`host:port[,host:port]`."""
    tls: Tls | None = None
    account: Account | None = None

    def __str__(self) -> str:
        return self.bootstrap


Kafka: TypeAlias = KafkaCluster | str
"""A cluster; a text is the address of one without accounts and TLS."""


def chain_of(kafka: Kafka) -> str:
    """The file of the certificate chain that we show there; empty: we show none."""
    return "" if isinstance(kafka, str) or kafka.tls is None else kafka.tls.cert_file


def client_arguments(kafka: Kafka) -> dict[str, Any]:
    """The arguments of any aiokafka client of this cluster.

    Raises:
        SettingsError: the files of TLS cannot be used.
    """
    if isinstance(kafka, str):
        return {"bootstrap_servers": kafka}
    arguments: dict[str, Any] = {"bootstrap_servers": kafka.bootstrap}
    transport = "PLAINTEXT"
    if kafka.tls is not None:
        transport = "SSL"
        arguments["ssl_context"] = kafka.tls.context()
    account = kafka.account
    if account is None:
        return {**arguments, "security_protocol": transport}
    arguments["security_protocol"] = "SASL_SSL" if kafka.tls else "SASL_PLAINTEXT"
    arguments["sasl_mechanism"] = account.mechanism
    if account.credentials is not None:
        # Most processes never ask for a token, and start without an HTTP client.
        from server_common.kafka.token_provider import FetchedTokens

        arguments["sasl_oauth_token_provider"] = FetchedTokens(account.credentials)
    else:
        arguments["sasl_plain_username"] = account.user
        arguments["sasl_plain_password"] = account.password
    return arguments
