"""deployment/memory: how much memory the model takes where it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np

from auditor.checks.target_runs import (
    TARGET,
    WHO_SAYS,
    Audited,
    StandsAlone,
    fresh_starts,
    off_target,
    on_target,
    place_of,
    time_measure,
)
from auditor.contract import Check, Evidence, Need, Words
from auditor.contract.words import FROM_0
from auditor.findings import Result
from auditor.models.timed_quantiles import quantile_draws
from auditor.models.timings import BenchResult
from auditor.stats import Exact

_ACTION = "make it smaller, or run it where there is more memory"


@dataclass(frozen=True)
class Memory(Check):
    """Memory that a process takes to load the model and to answer.

    What it measures
    ----------------
    The most memory that lay in the machine for each of some fresh processes that load the model
    and answer once (resident set, Python and the runtime included), its median, and how much of
    that came after the runtime was imported, for the model. Where the system counts it, also the
    most of the process's cgroup; and the peak without the runtime's arena, which keeps memory for
    the next run.

    Why it matters
    --------------
    A device that runs out of memory kills the process, often the largest one, at the worst time.

    How it can mislead
    ------------------
    Larger batches, several models and the application itself come on top, and so does a camera's
    buffer. Pages of the model file that are shared with others count in full.
    """

    id: ClassVar[str] = "deployment/memory"
    topic: ClassVar[str] = "memory"
    shown: ClassVar[Literal["folded", "open", "told"]] = "told"
    words: ClassVar = {
        "peak": on_target(
            Words(
                title="Memory taken to load the model and answer",
                short="memory",
                sentence=(
                    "On {target} ({processor}), the process took {value} of memory at most in half "
                    "of {n} starts, Python and the runtime included; {model_mb:.3g} MB of it for "
                    "the model.",
                    *WHO_SAYS,
                ),
                action=_ACTION,
                span=FROM_0,
                unit="MB",
            )
        ),
        "peak-without-arena": on_target(
            Words(
                title="Memory taken without the runtime's arena",
                short="memory without the arena",
                sentence="On {target} ({processor}), without the arena that the runtime keeps for "
                "the next run the process took {point} at most.",
                action=_ACTION,
                span=FROM_0,
                unit="MB",
            )
        ),
    }
    needs: ClassVar[tuple[Need, ...]] = (TARGET, StandsAlone())
    sources: ClassVar[tuple[str, ...]] = ("proc(5), cgroups(7): VmHWM and memory.peak",)

    starts: Annotated[int, "Fresh processes that load the model."] = 10

    def run(self, evidence: Evidence) -> Iterator[Result]:
        place = place_of(evidence)
        if not place.is_target:
            yield from off_target(place, ("peak",))
            return
        request = Audited.of(evidence).request(parts=())
        found = fresh_starts(place, request, starts=self.starts)
        peaks = np.array([one.peak_memory_mb for one in found])
        facts = place.facts(found[0]) | {
            "model_mb": float(np.median([_for_model(one) for one in found])),
            "cgroup_mb": found[-1].memory["end"]["cgroup_mb"],
        }
        peak = quantile_draws(peaks, quantile=0.5)
        yield time_measure("peak", peak, n=len(found), unit="MB", facts=facts)
        if place.bench is None:
            lean = fresh_starts(place, replace(request, arena=False), starts=1)[0]
            yield time_measure(
                "peak-without-arena", Exact(lean.peak_memory_mb), n=1, unit="MB",
                facts=place.facts(lean),
            )  # fmt: skip


def _for_model(one: BenchResult) -> float:
    start = one.memory["start"]["now_mb"] or one.memory["start"]["peak_mb"]
    return max(0.0, one.peak_memory_mb - float(start))
