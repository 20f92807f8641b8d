"""Documents beside orders: how they are read, put together, and taken in by the machine."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from client_sdk.contract.sse import SseEvent
from client_sdk.contract.state.document import Document
from client_sdk.contract.state.sync import (
    DocumentSnapshot,
    DocumentSync,
    MixedSync,
    decode_mixed_sync,
)
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import (
    CheckDocuments,
    Command,
    Deliver,
    DeliverDocument,
    Diverged,
    OpenStream,
    Start,
    StartSync,
    State,
    StreamDocument,
    StreamHello,
    SyncDone,
    Tick,
)
from client_sdk.machine.sequencing import DocumentReset
from client_sdk.machine.snapshot_pages import Assembly
from client_sdk.settings import Settings
from client_sdk.transport.stream_events import input_of
from tests.unit.client_sdk.samples import EPOCH, NOW, channel_sync, event, sync_response
from tests.unit.client_sdk.state.core_model import CoreModel

CHANNEL = "party:12/5"


def document(key: str, version: int = 1) -> Document:
    return Document(CHANNEL, key, version, 1, NOW, "somebody", {"a": version})


def part(
    head: int, *documents: Document, reset: str | None = "first_sync", **more: Any
) -> DocumentSync:
    next_page = more.pop("next", None)
    snapshot = None if reset is None else DocumentSnapshot(head, list(documents), next_page)
    return DocumentSync(
        CHANNEL, head, "0" * 16, reset, more.pop("events", []), snapshot,
        content_digest=more.pop("digest", "ab" * 16),
    )  # fmt: skip


def mixed(*parts: DocumentSync, orders: bool = True) -> MixedSync:
    plain = sync_response(*[channel_sync(head=0)] if orders else [])
    fields = msgspec.structs.asdict(plain)
    return MixedSync(**fields, documents=list(parts))


def wire_of(answer: MixedSync) -> bytes:
    told = json.loads(msgspec.json.encode(answer))
    told["channels"] += told.pop("documents")
    return json.dumps(told).encode()


def test_each_channel_is_read_by_what_it_carries() -> None:
    core = CoreModel()
    changed = core.write(CHANNEL, "cart", {"a": 1})
    answer = mixed(part(1, reset=None, events=[changed]))
    answer.channels[0].events.append(event(1))
    read = decode_mixed_sync(wire_of(answer))
    assert read.documents[0].events == [changed]
    assert read.channels[0].events[0].order_id == "order-1"


def test_an_order_beside_documents_keeps_its_content() -> None:
    answer = mixed(part(0))
    answer.channels[0].events.append(event(1))
    read = decode_mixed_sync(wire_of(answer))
    assert read.channels[0].events[0].data.content is not None


def test_a_streams_event_of_a_document_is_an_input_of_its_own() -> None:
    changed = CoreModel().write(CHANNEL, "cart", {"a": 1})
    told = SseEvent("document.changed", msgspec.json.encode(changed).decode(), changed.id)
    assert input_of(7, told) == StreamDocument(7, changed)


def test_an_event_of_a_document_that_contradicts_itself_is_refused() -> None:
    changed = msgspec.structs.replace(CoreModel().write(CHANNEL, "cart", {}), seq=2)
    told = SseEvent("document.changed", msgspec.json.encode(changed).decode(), changed.id)
    with pytest.raises(ValueError, match="says seq 2"):
        input_of(7, told)


def test_a_deferred_snapshot_is_whole_when_its_page_is_there() -> None:
    assembly = Assembly(mixed(part(3, next="p")), 1)
    page = part(3, document("cart"))
    assembly.add(mixed(msgspec.structs.replace(page, reset=None), orders=False), 1)
    answer = assembly.answer
    assert isinstance(answer, MixedSync)
    snapshot = answer.documents[0].snapshot
    assert snapshot is not None
    assert [one.key for one in snapshot.documents] == ["cart"]
    assert answer.documents[0].reset == "first_sync"
    assert [one.channel for one in answer.channels] == ["store:12"]


class Rig:
    """A machine that follows orders and documents."""

    def __init__(self, **more: Any) -> None:
        self.machine = Machine(
            {"store:12": 0, CHANNEL: None}, EPOCH, Settings(**more), lambda low, _high: low
        )
        self.machine._client.sync_state._unfilled.clear()
        self.out = self.machine.handle(Start(), 0.0)

    def answer(self, *parts: DocumentSync, now: float = 0.0) -> list[Command]:
        asked = next(one for one in reversed(self.out) if isinstance(one, StartSync))
        self.out = self.machine.handle(SyncDone(asked.generation, mixed(*parts)), now)
        return self.out

    def live(self) -> int:
        opened = next(one for one in self.out if isinstance(one, OpenStream))
        self.machine.handle(StreamHello(opened.generation, EPOCH, NOW), 0.0)
        assert self.machine.state is State.LIVE
        return opened.generation


def delivered(commands: list[Command]) -> list[object]:
    return [one.change for one in commands if isinstance(one, DeliverDocument)]


def test_documents_are_delivered_apart_from_orders_and_compared_at_the_head() -> None:
    out = Rig().answer(part(3, document("cart")))
    assert delivered(out) == [DocumentReset(CHANNEL, "first_sync", 3, (document("cart"),))]
    assert CheckDocuments(CHANNEL, "ab" * 16) in out
    assert not any(isinstance(one, Deliver) for one in out)


def test_a_streams_event_is_applied_on_top_of_the_last_one() -> None:
    rig, core = Rig(), CoreModel()
    rig.answer(part(0))
    generation = rig.live()
    changed = core.write(CHANNEL, "cart", {"a": 1})
    out = rig.machine.handle(StreamDocument(generation, changed), 1.0)
    again = rig.machine.handle(StreamDocument(generation, changed), 1.0)
    assert delivered(out) == [changed]
    assert again == []


def test_a_gap_among_documents_leads_to_a_sync() -> None:
    rig, core = Rig(), CoreModel()
    rig.answer(part(0))
    generation = rig.live()
    core.write(CHANNEL, "cart", {"a": 1})
    rig.machine.handle(StreamDocument(generation, core.write(CHANNEL, "cart", {"a": 2})), 1.0)
    assert rig.machine.state is State.SYNCING


def test_documents_exert_no_pressure_on_the_stream() -> None:
    rig, core = Rig(max_pending=1), CoreModel()
    rig.answer(part(0))
    generation = rig.live()
    for value in range(5):
        changed = core.write(CHANNEL, "cart", {"a": value})
        rig.machine.handle(StreamDocument(generation, changed), 1.0)
    assert rig.machine.pending == 0
    assert rig.machine.state is State.LIVE


def test_documents_with_another_digest_begin_anew_and_say_so() -> None:
    rig = Rig()
    rig.answer(part(3, document("cart")))
    rig.out = rig.machine.handle(Diverged(CHANNEL), 1.0)
    while not any(isinstance(one, StartSync) for one in rig.out):
        rig.out = rig.machine.handle(Tick(), rig.machine.deadline)
    out = rig.answer(part(3, document("cart")), now=2.0)
    (reset,) = delivered(out)
    assert isinstance(reset, DocumentReset)
    assert reset.reason == "digest"
