"""Which addresses a webhook may be sent to. Pure.

A registered URL could otherwise make this installation send requests to internal servers (SSRF):
the database's neighbours, a cloud's metadata service, the machine itself. So only public Internet
addresses are permitted, and networks that the operator has named. The check is made on the resolved
address, which is then connected to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from core_api.errors import InvalidError
from server_common.limits import WEBHOOK_URL_BYTES

Address = IPv4Address | IPv6Address

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9.])?")
_TARGET: Final = re.compile(r"[!-~]*")
_NEVER: Final = tuple(
    map(
        ip_network,
        (
            "168.63.129.16/32",  # the host of a virtual machine at Azure
            "192.0.0.0/24",  # a cloud's metadata service stands in it, at Oracle
            "192.88.99.0/24",
            "64:ff9b:1::/48",  # translated to IPv4 addresses that are not shown
            "2001::/32",  # Teredo, as well
            "2002::/16",  # 6to4, as well
            "fec0::/10",  # site-local, as it once was
        ),
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")


class Networks:
    """The networks that may be connected to.

    Args:
        allowed: networks of the operator that are permitted beside the Internet, such as
            `10.1.0.0/16`.

    Raises:
        ValueError: one is no network.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = tuple(ip_network(text) for text in allowed)

    @property
    def has_own(self) -> bool:
        """Whether the operator has named any."""
        return bool(self._allowed)

    def is_own(self, text: str) -> bool:
        """Whether an address is in a network that the operator has named."""
        address = _plain(text)
        return address is not None and any(address in network for network in self._allowed)

    def permits(self, text: str) -> bool:
        """Whether an address may be connected to."""
        address = _plain(text)
        return self.is_own(text) or (address is not None and _is_of_the_internet(address))


def _plain(text: str) -> Address | None:
    """The address; for an IPv6 form of an IPv4 address, the IPv4 address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_of_the_internet(address: Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in _NEVER)


class Target(NamedTuple):
    """What a URL names."""

    is_secure: bool
    host: str
    port: int


def check_url(url: str, networks: Networks, field: str = "url") -> Target:
    """Check the URL of a subscription, as far as that can be done without resolving its name.

    Args:
        url: the URL.
        networks: the networks that may be connected to.
        field: what the caller named it, for the problem.

    Raises:
        InvalidError: it is not a URL, or its address is not permitted.
    """
    if len(url.encode()) > WEBHOOK_URL_BYTES:
        raise InvalidError(f"`{field}` is longer than {WEBHOOK_URL_BYTES} bytes")
    target = _target(url)
    if target is None:
        raise InvalidError(
            f"`{field}` must be https://host/path in ASCII, without a user name and without a "
            "fragment"
        )
    if not target.is_secure and not networks.has_own:
        raise InvalidError(f"`{field}` must begin with https: orders hold names and phone numbers")
    literal = _plain(target.host)
    if literal is not None and not networks.permits(target.host):
        raise InvalidError(
            f"`{field}` leads to {target.host}, which is no address of the Internet; "
            "an operator permits networks by YABAM_WEBHOOKS_NETWORKS"
        )
    return target


def origin_of(target: Target) -> str:
    """Scheme, host and port of it, as browsers write them, however the URL spells them."""
    scheme, default = ("https", 443) if target.is_secure else ("http", 80)
    host = target.host.removesuffix(".")
    port = "" if target.port == default else f":{target.port}"
    return f"{scheme}://[{host}]{port}" if ":" in host else f"{scheme}://{host}{port}"


def _target(url: str) -> Target | None:
    if not _TARGET.fullmatch(url) or "#" in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    is_one = ":" in host or _HOST.fullmatch(host) is not None
    if parts.scheme not in ("http", "https") or not is_one or "@" in parts.netloc or port == 0:
        return None
    is_secure = parts.scheme == "https"
    return Target(is_secure, host, port or (443 if is_secure else 80))
