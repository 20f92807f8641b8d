"""docs/metrics.md lists all metrics of the processes with the same names, kinds and labels."""

from __future__ import annotations

import re

from tests.deploy.exported import ROOT, exported

ROW = re.compile(
    r"^\| `(yabam_[a-z_]+)` \| (\w+) \| ([^|]*)\| ([^|]+) \| ([^|]+) \|$", re.MULTILINE
)


def test_the_page_lists_exactly_what_is_exported() -> None:
    rows = ROW.findall((ROOT / "docs/metrics.md").read_text())
    written = {
        name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels, *_ in rows
    }
    assert len(written) == len(rows), "a metric is listed twice"
    assert written == {one.name: (one.kind, one.labels) for one in exported().values()}


def test_the_page_names_every_module_that_declares_metrics() -> None:
    named = re.findall(r"`(\w+/[\w/]*metrics\.py)`", (ROOT / "docs/metrics.md").read_text())
    packages = ("core_api", "event_server", "server_common")
    modules = [path for package in packages for path in (ROOT / package).rglob("metrics.py")]
    assert sorted(named) == sorted(str(path.relative_to(ROOT)) for path in modules)


def test_every_setting_that_the_page_names_exists() -> None:
    settings = (ROOT / "docs/settings.md").read_text()
    for name in re.findall(r"`(YABAM_[A-Z_]+)`", (ROOT / "docs/metrics.md").read_text()):
        assert f"`{name}`" in settings, name
