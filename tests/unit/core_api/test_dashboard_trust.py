"""Whose certificates the ops page accepts from the processes that it asks."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import pytest

from core_api.dashboard.wiring import trusted


@pytest.mark.parametrize(
    "addresses", [["https://events:8001"], ["http://core:8000", "https://events:8001"]]
)
def test_by_https_the_usual_authorities_are_accepted_and_nobody_else(
    addresses: Sequence[str],
) -> None:
    trust = trusted(addresses, "")
    assert trust.cert_store_stats()["x509_ca"] > 10
    assert (trust.verify_mode, trust.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_without_https_no_authority_is_loaded_and_no_certificate_accepted() -> None:
    trust = trusted(["http://core:8000", "http://events:8001"], "")
    assert trust.cert_store_stats()["x509_ca"] == 0
    assert (trust.verify_mode, trust.check_hostname) == (ssl.CERT_REQUIRED, True)
