"""An Apache Kafka with TLS, accounts and access rules (ACLs), and its certificates."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import confluent_kafka.admin
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core_api.kafka.permitting import permit
from core_api.kafka.rights import Names, Right, rights_of
from deploy.kafka.server import KafkaServer
from deploy.local.stack import free_ports

# The module does not declare which of its names are public, so the type checker refuses them.
_ADMIN: Final[Any] = confluent_kafka.admin
SCRAM: Final = {
    "SCRAM-SHA-256": _ADMIN.ScramMechanism.SCRAM_SHA_256,
    "SCRAM-SHA-512": _ADMIN.ScramMechanism.SCRAM_SHA_512,
}
_LOGIN: Final = "org.apache.kafka.common.security"


RULES: Final = {kind: rights_of(Names())[kind] for kind in ("relay", "events", "ingest")}
"""The rights of each account, as `yabam kafka permit` grants them."""


@dataclass(frozen=True)
class Certificates:
    """The files of a certificate authority, and of the certificates that it has signed."""

    ca: Path
    broker: Path
    """The broker's key and certificate, in one file."""
    client: Path
    client_key: Path


def make_certificates(folder: Path, client: str, days: float = 1) -> Certificates:
    """Create an authority, a broker's certificate for loopback, and a client's for this name."""
    authority, its_name = ec.generate_private_key(ec.SECP256R1()), f"authority of {client}"
    root = _certificate(its_name, authority, its_name, authority, is_ca=True)
    made = {}
    for name in ("broker", client):
        key = ec.generate_private_key(ec.SECP256R1())
        made[name] = key, _certificate(name, key, its_name, authority, days=days)
    files = Certificates(*(folder / f"{name}.pem" for name in ("ca", "broker", "client", "key")))
    files.ca.write_bytes(_pem(root))
    files.broker.write_bytes(_key(made["broker"][0]) + _pem(made["broker"][1]))
    files.client.write_bytes(_pem(made[client][1]))
    files.client_key.write_bytes(_key(made[client][0]))
    return files


def _certificate(
    name: str, key: Any, issuer: str, signs: Any, *, is_ca: bool = False, days: float = 1
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if not is_ca:
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    return builder.sign(signs, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key(key: Any) -> bytes:
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem


class SecureKafka:
    """A broker with three listeners: for accounts, for client certificates, and for the tests.

    Args:
        folder: its data.
        libs: Kafka's jars.
        certificates: what `make_certificates` returned.
        passwords: the password of each account.
    """

    def __init__(
        self, folder: Path, libs: Path, certificates: Certificates, passwords: Mapping[str, str]
    ) -> None:
        ports = free_ports()
        self.accounts = f"127.0.0.1:{ports.core}"
        self.certs = f"127.0.0.1:{ports.events}"
        self.passwords = passwords
        self.folder = certificates.ca.parent
        """The folder of the certificates."""
        self.server = KafkaServer(
            folder,
            libs,
            settings=_settings(certificates, passwords),
            doors={
                "ACCOUNTS": (ports.core, ports.core),
                "CERTS": (ports.events, ports.events),
            },
        )

    def start(self) -> None:
        """Start it and create the accounts."""
        self.server.start()
        self.admin = _ADMIN.AdminClient({"bootstrap.servers": self.server.bootstrap})
        # One request for each mechanism, as a request may name each user only once.
        for mechanism in SCRAM.values():
            info = _ADMIN.ScramCredentialInfo(mechanism, 4096)
            made = self.admin.alter_user_scram_credentials(
                [
                    _ADMIN.UserScramCredentialUpsertion(user, info, password.encode())
                    for user, password in self.passwords.items()
                ]
            )
            for done in made.values():
                done.result(30)

    def permit(self, user: str, rights: Iterable[Right]) -> None:
        """Grant a user these rights, by the code of `yabam kafka permit`."""
        asyncio.run(permit(self.server.bootstrap, user, rights))

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.server.kill()


def _settings(certificates: Certificates, passwords: Mapping[str, str]) -> dict[str, str]:
    at = "listener.name.accounts"
    users = " ".join(f'user_{user}="{password}"' for user, password in passwords.items())
    return {
        "listener.security.protocol.map": (
            "PLAINTEXT:PLAINTEXT,ACCOUNTS:SASL_SSL,CERTS:SSL,CONTROLLER:PLAINTEXT"
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # Clients of the listener without accounts, which only tests use, may do everything.
        "super.users": "User:ANONYMOUS",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.broker),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificates.ca),
        "ssl.principal.mapping.rules": "RULE:^CN=([^,]*).*$/$1/,DEFAULT",
        "listener.name.certs.ssl.client.auth": "required",
        f"{at}.sasl.enabled.mechanisms": ",".join([*SCRAM, "PLAIN", "OAUTHBEARER"]),
        f"{at}.scram-sha-256.sasl.jaas.config": f"{_LOGIN}.scram.ScramLoginModule required;",
        f"{at}.scram-sha-512.sasl.jaas.config": f"{_LOGIN}.scram.ScramLoginModule required;",
        f"{at}.plain.sasl.jaas.config": f"{_LOGIN}.plain.PlainLoginModule required {users};",
        # Kafka's verifier for tests, which does not check a token's signature.
        f"{at}.oauthbearer.sasl.jaas.config": (
            f"{_LOGIN}.oauthbearer.OAuthBearerLoginModule required "
            'unsecuredLoginStringClaim_sub="broker";'
        ),
    }
