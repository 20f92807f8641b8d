"""Writes Python's results of all cases of state.json and commands.json.

Run it after you have written a case into a file, or have changed Python's behaviour on purpose
(`python -m tests.conformance.record_state`). Check the changed results: from then on, both
languages must give them.
"""

from __future__ import annotations

import json

from tests.conformance import cases
from tests.conformance.cases import Json
from tests.conformance.commands_subject import answer_commands
from tests.conformance.state_subject import answer_state


def text_of(file: Json) -> str:
    """The file as text: a line for each input and each answer."""
    head = "".join(f'  "{key}": {_line(file[key])},\n' for key in ("of", "about"))
    told = ",\n".join(_case(case) for case in file["cases"])
    return f'{{\n{head}  "cases": [\n{told}\n  ]\n}}\n'


def _case(case: Json) -> str:
    rest = {key: value for key, value in case.items() if key not in ("steps", "expect")}
    head = ", ".join(f"{_line(key)}: {_line(value)}" for key, value in rest.items())
    steps, expect = _lines(case["steps"]), _lines(case["expect"])
    return f'    {{{head},\n     "steps": [\n{steps}\n     ],\n     "expect": [\n{expect}\n     ]}}'


def _lines(values: list[Json]) -> str:
    return ",\n".join(f"      {_line(value)}" for value in values)


def _line(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    """Write both files."""
    for name, answer in (("state", answer_state), ("commands", answer_commands)):
        path = cases.FOLDER / f"{name}.json"
        file = json.loads(path.read_text())
        for case in file["cases"]:
            case["expect"] = answer(case)
        path.write_text(text_of(file))


if __name__ == "__main__":
    main()
