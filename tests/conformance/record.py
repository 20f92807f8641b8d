"""Adds the Python machine's results to the cases of machine.json that have none.

Run it after you have written a case into the file (`python -m tests.conformance.record`), and check
the results: from then on, both machines must give them.
"""

from __future__ import annotations

import json

from tests.conformance import cases, subject
from tests.conformance.cases import Json


def text_of(file: Json) -> str:
    """The file as text: a line for each input and each answer."""
    head = "".join(f'  "{key}": {_line(file[key])},\n' for key in ("of", "about"))
    told = ",\n".join(_case(case) for case in file["cases"])
    return f'{{\n{head}  "cases": [\n{told}\n  ]\n}}\n'


def _case(case: Json) -> str:
    expect = case["expect"]
    rest = {key: value for key, value in case.items() if key not in ("steps", "expect")}
    head = ", ".join(f"{_line(key)}: {_line(value)}" for key, value in rest.items())
    steps, after = (_lines(part["steps"]) for part in (case, expect))
    end = _line(expect["end"])
    return (
        f'    {{{head},\n     "steps": [\n{steps}\n     ],\n'
        f'     "expect": {{"steps": [\n{after}\n     ],\n      "end": {end}}}}}'
    )


def _lines(values: list[Json]) -> str:
    return ",\n".join(f"      {_line(value)}" for value in values)


def _line(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    """Add the missing results."""
    path = cases.FOLDER / "machine.json"
    file = json.loads(path.read_text())
    for case in file["cases"]:
        if "expect" not in case:
            case["expect"] = subject.answer("machine", cases.filled("machine", case))
    path.write_text(text_of(file))


if __name__ == "__main__":
    main()
