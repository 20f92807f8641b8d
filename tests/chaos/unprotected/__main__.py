"""`python -m tests.chaos.unprotected`: each scenario must fail when its protection is removed.

In the same short form it must pass with the protection, or the failure shows nothing. `--control`
runs it that way.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.chaos.scenarios import ALL
from tests.chaos.unprotected.tree import PatchError, copy_tree
from tests.chaos.unprotected.trials import TRIALS, Trial

_CLIENTS: Final = 20
_RUN_WITHIN_S: Final = 900
_MAX_TEXT: Final = 200
Seen = dict[str, Any]


def main() -> int:
    """Returns 0 if every scenario that was run has failed; 1 if one passed or could not be run."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    build = options.build.resolve()
    results = _kept(build / "unprotected.json")
    chosen = [t for t in TRIALS if t.scenario in options.scenario or not options.scenario]
    wanted = "passed" if options.control else "failed"
    right = 0
    for trial in chosen:
        began = time.monotonic()
        seen = _try(trial, build, protected=options.control)
        right += seen["result"] == wanted
        took = time.monotonic() - began
        print(f"{trial.name:<23}{seen['result']:<12}{took:>4.0f} s  {seen['said']}", flush=True)
        kept = results.setdefault(trial.name, {})
        if options.control:
            kept["control"] = seen["result"]
        else:
            kept.update(seen)
        _write(build, results)
    print(f"\n{right} of {len(chosen)} scenarios {wanted}")
    return 0 if right == len(chosen) else 1


def _try(trial: Trial, build: Path, *, protected: bool) -> Seen:
    """Run one scenario in a copy of the project, patched or not. Returns its result."""
    folder = Path(tempfile.mkdtemp(prefix="yabam-unprotected-"))
    try:
        copy_tree(folder, (*trial.shorter, *(() if protected else trial.without.patches)))
        made = folder / "build"
        made.mkdir()
        (build / "kafka").mkdir(parents=True, exist_ok=True)
        (made / "kafka").symlink_to(build / "kafka")
        code = _run(trial, folder)
        return {"without": trial.without.what} | _judged(
            made / "chaos.json", code, folder, "" if protected else trial.says
        )
    except PatchError as error:
        return {"without": trial.without.what, "result": "not run", "said": str(error)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(trial: Trial, folder: Path) -> int | None:
    """Start the chaos run. Returns its exit status; None: it did not end in time."""
    needs_kafka = {s.name: s.needs_kafka for s in ALL}[trial.scenario]
    command = [sys.executable, "-m", "tests.chaos", "--scenario", trial.scenario]
    command += ["--seed", str(trial.seed), "--scale", str(trial.scale)]
    command += ["--clients", str(_CLIENTS), "--patience", str(trial.patience_s)]
    command += [] if needs_kafka else ["--embedded"]
    environment = os.environ | {"PYTHONPATH": str(folder), "TMPDIR": str(folder)}
    # Postgres runs as another user, who must be able to pass through the folder.
    folder.chmod(0o711)
    with (folder / "run.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            return process.wait(_RUN_WITHIN_S)
        except subprocess.TimeoutExpired:
            return None
        finally:
            process.terminate()
            process.wait()


def _judged(report: Path, code: int | None, folder: Path, says: str) -> Seen:
    """The result of the run's only scenario, from its report; it must say `says` if it failed."""
    entries = json.loads(report.read_text()) if report.exists() else []
    if code is None or not entries:
        lines = (folder / "run.log").read_text(errors="replace").strip().splitlines()
        last = [line for line in lines if not line.startswith(("Report:", "Logs:"))][-4:]
        return {"result": "not run", "said": " / ".join(last)[:_MAX_TEXT]}
    (entry,) = entries
    notes = json.loads(report.with_name("chaos-notes.json").read_text())
    said = [f"{entry[key]} {key.replace('_', ' ')}" for key in _COUNTS if entry[key]]
    if entry["recovery_s"] is None:
        said.append("clients did not recover in time")
    wrong = notes.get(entry["scenario"], {"trouble": "", "notes": []})
    said += [wrong["trouble"]] if wrong["trouble"] else []
    said += [] if said else wrong["notes"][:1]
    failed = code and says in wrong["trouble"]
    return {"result": "failed" if failed else "passed", "said": "; ".join(said)[:_MAX_TEXT]}


_COUNTS: Final = ("lost", "doubled", "out_of_order")


def _kept(path: Path) -> dict[str, Seen]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _write(build: Path, results: Mapping[str, Seen]) -> None:
    (build / "unprotected.json").write_text(json.dumps(results, indent=1) + "\n")
    names = [trial.name for trial in TRIALS if trial.name in results]
    (build / "unprotected.md").write_text(_table(names, results))


def _table(names: Sequence[str], results: Mapping[str, Seen]) -> str:
    tried = {name: results[name] for name in names if "result" in results[name]}
    failed = sum(seen["result"] == "failed" for seen in tried.values())
    controls = [seen["control"] for seen in tried.values() if "control" in seen]
    rows = [
        f"{failed} of {len(tried)} scenarios failed without their protection. "
        f"{len(controls)} were run in the same form with it: {controls.count('passed')} passed.",
        "",
        "| scenario | taken out | the run | what it said | with it |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, seen in tried.items():
        said = seen["said"].replace("|", "/").replace("\n", " ")
        control = seen.get("control", "not run")
        rows.append(f"| {name} | {seen['without']} | {seen['result']} | {said} | {control} |")
    return "\n".join(rows) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.unprotected", description=__doc__)
    parser.add_argument(
        "--scenario", nargs="+", default=[], choices=[s.name for s in ALL], metavar="NAME",
        help="only these; the results of the others are kept",
    )  # fmt: skip
    parser.add_argument(
        "--control", action="store_true", help="with the protections in place: all must pass"
    )
    parser.add_argument("--build", type=Path, default=Path("build"), help="jars and reports")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
