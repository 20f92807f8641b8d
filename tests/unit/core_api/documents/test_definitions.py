"""Definitions: what is wrong with one is said when Core starts."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from client_sdk.contract.errors import StateError
from core_api.documents.definitions import (
    GROUP,
    DefinitionError,
    Definitions,
    load,
    session_client,
)
from core_api.documents.devices import COMMAND, DEVICE_DEFINITIONS
from core_api.edits.lifetimes import still_ends
from tests.unit.core_api.documents.samples import definition
from tests.unit.core_api.samples import NOW

DEMONSTRATION = EntryPoint(
    "demonstration", "core_api.documents.demonstration:DEFINITIONS", GROUP
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"key": "a.b"}, "key"),
        ({"key": "a b"}, "key"),
        ({"key": ""}, "key"),
        ({"scopes": frozenset()}, "scopes"),
        ({"scopes": frozenset({"private"})}, "scopes"),
        ({"strategy": "newest"}, "strategy"),
        ({"strategy": "call", "calls": {}}, "calls"),
        ({"writers": frozenset()}, "writers"),
        pytest.param(
            {"writers": frozenset(), "scopes": frozenset({"device", "team"})},
            "writers",
            id="nobody may write it, and it is not of devices alone",
        ),
        ({"lifetime": "each"}, "each"),
        ({"lifetime": "session", "is_family": True}, "family"),
        ({"lifetime": "ever"}, "lifetime"),
        ({"lifetime": "until"}, "until"),
        ({"until": NOW}, "until"),
        ({"lifetime": "until", "until": NOW.replace(tzinfo=None)}, "time zone"),
        ({"max_age_s": 0}, "max_age_s"),
        ({"max_age_s": 10, "history_s": 9}, "max_age_s"),
        ({"schema_version": 0}, "schema versions"),
        ({"schema_version": 3, "migrations": {1: dict}}, "migrations"),
        ({"schema_version": 2, "migrations": {2: dict}}, "migrations"),
        ({"calls": {"a b": dict}}, "call"),
        ({"schema": {"type": "objekt"}}, "JSON Schema"),
        ({"schema": {"$ref": "https://example.com/schema.json"}}, "JSON Schema"),
        ({"schema": {"pattern": "("}}, "JSON Schema"),
    ],
    ids=str,
)
def test_a_definition_that_contradicts_itself_is_refused_by_key_and_field(
    change: dict[str, Any], told: str
) -> None:
    with pytest.raises(DefinitionError, match=told) as caught:
        definition(**change)
    assert repr(change.get("key", "cart")) in str(caught.value)


def test_a_pattern_that_could_backtrack_for_ever_is_refused() -> None:
    with pytest.raises(DefinitionError, match="JSON Schema"):
        definition(schema={"properties": {"a": {"pattern": "^(?=x)(x+x+)+y$"}}})


def test_the_first_violation_is_told_with_its_pointer() -> None:
    made = definition(schema={"properties": {"a": {"items": {"type": "integer"}}}})
    found = made.violation({"a": [1, "x"]})
    assert found is not None
    assert found[0] == "/a/1"
    assert "integer" in found[1]


def test_what_is_told_of_a_violation_does_not_hold_the_whole_value() -> None:
    made = definition(schema={"properties": {"lines": {"maxProperties": 100}}})
    lines = {f"l{n}": {"name": "x" * 200} for n in range(101)}
    found = made.violation({"lines": lines})
    assert found is not None
    assert len(found[1]) < 500
    assert (found[0], found[1][-29:]) == ("/lines", " has more than 100 properties")


def test_a_value_that_fits_has_no_violation() -> None:
    assert definition(schema={"required": ["a"]}).violation({"a": 1}) is None


def test_a_document_has_the_definition_of_its_key_in_its_scope() -> None:
    cart, other = definition(), definition("last", scopes=frozenset({"team"}))
    definitions = Definitions([cart, other])
    assert definitions.of("party", "cart") is cart
    assert definitions.of("team", "cart") is other
    assert definitions.of("public", "cart") is None
    assert definitions.of("party", "bell") is None


def test_only_a_sessions_key_ends_in_its_client() -> None:
    session = definition(key="filter", lifetime="session")
    definitions = Definitions([definition(), session])
    assert definitions.of("party", "filter.c-1.x") is session
    assert session_client(session, "filter.c-1.x") == "c-1.x"
    for key in ("cart.c-1", "filter", "filter."):
        assert definitions.of("party", key) is None


def test_the_key_of_one_in_a_family_ends_in_its_own_name() -> None:
    family = definition(key="order", is_family=True)
    definitions = Definitions([definition(), family])
    assert definitions.of("party", "order.1.a") is family
    assert session_client(family, "order.1.a") is None
    for key in ("cart.1", "order", "order."):
        assert definitions.of("party", key) is None


def test_what_core_alone_makes_has_no_writers_and_is_of_a_device() -> None:
    made = definition(writers=frozenset(), scopes=frozenset({"device"}), lifetime="each")
    assert made.described()["writers"] == []


def test_a_document_with_an_end_of_its_own_ends_when_that_has_come() -> None:
    made = definition(writers=frozenset(), scopes=frozenset({"device"}), lifetime="each")
    assert still_ends(made, NOW) == NOW
    assert still_ends(definition(), NOW) is None


def test_what_always_holds_needs_no_entry_point_and_is_defined_once() -> None:
    definitions = load([DEMONSTRATION], ["demonstration"], DEVICE_DEFINITIONS)
    assert definitions.of("device", "command.c-1") is COMMAND
    with pytest.raises(DefinitionError, match="twice"):
        load([DEMONSTRATION], ["demonstration"], [definition()])


def test_two_definitions_of_one_place_are_refused() -> None:
    with pytest.raises(DefinitionError, match="twice"):
        Definitions([definition(), definition("last")])


def test_the_wanted_definitions_are_loaded_and_no_others() -> None:
    broken = EntryPoint("other", "no.such.module:X", GROUP)
    assert load([broken, DEMONSTRATION], ["demonstration"]).of("party", "cart") is not None


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("no.such.module:X", "cannot be loaded"),
        ("core_api.documents.demonstration:NONE", "cannot be loaded"),
        ("core_api.documents.definitions:GROUP", "no Definition"),
        ("core_api.documents.demonstration:CART", "cannot be loaded"),
    ],
)
def test_an_entry_point_that_brings_no_definitions_is_told_by_name(value: str, told: str) -> None:
    with pytest.raises(DefinitionError, match=told):
        load([EntryPoint("mine", value, GROUP)], ["mine"])


def test_a_name_that_no_package_brings_is_told_with_those_that_there_are() -> None:
    with pytest.raises(DefinitionError, match="there is: demonstration"):
        load([DEMONSTRATION], ["mine"])


def test_the_project_declares_the_demonstrations_definitions() -> None:
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())
    assert project["project"]["entry-points"][GROUP] == {DEMONSTRATION.name: DEMONSTRATION.value}


def test_a_value_is_migrated_step_by_step_and_left_as_it_is() -> None:
    steps = {n: lambda value, n=n: value | {"steps": [*value.get("steps", []), n]} for n in (1, 2)}
    made = definition(schema_version=3, migrations=steps)
    before = {"q": 1}
    assert made.migrate(before, 1) == {"q": 1, "steps": [1, 2]}
    assert made.migrate(before, 1, 2) == {"q": 1, "steps": [1]}
    assert made.migrate(None, 1) is None
    assert before == {"q": 1}


@pytest.mark.parametrize("since", [0, 1, 4])
def test_where_no_migration_leads_is_an_error(since: int) -> None:
    with pytest.raises(StateError):
        definition(schema_version=3, migrations={2: dict}).migrate({}, since)


@pytest.mark.parametrize("result", [None, {"a": 0.5}])
def test_a_migration_that_gives_no_document_is_an_error(result: Any) -> None:
    made = definition(schema_version=2, migrations={1: lambda _value: result})
    with pytest.raises(StateError):
        made.migrate({}, 1)


def test_what_a_client_may_know_is_plain_json() -> None:
    told = definition().described()
    assert told["key"] == "cart"
    assert told["calls"] == ["tidy"]
    assert "migrations" not in told
