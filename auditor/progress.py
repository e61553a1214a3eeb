"""Progress on a terminal: a bar with rate and time left; plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import TaskID

PLAIN_SECONDS = 10.0
"""Seconds between two plain lines of one stage."""


class ShowProgress(Protocol):
    """Says that `done` of `total` of a stage are done."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[ShowProgress]:
    """A reporter for this process's standard error; silent when `quiet`."""
    if quiet:
        yield lambda stage, done, total: None
    elif sys.stderr.isatty():
        with _bars() as show:
            yield show
    else:
        yield _PlainLines()


@contextmanager
def _bars() -> Iterator[ShowProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeLeft(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, rate="")
            task = bars.tasks[list(tasks).index(stage)]
            speed = f"{task.speed:.0f}/s" if task.speed else ""
            bars.update(tasks[stage], completed=done, total=total, rate=speed)

        yield show


class _PlainLines:
    """One line when a stage begins, ends, and every few seconds between."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self._said: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        first = stage not in self._began
        began = self._began.setdefault(stage, now)
        quiet = now - self._said.get(stage, -PLAIN_SECONDS) < PLAIN_SECONDS
        if (quiet and done < total) or (first and done == total):
            return
        self._said[stage] = now
        rate = done / (now - began) if done and now > began else 0.0
        left = f", {(total - done) / rate:.0f} s left" if rate and done < total else ""
        pace = f" ({rate:.0f}/s{left})" if rate else ""
        print(f"{stage}: {done}/{total}{pace}", file=sys.stderr, flush=True)
