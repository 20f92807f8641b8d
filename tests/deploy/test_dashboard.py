"""The Grafana dashboard: every query asks for what is exported, and nothing that is is left out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.exported import ROOT, exported, metrics_in, series_names, unknown_labels
from tests.deploy.tools import installed

FOLDER = ROOT / "deploy/grafana"
BOARD: dict[str, Any] = json.loads((FOLDER / "yabam.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]


@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_a_query_asks_for_what_is_exported(title: str, query: str) -> None:
    metrics = exported().values()
    assert metrics_in(query) <= series_names(metrics), title
    assert metrics_in(query) or "up{" in query, title
    assert not unknown_labels(query, metrics), title


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {name for _, query in QUERIES for name in metrics_in(query)}
    missing = [one.name for one in exported().values() if not one.series & shown]
    assert not missing


def test_every_part_has_a_row_and_no_panel_lies_on_another() -> None:
    rows = [panel["title"] for panel in BOARD["panels"] if panel["type"] == "row"]
    assert rows == [
        "At a glance", "Core", "Relay", "Ingest", "Event servers", "MQTT", "Devices", "Webhooks",
    ]  # fmt: skip
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


def test_the_panels_ask_the_source_that_is_provisioned() -> None:
    sources = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yml").read_text())
    (source,) = sources["datasources"]
    for panel in PANELS:
        assert panel["datasource"] == {"type": source["type"], "uid": source["uid"]}
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


def test_compose_mounts_what_is_provisioned_where_it_is_looked_for() -> None:
    providers = yaml.safe_load((FOLDER / "provisioning/dashboards/yabam.yml").read_text())
    (provider,) = providers["providers"]
    services = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]
    mounts = services["grafana"]["volumes"]
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in mounts
    assert f"./grafana/yabam.json:{provider['options']['path']}/yabam.json:ro" in mounts


def test_every_query_is_valid(tmp_path: Path) -> None:
    rules = [{"record": f"q:{n}", "expr": query} for n, (_, query) in enumerate(QUERIES)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        [installed("promtool", "prometheus"), "check", "rules", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout
