"""A receiver of webhooks while servers are replaced, and the check of what it received.

One receiver is there for the whole drill; its webhook was registered with the previous release. No
sender is killed and no answer is lost. So each event must arrive once, although the promise is only
"once or more".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import httpx

from tests.chaos.proof import Fact, Ledger, Verdict, judge
from tests.chaos.site import Site
from tests.webhook_receiver import Received, Receiver

_GAP: Final = "webhook.gap"


class Partner:
    """The receiver of webhooks.

    Args:
        site: the installation.
        stores: the stores that its webhook is for; others place orders there.
    """

    def __init__(self, site: Site, stores: Sequence[str]) -> None:
        self._site = site
        self._stores = stores
        self._receiver = Receiver()
        self._judged: dict[str, int] = {}
        """The seq up to which each channel was checked."""
        self._taken_before = 0

    async def start(self) -> None:
        """Receive webhooks; the first time, register the webhook."""
        if self._receiver.secret is None:
            await self._receiver.start()
            await self._register()

    async def stop(self) -> None:
        """Does nothing: it receives webhooks until `close`."""

    async def close(self) -> None:
        """Receive no more webhooks."""
        await self._receiver.stop()

    async def rest(self, within_s: float) -> bool:
        """Returns True at once, as it writes nothing."""
        return True

    async def judge(self, ledger: Ledger, within_s: float) -> Verdict:
        """Compare what it received since the last call with the log.

        It waits for late events until none has arrived for `within_s` seconds.
        """
        log = await ledger.log(self._judged)
        heads = {channel: facts[-1].seq for channel, facts in log.items() if facts}

        def has_all(receiver: Receiver) -> bool:
            taken = {(one.channel, one.seq) for one in receiver.taken}
            return all(head in taken for head in heads.items())

        await until_nothing_comes(self._receiver, has_all, within_s)
        # Read first: the events up to these places must be among those that were received.
        places = await self._places(ledger)
        new = self._receiver.taken[self._taken_before :]
        self._taken_before = len(self._receiver.taken)
        to_come = {
            fact
            for channel, facts in log.items()
            for fact in facts
            if fact.seq > places.get(channel, fact.seq)
        }
        verdict = judge_webhooks(log, new, to_come)
        # Late events are checked at the next call.
        newest = {one.channel: one.seq for one in new}
        for channel in heads if verdict.late else ():
            heads[channel] = max(places.get(channel, 0), newest.get(channel, 0))
        self._judged |= heads
        return verdict

    async def _places(self, ledger: Ledger) -> dict[str, int]:
        """The seq up to which the senders have delivered each store's events, from the database."""
        rows = await ledger.fetch(
            "SELECT 'store:' || store_id, seq FROM webhook_lanes WHERE store_id = ANY($1::text[])",
            list(self._stores),
        )
        return {str(channel): int(str(seq)) for channel, seq in rows}

    async def _register(self) -> None:
        """Register the webhook; events from now on are sent."""
        headers = {"authorization": f"Bearer {self._site.token('partner', 'owner', '*')}"}
        async with httpx.AsyncClient(base_url=self._site.core_url, timeout=30) as http:
            answer = await http.post(
                "/v1/webhooks",
                json={"url": self._receiver.url, "stores": list(self._stores)},
                headers=headers,
            )
            answer.raise_for_status()
            made = answer.json()
            self._receiver.secret = made["secret"]
            lanes = made["webhook"]["lanes"]
        self._judged = {f"store:{lane['store_id']}": lane["seq"] for lane in lanes}


async def until_nothing_comes(
    receiver: Receiver, has_all: Callable[[Receiver], bool], silence_s: float
) -> None:
    """Wait until it has all events, or has received none for so many seconds."""
    with contextlib.suppress(TimeoutError):
        while not has_all(receiver):
            more = len(receiver.taken) + 1
            await receiver.until(partial(_has_taken, more), silence_s)


def _has_taken(count: int, receiver: Receiver) -> bool:
    return len(receiver.taken) >= count


def judge_webhooks(
    log: Mapping[str, Sequence[Fact]], taken: Iterable[Received], to_come: Collection[Fact] = ()
) -> Verdict:
    """Compare the requests that were answered with 2xx with the log of each channel.

    Args:
        log: the expected events, by channel.
        taken: the requests, in the order in which they arrived.
        to_come: the events that the senders have not delivered yet, and send again.
    """
    verdict = Verdict()
    got: dict[str, list[Fact]] = {channel: [] for channel in log}
    ids: dict[Fact, set[str]] = {}
    for one in taken:
        if one.body["type"] == _GAP:
            verdict.add(Verdict(lost=1, notes=[f"webhooks: told of a gap: {one.body['data']}"]))
            continue
        data = one.body["data"]
        fact = Fact(one.seq, data["order_id"], data["order_version"])
        ids.setdefault(fact, set()).add(one.id)
        got.setdefault(one.channel, []).append(fact)
    for channel, facts in got.items():
        verdict.add(judge(f"{channel} (webhooks)", log.get(channel, ()), facts, to_come))
    twice = [fact for fact, names in ids.items() if len(names) > 1]
    if twice:
        note = f"webhooks: {len(twice)} events came under two ids: {twice[:3]}"
        verdict.add(Verdict(doubled=len(twice), notes=[note]))
    return verdict
