"""deployment/identity: whether the model on the target answers as the audited one does here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from auditor.checks.target_runs import TARGET, Audited, StandsAlone, on_target, place_of
from auditor.contract import Available, Check, Evidence, Need, NotMeasurableError, Unmet, Words
from auditor.contract.words import FROM_0
from auditor.errors import ModelError
from auditor.findings import Measure, Result, Subject
from auditor.models.latency import run_bench
from auditor.stats import Exact

DIFFERENCE = "output-difference"
MOVED = "answers-moved"


@dataclass(frozen=True)
class ResultOfTarget(Need):
    """A result that the emitted program wrote on the target."""

    def unmet(self, available: Available) -> Unmet | None:
        if available.spec.target is not None and available.spec.target.bench is not None:
            return None
        return Unmet(
            reason="No result of the model on another machine was given.",
            remedy="Run `auditor bench AUDIT.YAML --emit bench.py`, run that program on the "
            "target, and name its bench.json under `target.bench`.",
        )


@dataclass(frozen=True)
class Identity(Check):
    """Whether the model on the target gives the same outputs as here, but for rounding.

    What it measures
    ----------------
    The program that ran on the target also answered sixteen drawn frames, and the audit answers
    them here. `output-difference` is the largest difference of any output value that was kept (up
    to 256 of each output), as a share of that output's range over all frames; outputs of another
    shape differ wholly. `answers-moved` is the share of frames whose greatest output is another.

    Why it matters
    --------------
    Everything else in this report was measured here. An INT8 model answers otherwise on a processor
    without the instructions it was tried with, and a runtime of another version may too.

    How it can mislead
    ------------------
    Sixteen drawn frames are no photos: small differences can turn an answer on a photo that lies on
    the border, and say nothing of how many there are. That outputs agree does not show that the
    application feeds the model as the audit does.
    """

    id: ClassVar[str] = "deployment/identity"
    topic: ClassVar[str] = "whether the target runs the same model"
    shown: ClassVar[Literal["folded", "open", "told"]] = "told"
    words: ClassVar = {
        DIFFERENCE: on_target(
            Words(
                title="Largest difference of outputs between target and audit",
                short="difference of outputs",
                sentence="On {target} ({processor}) the outputs for {n} drawn frames differ from "
                "those here ({audited_on}) by {largest} of their range at most.",
                action="find out what the target's runtime does otherwise, and measure accuracy "
                "there",
                span=FROM_0,
            )
        ),
        MOVED: on_target(
            Words(
                title="Drawn frames that the target answers otherwise",
                short="answers that moved",
                sentence="On {target} ({processor}), {moved:d} of {n} drawn frames are answered "
                "otherwise than here ({audited_on}).",
                action="find out what the target's runtime does otherwise, and measure accuracy "
                "there",
            )
        ),
    }
    needs: ClassVar[tuple[Need, ...]] = (TARGET, ResultOfTarget(), StandsAlone())
    sources: ClassVar[tuple[str, ...]] = ("Goldberg (1991), doi:10.1145/103162.103163 (rounding)",)

    def run(self, evidence: Evidence) -> Iterator[Result]:
        place = place_of(evidence)
        assert place.bench is not None  # the need
        try:
            here = run_bench(Audited.of(evidence).request(parts=("probes",)))
        except ModelError as error:
            raise NotMeasurableError(
                f"The drawn frames could not be answered here: {error}",
                remedy="See that the model runs here with `target.providers`, and audit again.",
            ) from error
        there = place.bench.timed
        if not there.probes:
            raise NotMeasurableError(
                "The result of the target holds no answers to drawn frames.",
                remedy="Emit the program again and run it on the target.",
            )
        facts = place.facts(there) | {"audited_on": str(here.machine), "n": len(there.probes)}
        largest = largest_difference(here.probes, there.probes)
        yield _measure(DIFFERENCE, largest, "amount", facts | {"largest": f"{largest:.2g}"})
        moved = sum(
            _places(a) != _places(b) for a, b in zip(here.probes, there.probes, strict=False)
        )
        share = moved / len(there.probes)
        yield _measure(MOVED, share, "share", facts | {"moved": moved})


Probe = Sequence[Mapping[str, Any]]
"""What is kept of each output for one frame (`auditor.models.bench.sessions.sampled`)."""


def largest_difference(here: Sequence[Probe], there: Sequence[Probe]) -> float:
    """The largest difference of kept values as a share of their output's range here; from 0.

    1 where shapes, or numbers of outputs or frames, differ.
    """
    if len(here) != len(there) or list(map(_shapes, here)) != list(map(_shapes, there)):
        return 1.0
    found = 0.0
    for i in range(len(here[0])):
        a, b = (np.array([probe[i]["values"] for probe in side]) for side in (here, there))
        span = max(p[i]["greatest"] for p in here) - min(p[i]["least"] for p in here)
        apart = float(np.abs(a - b).max(initial=0.0))
        found = max(found, apart / span if span > 0 else float(apart > 0))
    return found


def _shapes(probe: Probe) -> list[Any]:
    return [(output["shape"], len(output["values"])) for output in probe]


def _places(probe: Probe) -> list[Any]:
    return [output["at"] for output in probe]


def _measure(name: str, found: float, scale: Any, facts: Mapping[str, Any]) -> Measure:
    return Measure(
        name=name,
        subject=Subject(),
        estimate=Exact(found),
        scale=scale,
        better="lower",
        least=0.0 if scale == "amount" else None,
        n=int(facts["n"]),
        facts=facts,
    )
