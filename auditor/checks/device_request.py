"""What the program on the target is asked: all that the checks of times ask, in one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from auditor.checks.deployment_frame_rate import FrameRate, stated_rate
from auditor.checks.deployment_latency import Latency
from auditor.checks.deployment_throughput import Throughput
from auditor.checks.target_runs import Audited
from auditor.contract import make_check
from auditor.models.latency import BenchRequest


def device_request(audited: Audited, parameters: Mapping[str, Mapping[str, Any]]) -> BenchRequest:
    """The request of every check of times; `parameters` are those of the spec, by check id.

    Photos are those that are named on the device, none of the audit's.
    """
    latency = make_check(Latency, parameters.get(Latency.id, {}))
    throughput = make_check(Throughput, parameters.get(Throughput.id, {}))
    frame_rate = make_check(FrameRate, parameters.get(FrameRate.id, {}))
    assert isinstance(latency, Latency)
    assert isinstance(throughput, Throughput)
    assert isinstance(frame_rate, FrameRate)
    swept = throughput.request(audited)
    rate = stated_rate(audited.spec)
    return replace(
        latency.request(audited, ("closed",)),
        parts=("closed", "open", "photos", *(("frames",) if rate else ()), "sweep", "probes"),
        rate=rate or 0.0,
        frames=frame_rate.frames,
        rounds=swept.rounds,
        slot_s=swept.slot_s,
        sweep_threads=swept.sweep_threads,
        sweep_batches=swept.sweep_batches,
    )
