"""A run that is stopped: by which signals, and what it leaves to the next one."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditor.progress import ShowProgress


def stop_as_by_hand() -> None:
    """A container that is stopped, or a terminal that is closed, ends a run as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # What `nohup` has ignored stays ignored.
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


class Done:
    """How far each stage of a run came."""

    def __init__(self) -> None:
        self._stages: dict[str, tuple[int, int]] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        self._stages[stage] = (done, total)

    def beside(self, show: ShowProgress) -> ShowProgress:
        """As `show`, taking note of what it is told."""

        def told(stage: str, done: int, total: int) -> None:
            self(stage, done, total)
            show(stage, done, total)

        return told

    def kept(self, out: Path) -> str:
        """What a run that is stopped now leaves to the next one."""
        stages = {k: v for k, v in self._stages.items() if k != "checks"}
        came = ", ".join(f"{stage} {n:,} of {total:,}" for stage, (n, total) in stages.items())
        if not came:
            return "Nothing was computed yet."
        return f"Kept in {out / 'store'}: {came} images. The same command goes on from there."
