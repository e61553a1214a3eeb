"""The parts of a request, each timed on its own: what is timed, and how it is told as JSON."""

from __future__ import annotations

import gc
import hashlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from auditor.models.bench.loops import (
    Act,
    Amount,
    Clock,
    Paced,
    Times,
    WarmUp,
    as_values,
    in_turns,
    paced,
    rates_in_turns,
    warm_up,
    window_medians,
)
from auditor.models.bench.machine import Counters, heat, machine, memory, threads_allowed
from auditor.models.bench.sessions import (
    PROBES,
    PRODUCT,
    Run,
    Setting,
    onnx_run,
    opened,
    photo_frame,
    probe_frames,
    product_model,
    runtime_of,
    sampled,
    tensor_of,
)

WARM_UP_SHARE = 0.25
"""Warm-up takes this share of the time budget at most."""

OPEN_SHARE = 0.6
"""How busy requests keep the model in the open loop, where nothing says how often they come."""


@dataclass(frozen=True)
class Counting:
    """The clock and the counters that everything is timed by."""

    clock: Clock = field(default_factory=Clock)
    counters: Callable[[], Counters] = Counters.now


@dataclass
class Loaded:
    """A model ready to run, and what was timed of that, ms."""

    run: Run
    cold_start_ms: float
    first_run_ms: float
    cold_cpu_ms: float
    warm_up: WarmUp = field(default_factory=lambda: WarmUp(0, False))
    digest: str = ""


def bench(request: Mapping[str, Any], counting: Counting | None = None) -> dict[str, Any]:
    """Time what a request asks for.

    Parameters
    ----------
    request : ``models`` (``path`` and ``format`` each), ``shape`` and ``dtype`` of the input,
        ``providers``, ``threads``, ``arena``, ``runs``, ``block``, ``window_s``, ``budget_s``
        (see `Amount`); ``feed`` (see `tensor_of`, and ``size``), without which inputs are noise;
        and the ``parts`` asked for, of the first model but for the closed loop:

        - ``closed``: one request after another (two models take turns);
        - ``open``: ``open_runs`` requests at a rate that keeps the model busy for `OPEN_SHARE`;
        - ``frames``: ``frames`` requests at ``rate`` a second, dropped where it is busy;
        - ``photos``: decoding, resizing and scaling the files ``photos``, and answering them;
        - ``sustained``: medians of windows over ``sustained_s`` seconds;
        - ``sweep``: runs a second by batch and threads, in ``rounds``;
        - ``probes``: the answers to the probe frames.
    """
    counting = Counting() if counting is None else counting
    start = memory()
    threads = max(1, min(request["threads"], threads_allowed()))
    setting = Setting(threads, request["providers"], arena=request["arena"])
    inputs = _inputs(request)
    models = [_load(model, setting, inputs[0], counting) for model in request["models"]]
    parts: dict[str, Any] = {}
    for name in request["parts"]:
        # What a part leaves behind is not the next one's.
        gc.collect()
        parts[name] = _PARTS[name](models, inputs, request, counting)
    return {
        "threads": threads,
        "threads_allowed": threads_allowed(),
        "models": [_told(model) for model in models],
        "parts": parts,
        "memory": {"start": start, "end": memory()},
        "machine": machine(runtime_of(request["models"][0]["format"])),
    }


def _inputs(request: Mapping[str, Any]) -> list[np.ndarray]:
    """`PROBES` input tensors of the request's shape: frames fed as the model is, or noise."""
    shape, feed = request["shape"], request["feed"]
    if feed is None:
        rng = np.random.default_rng(0)
        if request["dtype"] == "uint8":
            return [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(PROBES)]
        return [rng.standard_normal(shape).astype(request["dtype"]) for _ in range(PROBES)]
    frames = tensor_of(probe_frames(*feed["size"]), feed)
    return [np.repeat(frames[i : i + 1], shape[0], axis=0) for i in range(PROBES)]


def _load(
    model: Mapping[str, Any], setting: Setting, first: np.ndarray, counting: Counting
) -> Loaded:
    found: list[Run] = []
    loaded, loading = counting.clock.timed(lambda: found.append(opened(model, setting)))
    answered, answering = counting.clock.timed(lambda: found[0](first))
    return Loaded(found[0], loaded, answered, loading + answering)


def _told(model: Loaded) -> dict[str, Any]:
    return {
        "cold_start_ms": model.cold_start_ms,
        "first_run_ms": model.first_run_ms,
        "cold_cpu_ms": model.cold_cpu_ms,
        "warm_up_runs": model.warm_up.runs,
        "settled": model.warm_up.settled,
        "output_sha256": model.digest,
    }


@contextmanager
def _counted(found: dict[str, Any], counting: Counting) -> Iterator[None]:
    """Add to `found` what the system counted meanwhile; without Python's own collecting."""
    found["heat"] = [heat()]
    before, start = counting.counters(), counting.clock.wall_ns()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
    found["seconds"] = (counting.clock.wall_ns() - start) / 1e9
    found |= counting.counters().since(before)
    found["heat"].append(heat())


def _closed(
    models: Sequence[Loaded],
    inputs: Sequence[np.ndarray],
    request: Mapping[str, Any],
    counting: Counting,
) -> dict[str, Any]:
    for model in models:
        _ready(model, inputs, request, counting)
    amount = Amount(request["runs"], request["block"], request["window_s"], request["budget_s"])
    found: dict[str, Any] = {}
    acts: list[Act] = [partial(model.run, inputs[0]) for model in models]
    with _counted(found, counting):
        times = in_turns(acts, amount, clock=counting.clock)
    return {"runs": [as_values(each) for each in times], **found}


def _ready(
    model: Loaded, inputs: Sequence[np.ndarray], request: Mapping[str, Any], counting: Counting
) -> None:
    """Warm the model up, once."""
    if model.digest:
        return
    digest = hashlib.sha256()
    for tensor in inputs:
        for output in model.run(tensor):
            digest.update(output.tobytes())
    model.digest = digest.hexdigest()
    budget = WARM_UP_SHARE * request["budget_s"] / len(request["models"])
    done = warm_up(partial(model.run, inputs[0]), budget_s=budget, clock=counting.clock)
    model.warm_up = WarmUp(1 + len(inputs) + done.runs, done.settled)


def _open(
    models: Sequence[Loaded],
    inputs: Sequence[np.ndarray],
    request: Mapping[str, Any],
    counting: Counting,
) -> dict[str, Any]:
    _ready(models[0], inputs, request, counting)
    act = partial(models[0].run, inputs[0])
    usual = statistics.median(counting.clock.timed(act)[0] for _ in range(20))
    return _at_rate(
        act, rate=OPEN_SHARE * 1000 / usual, asked=request["open_runs"], drop=False,
        budget_s=request["budget_s"], counting=counting,
    )  # fmt: skip


def _frames(
    models: Sequence[Loaded],
    inputs: Sequence[np.ndarray],
    request: Mapping[str, Any],
    counting: Counting,
) -> dict[str, Any]:
    """Each frame is scaled and answered: a camera hands over pixels, not tensors."""
    _ready(models[0], inputs, request, counting)
    feed = request["feed"]
    frames = [] if feed is None else list(probe_frames(*feed["size"])[:, None])
    run, following = models[0].run, iter(range(10**9))

    def answer() -> object:
        i = next(following)
        if not frames:
            return run(inputs[i % len(inputs)])
        tensor = tensor_of(frames[i % len(frames)], feed)
        return run(np.repeat(tensor, request["shape"][0], axis=0))

    return _at_rate(
        answer, rate=request["rate"], asked=request["frames"], drop=True,
        budget_s=10 + 2 * request["frames"] / request["rate"], counting=counting,
    )  # fmt: skip


def _at_rate(
    act: Act, *, rate: float, asked: int, drop: bool, budget_s: float, counting: Counting
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with _counted(found, counting):
        run: Paced = paced(
            act, rate=rate, asked=asked, budget_s=budget_s, drop=drop, clock=counting.clock
        )
    told = {"rate": rate, "asked": run.asked, "dropped": run.dropped}
    return {**told, "runs": [as_values(run.times)], "response_ms": run.response_ms, **found}


def _photos(
    models: Sequence[Loaded],
    inputs: Sequence[np.ndarray],
    request: Mapping[str, Any],
    counting: Counting,
) -> dict[str, Any]:
    """The photo's way: read from memory, decoded, resized, scaled; then answered."""
    feed, clock = request["feed"], counting.clock
    contents = [Path(path).read_bytes() for path in request["photos"]]
    try:
        for content in contents:
            photo_frame(content, feed)
    except (ImportError, OSError, ValueError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    _ready(models[0], inputs, request, counting)
    prepared, whole, found = Times(), Times(), dict[str, Any]()
    end = clock.wall_ns() + request["budget_s"] * 1e9
    with _counted(found, counting):
        for i in range(request["runs"]):
            held: list[np.ndarray] = []
            content = contents[i % len(contents)]
            first, first_cpu = clock.timed(
                lambda: held.append(tensor_of(photo_frame(content, feed), feed))  # noqa: B023
            )
            tensor = np.repeat(held[0], request["shape"][0], axis=0)
            then, then_cpu = clock.timed(partial(models[0].run, tensor))
            prepared.wall_ms.append(first)
            prepared.cpu_ms.append(first_cpu)
            whole.wall_ms.append(first + then)
            whole.cpu_ms.append(first_cpu + then_cpu)
            if clock.wall_ns() > end:
                break
    return {"runs": [as_values(whole), as_values(prepared)], "files": len(contents), **found}


def _sustained(
    models: Sequence[Loaded],
    inputs: Sequence[np.ndarray],
    request: Mapping[str, Any],
    counting: Counting,
) -> dict[str, Any]:
    _ready(models[0], inputs, request, counting)
    found: dict[str, Any] = {}
    act = partial(models[0].run, inputs[0])
    with _counted(found, counting):
        medians = window_medians(act, seconds=request["sustained_s"], clock=counting.clock)
    return {"window_ms": medians, "seconds_asked": request["sustained_s"], **found}


def _sweep(
    models: Sequence[Loaded],
    inputs: Sequence[np.ndarray],
    request: Mapping[str, Any],
    counting: Counting,
) -> dict[str, Any]:
    """Images a second by batch and threads; beside each number of threads a product's rate."""
    model, providers = request["models"][0], request["providers"]
    threads = [t for t in request["sweep_threads"] if t <= threads_allowed()]
    settings, acts = [], list[Act]()
    for count in threads:
        run = opened(model, Setting(count, providers))
        for batch in request["sweep_batches"]:
            settings.append({"batch": batch, "threads": count})
            acts.append(partial(run, np.repeat(inputs[0][:1], batch, axis=0)))
    square = np.random.default_rng(0).standard_normal((PRODUCT, PRODUCT)).astype(np.float32)
    for count in threads:
        product = onnx_run(product_model(), Setting(count, ["CPUExecutionProvider"]))
        settings.append({"batch": 0, "threads": count})
        acts.append(partial(product, square))
    for act in acts:
        act()
    found: dict[str, Any] = {}
    with _counted(found, counting):
        rates = rates_in_turns(
            acts, rounds=request["rounds"], slot_s=request["slot_s"],
            budget_s=request["budget_s"], clock=counting.clock,
        )  # fmt: skip
    each = [
        {**setting, "per_second": [rate * (setting["batch"] or 2e-9 * PRODUCT**3) for rate in told]}
        for setting, told in zip(settings, rates, strict=True)
    ]
    return {"settings": each, **found}


def _probes(
    models: Sequence[Loaded],
    inputs: Sequence[np.ndarray],
    request: Mapping[str, Any],
    counting: Counting,
) -> list[Any]:
    return [sampled(models[0].run(tensor)) for tensor in inputs]


_PARTS: dict[str, Callable[..., Any]] = {
    "closed": _closed,
    "open": _open,
    "frames": _frames,
    "photos": _photos,
    "sustained": _sustained,
    "sweep": _sweep,
    "probes": _probes,
}


def utc_now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
