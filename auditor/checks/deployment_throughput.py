"""deployment/throughput: images a second, by batch and threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from auditor.checks.target_runs import (
    FASTER,
    TARGET,
    WHO_SAYS,
    Audited,
    Place,
    StandsAlone,
    Timed,
    contended,
    off_target,
    on_target,
    place_of,
    time_measure,
    timed,
    too_few,
)
from auditor.contract import Check, Evidence, Need, Words
from auditor.contract.words import FROM_0
from auditor.findings import Column, Measure, ModelFacts, Result, Table
from auditor.models.latency import BenchRequest, batch_of
from auditor.stats import interval, mean, value

RATE = "images-per-second"
ROOFLINE = "roofline-share"
LEAST_ROUNDS = 10
"""Rounds below which no best setting is chosen by one half and measured by the other."""


@dataclass(frozen=True)
class Throughput(Check):
    """Images answered a second in the best setting of batch and threads.

    What it measures
    ----------------
    Every setting (batches of 1, 8 and 32 where the model takes them; 1, 2, 4 and more threads up
    to those that the process may use) runs for a moment in each round, in turns, so that whatever
    else the machine does falls on all. Every second round chooses the best setting, the others
    measure it: the best of many chosen and measured at once would look better than it is. In the
    same rounds the runtime multiplies two large matrices with as many threads: `roofline-share` is
    the model's operations a second over the product's, for a float32 model.

    Why it matters
    --------------
    A night's backlog is a matter of images a second, not of how long one takes; and a model far
    from what the processor can do may be made faster without another processor.

    How it can mislead
    ------------------
    Ready tensors are answered: decoding photos often takes longer. Larger batches wait until they
    are full. Convolutions that save operations (Winograd) can exceed a share of 1, and models that
    wait for memory stay far below it however well they run.
    """

    id: ClassVar[str] = "deployment/throughput"
    topic: ClassVar[str] = "images a second"
    shown: ClassVar[Literal["folded", "open", "told"]] = "told"
    words: ClassVar = {
        RATE: on_target(
            Words(
                title="Images answered a second in the best setting",
                short="images a second",
                sentence=(
                    "On {target} ({processor}), {value} are answered in batches of {batch} on "
                    "{best_threads} thread(s), the best of {settings} settings.",
                    *WHO_SAYS,
                ),
                action=FASTER,
                span=FROM_0,
                unit="images/s",
            )
        ),
        ROOFLINE: on_target(
            Words(
                title="Share of what the processor can multiply",
                short="share of the roofline",
                sentence="On {target} ({processor}), the model does {value} of the operations a "
                "second that a product of matrices does there on {best_threads} thread(s).",
                action=FASTER,
                span=FROM_0,
                scale="ratio",
            )
        ),
    }
    needs: ClassVar[tuple[Need, ...]] = (TARGET, StandsAlone())
    sources: ClassVar[tuple[str, ...]] = (
        "Williams, Waterman & Patterson (2009), Roofline, doi:10.1145/1498765.1498785",
    )

    rounds: Annotated[int, "Rounds of all settings; half of them measure."] = 24
    slot_s: Annotated[float, "Seconds of each setting in a round, one run at least."] = 0.1
    budget_s: Annotated[float, "Seconds after which no further round begins."] = 60.0
    attempts: Annotated[int, "Times that a disturbed timing is repeated at most."] = 1

    def run(self, evidence: Evidence) -> Iterator[Result]:
        place = place_of(evidence)
        if place.bench is not None:
            found = Timed(place.bench.timed, None)
        elif not place.is_target:
            yield from off_target(place, (RATE,))
            return
        else:
            found = timed(self.request(Audited.of(evidence)), attempts=self.attempts)
        yield from self._told(found, place, evidence.model)

    def request(self, audited: Audited) -> BenchRequest:
        """What is asked of the process that times."""
        inputs = audited.model.inputs
        free = not inputs or inputs[0].shape[0] is None
        asked = audited.request(
            parts=("sweep",),
            rounds=self.rounds,
            slot_s=self.slot_s,
            budget_s=self.budget_s,
            sweep_threads=(1, 2, 4, 8, 16),
        )
        batches = (1, 8, 32) if free else (batch_of(audited.model),)
        return replace(asked, sweep_batches=batches)

    def _told(self, found: Timed, place: Place, model: ModelFacts) -> Iterator[Result]:
        part = found.result.stretches.get("sweep")
        settings: list[Mapping[str, Any]] = [] if part is None else list(part.found["settings"])
        rounds = min((len(s["per_second"]) for s in settings), default=0)
        if rounds < LEAST_ROUNDS:
            reason = f"{rounds} rounds fitted into the time; a best setting takes {LEAST_ROUNDS}."
            yield too_few(RATE, reason, place, check=self.id)
            return
        if found.disturbed is not None:
            yield contended(RATE, found.disturbed, place)
            return
        tried = [s for s in settings if s["batch"]]
        best = max(tried, key=lambda s: float(np.median(s["per_second"][:rounds:2])))
        held = np.array(best["per_second"][1:rounds:2])
        facts = place.facts(found.result) | {
            "batch": best["batch"], "best_threads": best["threads"], "settings": len(tried),
        }  # fmt: skip
        yield time_measure(
            RATE, mean(held), n=len(held), facts=facts, unit="images/s", better="higher"
        )
        product = next(s for s in settings if not s["batch"] and s["threads"] == best["threads"])
        ceiling = np.array(product["per_second"][1:rounds:2])
        yield from _roofline(held, ceiling, model, facts)
        yield _table(tried, rounds)


def _roofline(
    images: np.ndarray, ceiling: np.ndarray, model: ModelFacts, facts: Mapping[str, Any]
) -> Iterator[Measure]:
    """Operations a second over the product's, round by round; of float32 models alone."""
    is_float = bool(model.inputs) and model.inputs[0].dtype == "tensor(float)"
    if model.flops is None or model.quantised or not is_float:
        return
    share = images * model.flops / 1e9 / ceiling
    yield time_measure(
        ROOFLINE, mean(share), n=len(share), facts=facts, scale="ratio", unit="", better="none"
    )


def _table(settings: Sequence[Mapping[str, Any]], rounds: int) -> Table:
    rows = []
    for one in settings:
        rate = mean(np.array(one["per_second"][:rounds]))
        ends = interval(rate)
        rows.append((one["batch"], one["threads"], value(rate), ends.low, ends.high))
    return Table(
        id=f"{Throughput.id}:settings",
        title="Images a second by batch and threads",
        columns=(
            Column("batch", "images"), Column("threads"), Column("images a second"),
            Column("low"), Column("high"),
        ),
        rows=tuple(rows),
    )  # fmt: skip
