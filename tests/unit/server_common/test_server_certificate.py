"""A certificate that is renewed in its files is shown to those who connect from then on."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from prometheus_client import CollectorRegistry

from server_common.tls.certificate import ServerCertificate
from server_common.tls.metrics import watched
from server_common.tls.validity import Validity
from tests.secure_kafka import Certificates, make_certificates


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Certificates]:
    """Two that are good, one that has ended."""
    return {
        name: make_certificates(tmp_path_factory.mktemp(name), name, days)
        for name, days in (("old", 1), ("new", 2), ("ended", -1))
    }


class Files:
    """Where a server looks for its certificate."""

    def __init__(self, folder: Path) -> None:
        self.chain, self.key = folder / "tls.crt", folder / "tls.key"

    def put(self, chain: Path, key: Path) -> None:
        shutil.copyfile(chain, self.chain)
        shutil.copyfile(key, self.key)


@pytest.fixture
def files(tmp_path: Path, made: dict[str, Certificates]) -> Files:
    files = Files(tmp_path)
    files.put(made["old"].client, made["old"].client_key)
    return files


@pytest.fixture
def certificate(files: Files) -> ServerCertificate:
    return ServerCertificate(str(files.chain), str(files.key))


@asynccontextmanager
async def serving(certificate: ServerCertificate) -> AsyncIterator[int]:
    """The port of a server that sends back what it is sent."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(100):
            writer.write(said)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=certificate.context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def connected(
    port: int, host: str | None = "localhost"
) -> AsyncIterator[tuple[str, asyncio.StreamReader, asyncio.StreamWriter]]:
    """Whom the server shows itself as, and the connection."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=trust, server_hostname=host
    )
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        (name,) = x509.load_der_x509_certificate(shown).subject
        yield str(name.value), reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def shown_at(port: int, host: str | None = "localhost") -> str:
    async with connected(port, host) as (name, _reader, _writer):
        return name


async def renewal(files: Files, made: dict[str, Certificates]) -> None:
    certificate = ServerCertificate(str(files.chain), str(files.key))
    async with serving(certificate) as port, connected(port) as (before, reader, writer):
        assert before == "old"
        files.put(made["new"].client, made["new"].client_key)
        certificate.look()
        # Without a host in its hello a client is shown the same.
        assert [await shown_at(port), await shown_at(port, "")] == ["new", "new"]
        writer.write(b"still here")
        assert await reader.read(100) == b"still here"


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_whoever_connects_is_shown_the_new_one_and_old_connections_go_on(
    files: Files, made: dict[str, Certificates], run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    run(renewal(files, made))


async def test_files_are_looked_at_again_and_again(
    files: Files, certificate: ServerCertificate, made: dict[str, Certificates]
) -> None:
    keeping = asyncio.create_task(certificate.keep(0.01))
    async with serving(certificate) as port, asyncio.timeout(20):
        files.put(made["new"].client, made["new"].client_key)
        while await shown_at(port) != "new":
            pass
    keeping.cancel()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("half", "PEM"),
        ("other key", "MISMATCH"),
        ("none", "No such file"),
        ("ended", "it ended at"),
    ],
)
async def test_what_cannot_be_used_is_said_and_the_one_before_is_shown(
    files: Files,
    certificate: ServerCertificate,
    made: dict[str, Certificates],
    name: str,
    reason: str,
) -> None:
    new = made["new"]
    if name == "ended":
        files.put(made["ended"].client, made["ended"].client_key)
    elif name == "other key":
        files.put(new.client, made["old"].client_key)
    elif name == "none":
        files.chain.unlink()
    else:
        files.chain.write_bytes(new.client.read_bytes()[:200])
    async with serving(certificate) as port:
        for _ in range(2):
            certificate.look()
            assert certificate.refusal is not None
            assert reason in certificate.refusal.replace("_", " ").replace("KEY VALUES ", "")
            assert await shown_at(port) == "old"
        files.put(new.client, new.client_key)
        certificate.look()
        assert certificate.refusal is None
        assert await shown_at(port) == "new"


def test_a_refusal_ends_when_the_file_before_it_is_back(
    files: Files, certificate: ServerCertificate, made: dict[str, Certificates]
) -> None:
    files.chain.write_bytes(b"")
    certificate.look()
    assert certificate.refusal is not None
    files.put(made["old"].client, made["old"].client_key)
    certificate.look()
    assert certificate.refusal is None


def test_one_that_is_good_from_tomorrow_on_is_shown_tomorrow(
    files: Files, made: dict[str, Certificates]
) -> None:
    now = datetime.now(UTC) - timedelta(days=30)
    certificate = ServerCertificate(str(files.chain), str(files.key), lambda: now)
    files.put(made["new"].client, made["new"].client_key)
    certificate.look()
    assert "it begins at" in str(certificate.refusal)
    now = datetime.now(UTC)
    certificate.look()
    assert certificate.refusal is None


def test_a_chain_ends_with_the_first_of_its_certificates(made: dict[str, Certificates]) -> None:
    short, long = made["old"].client.read_bytes(), made["new"].client.read_bytes()
    for chain in (short + long, long + short):
        assert Validity.of_chain(chain).ends == Validity.of_chain(short).ends


def test_numbers_say_when_it_ends_and_whether_its_renewal_is_refused(
    files: Files, made: dict[str, Certificates]
) -> None:
    registry = CollectorRegistry()
    certificate = watched((str(files.chain), str(files.key)), registry)
    assert certificate is not None

    def shown(name: str) -> float | None:
        labels = {"shown": "port"} if name == "ends_seconds" else {}
        return registry.get_sample_value(f"yabam_tls_certificate_{name}", labels)

    before = shown("ends_seconds")
    assert before == Validity.of_chain(files.chain.read_bytes()).ends.timestamp()
    assert shown("refused_state") == 0
    files.chain.write_bytes(b"")
    certificate.look()
    assert shown("ends_seconds") == before
    assert shown("refused_state") == 1
    files.put(made["new"].client, made["new"].client_key)
    certificate.look()
    assert shown("ends_seconds") == pytest.approx(before + 86_400, abs=60)
    assert shown("refused_state") == 0


def test_what_is_shown_to_kafka_is_watched_alike(
    tmp_path: Path, made: dict[str, Certificates]
) -> None:
    registry, chain = CollectorRegistry(), tmp_path / "kafka.pem"
    assert watched(None, registry, str(chain)) is None

    def ends() -> float | None:
        name = "yabam_tls_certificate_ends_seconds"
        return registry.get_sample_value(name, {"shown": "kafka"})

    assert ends() is None
    for name in ("old", "new"):
        shutil.copyfile(made[name].client, chain)
        assert ends() == Validity.of_chain(chain.read_bytes()).ends.timestamp()


def test_a_process_without_tls_has_neither() -> None:
    registry = CollectorRegistry()
    assert watched(None, registry) is None
    assert list(registry.collect()) == []
