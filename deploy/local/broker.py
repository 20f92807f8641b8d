"""A broker that speaks Kafka's protocol, from a wheel: librdkafka carries one for its own tests.

It runs as a process of its own (`python -m deploy.local.broker ADDRESS_FILE`), picks its port, and
writes `host:port` to the file. Our servers reach it by the same code as Apache Kafka. What sets it
apart: topics come into being when they are first asked for, with four partitions; it keeps its log
in memory, about 5 MB per partition, and loses it with the process; it does not look records up by
time. All of that the design allows: Postgres is the truth.
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
"""How long the first member of a group waits for more: those that come later are taken in, too, and
0 would be for ever."""


class EmbeddedBrokerError(YabamError):
    """librdkafka gives no broker; the text says why."""


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
            ProcessError: it does not.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._address.unlink(missing_ok=True)
        self.process.start_and_wait(_READY_WITHIN_S, self._address.exists)

    def stop(self) -> None:
        """Stop it; its log is gone."""
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()


def serve(address: Path) -> None:
    """Run a broker until SIGTERM or SIGINT.

    Raises:
        EmbeddedBrokerError: librdkafka starts none.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    partial = address.with_suffix(".partial")
    partial.write_text(_run_broker())
    partial.rename(address)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _run_broker() -> str:
    """Run one, in threads of its own, until this process ends; its `host:port`.

    It is asked of the C library itself (rdkafka_mock.h): the Python client can ask for one, too,
    but leaves consumers of a group waiting for its first member for three seconds.
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
        raise EmbeddedBrokerError("librdkafka has started no broker")
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(
        ctypes.c_void_p(cluster), ctypes.c_int32(_OTHERS_JOIN_WITHIN_MS)
    )
    address: bytes = bootstraps(ctypes.c_void_p(cluster))
    return address.decode()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
