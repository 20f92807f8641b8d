"""A node of Apache Kafka (KRaft, broker and controller in one) as a child process.

The jars come from the `pom.xml` beside this file. The node listens on loopback only, keeps its data
in a folder, and can be stopped, killed, frozen, wiped and started again on the same port: `make
kafka` runs it for people, the tests run it to break it. One alone is a whole Kafka; `cluster.py`
joins several.
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
"""Says whose a folder of Kafka's is."""
# One node serves one machine: a serial collector and the first compiler tier start fastest.
_JVM: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xss512k")
_LOGGING: Final = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dlog4j2.level=WARN",
    "-Dlog4j2.statusLoggerLevel=ERROR",
)


def _new_directory_id() -> str:
    """What Kafka knows a folder by; no two have the same."""
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not made.startswith("-"):  # its tools would take it for an option
            return made


class KafkaServerError(YabamError):
    """Kafka cannot be had, or has ended; the text says why and what to do."""


def ensure_libs(build: Path, say: Callable[[str], None]) -> Path:
    """The folder with Kafka's jars, fetched by Maven unless they are there for this very pom.

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
    """Where the classes of these jars are kept, as this machine's Java has them in memory.

    `class_archive.py` makes it; a JVM that finds none, or one that does not fit, reads the jars.
    """
    java = Path(shutil.which("java") or "java").resolve()
    known = java.stat() if java.exists() else None
    of = f"{libs.name} {java} {known and (known.st_size, known.st_mtime_ns)}"
    return libs.with_name(f"classes-{hashlib.sha256(of.encode()).hexdigest()[:12]}.jsa")


@dataclass(frozen=True, slots=True)
class Member:
    """A node's place in its cluster."""

    number: int
    voters: Mapping[int, int]
    """Every node's number, with the port of its controller."""


class KafkaServer:
    """One Kafka node.

    Args:
        data: its folder; made and formatted when it is new.
        libs: the jars, from `ensure_libs`.
        port: where it listens on 127.0.0.1; 0 picks a free one and keeps it.
        heap_mb: the JVM's heap.
        settings: more `server.properties`, which win over ours.
        doors: more listeners, by name: the port that each listens on, and the one that it tells
            its clients, where a proxy may stand.
        member: its place among others; None: it is alone.
        keeps_classes: where it writes its archive of classes when it stops; None: it writes none.
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
        """Where it keeps its topics: a folder for each partition."""
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
            KafkaServerError: its storage cannot be made.
            PortTakenError: something else listens there.
            ProcessError: it does not start.
        """
        check_free(self._port, f'make kafka KAFKA_ARGS="--port {self._port + 100}"')
        self.prepare()
        # A combined node opens its client port only once it serves.
        self.process.start_and_wait(_ANSWERS_WITHIN_S, lambda: answers(self._port))

    def prepare(self) -> None:
        """Write its settings, and make its folder if it is new.

        Raises:
            KafkaServerError: Kafka's tool cannot make it.
        """
        self._data.mkdir(parents=True, exist_ok=True)
        self._properties_path.write_text(
            "".join(f"{key}={value}\n" for key, value in self._properties().items())
        )
        if not (self.log_folder / _META).exists():
            self._format()

    def stop(self) -> None:
        """SIGTERM: flush and leave."""
        self.process.stop(timeout_s=30.0)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    def _java(self) -> list[str]:
        heap = f"-Xmx{self._heap_mb}m"
        # All jars by name, so that the JVM's shared class archive may be used.
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
            # A topic that nobody made on purpose would have the wrong number of partitions.
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
            # A node killed and started again may register once its old session is over.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "controlled.shutdown.enable": "false",
            "num.network.threads": "2",
            "num.io.threads": "4",
        } | self._settings

    def _format(self) -> None:
        """Make its folder as Kafka's own tool makes it.

        The tool is a JVM of its own. What it makes differs from node to node only in what `_own`
        knows, so the first folder of these jars is kept, and later ones are copies.
        """
        kept = self._libs.with_name(f"formatted-{self._libs.name.rpartition('-')[2]}")
        if kept.exists():
            shutil.copytree(
                kept, self.log_folder, ignore=shutil.ignore_patterns(_META), dirs_exist_ok=True
            )
            # Last: with it the folder is whole.
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
        """The text of a folder's `meta.properties`, for this node's folder."""
        own = {"node.id": str(self.number), "directory.id": _new_directory_id()}
        lines = []
        for line in meta.splitlines():
            name, is_setting, _ = line.partition("=")
            lines.append(f"{name}={own[name]}" if is_setting and name in own else line)
        return "\n".join([*lines, ""])
