"""A broker that speaks Kafka's protocol, from a wheel: librdkafka carries one for its own tests.

It runs as a process of its own (`python -m deploy.local.broker ADDRESS_FILE`), picks its port, and
writes `host:port` to the file. Our servers reach it by the same code as Apache Kafka. What sets it
apart: topics come into being when they are first asked for, with four partitions; it keeps its log
in memory, about 5 MB per partition, and loses it with the process; it does not look records up by
time. All of that the design allows: Postgres is the truth.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from confluent_kafka import Producer

from client_sdk.contract.errors import YabamError
from deploy.local.process import Process

_READY_WITHIN_S: Final = 20.0


class EmbeddedBrokerError(YabamError):
    """The embedded broker does not start; the text says why."""


class EmbeddedBroker:
    """The broker as a child process; a restart gives it another port and an empty log.

    Args:
        folder: where its address and log are written; None: a temporary folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.mkdtemp(prefix="yabam-broker-"))
        self._address = self._folder / "broker.address"
        self.process = Process(
            "the embedded broker",
            [sys.executable, "-m", "deploy.local.broker", str(self._address)],
            {},
            self._folder / "broker.log",
            None,
        )

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients, once it is started."""
        return self._address.read_text()

    def start(self) -> None:
        """Start it and return once it answers.

        Raises:
            EmbeddedBrokerError: it does not.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._address.unlink(missing_ok=True)
        self.process.start()
        deadline = time.monotonic() + _READY_WITHIN_S
        while not self._address.exists():
            if self.process.exit_status is not None or time.monotonic() > deadline:
                self.process.kill()
                raise EmbeddedBrokerError(
                    f"the embedded broker does not start:\n{self.process.log_tail()}"
                )
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it; its log is gone."""
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()


def serve(address: Path) -> None:
    """Run a broker until SIGTERM or SIGINT."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    # The broker lives as long as the client that asked for it.
    client = Producer({"test.mock.num.brokers": 1, "log_level": 3})
    (broker,) = client.list_topics(timeout=_READY_WITHIN_S).brokers.values()
    partial = address.with_suffix(".partial")
    partial.write_text(f"{broker.host}:{broker.port}")
    partial.rename(address)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
