"""Which event server carries which partitions, so that a fleet grows without reading everything.

Core sends each client to a server that carries all of its channels; a server that gets a request
for another one's channels answers 421 with the right URL. Both read the same map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from client_sdk.contract.channel import Channel
from client_sdk.contract.limits import MAX_URL_CHARS
from server_common.kafka_records.events import partition_of_channel


class StreamNodes:
    """The event servers of a fleet.

    Args:
        nodes: the URL of each server's streams, with the partitions that it carries.
        partitions: how many there are in all.
        choose: picks one of several.

    Raises:
        ValueError: a node names a partition that there is not, a partition has no node, or a URL
            is longer than clients take.
    """

    def __init__(
        self,
        nodes: Mapping[str, Iterable[int]],
        partitions: int,
        choose: Callable[[Sequence[str]], str],
    ) -> None:
        self._carriers = {url: frozenset(carried) for url, carried in nodes.items()}
        self._partitions = partitions
        self._choose = choose
        carried = frozenset().union(*self._carriers.values())
        stray = sorted(carried - set(range(partitions)))
        if stray:
            raise ValueError(f"there is no partition {stray[0]}: they are 0 to {partitions - 1}")
        if max(map(len, self._carriers), default=0) > MAX_URL_CHARS:
            raise ValueError(f"the URL of a node may have at most {MAX_URL_CHARS} characters")
        missing = sorted(set(range(partitions)) - carried)
        if missing:
            raise ValueError(f"no node carries partition {missing[0]}")

    def url_for(self, channels: Iterable[Channel]) -> str | None:
        """A server that carries all of these channels; None: each carries only some.

        All channels of a store share a partition; one that belongs to no store is in each.
        """
        wanted = {partition_of_channel(channel, self._partitions) for channel in channels} - {None}
        fitting = [url for url, carried in self._carriers.items() if wanted <= carried]
        return self._choose(fitting) if fitting else None
