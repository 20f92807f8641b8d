"""What a client shows, and whom it believes, is renewed in its files."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509

from server_common.errors import SettingsError
from server_common.kafka.connection import Tls
from tests.secure_kafka import Certificates, make_certificates

Loop = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Certificates]:
    return [make_certificates(tmp_path_factory.mktemp(one), one) for one in ("old", "new")]


class Site:
    """A server that lets in who shows a certificate, and the files of one client."""

    def __init__(self, folder: Path, server: Certificates, clients: list[Certificates]) -> None:
        self.tls = Tls(*(str(folder / name) for name in ("ca.pem", "cert.pem", "key.pem")))
        self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.load_cert_chain(server.broker)
        self._server.verify_mode = ssl.CERT_REQUIRED
        for client in clients:
            self._server.load_verify_locations(client.ca)

    def put(self, ca: Certificates, shown: Certificates, key: Certificates | None = None) -> None:
        shutil.copyfile(ca.ca, self.tls.ca_file)
        shutil.copyfile(shown.client, self.tls.cert_file)
        shutil.copyfile((key or shown).client_key, self.tls.key_file)

    def lose_key(self) -> None:
        Path(self.tls.key_file).unlink()

    async def seen(self, context: ssl.SSLContext) -> str:
        """The name of the client, as the server sees it."""
        found = asyncio.get_running_loop().create_future()

        async def look(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            (name,) = x509.load_der_x509_certificate(shown).subject
            found.set_result(name.value)
            writer.close()

        async with await asyncio.start_server(look, "127.0.0.1", 0, ssl=self._server) as server:
            port = server.sockets[0].getsockname()[1]
            _reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            try:
                return str(await asyncio.wait_for(found, 20))
            finally:
                writer.close()
                await writer.wait_closed()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_renewed_certificate_is_shown_by_the_next_connection(
    tmp_path: Path, made: list[Certificates], run: Loop
) -> None:
    old, new = made
    site = Site(tmp_path, old, made)

    async def renewal() -> None:
        site.put(old, old)
        context = site.tls.context()
        assert await site.seen(context) == "old"
        site.put(old, new, old)
        assert await site.seen(context) == "old", "they do not belong together"
        site.put(old, new)
        assert await site.seen(context) == "new"
        site.lose_key()
        assert await site.seen(context) == "new"

    run(renewal())


async def test_a_renewed_authority_is_believed_by_the_next_connection(
    tmp_path: Path, made: list[Certificates]
) -> None:
    old, new = made
    site = Site(tmp_path, new, made)
    site.put(old, old)
    context = site.tls.context()
    with pytest.raises(ssl.SSLCertVerificationError):
        await site.seen(context)
    site.put(new, old)
    assert await site.seen(context) == "old"


def test_files_that_cannot_be_used_stop_the_start(tmp_path: Path, made: list[Certificates]) -> None:
    site = Site(tmp_path, made[0], made)
    site.put(made[0], made[0], made[1])
    with pytest.raises(SettingsError, match="the files of YABAM_KAFKA_"):
        site.tls.context()
