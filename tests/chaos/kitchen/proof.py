"""Compares a kitchen's tickets, results and events with what was ordered. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Final

from tests.chaos.proof import Verdict

_NUMBER: Final = re.compile(r"#(\S+)")
_REPEAT: Final = "REPEAT"


def judge_papers(
    ordered: Sequence[str], papers: Sequence[str], to_come: Collection[str] = ()
) -> Verdict:
    """Compare the tickets with the orders.

    Args:
        ordered: the references of the orders, in the order of the log.
        papers: the text of each ticket, in the order in which they were printed.
        to_come: orders whose ticket waits, or is not created yet: if it is missing, it is late.
    """
    wanted = set(ordered)
    first: Counter[str] = Counter()
    repeats: Counter[str] = Counter()
    sequence: list[str] = []
    for text in papers:
        found = _NUMBER.search(text)
        if found is None or found[1] not in wanted:
            continue
        if _REPEAT in text:
            repeats[found[1]] += 1
        else:
            first[found[1]] += 1
            sequence.append(found[1])
    missing = [one for one in ordered if not first[one] and not repeats[one]]
    late = [one for one in missing if one in to_come]
    lost = [one for one in missing if one not in to_come]
    doubled = [one for one in ordered if first[one] > 1]
    place = {one: at for at, one in enumerate(ordered)}
    disorder = sum(place[a] > place[b] for a, b in pairwise(sequence))
    verdict = Verdict(len(lost), len(doubled), disorder, len(late))
    if not verdict.clean:
        verdict.notes.append(
            f"paper: never printed {lost[:3]}, twice without a mark {doubled[:3]}, "
            f"{disorder} out of order, late {late[:3]}"
        )
    return verdict


def count_repeats(papers: Sequence[str]) -> int:
    """How many tickets are marked as possible repeats."""
    return sum(_REPEAT in text for text in papers)


def judge_events(
    name: str, said: int, history: Sequence[int], after: int = 0, to_come: Collection[int] = ()
) -> Verdict:
    """Compare the events of a device, numbered from 1, with the history of their document.

    Args:
        name: the device's name, for the notes.
        said: how many events it has published.
        history: the `n` of each event in the history.
        after: events up to this number were checked before.
        to_come: events that Core has not accepted yet: if they are missing, they are late.
    """
    counts = Counter(n for n in history if n > after)
    missing = [n for n in range(after + 1, said + 1) if not counts[n]]
    waiting = [n for n in missing if n in to_come]
    lost = [n for n in missing if n not in to_come]
    doubled = [n for n, count in counts.items() if count > 1]
    newest, late = after, 0
    for n in history:
        late += after < n < newest
        newest = max(newest, n)
    verdict = Verdict(len(lost), len(doubled), late, len(waiting))
    if not verdict.clean:
        verdict.notes.append(
            f"{name}: events lost {lost[:3]}, applied twice {doubled[:3]}, {late} out of order, "
            f"kept by it {waiting[:3]}"
        )
    return verdict


def judge_commands(states: Mapping[str, str | None]) -> Verdict:
    """Check the commands that Core accepted: each with its state in the database.

    None: the database does not have it, so it is lost. `sent`: it is late, as it is sent to its
    device until the device answers.
    """
    late = [one for one, state in states.items() if state == "sent"]
    lost = [one for one, state in states.items() if state not in ("done", "sent")]
    notes = [f"commands lost {lost[:3]}, not settled {late[:3]}"] if lost or late else []
    return Verdict(lost=len(lost), late=len(late), notes=notes)
