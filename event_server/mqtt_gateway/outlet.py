"""The way to the broker: nothing passes whose partitions may be another gateway's by now."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from event_server.errors import OwnershipLostError
from event_server.mqtt_gateway.rules.membership import Membership
from event_server.mqtt_gateway.rules.publications import Changed, Publication, state_topic

if TYPE_CHECKING:
    from event_server.mqtt_gateway.metrics import GatewayMetrics
    from server_common.mqtt.connection import BrokerConnection

_MAX_KNOWN: Final = 100_000


class Newest:
    """Which version of each public document was published last. Versions come from the log and
    from Core, in any order; an older one must not replace a newer one that the broker keeps."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def take(self, changed: Changed) -> bool:
        """Whether nothing newer was published; equal ones may be published again."""
        if changed.channel.kind != "public":
            return True
        topic, place = (
            state_topic(changed.channel.root, changed.key),
            (changed.epoch, changed.version),
        )
        if self._known.get(topic, place) > place:
            return False
        self._known[topic] = place
        self._known.move_to_end(topic)
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        return True


class Outlet:
    """Publishes over one connection, for as long as the partitions are ours.

    Args:
        connection: to the broker.
        membership: proves that they are.
        clock: seconds that only go forward.
        metrics: where the numbers go.
    """

    def __init__(
        self,
        connection: BrokerConnection,
        membership: Membership,
        clock: Callable[[], float],
        metrics: GatewayMetrics,
    ) -> None:
        self._connection = connection
        self._membership = membership
        self._clock = clock
        self._metrics = metrics
        self.newest = Newest()

    @property
    def is_open(self) -> bool:
        """Whether something may be published now."""
        return self._membership.holds(self._clock())

    def send(self, what: str, publication: Publication, qos: int = 1) -> asyncio.Future[None]:
        """Publish; done once the broker has acknowledged it.

        Args:
            what: it is, one of `metrics.PUBLISHED`.
            publication: the message.
            qos: 1, or 0 for what the next one replaces.

        Raises:
            OwnershipLostError: it is not certain that the partitions are still ours.
        """
        if not self.is_open:
            raise OwnershipLostError("Kafka has not confirmed of late that the partitions are ours")
        topic, payload, retain, expires_s = publication
        done = self._connection.publish(topic, payload, qos=qos, retain=retain, expires_s=expires_s)
        done.add_done_callback(lambda future: self._count(what, future))
        return done

    def _count(self, what: str, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._metrics.published.labels(what).inc()
