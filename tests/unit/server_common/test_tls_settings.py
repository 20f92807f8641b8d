"""A process that cannot show its certificate does not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from server_common.errors import SettingsError
from server_common.settings.loader import load
from server_common.tls.settings import ServerTlsSettings, check_authorities
from tests.secure_kafka import Certificates, make_certificates


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"), "core")


def loaded(patch: pytest.MonkeyPatch, chain: object, key: object) -> ServerTlsSettings:
    patch.setenv("YABAM_TLS_CERT", str(chain))
    patch.setenv("YABAM_TLS_KEY", str(key))
    return load(ServerTlsSettings)


def test_a_certificate_and_its_key_are_shown(
    files: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = loaded(monkeypatch, files.client, files.client_key)
    assert settings.certificate == (str(files.client), str(files.client_key))


def test_without_them_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded(monkeypatch, "", "").certificate is None


def test_one_without_the_other_stops_the_start(
    files: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chain, key in ((files.client, ""), ("", files.client_key)):
        with pytest.raises(SettingsError, match="YABAM_TLS_CERT and YABAM_TLS_KEY go together"):
            loaded(monkeypatch, chain, key)


def test_files_that_cannot_be_used_stop_the_start(
    files: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chain in (tmp_path / "none.pem", files.ca, files.broker):
        with pytest.raises(SettingsError, match="the files of YABAM_TLS_CERT and YABAM_TLS_KEY"):
            loaded(monkeypatch, chain, files.client_key)


def test_authorities_that_cannot_be_read_are_named(files: Certificates, tmp_path: Path) -> None:
    check_authorities("YABAM_OPS_CA_FILE", "")
    check_authorities("YABAM_OPS_CA_FILE", str(files.ca))
    empty = tmp_path / "empty.pem"
    empty.touch()
    for file in (empty, tmp_path / "none.pem"):
        with pytest.raises(ValueError, match="the file of YABAM_OPS_CA_FILE"):
            check_authorities("YABAM_OPS_CA_FILE", str(file))
