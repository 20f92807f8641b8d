"""`make load-test`: run a load test, show its progress, and write its report."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator

import uvloop

from client_sdk.contract.errors import YabamError
from deploy.load.plan import LoadPlan, read_plan
from deploy.load.report.page import page
from deploy.load.report.text import failures, text, write_json
from deploy.load.run import LoadTest
from deploy.load.site import GivenSite, Site, own_site

_LINE_EVERY_S = 5.0


def main() -> int:
    """Run a load test. Returns 0: it passed; 1: it failed; 2: it could not be run or finished."""
    # SIGTERM works like Ctrl-C, so that the started processes are stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        plan = read_plan(sys.argv[1:])
        with _site(plan) as site:
            outcome = uvloop.run(LoadTest(plan, site, _progress()).run())
    except YabamError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped; there is no report.", file=sys.stderr)
        return 2
    html = plan.out / "load-test.html"
    write_json(outcome, plan.out / "load-test.json")
    html.write_text(page(outcome))
    print(text(outcome))
    wrong = failures(outcome)
    print(f"\n{'FAILED: ' + '; '.join(wrong) if wrong else 'Passed.'}\nThe charts: {html}")
    return 1 if wrong else 0


@contextlib.contextmanager
def _site(plan: LoadPlan) -> Iterator[Site]:
    if plan.core is not None and plan.keys is not None:
        yield GivenSite(plan.core, plan.keys)
    else:
        with own_site(plan, lambda line: print(line, flush=True)) as site:
            yield site


def _progress() -> Callable[[str], None]:
    """Print progress: one changing line on a terminal, or a line now and then in a log."""
    if sys.stdout.isatty():
        return lambda line: print(f"\r{line}\x1b[K", end="", flush=True)
    last = time.monotonic() - _LINE_EVERY_S

    def show(line: str) -> None:
        nonlocal last
        if time.monotonic() >= last + _LINE_EVERY_S - 0.5:
            last = time.monotonic()
            print(line, flush=True)

    return show


if __name__ == "__main__":
    sys.exit(main())
