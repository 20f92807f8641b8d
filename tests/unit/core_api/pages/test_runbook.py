"""The page of the runbook is docs/operations.md, and each alert leads to an entry of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from core_api.pages.runbook import own_runbook, render

ROOT = Path(__file__).parents[4]
PAGE = own_runbook()
ALERTS = yaml.load((ROOT / "deploy/prometheus/alerts.yml").read_text(), yaml.CSafeLoader)
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]


def page(text: str) -> str:
    return render(f"# Title\n\n### Twice\n\n## Runbook\n\n{text}\n\n## Further\n\nnot this")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_of_prometheus_leads_to_an_entry_of_the_page(
    rule: dict[str, dict[str, str]],
) -> None:
    entry = rule["annotations"]["runbook"].partition("#")[2]
    assert f'<h2 id="{entry}">' in PAGE


def test_only_the_runbook_is_shown() -> None:
    shown = page("### An entry\n\ntext")
    assert '<h2 id="an-entry">An entry</h2>' in shown
    assert '<a href="#an-entry">An entry</a>' in shown
    assert "Title" not in shown
    assert "not this" not in shown


def test_entries_of_one_name_are_told_apart_as_in_the_document() -> None:
    assert '<h2 id="twice-1">' in page("### Twice")


def test_links_to_other_documents_are_text_and_those_to_entries_stay() -> None:
    shown = page("see [restore.md](restore.md), [above](#twice)")
    assert "see restore.md, <a " in shown
    assert '<a href="#twice">above</a>' in shown


def test_what_stands_in_the_document_is_never_markup() -> None:
    shown = page("<script>alert(1)</script>")
    assert "<script>" not in shown
    assert not re.search(r"\son\w+=|style=", PAGE)
