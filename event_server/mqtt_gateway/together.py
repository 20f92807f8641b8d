"""Runs tasks that must end together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


async def run_together(*works: Coroutine[None, None, None]) -> None:
    """Run all of these until the first one ends, cancel the others, and raise what it raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
