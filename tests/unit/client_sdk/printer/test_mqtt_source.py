"""What a printer's source over MQTT keeps when Core has gone back to an earlier state."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from client_sdk.printer.mqtt_source import MqttSource
from client_sdk.printer.source import Taken


class Broker:
    """The connection, without a network: Core grants each job, and answers at once."""

    trouble: str | None = None
    is_connected = True

    def __init__(
        self, *_place: object, hear: Callable[[str, bytes], None], **_login: object
    ) -> None:
        self._hear = hear
        self.said: list[dict[str, Any]] = []
        self.before_answer: Callable[[], None] = lambda: None

    def job(self, name: str, epoch: str, **more: object) -> None:
        """A print job comes down."""
        job = {
            "seq": 1, "copy": 1, "state": "queued", "language": "en", "columns": 42,
            "media": "text", "lines": [], "made_at": "12:00", **more,
        }  # fmt: skip
        fields = {"id": name, "name": "print", "epoch": epoch, "arguments": job}
        self._hear("commands", json.dumps(fields).encode())

    def tell_troubles(self, _troubles: object) -> None:
        """Nobody looks."""

    async def until_connected(self) -> None:
        """It always is."""

    async def say(self, _kind: str, message: dict[str, Any]) -> None:
        """The printer says something."""
        self.said.append(message)
        self.before_answer()
        state = "sent" if message["outcome"] == "taken" else message["outcome"]
        answer = {
            "boot": message["boot"], "n": message["n"], "outcome": "applied",
            "job": {"state": state, "attempts": 1},
        }  # fmt: skip
        self._hear("accepted", json.dumps(answer).encode())


class Kitchen:
    """A source and its broker."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[Broker] = []

        def connect(*place: object, **login: Any) -> Broker:
            made.append(Broker(*place, **login))
            return made[0]

        monkeypatch.setattr("client_sdk.printer.mqtt_source.MqttConnection", connect)
        self.source = MqttSource(
            "broker", 1883, user="u", password="p", ca_file=None, tls=False, agent="a", boot=1
        )
        self.broker = made[0]

    @property
    def jobs(self) -> list[tuple[str, str]]:
        """Each job's id and when it was made."""
        return [(job.id, job.made_at) for job in self.source.jobs()]


@pytest.fixture
def kitchen(monkeypatch: pytest.MonkeyPatch) -> Kitchen:
    return Kitchen(monkeypatch)


async def test_a_new_epoch_ends_the_jobs_of_the_one_before(kitchen: Kitchen) -> None:
    kitchen.broker.job("a", "E1")
    kitchen.broker.job("b", "E2", made_at="12:30")
    assert kitchen.jobs == [("b", "12:30")]


async def test_a_job_of_an_epoch_that_is_over_is_none(kitchen: Kitchen) -> None:
    kitchen.broker.job("b", "E2", made_at="12:30")
    kitchen.broker.job("a", "E1")
    assert kitchen.jobs == [("b", "12:30")]


async def test_a_job_whose_id_another_got_while_it_was_taken_is_not_to_be_printed(
    kitchen: Kitchen,
) -> None:
    kitchen.broker.job("a", "E1")
    (old,) = kitchen.source.jobs()
    kitchen.broker.before_answer = lambda: kitchen.broker.job("a", "E2", made_at="12:30")
    assert await kitchen.source.take(old) is None
    (new,) = kitchen.source.jobs()
    assert await kitchen.source.take(new) == Taken("sent", 1, repeat=False)


async def test_what_is_printed_when_an_epoch_begins_takes_no_other_job_with_its_id(
    kitchen: Kitchen,
) -> None:
    kitchen.broker.job("a", "E1")
    await kitchen.source.take(kitchen.source.jobs()[0])
    kitchen.broker.job("a", "E2", made_at="12:30")
    await kitchen.source.hold([])
    assert len(kitchen.broker.said) == 1


async def test_a_job_that_can_be_read_is_not_refused_for_an_earlier_one_with_its_id(
    kitchen: Kitchen,
) -> None:
    kitchen.broker.job("a", "E1", lines="of a newer Core")
    kitchen.broker.job("a", "E2", made_at="12:30")
    await kitchen.source.changed(1.0)
    assert kitchen.broker.said == []
