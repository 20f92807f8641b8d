"""Where webhooks may be sent: the table of what must never be reached from here."""

from __future__ import annotations

import pytest

from core_api.errors import InvalidError
from core_api.webhooks.addresses import Networks, check_url
from server_common.limits import WEBHOOK_URL_BYTES

INTERNET = Networks()
OWN = Networks(["10.1.0.0/16", "fd00::/8"])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",  # a cloud's metadata service
        "169.254.169.254",  # that of most clouds
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2002:7f00:1::",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "no address",
        "",
        "2130706433",
        "0x7f.1",
    ],
)
def test_what_is_not_of_the_internet_is_refused(address: str) -> None:
    assert not INTERNET.permits(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8",
     "64:ff9b::808:808"],
)  # fmt: skip
def test_what_everybody_can_reach_is_permitted(address: str) -> None:
    assert INTERNET.permits(address)


def test_a_network_that_the_operator_names_is_permitted_and_no_other() -> None:
    assert OWN.permits("10.1.2.3")
    assert OWN.permits("::ffff:10.1.2.3")
    assert OWN.permits("fd00::1")
    assert not OWN.permits("10.2.0.1")
    assert not OWN.permits("127.0.0.1")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/orders",
        "https://example.com:8443/a?b=c&d=%20",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "HTTPS://EXAMPLE.COM",
        "https://xn--9n2bp8q.example/",
    ],
)
def test_a_url_of_the_internet_is_taken(url: str) -> None:
    assert check_url(url, INTERNET).is_secure


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user:pw@example.com/",
        "https://@example.com/",
        "https://example.com/#fragment",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://exam ple.com/",
        "https://example.com/a b",
        "https://example.com/\r\nx-evil: 1",
        "https://예시.example/",
        "https://example.com\\@127.0.0.1/",
        "https://[::1]/",
        "https://[fe80::1%25eth0]/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://10.1.2.3:5432/",
        "https://[::ffff:10.0.0.1]/",
        "https://-example.com/",
        "https://" + "a" * WEBHOOK_URL_BYTES,
    ],
)
def test_any_other_url_is_refused_with_its_reason(url: str) -> None:
    with pytest.raises(InvalidError, match="`url`"):
        check_url(url, INTERNET)


def test_without_encryption_a_url_is_taken_only_where_the_operator_has_networks() -> None:
    assert not check_url("http://10.1.2.3:9000/orders", OWN).is_secure
    with pytest.raises(InvalidError, match="https"):
        check_url("http://10.1.2.3:9000/orders", INTERNET)
