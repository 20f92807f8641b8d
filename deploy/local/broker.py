"""librdkafka's mock broker, which speaks Kafka's protocol and comes with a Python package.

It runs in its own process (`python -m deploy.local.broker ADDRESS_FILE`), chooses a port, and
writes `host:port` to the file. Our servers use it with the same code as Apache Kafka. It differs in
this: a topic is created with four partitions when it is first used; the log is in memory, about
5 MB for each partition, and is lost when the process ends; records cannot be found by their time.
No order is lost by that, as Postgres is the source of truth.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

from confluent_kafka import cimpl

from client_sdk.contract.errors import YabamError
from deploy.processes.process import Process

_READY_WITHIN_S: Final = 20.0
_RD_KAFKA_PRODUCER: Final = 0
_OTHERS_JOIN_WITHIN_MS: Final = 20
"""How long the first member of a consumer group waits for others, which can also join later. With
0 it would wait forever."""


class EmbeddedBrokerError(YabamError):
    """librdkafka cannot start a broker; the text says why."""


class EmbeddedBroker:
    """The broker as a child process. After a restart it has another port and no records.

    Args:
        folder: the folder for its address and its log file; None: a temporary folder.
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
        """`host:port` for clients; the broker must have been started."""
        return self._address.read_text()

    def start(self) -> None:
        """Start it and return once it answers.

        Raises:
            ProcessError: it does not start.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._address.unlink(missing_ok=True)
        self.process.start_and_wait(_READY_WITHIN_S, self._address.exists)

    def stop(self) -> None:
        """Stop it; its records are lost."""
        self.process.stop()

    def kill(self) -> None:
        """Kill it with SIGKILL; its records are lost."""
        self.process.kill()


def serve(address: Path) -> None:
    """Run a broker until SIGTERM or SIGINT.

    Raises:
        EmbeddedBrokerError: librdkafka cannot start one.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    partial = address.with_suffix(".partial")
    partial.write_text(_run_broker())
    partial.rename(address)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _run_broker() -> str:
    """Start a broker, which runs in its own threads until this process ends. Returns `host:port`.

    It is started through the C library (rdkafka_mock.h). The Python client could also start one,
    but it cannot change the three seconds that the first member of a consumer group waits.
    """
    library = ctypes.CDLL(cimpl.__file__)
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    bootstraps = library.rd_kafka_mock_cluster_bootstraps
    bootstraps.restype = ctypes.c_char_p
    settings, said = ctypes.c_void_p(library.rd_kafka_conf_new()), ctypes.create_string_buffer(512)
    library.rd_kafka_conf_set(settings, b"log_level", b"3", None, ctypes.c_size_t(0))
    client = library.rd_kafka_new(
        _RD_KAFKA_PRODUCER, settings, said, ctypes.c_size_t(ctypes.sizeof(said))
    )
    if client is None:
        raise EmbeddedBrokerError(said.value.decode())
    cluster = library.rd_kafka_mock_cluster_new(ctypes.c_void_p(client), 1)
    if cluster is None:
        raise EmbeddedBrokerError("librdkafka did not start a broker")
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(
        ctypes.c_void_p(cluster), ctypes.c_int32(_OTHERS_JOIN_WITHIN_MS)
    )
    address: bytes = bootstraps(ctypes.c_void_p(cluster))
    return address.decode()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
