"""deployment/frame-rate: whether it keeps up with a camera, dropped frames counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
from auditor.contract import Available, Check, Evidence, Need, Unmet, Words
from auditor.contract.words import FROM_0
from auditor.findings import Result
from auditor.models.latency import BenchRequest
from auditor.models.timed_quantiles import inverse_draws, quantile_draws
from auditor.spec import AuditSpec
from auditor.stats import rate

FRAMES_PER_SECOND = "frames-per-second"
DROPPED = "dropped-frames"
KEPT = 0.99
"""Share of frames that must be answered for a rate to be kept."""

LEAST_FRAMES = 300
"""Frames from which a rate can be shown: (1 - 0.01)^299 is below 0.05."""


def stated_rate(spec: AuditSpec) -> float | None:
    """The frames a second that the spec asks of the target, or a claim states; None for none."""
    target = spec.target
    if target is not None and "frames_per_second" in target.latency:
        return target.latency["frames_per_second"]
    named = f"{FrameRate.id}:{FRAMES_PER_SECOND}"
    claimed = (claim.at_least for claim in spec.claims if claim.measure == named)
    return next((least for least in claimed if least is not None), None)


@dataclass(frozen=True)
class StatedRate(Need):
    """A frame rate that is asked of the target, or claimed."""

    def unmet(self, available: Available) -> Unmet | None:
        if stated_rate(available.spec) is not None:
            return None
        return Unmet(
            reason="The spec states no frame rate that the model must keep up with.",
            remedy="State `target.latency.frames_per_second` where it looks at a camera's stream.",
        )


@dataclass(frozen=True)
class FrameRate(Check):
    """Whether the model keeps up with the frames of a camera, and how many it drops.

    What it measures
    ----------------
    Frames of the model's size come at the stated rate, whether or not the last was answered; each
    is scaled and answered, and one that comes while an earlier is being answered is dropped and
    counted. `frames-per-second` is the rate at which one frame in a hundred would be dropped: a
    thousand over the 99th percentile of the time (ms) from when a frame comes to its answer.

    Why it matters
    --------------
    "12 frames a second" from an average hides the slow answers, and a frame that is dropped is one
    that nobody looked at.

    How it can mislead
    ------------------
    A camera with a buffer drops fewer frames and answers older ones. Taking the picture, resizing
    it to the model's size and reading a detector's raw outputs are not timed. Some tens of seconds
    say nothing of heat. Frames resemble each other, so that the intervals are somewhat narrow.
    """

    id: ClassVar[str] = "deployment/frame-rate"
    topic: ClassVar[str] = "how many frames a second it keeps up with"
    shown: ClassVar[Literal["folded", "open", "told"]] = "told"
    words: ClassVar = {
        FRAMES_PER_SECOND: on_target(
            Words(
                title="Frames a second that it keeps up with",
                short="frames a second",
                sentence=(
                    "On {target} ({processor}), asked at {rate:.3g} frames a second, it keeps up "
                    "with {value}, where one frame in a hundred would be dropped.",
                    *WHO_SAYS,
                ),
                action=FASTER,
                span=FROM_0,
                unit="frames/s",
            )
        ),
        DROPPED: on_target(
            Words(
                title="Frames dropped at the stated rate",
                short="dropped frames",
                sentence=(
                    "On {target} ({processor}), at {rate:.3g} frames a second, {dropped} of {n} "
                    "frames came while it was busy and were dropped: {value}.",
                    *WHO_SAYS,
                ),
                action=FASTER,
            )
        ),
    }
    needs: ClassVar[tuple[Need, ...]] = (TARGET, StatedRate(), StandsAlone())
    sources: ClassVar[tuple[str, ...]] = (
        "Reddi et al. (2020), MLPerf Inference, arXiv:1911.02549 (server and multi-stream)",
        "Thompson (1936), doi:10.1214/aoms/1177732502 (order statistics)",
    )

    frames: Annotated[int, "Frames that come; from 300 on a rate can be shown to be kept."] = 700
    attempts: Annotated[int, "Times that a disturbed timing is repeated at most."] = 1

    def run(self, evidence: Evidence) -> Iterator[Result]:
        place = place_of(evidence)
        if place.bench is not None:
            yield from self._told(Timed(place.bench.timed, None), place)
        elif not place.is_target:
            yield from off_target(place, (FRAMES_PER_SECOND, DROPPED))
        else:
            found = timed(self.request(Audited.of(evidence)), attempts=self.attempts)
            yield from self._told(found, place)

    def request(self, audited: Audited) -> BenchRequest:
        """What is asked of the process that times."""
        rate = stated_rate(audited.spec)
        assert rate is not None  # the need
        return audited.request(parts=("frames",), rate=rate, frames=self.frames)

    def _told(self, found: Timed, place: Place) -> Iterator[Result]:
        part = found.result.stretches.get("frames")
        if part is None or part.found["asked"] < LEAST_FRAMES:
            asked = 0 if part is None else part.found["asked"]
            reason = f"{asked} frames came, and a rate takes {LEAST_FRAMES}."
            yield from (too_few(n, reason, place, check=self.id) for n in self.words)
            return
        if found.disturbed is not None:
            yield from (contended(name, found.disturbed, place) for name in self.words)
            return
        asked, dropped = int(part.found["asked"]), int(part.found["dropped"])
        taken = np.array(part.found["response_ms"], dtype=np.float64)
        facts: dict[str, Any] = place.facts(found.result) | {
            "rate": part.found["rate"],
            "dropped": dropped,
            "switches_per_run": part.switches_per_run,
            "heat": [dict(each) for each in part.heat],
        }
        slow = quantile_draws(taken, quantile=KEPT)
        yield time_measure(
            FRAMES_PER_SECOND, inverse_draws(slow, times=1000), n=len(taken), facts=facts,
            unit="frames/s", better="higher",
        )  # fmt: skip
        lost = np.arange(asked) < dropped
        yield time_measure(DROPPED, rate(lost), n=asked, facts=facts, scale="share", unit="")
