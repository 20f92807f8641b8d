"""Wires the ops page: what it reads, how often, and for how many."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import httpx
from prometheus_client import CollectorRegistry

from core_api.access.callers import Caller
from core_api.access.tokens import TokenKeys
from core_api.dashboard.day import DayKeeper, moments, read_day
from core_api.dashboard.figures import Round
from core_api.dashboard.overview import count_modes, read_overview
from core_api.dashboard.points import kinds_of
from core_api.dashboard.processes import ProcessKind, ProcessReading
from core_api.dashboard.sampler import Moments, ReadRound, Sampler
from core_api.dashboard.scrape import ANSWER_WITHIN_S, Scraper, reading_of
from core_api.dashboard.waiting import Overview
from core_api.errors import UnavailableError
from core_api.metrics import CoreMetrics
from core_api.overload import Bound
from core_api.postgres.patience import keep_looking
from server_common.logs import get_logger

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

_log = get_logger()

SEEN_WITHIN_S: Final = 120.0
"""A device that syncs at the end of each stream, or polls, is seen well within it."""
_COUNT_EVERY_S: Final = 10.0
_MAX_STORES: Final = 50
_TOKEN_LIFETIME_S: Final = 60
_SAMPLER: Final = Caller("ops-page", "ops", frozenset())


class OpsWatch:
    """How the ops page of one Core takes samples: for viewers, and once a minute for the day.

    Args:
        pool: the database.
        cores: the addresses of the Cores to ask.
        nodes: the addresses of the other processes to ask.
        tokens: signs the token that Cores are asked with.
        node_tokens: signs the token that the others are asked with.
        registry: this Core's own numbers; shown unless one of the `cores` answers.
        ca_file: the authorities (PEM) that sign the certificates of those asked by https; empty:
            the usual ones.
    """

    def __init__(
        self,
        pool: Pool,
        cores: Sequence[str],
        nodes: Sequence[str],
        tokens: TokenKeys,
        node_tokens: TokenKeys,
        registry: CollectorRegistry,
        ca_file: str = "",
    ) -> None:
        self._pool = pool
        self._trust = trusted([*cores, *nodes], ca_file)
        # A node never gets a token that is valid for orders: an attacker on it could read them all.
        self._asked = ((cores, tokens), (nodes, node_tokens))
        self._registry = registry
        self._kinds: dict[str, ProcessKind] = {}

    def sampler(
        self, grafana: str, most_viewers: int, uniform: Callable[[float, float], float]
    ) -> Sampler:
        """The sampler for viewers.

        Args:
            grafana: where Grafana is; empty: nobody has said.
            most_viewers: how many may watch.
            uniform: a random number evenly between two.
        """
        return Sampler(
            self._looking,
            self._past,
            sum(len(addresses) for addresses, _ in self._asked),
            grafana,
            Bound(most_viewers, "viewers of the ops page", uniform),
        )

    def day_keeper(self, owner: str) -> DayKeeper:
        """The task that keeps the day; `owner`: this Core, by a name that no other has."""
        return DayKeeper(self._pool, owner, self._looking, self._kinds)

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[ReadRound]:
        if not self._kinds:
            await self._past()
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(
            timeout=ANSWER_WITHIN_S, limits=limits, trust_env=False, verify=self._trust
        ) as client:
            asked_cores, asked_nodes = (
                Scraper(
                    addresses, partial(ring.sign, _SAMPLER, _TOKEN_LIFETIME_S), client, self._kinds
                )
                for addresses, ring in self._asked
            )

            async def look() -> Round:
                of_cores, of_nodes, (overview, trouble) = await asyncio.gather(
                    asked_cores.read(), asked_nodes.read(), _overview(self._pool)
                )
                shown = _with_this_core([*of_cores, *of_nodes], self._registry)
                # The database's clock is the one that all Cores share.
                at_ms = overview.at_ms if overview else time.time_ns() // 1_000_000
                return Round(time.monotonic(), at_ms, shown, overview, trouble)

            yield look

    async def _past(self) -> Moments:
        """The alerts of the last day; none while Postgres is down."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                points = await read_day(self._pool)
        except (TimeoutError, UnavailableError) as error:
            _log.warning("ops_day_not_read", reason=str(error))
            return []
        for address, kind in kinds_of(points).items():
            self._kinds.setdefault(address, kind)
        return moments(points)


async def keep_counting(pool: Pool, metrics: CoreMetrics) -> None:
    """Keep the gauge of devices by mode, for as long as Core runs."""

    async def count() -> None:
        metrics.devices_seen(await count_modes(pool, SEEN_WITHIN_S))

    await keep_looking(count, _COUNT_EVERY_S, "devices_not_counted")


def trusted(addresses: Sequence[str], ca_file: str) -> ssl.SSLContext:
    """Whose certificates are accepted; made once, as all authorities take 20 ms to load."""
    if ca_file:
        return ssl.create_default_context(cafile=ca_file)
    if any(address.startswith("https:") for address in addresses):
        return httpx.create_ssl_context(trust_env=False)
    # Nobody is asked by https, so nobody's certificate is accepted.
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def _overview(pool: Pool) -> tuple[Overview | None, str]:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await read_overview(pool, SEEN_WITHIN_S, _MAX_STORES), ""
    except TimeoutError:
        return None, f"no answer within {ANSWER_WITHIN_S:g} s"
    except UnavailableError as error:
        return None, str(error)


def _with_this_core(
    readings: list[ProcessReading], registry: CollectorRegistry
) -> list[ProcessReading]:
    if any(reading.kind == "core" for reading in readings):
        return readings
    return [reading_of("this Core", registry), *readings]
