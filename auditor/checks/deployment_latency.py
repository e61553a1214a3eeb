"""deployment/latency: how long one image takes on the machine where the model will run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from auditor.checks.target_runs import (
    FASTER,
    HERE,
    TARGET,
    WHO_SAYS,
    Audited,
    Place,
    StandsAlone,
    Timed,
    contended,
    off_target,
    on_audits_machine,
    on_target,
    place_of,
    time_measure,
    timed,
    too_few,
)
from auditor.contract import Check, Evidence, Manifest, Need, Words
from auditor.contract.words import FROM_0
from auditor.findings import Measure, Result, Subject, Unmeasured
from auditor.models.latency import BenchRequest
from auditor.models.timed_quantiles import (
    LEAST_RUNS,
    drift_draws,
    early_stopping_estimate,
    quantile_draws,
    runs_needed,
)
from auditor.models.timings import Stretch, disturbed
from auditor.stats import mean

SHARES = {0.5: "half", 0.9: "90%", 0.95: "95%", 0.99: "99%"}
ALONE = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
OPEN = {"open-p50": 0.5, "open-p99": 0.99}
PHOTO = {"photo-p50": 0.5, "photo-p99": 0.99}
PROCESSOR = {"processor-p50": 0.5, "processor-p99": 0.99}
PREPARING = "preparing-p50"
ELSEWHERE = ("p50", "p90", "p99")
"""Percentiles that are told of a machine that is not the target, for information."""

PHOTOS = 16
"""Photos that are decoded, in turns."""

_TAKING = "took {value} or less, on {threads} thread(s)."
_ON = "On {target} ({processor}), "


def _words(of: str, told: str, quantiles: Mapping[str, float]) -> dict[str, Words]:
    return {
        name: Words(
            title=f"{of}, in {SHARES[quantile]} of runs",
            short=f"{of.lower()} in {SHARES[quantile]} of runs",
            sentence=(_ON + f"{SHARES[quantile]} of {{n}} {told} {_TAKING}", *WHO_SAYS),
            action=FASTER,
            span=FROM_0,
            unit="ms",
        )
        for name, quantile in quantiles.items()
    }


def _told(words: Mapping[str, Words]) -> dict[str, tuple[Words, Words]]:
    return {name: on_target(each) for name, each in words.items()}


_ALONE_WORDS = _words("Time to answer", "runs", ALONE)


@dataclass(frozen=True)
class Latency(Check):
    """Time that the target takes to answer one image, at the median and in the slow tail.

    What it measures
    ----------------
    In a process that does nothing else, with the threads of `target` (no more than affinity and
    CPU quota allow) and its providers, and after a warm-up until three successive windows agree
    within a tenth: one request after another (`p50` to `p99`); requests that come at a rate which
    keeps the model busy for 60% of the time, timed from when each was due (`open-`); real photos
    from file to answer, decoded and resized by Pillow (`photo-`), and the share of that which
    makes them ready (`preparing-p50`); and the processor's own time (`processor-`). At least 200
    runs and a second are timed. A percentile needs two or more runs beyond it (662 for the 99th,
    as MLPerf's LoadGen asks). When other programs took the processor away, timing is repeated up
    to three times; if none was calm there is no number. With `sustained_s` (or the emitted
    program's ``--minutes``) the last fifth of a long run is compared with the first.

    Times count for the target where the audit ran on it (`target.this_machine`, with the name of
    who says so), or where `target.bench` names what the program emitted by `auditor bench` wrote
    there. Else they are told of the audit's machine, and no limit of the target is decided.

    Why it matters
    --------------
    An inspector in a stairwell waits for the slow answers, not for the average one. A model
    that needs longer than the camera's interval drops frames without saying so.

    How it can mislead
    ------------------
    That the machine is the target is declared, not measured; a sealed result proves that it comes
    from this audit's program, not that the device was honest. Reading of a detector's raw outputs
    is not timed, nor is storage. A device without a fan slows down after minutes: only the
    sustained run shows it. Successive runs resemble each other, which makes the intervals somewhat
    too narrow. Two audits do not give the same number.
    """

    id: ClassVar[str] = "deployment/latency"
    topic: ClassVar[str] = "time to answer"
    shown: ClassVar[Literal["folded", "open", "told"]] = "told"
    words: ClassVar = {
        **_told(_ALONE_WORDS),
        **{f"{HERE}{name}": on_audits_machine(_ALONE_WORDS[name]) for name in ELSEWHERE},
        **_told(_words("Time to answer requests that come at a rate", "requests", OPEN)),
        **_told(_words("Time from photo to answer", "photos, decoded and resized,", PHOTO)),
        **_told(_words("Processor time of an answer", "runs", PROCESSOR)),
        **_told(_words("Time to make a photo ready", "photos", {PREPARING: 0.5})),
        "sustained-slowdown": on_target(
            Words(
                title="Slower at the end of a long run than at its beginning",
                short="slower when it runs for long",
                sentence=(
                    _ON
                    + "the last fifth of {minutes} minutes took {value} of what the first fifth "
                    "took.",
                    *WHO_SAYS,
                ),
                action="cool the device, or test it for as long as it will run",
                span=FROM_0,
                scale="ratio",
            )
        ),
        "energy": on_target(
            Words(
                title="Energy of an answer",
                short="energy of an answer",
                sentence=(
                    _ON + "an answer took {value}, with all that the processor did meanwhile.",
                    *WHO_SAYS,
                ),
                action=FASTER,
                span=FROM_0,
                unit="J",
            )
        ),
    }
    needs: ClassVar[tuple[Need, ...]] = (TARGET, StandsAlone(), Manifest(optional=True))
    sources: ClassVar[tuple[str, ...]] = (
        "Reddi et al. (2020), MLPerf Inference, arXiv:1911.02549",
        "Thompson (1936), doi:10.1214/aoms/1177732502 (order statistics)",
        "Schroeder, Wierman & Harchol-Balter (2006), Open versus closed: a cautionary tale, NSDI",
    )

    runs: Annotated[int, "Timed runs, more where they take less than a second in all."] = 700
    budget_s: Annotated[float, "Seconds after which no further timing of a part begins."] = 60.0
    attempts: Annotated[int, "Times that a disturbed timing is repeated at most."] = 3
    sustained_s: Annotated[float, "Seconds of a long run, to see heat; 0 for none."] = 0.0

    def run(self, evidence: Evidence) -> Iterator[Result]:
        place = place_of(evidence)
        if place.bench is not None:
            yield from self._told(Timed(place.bench.timed, None), place)
            return
        audited = Audited.of(evidence)
        closed = timed(self.request(audited, ("closed",)), attempts=self.attempts)
        if not place.is_target:
            yield from off_target(place, (*ALONE, *OPEN, *PHOTO))
            yield from self._percentiles(ELSEWHERE, closed, "closed", place, named=HERE)
            return
        yield from self._closed(closed, place)
        if closed.disturbed is not None:
            later = (*OPEN, *PHOTO, PREPARING)
            yield from (contended(name, closed.disturbed, place) for name in later)
            return
        files = photo_files(evidence)
        parts = ("open", *(("photos",) if files else ()))
        parts += ("sustained",) if self.sustained_s else ()
        rest = timed(self.request(audited, parts, photos=files), attempts=self.attempts)
        yield from self._rest(rest, place)

    def request(
        self, audited: Audited, parts: tuple[str, ...], *, photos: tuple[str, ...] = ()
    ) -> BenchRequest:
        """What is asked of the process that times."""
        return audited.request(
            parts=parts,
            runs=self.runs,
            open_runs=self.runs,
            budget_s=self.budget_s,
            photos=photos,
            sustained_s=self.sustained_s,
        )

    def _told(self, found: Timed, place: Place) -> Iterator[Result]:
        yield from self._closed(found, place)
        yield from self._rest(found, place)

    def _closed(self, found: Timed, place: Place) -> Iterator[Result]:
        yield from self._percentiles(ALONE, found, "closed", place)
        yield from self._percentiles(PROCESSOR, found, "closed", place)
        yield _energy(found, place)

    def _rest(self, found: Timed, place: Place) -> Iterator[Result]:
        yield from self._percentiles(OPEN, found, "open", place)
        yield from self._percentiles((*PHOTO, PREPARING), found, "photos", place)
        if "sustained" in found.result.stretches:
            yield _slowdown(found, place)

    def _percentiles(
        self, names: Any, found: Timed, part: str, place: Place, *, named: str = ""
    ) -> Iterator[Measure | Unmeasured]:
        stretch = found.result.stretches.get(part)
        for name in names:
            if stretch is None or "error" in stretch.found:
                yield _no_photos(f"{named}{name}", stretch, place)
                continue
            said = _unsettled(found) or disturbed(stretch, on_cpu=place.target.on_cpu)
            if said is not None:
                yield contended(f"{named}{name}", said, place)
            else:
                facts = place.facts(found.result) | _facts(found, stretch)
                yield self._percentile(f"{named}{name}", name, stretch, facts, place)

    def _percentile(
        self, shown: str, name: str, stretch: Stretch, facts: Mapping[str, Any], place: Place
    ) -> Measure | Unmeasured:
        values = _values(name, stretch)
        quantile = {**ALONE, **OPEN, **PHOTO, **PROCESSOR, PREPARING: 0.5}[name]
        needed = max(LEAST_RUNS, runs_needed(quantile))
        if len(values) < needed:
            reason = (
                f"{len(values)} runs fitted into the time; the {100 * quantile:g}th percentile "
                f"takes {needed}."
            )
            return too_few(shown, reason, place, check=self.id)
        if quantile > 0.5:
            bound = early_stopping_estimate(values, quantile=quantile)
            facts = {**facts, "early_stopping_ms": bound}
        draws = quantile_draws(values, quantile=quantile)
        return time_measure(shown, draws, n=len(values), facts=facts)


def photo_files(evidence: Evidence) -> tuple[str, ...]:
    """Up to `PHOTOS` test photos that are files of their own, evenly over the split."""
    if not evidence.has(Manifest(optional=True)):
        return ()
    paths = [p for p in evidence.dataset("test").paths if Path(p).is_file()]
    step = max(1, len(paths) // PHOTOS)
    return tuple(str(Path(p).resolve()) for p in paths[::step][:PHOTOS])


def _values(name: str, stretch: Stretch) -> np.ndarray:
    """The times in ms that a percentile is of."""
    if name in PROCESSOR:
        return stretch.cpu_ms
    if name in OPEN:
        return np.array(stretch.found["response_ms"], dtype=np.float64)
    return stretch.times[1][0] if name == PREPARING else stretch.wall_ms


def _facts(found: Timed, stretch: Stretch) -> dict[str, Any]:
    model = found.result.models[0]
    return {
        "warm_up_runs": model.warm_up_runs,
        "settled": model.settled,
        "median_processor_ms": float(np.median(stretch.cpu_ms)),
        "switches_per_run": stretch.switches_per_run,
        "wall_over_cpu": stretch.wall_over_cpu,
        "steal_share": stretch.steal_share,
        "throttled": stretch.throttled,
        "heat": [dict(each) for each in stretch.heat],
        "rate": stretch.found.get("rate"),
        "output_sha256": model.output_sha256,
    }


def _unsettled(found: Timed) -> str | None:
    return found.disturbed if found.disturbed and "settled" in found.disturbed else None


def _no_photos(name: str, stretch: Stretch | None, place: Place) -> Unmeasured:
    said = "" if stretch is None else f" ({stretch.found['error']})"
    remedy = "Give the test photos as files that Pillow decodes."
    if place.bench is not None:
        remedy = "Run bench.py with --photos FOLDER, on a target that has Pillow."
    return Unmeasured(name, Subject(), f"No photo was decoded and timed{said}.", remedy)


def _energy(found: Timed, place: Place) -> Measure | Unmeasured:
    """Joules of an answer, by the counters of the processor's packages (RAPL)."""
    stretch = found.result.stretches["closed"]
    if stretch.joules is None:
        return Unmeasured(
            "energy", Subject(), "Energy is not available: no counter of it may be read there.",
            "Let the process read /sys/class/powercap (RAPL, which only an administrator may), or "
            "measure the device with a meter.",
        )  # fmt: skip
    if found.disturbed is not None:
        return contended("energy", found.disturbed, place)
    share = stretch.wall_ms / max(stretch.wall_ms.sum(), 1e-9) * stretch.joules
    facts = place.facts(found.result)
    return time_measure("energy", mean(share), n=len(share), unit="J", facts=facts)


def _slowdown(found: Timed, place: Place) -> Measure | Unmeasured:
    stretch = found.result.stretches["sustained"]
    medians = np.array(stretch.found["window_ms"], dtype=np.float64)
    if len(medians) < 15:
        reason = f"{len(medians)} windows of a second fitted into the long run; it takes 15."
        return too_few("sustained-slowdown", reason, place, check=Latency.id)
    said = disturbed(replace(stretch, times=()), on_cpu=False)
    if said is not None:
        return contended("sustained-slowdown", said, place)
    facts = place.facts(found.result) | {
        "minutes": round(float(stretch.found["seconds_asked"]) / 60, 1),
        "heat": [dict(each) for each in stretch.heat],
    }
    return time_measure(
        "sustained-slowdown", drift_draws(medians), n=len(medians), facts=facts, scale="ratio",
        unit="", neutral=1.0,
    )  # fmt: skip
