"""deployment/size: bytes and weights as the model's facts have them."""

import pytest

from auditor.checks.deployment_size import Size
from auditor.findings import Unmeasured
from auditor.stats import p_value, value


def test_the_file_is_in_megabytes_of_a_million_bytes(worlds):
    evidence = worlds.evidence(model=worlds.facts(file_bytes=13_500_000, n_parameters=3_400_000))
    found = worlds.measures(Size(), evidence)
    assert value(found["file-megabytes:"].estimate) == 13.5
    assert value(found["parameters:"].estimate) == 3_400_000
    assert "13.5" in worlds.sentence(Size, found["file-megabytes:"])


def test_a_file_over_the_limit_exceeds_it_and_one_under_does_not(worlds):
    evidence = worlds.evidence(model=worlds.facts(file_bytes=13_500_000))
    estimate = worlds.measures(Size(), evidence)["file-megabytes:"].estimate
    assert p_value(estimate, limit=10, exceeds="above") <= 0.05
    assert p_value(estimate, limit=14, exceeds="above") > 0.05


ZEROS = {"weights": 1000, "zeros": 850, "channels": 40, "zero_channels": 3, "layers": 5,
         "two_in_four": 2}  # fmt: skip


def test_what_cannot_be_counted_is_said_to_be_unmeasured(worlds):
    evidence = worlds.evidence(model=worlds.facts(n_parameters=None, flops=None))
    unmeasured = [r for r in Size().run(evidence) if isinstance(r, Unmeasured)]
    assert [u.name for u in unmeasured] == ["parameters", "flops", "zero-weights"]
    assert all("xport" in u.remedy for u in unmeasured)


def test_zeros_of_the_weights_are_told_one_by_one_and_by_channel(worlds):
    evidence = worlds.evidence(model=worlds.facts(sparsity=ZEROS))
    zeros = worlds.measures(Size(), evidence)["zero-weights:"]
    assert value(zeros.estimate) == pytest.approx(0.85)
    said = worlds.sentence(Size, zeros)
    assert "85% of 1,000 weights" in said
    assert "3 of 40 channels" in said
    assert "2 of 5 layers" in said


def test_the_work_of_an_image_is_in_operations(worlds):
    found = worlds.measures(Size(), worlds.evidence(model=worlds.facts(flops=3_630_000_000)))
    assert value(found["flops:"].estimate) == pytest.approx(3.63e9)


def test_every_word_has_its_fields(worlds):
    evidence = worlds.evidence(model=worlds.facts(sparsity=ZEROS | {"two_in_four": 0}))
    assert not worlds.unfilled(Size, list(Size().run(evidence)))
