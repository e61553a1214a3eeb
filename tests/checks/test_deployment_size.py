"""deployment/size: bytes and weights as the model's facts have them."""

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


def test_weights_that_cannot_be_counted_are_said_to_be_unmeasured(worlds):
    evidence = worlds.evidence(model=worlds.facts(n_parameters=None))
    unmeasured = [r for r in Size().run(evidence) if isinstance(r, Unmeasured)]
    assert [u.name for u in unmeasured] == ["parameters"]
    assert "Export" in unmeasured[0].remedy
