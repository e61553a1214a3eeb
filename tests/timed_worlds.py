"""Planted timings for the checks of times: results as the program tells them."""

from __future__ import annotations

import dataclasses

import numpy as np

from auditor.checks import target_runs
from auditor.models.timings import BenchResult, Machine, ModelTimings, Stretch

HERE = {"name": "a tablet", "threads": 2, "this_machine": True, "said_by": "Jo Lind"}
"""A target that somebody declares this machine to be."""


def stretch(wall, *, cpu=None, switches=0, more=(), seconds=1.0, joules=None, **found):
    """A part that took `wall` ms a run; `more` are the times of its second list of runs."""
    pairs = [(wall, wall if cpu is None else cpu), *((m, m) for m in more)]
    times = tuple((np.asarray(a, dtype=float), np.asarray(b, dtype=float)) for a, b in pairs)
    times = times if len(times[0][0]) else ()
    heat = ({"mhz": 1500.0, "celsius": 60.0},) * 2
    return Stretch(times, seconds, switches, 0.0, joules, None, heat, found)


def result(*, settled=True, cold=(180.0, 20.0, 195.0), peak=97.0, probes=(), **parts):
    """What one process told of `parts`; `cold` are ms of loading, answering, the processor."""
    loaded, answered, busy = cold
    closed = parts.get("closed") or stretch([])
    wall, cpu = closed.times[0] if closed.times else (np.empty(0),) * 2
    model = ModelTimings(loaded, answered, 317, settled, "a" * 64, wall, cpu, busy)
    machine = Machine("A processor", 2, "Linux x86_64", "onnxruntime 1", None)
    memory = {"start": {"now_mb": 40.0, "peak_mb": 41.0}, "end": {"peak_mb": peak,
              "cgroup_mb": None}}  # fmt: skip
    return BenchResult(
        (model,), closed.involuntary_switches, 0.0, peak, machine, threads=2, stretches=parts,
        memory=memory, probes=tuple(probes),
    )  # fmt: skip


def latencies(*, median, seed, n=700):
    return median * np.random.default_rng(seed).lognormal(sigma=0.1, size=n)


def plant(monkeypatch, answer):
    """Let `answer(request)` tell what is timed; the requests that were made are kept."""
    asked = []

    def told(request, *, attempts):
        asked.append(request)
        found = answer(request)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(target_runs, "calmest_bench", told)
    return asked


def world(worlds, tmp_path, *, target=None, **facts):
    """Evidence of a model that is a file, with a target that this machine is declared to be."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"a model")
    spec = worlds.spec(target=HERE | (target or {}))
    evidence = worlds.evidence(spec=spec, model=worlds.facts(**facts), paths={"as-given": path})
    return evidence.add(worlds.dataset([0, 1]))


def elsewhere(evidence):
    """The same evidence where nobody declares this machine to be the target."""
    target = evidence.spec.target.model_copy(update={"this_machine": False, "said_by": None})
    spec = evidence.spec.model_copy(update={"target": target})
    return dataclasses.replace(evidence, spec=spec)
