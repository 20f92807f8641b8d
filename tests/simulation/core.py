"""A model of Core: the real rules of orders, of the log and of Fetch Sync, with logs in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from uuid import UUID

from client_sdk.contract.channel import Channel, event_id, parse_channel
from client_sdk.contract.order import Order
from client_sdk.contract.sync import StreamGrant, SyncResponse, decode_sync
from core_api.event_log.lines import event_json
from core_api.orders.channel_entries import Views, log_write_of
from core_api.orders.lifecycle import (
    NewItem,
    OrderChange,
    PlaceOrder,
    Transition,
    following,
    place,
    transition,
)
from core_api.sync import events_or_reset as rules
from core_api.sync.queries import Moment, OpenOrders, Page, PageQuery
from core_api.sync.request import SyncRequest
from server_common.access.tickets import Ticket
from server_common.kafka_records.events import OrderRecord, encode_order_record
from tests.simulation.servers import KEYS, Committed

STORE = "1"
TABLES = ("1", "2")
TICKET_TTL_S = 30.0


@dataclass
class ChannelLog:
    """One channel: the bodies of its events in order, the last deleted seq, digests, orders."""

    bodies: list[str] = field(default_factory=list)
    floor: int = 0
    digest: int = 0
    orders: dict[str, Order] = field(default_factory=dict)
    content: int = 0
    views: dict[str, str] = field(default_factory=dict)
    """The stored views of the open orders, by the order's id."""

    @property
    def head(self) -> int:
        return len(self.bodies)

    def copy(self) -> ChannelLog:
        """An independent copy; the values in it are immutable."""
        return replace(
            self, bodies=list(self.bodies), orders=dict(self.orders), views=dict(self.views)
        )


@dataclass
class Truth:
    """All data of Core, which a backup contains."""

    epoch: int = 1
    channels: dict[str, ChannelLog] = field(default_factory=dict)
    waiting: dict[str, Order] = field(default_factory=dict)
    """The orders whose status can still change."""
    views: dict[str, Views] = field(default_factory=dict)
    outbox: list[Committed] = field(default_factory=list)

    def copy(self) -> Truth:
        """An independent copy."""
        return replace(
            self,
            channels={name: log.copy() for name, log in self.channels.items()},
            waiting=dict(self.waiting),
            views=dict(self.views),
            outbox=list(self.outbox),
        )


class ModelCore:
    """Commits random changes, and answers syncs by the real rules; times are the database's."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self.truth = Truth()
        self.epochs = 1
        self.commits = 0
        self.times: dict[tuple[int, str, int], float] = {}
        """The time when each (epoch, channel, seq) was committed."""

    @property
    def epoch(self) -> str:
        """The epoch's name; later epochs sort after earlier ones."""
        return f"0E{self.truth.epoch:05d}"

    def commit(self, now: float) -> None:
        """Place an order, or give one its next status."""
        waiting = list(self.truth.waiting.values())
        moment = datetime.fromtimestamp(now, UTC)
        if waiting and self._chance.random() < 0.6:
            order = self._chance.choice(waiting)
            to = self._chance.choice(following(order))
            assert to != "placed"
            change = transition(order, Transition(to), now=moment)
        else:
            self.commits += 1
            command = PlaceOrder(
                STORE, "KRW", [NewItem("a", 1, 1)], table_id=self._chance.choice(TABLES)
            )
            name = UUID(int=self._chance.getrandbits(128))
            change = place(command, order_id=str(name), placed_by="sim", now=moment)
        self._write(change, now)

    def _write(self, change: OrderChange, now: float) -> None:
        order, truth = change.after, self.truth
        written, committed = log_order(change, truth.channels, truth.views, self.epoch, now)
        for channel, seq in written:
            self.times[truth.epoch, channel, seq] = now
        if following(order):
            truth.waiting[order.id] = order
        else:
            truth.waiting.pop(order.id, None)
        truth.outbox.append(committed)

    def answer(
        self, after: dict[str, int | None], epoch: str | None, limit: int, now: float
    ) -> SyncResponse:
        """The answer of Fetch Sync, by the real rules."""
        request = SyncRequest(
            {parse_channel(name): seq for name, seq in after.items()}, epoch, limit, 0.0
        )
        moment = Moment(self.epoch, now)
        answers = []
        for query, (channel, seq) in zip(request.queries(), request.after.items(), strict=True):
            log = self.truth.channels.get(query.channel, ChannelLog())
            answers.append(orders_answer(log, query, channel, seq, request, moment))
        grant = None
        if not rules.has_more(answers):
            ticket = Ticket(self.epoch, rules.cursor_of(answers), now, now + TICKET_TTL_S, "sim")
            grant = StreamGrant("http://events", KEYS.sign(ticket), TICKET_TTL_S)
        return decode_sync(rules.encode_answer(moment, answers, grant, 3000))

    def trim(self) -> None:
        """Delete the older half of each channel's log."""
        for log in self.truth.channels.values():
            log.floor = max(log.floor, log.head // 2)

    def backup(self) -> Truth:
        """A copy of all data."""
        return self.truth.copy()

    def restore(self, truth: Truth) -> None:
        """Restore a backup, in a new epoch; events that were not published are gone."""
        self.epochs += 1
        self.truth = truth.copy()
        self.truth.epoch = self.epochs
        self.truth.outbox.clear()


def log_order(
    change: OrderChange,
    channels: dict[str, ChannelLog],
    views: dict[str, Views],
    epoch: str,
    now: float,
) -> tuple[list[tuple[str, int]], Committed]:
    """Write a change into the logs of its channels.

    Returns the channel and seq of each entry, and the record for the outbox.
    """
    order = change.after
    rows = log_write_of(change, views.get(order.id))
    views[order.id] = Views(rows.owner_view, rows.table_view)
    written, lines = [], []
    for entry in rows.entries:
        log = channels.setdefault(entry.channel, ChannelLog())
        log.bodies.append(entry.body)
        log.digest ^= entry.digest_delta & 0xFFFFFFFFFFFFFFFF
        log.orders[order.id] = order
        log.content ^= entry.content_delta
        view = rows.owner_view if entry.channel.startswith("store:") else rows.table_view
        if order.is_open and view is not None:
            log.views[order.id] = view
        else:
            log.views.pop(order.id, None)
        written.append((entry.channel, log.head))
        lines.append(event_json(entry.channel, log.head, entry.body).encode())
    ids = tuple(event_id(channel, seq) for channel, seq in written)
    record = OrderRecord(epoch, change.type, "now", ids, tuple(lines))
    return written, Committed(encode_order_record(record), now)


def orders_answer(
    log: ChannelLog,
    query: PageQuery,
    channel: Channel,
    seq: int | None,
    request: SyncRequest,
    moment: Moment,
) -> rules.ChannelAnswer:
    """The answer of Fetch Sync for one channel of orders, by the real rules."""
    newest = min(log.head, query.after + query.limit)
    found = range(query.after + 1, newest + 1) if query.after >= log.floor else ()
    rows = tuple((n, log.bodies[n - 1]) for n in found)
    page = Page(log.head, log.digest, log.floor, rows, log.content)
    reason = rules.reset_reason(seq, request.epoch, moment, page)
    if reason is None:
        return rules.page_of(str(channel), query.after, page)
    opened = OpenOrders(log.head, log.digest, list(log.views.values()), content=log.content)
    return rules.snapshot_of(str(channel), reason, opened, moment.epoch)
