"""Loops that time runs: to warm up, one after another, at a rate, for minutes, in settings."""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Act = Callable[[], object]
"""One run, whatever it is of."""

WINDOW = 10
"""Runs a warm-up window holds, and more of quick ones until it lasts `WINDOW_S` seconds."""

WINDOW_S = 0.01

STEADY = 1.1
"""Warm-up ends when the medians of three windows in a row are within this ratio."""

MAX_WINDOWS = 30


@dataclass(frozen=True)
class Clock:
    """Wall and processor time (all threads of the process) in ns, and waiting in seconds."""

    wall_ns: Callable[[], int] = time.perf_counter_ns
    cpu_ns: Callable[[], int] = time.process_time_ns
    sleep: Callable[[float], None] = time.sleep

    def timed(self, act: Act) -> tuple[float, float]:
        """Wall and processor time of one run, in ms."""
        cpu, wall = self.cpu_ns(), self.wall_ns()
        act()
        return (self.wall_ns() - wall) / 1e6, (self.cpu_ns() - cpu) / 1e6


@dataclass
class Times:
    """Times of runs in ms, in their order."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def add(self, act: Act, clock: Clock) -> float:
        wall, cpu = clock.timed(act)
        self.wall_ms.append(wall)
        self.cpu_ms.append(cpu)
        return wall


@dataclass(frozen=True)
class WarmUp:
    """Runs that were not counted, and whether their times had settled at the end."""

    runs: int
    settled: bool


def is_steady(medians: Sequence[float]) -> bool:
    """Whether the last three windows' medians agree within `STEADY`."""
    last = medians[-3:]
    return len(last) == 3 and max(last) <= STEADY * min(last)


def warm_up(act: Act, *, budget_s: float, clock: Clock) -> WarmUp:
    """Run until three windows agree, `MAX_WINDOWS` have passed, or the budget has."""
    end = clock.wall_ns() + budget_s * 1e9
    medians: list[float] = []
    runs = 0
    while len(medians) < MAX_WINDOWS and clock.wall_ns() < end and not is_steady(medians):
        window = Times()
        while len(window.wall_ms) < WINDOW or math.fsum(window.wall_ms) < 1000 * WINDOW_S:
            window.add(act, clock)
        medians.append(statistics.median(window.wall_ms))
        runs += len(window.wall_ms)
    return WarmUp(runs, is_steady(medians))


def turns(n: int) -> Iterator[tuple[int, ...]]:
    """The order of things that take turns, in each round: there, and back in the next (ABBA)."""
    there = tuple(range(n))
    for i in itertools.count():
        yield there if i % 2 == 0 else there[::-1]


@dataclass(frozen=True)
class Amount:
    """How much is timed: `runs` at least, `window_s` seconds of runs at least, in `block` runs.

    After `budget_s` seconds no further block begins.
    """

    runs: int
    block: int
    window_s: float
    budget_s: float


def in_turns(acts: Sequence[Act], amount: Amount, *, clock: Clock) -> list[Times]:
    """Closed loop: runs of each act in blocks that take turns, a block of each at least."""
    end = clock.wall_ns() + amount.budget_s * 1e9
    found, timed_ms = [Times() for _ in acts], [0.0] * len(acts)
    least = max(1, amount.runs // amount.block)
    for done, order in enumerate(turns(len(acts))):
        enough = min(timed_ms) >= 1000 * amount.window_s
        if (done >= least and enough) or (done and clock.wall_ns() > end):
            return found
        for i in order:
            for _ in range(amount.block):
                found[i].add(acts[i], clock)
            timed_ms[i] += math.fsum(found[i].wall_ms[-amount.block :])
    return found


@dataclass
class Paced:
    """Open loop: requests come at `rate` a second whether or not the last was answered.

    `response_ms` are from when a request was due to its answer, so that waiting for an earlier
    one counts (Tene 2013, on coordinated omission); `dropped` counts requests that nobody took.
    """

    rate: float
    asked: int = 0
    dropped: int = 0
    times: Times = field(default_factory=Times)
    response_ms: list[float] = field(default_factory=list)


def paced(act: Act, *, rate: float, asked: int, budget_s: float, drop: bool, clock: Clock) -> Paced:
    """Hand over up to `asked` requests at a rate.

    With `drop` one that comes while an earlier is being answered is lost, as a camera's frame is;
    else it waits its turn.
    """
    found = Paced(rate)
    start = clock.wall_ns()
    for i in range(asked):
        due = start + i * 1e9 / rate
        now = clock.wall_ns()
        if now - start > budget_s * 1e9:
            break
        found.asked += 1
        # The frame that comes at the very moment of an answer is taken.
        if drop and i and now > due + 1e9 / rate * _ON_TIME:
            found.dropped += 1
            continue
        if now < due:
            clock.sleep((due - now) / 1e9)
        found.times.add(act, clock)
        found.response_ms.append((clock.wall_ns() - due) / 1e6)
    return found


_ON_TIME = 0.001
"""Share of an interval by which the end of an answer may be late for the next frame."""


def window_medians(act: Act, *, seconds: float, clock: Clock) -> list[float]:
    """Medians (ms) of successive windows of a second, or of one run where that takes longer."""
    start, found = clock.wall_ns(), list[float]()
    while clock.wall_ns() - start < seconds * 1e9:
        window, times = clock.wall_ns(), list[float]()
        while not times or clock.wall_ns() - window < 1e9:
            times.append(clock.timed(act)[0])
        found.append(statistics.median(times))
    return found


def rates_in_turns(
    acts: Sequence[Act], *, rounds: int, slot_s: float, budget_s: float, clock: Clock
) -> list[list[float]]:
    """Runs a second of each act in each round: each has `slot_s` seconds a round, in turns."""
    end = clock.wall_ns() + budget_s * 1e9
    found: list[list[float]] = [[] for _ in acts]
    for order in itertools.islice(turns(len(acts)), rounds):
        if found[0] and clock.wall_ns() > end:
            break
        for i in order:
            found[i].append(_rate(acts[i], slot_s, clock))
    return found


def _rate(act: Act, slot_s: float, clock: Clock) -> float:
    start, done = clock.wall_ns(), 0
    while not done or clock.wall_ns() - start < slot_s * 1e9:
        act()
        done += 1
    return done * 1e9 / max(1, clock.wall_ns() - start)


def as_values(times: Times) -> dict[str, Any]:
    return {"wall_ms": times.wall_ms, "cpu_ms": times.cpu_ms}
