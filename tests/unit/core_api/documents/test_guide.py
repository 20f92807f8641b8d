"""What docs/state.md says is true: its programs are the files, its tables what the rules give."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Final

import pytest

from client_sdk.contract.state.operations import Call, Set, decode_operation
from core_api.documents.definitions import GROUP, Definitions, load
from tests.unit.core_api.documents.samples import Store, definition, edit

DOCS: Final = Path(__file__).parents[4] / "docs"
GUIDE: Final = (DOCS / "state.md").read_text(encoding="utf-8")
PACKAGE: Final = DOCS / "examples" / "definitions"
SHOWN: Final = [
    *sorted((DOCS / "examples" / "state").glob("*.py")),
    PACKAGE / "pyproject.toml",
    PACKAGE / "bistro_documents.py",
]
ROWS: Final = re.findall(
    r"^\| `(\w+)` \| `(.+?)` \| `(.+?)` \| `(.+?)` \| (later|earlier) \| `(.+?)` \| ([\w-]+) \|$",
    GUIDE,
    re.MULTILINE,
)
MADE: Final = {"base": 10, "earlier": 20, "first": 30, "later": 40}


def more(current: dict[str, Any] | None, arguments: Any) -> dict[str, Any]:
    return {"n": (current or {"n": 0})["n"] + arguments}


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.name)
def test_the_guide_shows_the_file_as_it_is(path: Path) -> None:
    assert f"\n{path.read_text(encoding='utf-8').rstrip()}\n```" in GUIDE


def test_each_strategy_has_an_example() -> None:
    assert {row[0] for row in ROWS} == {"last", "first", "merge", "sum", "ask", "call"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[3]}-{row[4]}")
def test_an_example_of_a_strategy_is_what_the_rules_make_of_it(row: tuple[str, ...]) -> None:
    strategy, saw, first, second, made, result, told = row
    store = Store(definition(strategy, calls={"more": more}))  # type: ignore[arg-type]
    _begin(store, json.loads(saw))
    store.one(edit(_do(first), 1, made_at=MADE["first"]), "first")
    settlement = store.one(edit(_do(second), 1, made_at=MADE[made]), "second")
    assert (store.head.value, settlement.outcome) == (json.loads(result), told)


def _begin(store: Store, value: dict[str, Any]) -> None:
    """Make the document's first version."""
    do = Call("more", value["n"]) if store.definition.strategy == "call" else Set(value)
    store.one(edit(do, 0, made_at=MADE["base"]), "earlier")


def _do(text: str) -> Any:
    return decode_operation(json.loads(text))


@pytest.fixture
def bistro(monkeypatch: pytest.MonkeyPatch) -> Definitions:
    """The definitions of the example package, by its own entry point."""
    monkeypatch.syspath_prepend(PACKAGE)
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    entries = project["entry-points"][GROUP].items()
    points = [EntryPoint(name=name, value=value, group=GROUP) for name, value in entries]
    return load(points, [point.name for point in points])


def test_the_example_package_migrates_its_queue(bistro: Definitions) -> None:
    queue = bistro.of("team", "queue")
    assert queue is not None
    assert queue.migrate({"names": {"a": "Kim"}}, 1) == {
        "parties": {"a": {"name": "Kim", "size": 2}}
    }


def test_the_example_package_refuses_a_share_that_another_guest_has(bistro: Definitions) -> None:
    split = bistro.of("party", "split")
    assert split is not None
    store = Store(split)
    outcomes = [
        store.one(edit(Call("take", {"share": "wine", "guest": guest}), 0), guest).outcome
        for guest in ("Ann", "Bo")
    ]
    assert outcomes == ["applied", "refused"]
    assert store.head.value == {"taken": {"wine": "Ann"}}


def test_each_file_that_the_guide_names_exists() -> None:
    named = re.findall(r"`((?:client_sdk|core_api|docs)/[a-z_/]+(?:\.py|/))`", GUIDE)
    assert [name for name in named if not (DOCS.parent / name).exists()] == []
