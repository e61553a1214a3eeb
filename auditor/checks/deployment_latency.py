"""deployment/latency: how long one image takes on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from auditor.contract import (
    Available,
    Check,
    Declared,
    Evidence,
    Need,
    NotMeasurableError,
    Unmet,
    Words,
)
from auditor.errors import ModelError
from auditor.findings import Better, Measure, Result, Subject, Unmeasured
from auditor.models.inputs import tensor_shape
from auditor.models.latency import (
    BenchRequest,
    BenchResult,
    TimedModel,
    batch_of,
    blocks_rate,
    calmest_bench,
    disturbance,
    quantile_draws,
    runs_needed,
)
from auditor.stats import Estimate, Exact, mean

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
RATE = "images-per-second"
SHARES = {"p50": "half", "p90": "90%", "p95": "95%", "p99": "99%"}


@dataclass(frozen=True)
class StandsAlone(Need):
    """A model file that runs without the code of its architecture."""

    def unmet(self, available: Available) -> Unmet | None:
        if available.model.format in ("onnx", "torchscript"):
            return None
        return Unmet(
            reason="The model is timed in a process of its own, and weights alone do not run "
            "without the code of their architecture.",
            remedy="Export the model to ONNX or TorchScript, the form that will ship, and audit "
            "that file with the weights under `model.reference`.",
        )


@dataclass(frozen=True)
class Latency(Check):
    """Time from a ready input to the answer, at the median and in the slow tail.

    What it measures
    ----------------
    The model answers one request after another, with the threads and providers of `target`, in
    a process that does nothing else. After a warm-up (until three successive windows agree
    within a tenth) every run is timed: the 50th, 90th, 95th and 99th percentile in milliseconds,
    requests a second, the time of a cold start, and the most memory that the process took. A
    percentile is given only when enough runs lie beyond it (64 runs for the 90th, 662 for the
    99th). When other programs took the processor away, the timing is repeated up to three
    times; if none was calm there is no number.

    Why it matters
    --------------
    An inspector in a stairwell waits for the slow answers, not for the average one. A model
    that needs longer than the camera's interval drops frames without saying so.

    How it can mislead
    ------------------
    The numbers are of the machine that ran the audit, which the details name: they say nothing
    of another one, and a target must be audited on the target. Decoding and resizing a photo
    are not counted. Runs follow each other, so a queue of waiting requests, heat after minutes,
    and other programs on the device all make it slower in use. Successive runs resemble each
    other, which makes the intervals somewhat too narrow. Two audits do not give the same number.
    """

    id: ClassVar[str] = "deployment/latency"
    topic: ClassVar[str] = "time to answer"
    words: ClassVar = {
        **{
            name: Words(
                title=f"Time to answer, {share} times",
                short="time to answer",
                sentence=f"On this machine ({{processor}}), {share} of {{n}} runs took {{value}} "
                "or less, on {threads} thread(s).",
                action="make it faster, or run it on faster hardware",
            )
            for name, share in SHARES.items()
        },
        RATE: Words(
            title="Images answered a second",
            short="images a second",
            sentence="One request after another, this machine answers {value}, without decoding "
            "them.",
            action="make it faster, or run it on faster hardware",
        ),
        "cold-start": Words(
            title="Time to load the model and answer for the first time",
            short="time of a cold start",
            sentence="Loading the model and answering for the first time took {point} (once).",
            action="make it faster, or run it on faster hardware",
        ),
        "peak-memory": Words(
            title="Memory taken while answering",
            short="memory",
            sentence="The process that answered took {point} of memory at most, Python and the "
            "runtime included.",
            action="make it smaller, or run it where there is more memory",
        ),
    }
    needs: ClassVar[tuple[Need, ...]] = (
        Declared(
            path="target",
            remedy="Describe where the model will run under `target` (name, threads, latency), "
            "and run the audit there.",
        ),
        StandsAlone(),
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Reddi et al. (2020), MLPerf Inference, arXiv:1911.02549",
        "Thompson (1936), doi:10.1214/aoms/1177732502 (order statistics)",
    )

    runs: Annotated[int, "Timed runs."] = 700
    budget_s: Annotated[float, "Seconds after which no further timing begins."] = 20.0
    attempts: Annotated[int, "Times that a disturbed timing is repeated at most."] = 3

    def run(self, evidence: Evidence) -> Iterator[Result]:
        request = self._request(evidence)
        try:
            result = calmest_bench(request, attempts=self.attempts)
        except ModelError as error:
            raise NotMeasurableError(
                f"The model could not be timed: {error}",
                remedy="See that the model runs here with `target.providers`, and audit again.",
            ) from error
        yield _peak_memory(result)
        disturbed = disturbance(result, on_cpu=request.on_cpu)
        if disturbed is not None:
            yield from (_contended(name, disturbed) for name in (*QUANTILES, RATE, "cold-start"))
            return
        facts = _facts(result, request)
        for name, quantile in QUANTILES.items():
            yield _percentile(name, quantile, result, facts)
        yield _throughput(result, request, facts)
        yield _cold_start(result, facts)

    def _request(self, evidence: Evidence) -> BenchRequest:
        target = evidence.spec.target
        assert target is not None  # the declared need
        return BenchRequest(
            models=(TimedModel(evidence.model_path(), format=evidence.model.format),),
            shape=(batch_of(evidence.model), *tensor_shape(evidence.spec.model.input)),
            dtype=evidence.spec.model.input.dtype,
            threads=target.threads,
            providers=target.providers,
            runs=self.runs,
            budget_s=self.budget_s,
        )


def _facts(result: BenchResult, request: BenchRequest) -> dict[str, Any]:
    timed = result.models[0]
    return {
        "machine": vars(result.machine),
        "processor": str(result.machine),
        "threads": request.threads,
        "providers": list(request.providers),
        "images_per_run": request.shape[0],
        "warm_up_runs": timed.warm_up_runs,
        "settled": timed.settled,
        "median_processor_ms": float(np.median(timed.cpu_ms)),
        "switches_per_run": result.switches_per_run,
        "wall_over_cpu": result.wall_over_cpu,
        "steal_share": result.steal_share,
        "output_sha256": timed.output_sha256,
    }


def _percentile(
    name: str, quantile: float, result: BenchResult, facts: Mapping[str, Any]
) -> Measure | Unmeasured:
    wall = result.models[0].wall_ms
    needed = runs_needed(quantile)
    if len(wall) < needed:
        return Unmeasured(
            name=name,
            subject=Subject(),
            reason=f"{len(wall)} runs fitted into the time; the {100 * quantile:g}th percentile "
            f"takes {needed}.",
            remedy="Raise `budget_s` (and `runs`) of this check under `checks` in the audit spec.",
            volatile=True,
        )
    return _timed(name, quantile_draws(wall, quantile=quantile), "ms", n=len(wall), facts=facts)


def _throughput(
    result: BenchResult, request: BenchRequest, facts: Mapping[str, Any]
) -> Measure | Unmeasured:
    rates = blocks_rate(result.models[0].wall_ms)
    if not rates:
        return Unmeasured(
            name=RATE,
            subject=Subject(),
            reason=f"{result.runs} runs fitted into the time, too few for a rate with a spread.",
            remedy="Raise `budget_s` of this check under `checks` in the audit spec.",
            volatile=True,
        )
    estimate = mean(np.array(rates) * request.shape[0])
    return _timed(RATE, estimate, "images/s", n=result.runs, facts=facts, better="higher")


def _cold_start(result: BenchResult, facts: Mapping[str, Any]) -> Measure:
    timed = result.models[0]
    taken = timed.cold_start_ms + timed.first_run_ms
    return _timed("cold-start", Exact(taken), "ms", n=1, facts=facts)


def _peak_memory(result: BenchResult) -> Measure:
    facts = {"machine": vars(result.machine)}
    return _timed("peak-memory", Exact(result.peak_memory_mb), "MB", n=1, facts=facts)


def _timed(
    name: str,
    estimate: Estimate,
    unit: str,
    *,
    n: int,
    facts: Mapping[str, Any],
    better: Better = "lower",
) -> Measure:
    return Measure(
        name=name,
        subject=Subject(),
        estimate=estimate,
        scale="amount",
        unit=unit,
        least=0.0,
        better=better,
        n=n,
        volatile=True,
        facts=facts,
    )


def _contended(name: str, disturbed: str) -> Unmeasured:
    return Unmeasured(
        name=name,
        subject=Subject(),
        reason=f"Timings were contended, in each attempt: in the calmest {disturbed}.",
        remedy="Run the audit (or this check alone) on the target with nothing else running.",
        volatile=True,
    )
