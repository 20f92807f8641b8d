"""Reads the state of the other processes: `/readyz`, `/metrics`, and the busiest channels.

It asks each address of each configured name, as there may be several processes behind one name.
Answers are bounded in time and size, and a process that does not answer is shown as down instead of
delaying the rest.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import replace
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import httpx
import msgspec
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families

from client_sdk.contract.json_decoding import decode
from client_sdk.contract.problem import decode_problem
from core_api.dashboard.processes import BusyChannel, ProcessKind, ProcessReading, Series

ANSWER_WITHIN_S: Final = 1.5
MAX_BYTES: Final = 2 << 20
"""The longest answer that is read."""
MAX_NODES: Final = 100
"""How many processes one scraper asks."""
_KINDS: Final[tuple[ProcessKind, ...]] = ("events", "relay", "ingest", "core")


Addresses = Callable[[str, int], Awaitable[Iterable[str]]]


class _Place(NamedTuple):
    """A process to ask."""

    url: str
    configured: str
    """The address in the settings that it was found by."""
    name: str
    certified: str = ""
    """The name that its certificate has, where it is asked at one of that name's addresses."""


class _Busiest(msgspec.Struct):
    channels: list[BusyChannel]


_busiest: Final = msgspec.json.Decoder(_Busiest)


class Scraper:
    """Reads the metrics of all processes at the same time.

    Args:
        nodes: their addresses.
        token: makes a token of role ops, for this round.
        client: HTTP.
        kinds: the kind of process that last answered at each address; updated by each read.
        addresses: resolves a host and port to IP addresses; raises OSError.
    """

    def __init__(
        self,
        nodes: Iterable[str],
        token: Callable[[], str],
        client: httpx.AsyncClient,
        kinds: MutableMapping[str, ProcessKind],
        addresses: Addresses | None = None,
    ) -> None:
        self._nodes = [node.rstrip("/") for node in nodes]
        self._token = token
        self._client = client
        self._kinds = kinds
        self._addresses = addresses or resolved

    async def read(self) -> list[ProcessReading]:
        """The metrics of each process, in the order of the addresses."""
        headers = {"authorization": f"Bearer {self._token()}"}
        found = await asyncio.gather(*(self._found(node) for node in self._nodes))
        places = [place for several in found for place in several][:MAX_NODES]
        return list(await asyncio.gather(*(self._known(place, headers) for place in places)))

    async def _found(self, node: str) -> list[_Place]:
        """The processes behind an address. By https each has the name's certificate."""
        parts = urlsplit(node)
        alone = [_Place(node, node, parts.netloc)]
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                hosts = await self._addresses(parts.hostname or "", port)
        except (OSError, TimeoutError):
            return alone  # asking it will say what is wrong
        several = sorted({f"[{host}]" if ":" in host else host for host in hosts})
        if len(several) < 2:
            return alone
        return [
            _Place(
                f"{parts.scheme}://{host}:{port}",
                node,
                f"{parts.netloc} ({host})",
                (parts.hostname or "") if secure else "",
            )
            for host in several
        ]

    async def _known(self, place: _Place, headers: Mapping[str, str]) -> ProcessReading:
        """The reading, with the process's name; one that is down keeps its last kind."""
        reading = await self._ask(place, headers)
        if reading.kind == "unknown":
            reading = replace(reading, kind=self._kinds.get(place.configured, "unknown"))
        else:
            self._kinds[place.configured] = reading.kind
        return replace(reading, name=place.name)

    async def _ask(self, place: _Place, headers: Mapping[str, str]) -> ProcessReading:
        node = place.url
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                status, body = await self._get(place, "/metrics", headers)
                if status != 200:
                    return _down(node, f"/metrics answered {status}{_detail(body)}")
                values = values_of(text_string_to_metric_families(body.decode()))
                kind = kind_of(values)
                status, body = await self._get(place, "/readyz", {})
                detail = "" if status == 200 else _detail(body).removeprefix(": ")
                busy = await self._busiest(place, headers) if kind == "events" else []
        except TimeoutError:
            return _down(node, f"no answer within {ANSWER_WITHIN_S:g} s")
        except Exception as error:
            # Whatever a process answers, the others must be shown.
            return _down(node, str(error) or type(error).__name__)
        return ProcessReading(
            node, kind, "ready" if status == 200 else "not-ready", detail, values, busy
        )

    async def _busiest(self, place: _Place, headers: Mapping[str, str]) -> list[BusyChannel]:
        status, body = await self._get(place, "/v1/channels/top?limit=10", headers)
        return decode(_busiest, body).channels if status == 200 else []

    async def _get(self, place: _Place, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        # Both the handshake's name and the one that the certificate is checked for.
        named = {"sni_hostname": place.certified} if place.certified else {}
        async with self._client.stream(
            "GET", f"{place.url}{path}", headers=dict(headers), extensions=named
        ) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ValueError(f"the answer is longer than {MAX_BYTES} bytes")
        return response.status_code, bytes(body)


async def resolved(host: str, port: int) -> list[str]:
    """The addresses that the name has.

    Raises:
        OSError: it has none.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # A name that has both kinds of address, as localhost has, is still one process.
    first = found[0][0]
    return [str(address[0]) for family, *_, address in found if family == first]


def reading_of(node: str, registry: CollectorRegistry) -> ProcessReading:
    """The reading of this process itself."""
    values = values_of(registry.collect())
    return ProcessReading(node, kind_of(values), "ready", "", values)


def values_of(families: Iterable[Metric]) -> dict[str, Series]:
    """The values of our own metrics among these."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in families:
        if not family.name.startswith("yabam_"):
            continue
        for sample in family.samples:
            if not math.isfinite(sample.value):
                continue  # no sum would be a number with it
            labels = tuple(sample.labels[name] for name in sorted(sample.labels))
            found.setdefault(sample.name, {})[labels] = sample.value
    return dict(found)


def kind_of(values: Iterable[str]) -> ProcessKind:
    """The kind of process that has these metrics."""
    for kind in _KINDS:
        if any(name.startswith(f"yabam_{kind}_") for name in values):
            return kind
    return "unknown"


def _down(node: str, detail: str) -> ProcessReading:
    return ProcessReading(node, "unknown", "down", detail, {})


def _detail(body: bytes) -> str:
    found = decode_problem(body)
    return f": {found.detail}" if found is not None and found.detail else ""
