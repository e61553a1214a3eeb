"""deployment/cold-start: how long the first answer takes after starting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from auditor.checks.target_runs import (
    FASTER,
    TARGET,
    WHO_SAYS,
    Audited,
    StandsAlone,
    contended,
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
from auditor.models.timings import WALL_OVER_CPU


@dataclass(frozen=True)
class ColdStart(Check):
    """Time from loading the model file to its first answer, in fresh processes.

    What it measures
    ----------------
    Some processes are started one after the other; each loads the model and answers once. Told is
    the median of both together, beside how long each part took.

    Why it matters
    --------------
    A device that sleeps to save its battery, or a service that starts on demand, pays this time
    whenever somebody comes first.

    How it can mislead
    ------------------
    The file lies in the system's memory after the first reading; from a slow card it takes longer.
    Starting Python and importing the runtime are not counted, since what ships may have neither.
    Only that a start waited for other programs is told, by its processor time.
    """

    id: ClassVar[str] = "deployment/cold-start"
    topic: ClassVar[str] = "the first answer"
    shown: ClassVar[Literal["folded", "open", "told"]] = "told"
    words: ClassVar = {
        "time": on_target(
            Words(
                title="Time to load the model and answer for the first time",
                short="time of a cold start",
                sentence=(
                    "On {target} ({processor}), loading the model and answering for the first time "
                    "took {value} in half of {n} fresh processes ({loading_ms:.3g} ms of it "
                    "loading).",
                    *WHO_SAYS,
                ),
                action=FASTER,
                span=FROM_0,
                unit="ms",
            )
        ),
    }
    needs: ClassVar[tuple[Need, ...]] = (TARGET, StandsAlone())
    sources: ClassVar[tuple[str, ...]] = (
        "Thompson (1936), doi:10.1214/aoms/1177732502 (order statistics)",
    )

    starts: Annotated[int, "Fresh processes that load the model."] = 10

    def run(self, evidence: Evidence) -> Iterator[Result]:
        place = place_of(evidence)
        if not place.is_target:
            yield from off_target(place, ("time",))
            return
        found = fresh_starts(place, Audited.of(evidence).request(parts=()), starts=self.starts)
        loading = np.array([one.models[0].cold_start_ms for one in found])
        whole = loading + np.array([one.models[0].first_run_ms for one in found])
        waited = float(np.median(whole / [max(one.models[0].cold_cpu_ms, 1e-9) for one in found]))
        if waited > WALL_OVER_CPU and place.target.on_cpu:
            said = f"a start took {waited:.2f} times its processor time (at most {WALL_OVER_CPU})"
            yield contended("time", said, place)
            return
        facts = place.facts(found[0]) | {"loading_ms": float(np.median(loading))}
        yield time_measure("time", quantile_draws(whole, quantile=0.5), n=len(found), facts=facts)
