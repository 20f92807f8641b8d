"""A cluster of Apache Kafka on this machine; each node is broker and controller.

Each topic has three replicas, and a write is acknowledged once two of them have it
(`min.insync.replicas`). So any one node may fail.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from deploy.kafka.server import KafkaServer, Member
from deploy.processes.ports import free_port

_REPLICAS: Final = 3
_HEAP_MB: Final = 320


class KafkaCluster:
    """Nodes 1 to `size`; each can be stopped, killed and frozen by itself.

    Args:
        data: the folder for all nodes' folders.
        libs: the jars, from `ensure_libs`.
        size: the number of nodes: three or more.
    """

    def __init__(self, data: Path, libs: Path, size: int = 3) -> None:
        voters = {number: free_port() for number in range(1, size + 1)}
        self.nodes = [
            KafkaServer(
                data / f"node-{number}",
                libs,
                heap_mb=_HEAP_MB,
                settings=_settings(),
                member=Member(number, voters),
            )
            for number in voters
        ]

    @property
    def bootstrap(self) -> str:
        """`host:port,host:port,…` of all nodes, for clients."""
        return ",".join(node.bootstrap for node in self.nodes)

    def node(self, number: int) -> KafkaServer:
        """The node with this id."""
        return self.nodes[number - 1]

    def start(self) -> None:
        """Start the nodes that do not run, and return once all answer.

        Raises:
            ProcessError: a node does not start.
        """
        # At the same time: no node is ready before more than half of them run.
        self._each([node.start for node in self.nodes if not node.process.running])

    def stop(self) -> None:
        """Stop all nodes with SIGTERM."""
        self._each([node.stop for node in self.nodes])

    def kill(self) -> None:
        """Kill all nodes with SIGKILL."""
        self._each([node.kill for node in self.nodes])

    def resume(self) -> None:
        """Let all frozen nodes go on (SIGCONT)."""
        self._each([node.process.resume for node in self.nodes])

    def _each(self, work: list[Callable[[], None]]) -> None:
        if work:
            with ThreadPoolExecutor(len(work)) as pool:
                for done in [pool.submit(one) for one in work]:
                    done.result()


def _settings() -> dict[str, str]:
    replicas = str(_REPLICAS)
    return {
        "default.replication.factor": replicas,
        "min.insync.replicas": "2",
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": "2",
        "controlled.shutdown.enable": "true",
        # Longer than for one node: all run on one machine, and a slow node must not be removed.
        "broker.session.timeout.ms": "4000",
    }
