"""A node of Apache Kafka (KRaft, broker and controller in one process) as a child process.

The jars are those of the `pom.xml` beside this file. The node listens on loopback only and keeps
its data in a folder. It can be stopped, killed and started again on the same port: `make kafka`
runs it for people, and tests run it to cause faults. One node alone is a complete Kafka;
`tests/kafka_cluster.py` makes a cluster of several.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from client_sdk.contract.errors import YabamError
from deploy.processes.ports import answers, check_free, free_port
from deploy.processes.process import Process

_HERE: Final = Path(__file__).parent
_ANSWERS_WITHIN_S: Final = 60.0
_CLUSTER_ID: Final = "eWFiYW0tbG9jYWwta2Fma2E"
_META: Final = "meta.properties"
"""The file in Kafka's folder that has the ids of the node and of the cluster."""
# For a fast start, which matters more here than throughput: the serial garbage collector, and only
# the first tier of the JIT compiler.
_JVM: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xss512k")
_LOGGING: Final = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dlog4j2.level=WARN",
    "-Dlog4j2.statusLoggerLevel=ERROR",
)


def _new_directory_id() -> str:
    """A new unique id of a Kafka folder."""
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not made.startswith("-"):  # Kafka's tools would read it as an option
            return made


class KafkaServerError(YabamError):
    """Kafka cannot be installed, or has ended; the text says why and what to do."""


def ensure_libs(build: Path, say: Callable[[str], None]) -> Path:
    """The folder with Kafka's jars; Maven fetches them if those of this pom.xml are missing.

    Raises:
        KafkaServerError: Java or Maven is missing, or Maven fails.
    """
    pom = _HERE / "pom.xml"
    libs = build / f"libs-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    if libs.exists():
        return libs
    for tool, package in (("java", "openjdk-17-jre-headless"), ("mvn", "maven")):
        if shutil.which(tool) is None:
            raise KafkaServerError(
                f"{tool} is needed for Apache Kafka; on Debian: apt-get install {package}"
            )
    say("Fetching Apache Kafka's jars with Maven (about 40 MB, once) …")
    partial = build / f"partial-{os.getpid()}"
    done = subprocess.run(
        ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies",
         "-DincludeScope=runtime", f"-DoutputDirectory={partial.resolve()}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        raise KafkaServerError(f"Maven could not fetch Kafka:\n{done.stdout[-2000:]}")
    try:
        partial.rename(libs)
    except OSError:  # another process was first
        shutil.rmtree(partial, ignore_errors=True)
    return libs


def class_archive(libs: Path) -> Path:
    """The path of the class archive for these jars and this machine's Java.

    `class_archive.py` creates it; without it the JVM reads the jars.
    """
    java = Path(shutil.which("java") or "java").resolve()
    known = java.stat() if java.exists() else None
    of = f"{libs.name} {java} {known and (known.st_size, known.st_mtime_ns)}"
    return libs.with_name(f"classes-{hashlib.sha256(of.encode()).hexdigest()[:12]}.jsa")


@dataclass(frozen=True, slots=True)
class Member:
    """A node's id, and the controllers of its cluster."""

    number: int
    voters: Mapping[int, int]
    """The port of each node's controller, by the node's number."""


class KafkaServer:
    """One Kafka node.

    Args:
        data: its folder; created and formatted if missing.
        libs: the jars, from `ensure_libs`.
        port: its port on 127.0.0.1; 0 chooses a free one, which stays the same.
        heap_mb: the size of the JVM's heap.
        settings: more `server.properties`, which override ours.
        doors: more listeners, by name: the port of each, and the port that it advertises to
            clients, which may be a proxy's.
        member: its id and the controllers of its cluster; None: it is a single node.
        keeps_classes: the file for its class archive, which it writes when it stops; None: none.
    """

    def __init__(
        self,
        data: Path,
        libs: Path,
        port: int = 0,
        heap_mb: int = 512,
        settings: Mapping[str, str] | None = None,
        doors: Mapping[str, tuple[int, int]] | None = None,
        member: Member | None = None,
        keeps_classes: Path | None = None,
    ) -> None:
        self._data = data.absolute()
        self._libs = libs.absolute()
        self._keeps_classes = keeps_classes
        self._port = port or free_port()
        self._member = member or Member(1, {1: free_port()})
        self._heap_mb = heap_mb
        self._settings = dict(settings or {})
        self._doors = dict(doors or {})
        self.process = Process(
            "Apache Kafka" if member is None else f"Apache Kafka {member.number}",
            [*self._java(), "kafka.Kafka", str(self._properties_path)],
            {},
            self._data / "kafka.log",
            None,
        )

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients."""
        return f"127.0.0.1:{self._port}"

    @property
    def log_folder(self) -> Path:
        """The folder of its topics, with a folder for each partition."""
        return self._data / "log"

    @property
    def number(self) -> int:
        """Its node id."""
        return self._member.number

    @property
    def _properties_path(self) -> Path:
        return self._data / "server.properties"

    def start(self) -> None:
        """Start it and return once it answers.

        Raises:
            KafkaServerError: its folder cannot be formatted.
            PortTakenError: its port is taken.
            ProcessError: it does not start.
        """
        check_free(self._port, f'make kafka KAFKA_ARGS="--port {self._port + 100}"')
        self.prepare()
        # A node that is broker and controller opens its port for clients only when it is ready.
        self.process.start_and_wait(_ANSWERS_WITHIN_S, lambda: answers(self._port))

    def prepare(self) -> None:
        """Write its settings, and create its folder if it is missing.

        Raises:
            KafkaServerError: Kafka's tool cannot format the folder.
        """
        self._data.mkdir(parents=True, exist_ok=True)
        self._properties_path.write_text(
            "".join(f"{key}={value}\n" for key, value in self._properties().items())
        )
        if not (self.log_folder / _META).exists():
            self._format()

    def stop(self) -> None:
        """Stop it with SIGTERM: it writes its data to disk before it exits."""
        self.process.stop(timeout_s=30.0)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.process.kill()

    def _java(self) -> list[str]:
        heap = f"-Xmx{self._heap_mb}m"
        # The jars by name and in order, not as a wildcard: the JVM uses a class archive only with
        # the class path with which it was created.
        classpath = ":".join(str(jar) for jar in sorted(self._libs.glob("*.jar")))
        return ["java", heap, *_JVM, *self._classes(), *_LOGGING, "-cp", classpath]

    def _classes(self) -> list[str]:
        if self._keeps_classes is not None:
            return [f"-XX:ArchiveClassesAtExit={self._keeps_classes}"]
        archive = class_archive(self._libs)
        return [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []

    def _properties(self) -> dict[str, str]:
        doors = {"PLAINTEXT": (self._port, self._port)} | self._doors
        listens = [f"{name}://127.0.0.1:{port}" for name, (port, _) in doors.items()]
        tells = [f"{name}://127.0.0.1:{port}" for name, (_, port) in doors.items()]
        names = [*doors, "CONTROLLER"]
        voters = self._member.voters
        listens.append(f"CONTROLLER://127.0.0.1:{voters[self.number]}")
        return {
            "process.roles": "broker,controller",
            "node.id": str(self.number),
            "controller.quorum.voters": ",".join(
                f"{number}@127.0.0.1:{port}" for number, port in voters.items()
            ),
            "listeners": ",".join(listens),
            "advertised.listeners": ",".join(tells),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in names),
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self.log_folder),
            # A topic that is created automatically would have the wrong number of partitions.
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            # Short, as a node that was killed can register again only when its old session has
            # expired.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "controlled.shutdown.enable": "false",
            # While nothing changes, records that say nothing are a quarter of an idle node's CPU.
            "metadata.max.idle.interval.ms": "10000",
            # The cleaner fills its buffer with zeros at the start: by default 128 MiB, which took a
            # tenth of the start's CPU, and as much memory. A smaller one takes more passes.
            "log.cleaner.dedupe.buffer.size": "4194304",
            "num.network.threads": "2",
            "num.io.threads": "4",
        } | self._settings

    def _format(self) -> None:
        """Format its folder as Kafka's own tool does.

        The tool starts a JVM, which takes time. The folders of two nodes differ only in the ids
        that `_own` replaces. So the first folder is kept, and later ones are copies of it.
        """
        kept = self._libs.with_name(f"formatted-{self._libs.name.rpartition('-')[2]}")
        if kept.exists():
            shutil.copytree(
                kept, self.log_folder, ignore=shutil.ignore_patterns(_META), dirs_exist_ok=True
            )
            # Written last: if this file exists, the folder is complete.
            (self.log_folder / _META).write_text(self._own((kept / _META).read_text()))
            return
        done = subprocess.run(
            [*self._java(), "kafka.tools.StorageTool", "format",
             "-t", _CLUSTER_ID, "-c", str(self._properties_path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise KafkaServerError(
                f"Kafka's storage could not be formatted in {self._data}:\n"
                f"{done.stdout[-1000:]}{done.stderr[-1000:]}"
            )
        partial = kept.with_name(f"{kept.name}.partial-{uuid.uuid4().hex}")
        shutil.copytree(self.log_folder, partial)
        try:
            partial.rename(kept)
        except OSError:  # another process was first
            shutil.rmtree(partial, ignore_errors=True)

    def _own(self, meta: str) -> str:
        """The text of a `meta.properties`, with this node's ids."""
        own = {"node.id": str(self.number), "directory.id": _new_directory_id()}
        lines = []
        for line in meta.splitlines():
            name, is_setting, _ = line.partition("=")
            lines.append(f"{name}={own[name]}" if is_setting and name in own else line)
        return "\n".join([*lines, ""])
