"""Creates a class data archive (CDS) of Kafka's classes, with which the JVM starts Kafka faster.

The file is created once for these jars and this Java. If it does not match them, the JVM ignores
it and reads the jars.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from deploy.kafka.server import KafkaServer, class_archive


def ensure_class_archive(libs: Path, say: Callable[[str], None]) -> None:
    """Create the archive for the jars in this folder, unless it exists.

    Raises:
        ProcessError: Kafka does not start.
    """
    archive = class_archive(libs)
    if archive.exists():
        return
    say("Creating an archive of Kafka's classes for faster starts (a few seconds, once) …")
    with tempfile.TemporaryDirectory(prefix="yabam-kafka-") as folder:
        made = Path(folder) / "classes.jsa"
        server = KafkaServer(Path(folder) / "kafka", libs, keeps_classes=made)
        server.start()
        server.stop()
        if not made.exists():
            say("This Java creates no archive; Kafka starts without it.")
            return
        partial = archive.with_suffix(f".partial-{Path(folder).name}")
        shutil.move(made, partial)
        partial.rename(archive)
