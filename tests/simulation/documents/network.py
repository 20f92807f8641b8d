"""The network between a client of documents and Core: it loses, repeats and delays messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from client_sdk.shared_state.edits_api import Again

if TYPE_CHECKING:
    from tests.simulation.documents.client import DocumentClient

GIVES_UP_S: Final = 5.0
"""How long a client waits for an answer."""


class Network:
    """The requests of one process.

    Args:
        client: the process.
    """

    def __init__(self, client: DocumentClient) -> None:
        self._client = client
        self._world = client.world
        self._calling: dict[str, object] = {}

    def is_busy(self, what: str) -> bool:
        """Whether a request of this kind is under way."""
        return what in self._calling

    def exchange(
        self,
        what: str,
        answer: Callable[[Callable[[Any], None]], None],
        done: Callable[[Any], None],
    ) -> None:
        """Send one request, which the network may lose, repeat or delay.

        `done` is called with the answer, with `Again`, or with None if no answer arrived in time.
        """
        world, call = self._world, object()
        self._calling[what] = call
        epoch = world.core.epoch

        def finish(answered: Any) -> None:
            if not self._client.dead and self._calling.get(what) is call:
                del self._calling[what]
                done(answered)

        def reply(answered: Any) -> None:
            if self._is_lost("answer lost"):
                return
            world.at(self._delay(), lambda: None if self._client.offline else finish(answered))

        def arrive() -> None:
            if world.core.epoch != epoch:
                return  # a restore closes all connections
            if world.now < world.core_down_until:
                reply(Again("down"))
            elif world.faults and world.chance.random() < 0.03:
                reply(Again("503", 1.0))
            else:
                answer(reply)

        if self._client.offline:
            world.at(0.01, lambda: finish(Again("unreachable")))
            return
        world.at(GIVES_UP_S, lambda: finish(None))
        if self._is_lost("request lost"):
            return
        delay = self._delay()
        if world.faults and world.chance.random() < 0.06:
            world.injected["request late"] += 1
            delay = world.chance.uniform(GIVES_UP_S, 30.0)
        world.at(delay, arrive)
        if world.faults and world.chance.random() < 0.06:
            world.injected["request doubled"] += 1
            world.at(delay + world.chance.uniform(0.0, 20.0), arrive)

    def _is_lost(self, what: str) -> bool:
        if self._world.faults and self._world.chance.random() < 0.05:
            self._world.injected[what] += 1
            return True
        return False

    def _delay(self) -> float:
        return self._world.chance.choice((0.01, 0.1, 0.5, 3.0)) if self._world.faults else 0.05
