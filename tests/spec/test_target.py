"""The target: who says that this machine is it, and which limits its lines are."""

import pytest
from pydantic import ValidationError

from auditor.judging.policy import Policy, limits_of
from auditor.spec import TargetSpec


def target(**stated):
    return TargetSpec.model_validate({"name": "a tablet"} | stated)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"this_machine": True}, "name who says that the audit runs on the target: said_by"),
        ({"this_machine": True, "said_by": ""}, "at least 1 character"),
        ({"said_by": "Jo Lind"}, "said_by has nothing to say; add this_machine: true"),
        ({"this_machine": True, "said_by": "Jo", "bench": "bench.json"}, "keep bench where"),
        ({"threads": 0}, "greater than or equal to 1"),
        ({"latency": {"frames_per_second": 0}}, "greater than 0"),
    ],
)
def test_a_target_that_cannot_be_is_refused(stated, said):
    with pytest.raises(ValidationError, match=said):
        target(**stated)


def test_a_target_is_declared_by_somebody_or_measured_there():
    assert target(this_machine=True, said_by="Jo Lind").this_machine
    assert target(bench="bench.json").bench == "bench.json"
    assert not target().this_machine


def test_each_line_is_a_limit_on_a_measure_of_the_target(worlds):
    latency = {"p99_ms": 80.0, "photo_p99_ms": 90.0, "open_p99_ms": 95.0, "frames_per_second": 12.0}
    spec = worlds.spec(target={"name": "desk", "latency": latency, "memory_mb": 512.0})
    policy = Policy(id="none", version="1", owner={"name": "a"}, limits=())
    found = {limit.id: limit for limit in limits_of(spec, policy)}
    assert found["target:p99_ms"].measure == "deployment/latency:p99"
    assert found["target:open_p99_ms"].measure == "deployment/latency:open-p99"
    assert found["target:photo_p99_ms"].at_most == 90.0
    frames = found["target:frames_per_second"]
    assert (frames.measure, frames.at_least, frames.at_most) == (
        "deployment/frame-rate:frames-per-second", 12.0, None,
    )  # fmt: skip
    assert found["target:memory"].measure == "deployment/memory:peak"
