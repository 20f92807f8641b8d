"""The alert rules: each asks for what is exported, says what to do, and fires when it should."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.exported import ROOT, exported, metrics_in, series_names, unknown_labels
from tests.deploy.tools import installed

FOLDER = ROOT / "deploy/prometheus"
ALERTS = FOLDER / "alerts.yml"
CASES = FOLDER / "alerts.test.yml"


@cache
def rules() -> list[dict[str, Any]]:
    groups = read(ALERTS)["groups"]
    return [rule for group in groups for rule in group["rules"]]


def read(path: Path) -> dict[str, Any]:
    # Each worker reads them to know what tests there are: in Python alone that takes a second.
    found: dict[str, Any] = yaml.load(path.read_text(), yaml.CSafeLoader)
    return found


@cache
def all_cases() -> dict[str, Any]:
    return read(CASES)


def cases_of(alert: str) -> dict[str, Any]:
    """The file of the cases, with those of one alert only."""
    cases = [one for one in all_cases()["tests"] if one["name"].startswith(f"{alert} ")]
    return all_cases() | {"tests": cases}


def promtool(*arguments: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    program = installed("promtool", "prometheus")
    return subprocess.run(
        [program, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
class TestEachRule:
    def test_asks_for_what_is_exported(self, rule: dict[str, Any]) -> None:
        metrics = exported().values()
        assert metrics_in(rule["expr"]) <= series_names(metrics)
        assert metrics_in(rule["expr"]) or "up{" in rule["expr"]
        assert not unknown_labels(rule["expr"], metrics)

    def test_says_what_is_wrong_and_what_to_do(self, rule: dict[str, Any]) -> None:
        assert rule["labels"].keys() == {"severity"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}
        assert re.fullmatch(r"docs/operations\.md#[a-z-]+", rule["annotations"]["runbook"])

    def test_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent(
        self, rule: dict[str, Any]
    ) -> None:
        fires, silent = f"{rule['alert']} fires: ", f"{rule['alert']} is silent: "
        found = {"fires": 0, "silent": 0}
        for case in all_cases()["tests"]:
            expected = [
                sample["value"]
                for one in case["promql_expr_test"]
                for sample in one["exp_samples"]
                if f'alertname="{rule["alert"]}"' in one["expr"]
            ]
            if case["name"].startswith(fires):
                assert expected[-1] == 1
                found["fires"] += 1
            elif case["name"].startswith(silent):
                assert set(expected) == {0}
                found["silent"] += 1
        assert found == {"fires": 1, "silent": 1}


def test_every_runbook_is_a_heading_of_the_page_that_it_names() -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}
    for rule in rules():
        assert rule["annotations"]["runbook"].partition("#")[2] in anchors, rule["alert"]


def test_names_are_unique() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)


class TestByPromtool:
    def test_the_rules_are_valid(self) -> None:
        done = promtool("check", "rules", ALERTS.name)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{len(rules())} rules found" in done.stdout

    @pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
    def test_a_rule_fires_at_its_fault_and_not_at_its_neighbour(
        self, rule: dict[str, Any], tmp_path: Path
    ) -> None:
        # Of all rules at once promtool would work out each for the cases of all others.
        alone = {"groups": [{"name": "alone", "rules": [rule]}]}
        (tmp_path / ALERTS.name).write_text(yaml.safe_dump(alone))
        (tmp_path / CASES.name).write_text(yaml.safe_dump(cases_of(rule["alert"])))
        done = promtool("test", "rules", CASES.name, folder=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr

    def test_every_case_is_of_a_rule(self) -> None:
        cases = [case for rule in rules() for case in cases_of(rule["alert"])["tests"]]
        everything = all_cases()["tests"]
        assert sorted(case["name"] for case in cases) == sorted(case["name"] for case in everything)

    @pytest.mark.parametrize(
        ("alert", "rule", "broken"),
        [
            (
                "YabamGap",
                "(yabam_events_gaps_total[10m]) > 0",
                "(yabam_events_gaps_total[10m]) > 5",
            ),
            (
                "YabamOutboxOld",
                "max(yabam_relay_outbox_age_seconds) > 10",
                "max(yabam_relay_outbox_age_seconds) > 5",
            ),
            (
                "YabamProcessDown",
                'up{job=~"yabam-.*"} == 0\n        for: 1m',
                'up{job=~"yabam-.*"} == 0',
            ),
        ],
        ids=["too deaf", "too nervous", "too hasty"],
    )
    def test_a_wrong_rule_is_found(
        self, alert: str, rule: str, broken: str, tmp_path: Path
    ) -> None:
        text = ALERTS.read_text()
        assert rule in text
        (tmp_path / ALERTS.name).write_text(text.replace(rule, broken))
        (tmp_path / CASES.name).write_text(yaml.safe_dump(cases_of(alert)))
        assert promtool("test", "rules", CASES.name, folder=tmp_path).returncode != 0

    def test_prometheus_itself_is_configured_validly(self, tmp_path: Path) -> None:
        core, nodes = tmp_path / "ops_token", tmp_path / "ops_nodes_token"
        for token in (core, nodes):
            token.write_text("a token")
        text = (FOLDER / "prometheus.yml").read_text()
        for there, here in (
            ("/etc/prometheus/alerts.yml", ALERTS),
            ("/run/secrets/ops_token", core),
            ("/run/secrets/ops_nodes_token", nodes),
        ):
            assert there in text
            text = text.replace(there, str(here))
        (tmp_path / "prometheus.yml").write_text(text)
        done = promtool("check", "config", "prometheus.yml", folder=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_kind_of_process_is_asked_under_the_name_that_alerts_use() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    assert jobs == {
        "yabam-core",
        "yabam-events",
        "yabam-relay",
        "yabam-ingest",
        "yabam-mqtt",
        "yabam-mqtt-admin",
        "yabam-webhooks",
    }
    named = set(re.findall(r'job="(yabam-[a-z-]+)"', ALERTS.read_text() + CASES.read_text()))
    assert named == jobs
