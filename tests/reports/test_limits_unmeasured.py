"""Limits on what was not measured: told in the unit that it would have."""

from types import SimpleNamespace

import pytest

from auditor.contract import Words
from auditor.contract.check import check_classes
from auditor.reports.limits_section import stated
from auditor.reports.telling import Telling

ORDER = SimpleNamespace(telling=Telling(check_classes()), measure=lambda _: None)


@pytest.mark.parametrize(
    ("measure", "bound", "told"),
    [
        ("deployment/latency:p99", {"at_most": 200}, "at most 200 ms"),
        ("deployment/latency:photo-p99", {"at_most": 80}, "at most 80 ms"),
        ("deployment/frame-rate:frames-per-second", {"at_least": 12}, "at least 12 frames/s"),
        ("deployment/memory:peak", {"at_most": 512}, "at most 512 MB"),
        ("deployment/size:file-megabytes", {"at_most": 20}, "at most 20 MB"),
        ("deployment/latency:sustained-slowdown", {"at_most": 1.2}, "at most 1.2 times"),
        ("data/leakage:seen-share", {"at_most": 0.05}, "at most 5%"),
        ("performance/calibration:ece", {"at_most": 0.05}, "at most 5 points"),
        ("bias/subgroup-gap:accuracy", {"at_least": -0.05}, "at most 5 points lower"),
        ("bias/subgroup-gap:f1", {"at_least": -0.1}, "at least −0.1"),
        ("bias/harm:cost-ratio", {"at_most": 1.25}, "at most 1.25 times"),
        (
            "bias/error-rates:false-negative-ratio",
            {"at_most": 1.25, "and_difference_above": 0.025},
            "at most 1.25 times, or at most 2.5 points apart",
        ),
        ("of-another/version:gone", {"at_most": 3}, "at most 3"),
    ],
)
def test_a_limit_on_an_amount_that_was_not_measured_has_its_unit(measure, bound, told):
    assert stated({"measure": measure, **bound}, (object(),), ORDER) == told


def test_every_measure_that_a_target_may_limit_has_a_unit():
    for check in ("latency", "cold-start", "memory", "frame-rate", "throughput"):
        words = check_classes()[f"deployment/{check}"].words
        units = {
            w.unit for one in words.values() for w in ([one] if isinstance(one, Words) else one)
        }
        assert units - {""}, check
