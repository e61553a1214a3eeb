"""A policy that asks nothing is no policy: bounds that nothing breaks or keeps, and empty ones."""

import pytest
from coloured_rooms import make_world

import auditor
from auditor.errors import SpecError
from auditor.findings import Measure, Subject, Verdict
from auditor.judging.bounds import fault_of, measure_spans
from auditor.judging.policy import Bound, Limit
from auditor.judging.policy_file import parse_policy
from auditor.record import CheckResults
from auditor.reports.ordering import ordered
from auditor.reports.page_one import page_one
from auditor.reports.summary import summary_lines
from auditor.stats import Rate

ACCURACY = "performance/overall:accuracy"
GAP = "bias/subgroup-gap:accuracy"
P99 = "deployment/latency:p99"


@pytest.mark.parametrize(
    ("measure", "kind", "bound", "said"),
    [
        (ACCURACY, "at_least", -1, "no value breaks it"),
        (ACCURACY, "at_least", 0, "no value breaks it"),
        (ACCURACY, "above", -0.1, "no value breaks it"),
        (ACCURACY, "at_most", 1e308, "no value breaks it"),
        (ACCURACY, "below", 1.5, "no value breaks it"),
        (ACCURACY, "at_least", 91, "no value meets it. If 91% is meant, write 0.91."),
        (ACCURACY, "above", 1, "no value meets it"),
        ("performance/calibration:ece", "at_most", 5, "If 5 points are meant, write 0.05."),
        ("data/leakage:seen-share", "at_most", 1, "If 1% is meant, write 0.01."),
        (GAP, "at_least", -1, "no value breaks it"),
        (GAP, "at_least", -5, "If -5 points are meant, write -0.05."),
        (P99, "at_most", 1e308, "no value breaks it"),
        (P99, "at_least", 0, "no value breaks it"),
        (P99, "below", 0, "no value meets it"),
        ("bias/harm:cost-ratio", "at_least", 0, "no value breaks it"),
        ("performance/overal:accuracy", "at_least", 0.9, f"Did you mean '{ACCURACY}'?"),
        ("performance/overall:accurracy", "at_least", 0.9, f"Did you mean '{ACCURACY}'?"),
    ],
)
def test_a_bound_that_decides_nothing_is_refused(measure, kind, bound, said):
    assert said in fault_of(Bound(measure=measure, **{kind: bound}))


@pytest.mark.parametrize(
    ("measure", "kind", "bound"),
    [
        (ACCURACY, "at_least", 1), (ACCURACY, "above", 0), (ACCURACY, "at_least", 0.91),
        ("data/leakage:seen-share", "at_most", 0), (GAP, "at_least", 0), (GAP, "at_least", -0.05),
        (P99, "at_most", 200), ("bias/harm:cost-ratio", "at_most", 1.25),
        ("bias/harm:cost-difference", "at_most", 400), ("model/architecture:flops", "at_most", 4e9),
        ("performance/calibration:brier", "at_most", 1.2),
    ],
)  # fmt: skip
def test_a_bound_that_decides_is_kept(measure, kind, bound):
    assert fault_of(Bound(measure=measure, **{kind: bound})) == ""


POLICY = """\
id: tried
version: "1"
owner: {name: A. Owner}
limits:
  - id: accuracy
    measure: performance/overall:accuracy
    at_least: 91
    why: a test
  - id: shortcut
    measure: shortcut/metadata:accuracy-worth
    at_most: 0.05
    when:
      measure: shortcut/metadata:association
      above: 1
    why: a gate that never opens would make every value pass
"""


def test_the_file_and_the_line_are_said():
    with pytest.raises(SpecError) as caught:
        parse_policy(POLICY, name="policy.yaml")
    said = str(caught.value)
    assert "policy.yaml:7: limits[0].at_least: found at_least 91, but" in said
    assert "policy.yaml:14: limits[1].when.above: found above 1" in said


def test_a_claim_in_percent_is_refused_with_its_line(tmp_path):
    spec = make_world(tmp_path / "rooms", claim=85, sizes=(4, 4, 4))
    text = spec.read_text().replace("measure: accuracy", "measure: performance/overall:macro-f1")
    spec.write_text(text)
    with pytest.raises(SpecError, match=r"audit.yaml:\d+: claims\[0\].at_least: .* write 0\.85"):
        auditor.run(spec, out=tmp_path / "out")


def test_every_measure_has_a_span():
    assert all(low < high for low, high in measure_spans().values())


# --- policies that ask nothing -----------------------------------------------------------------


def limit(**changes) -> Limit:
    stated = {"id": "accuracy", "measure": ACCURACY, "at_least": 0.5, "why": "a test"}
    return Limit(**(stated | changes))


@pytest.mark.parametrize(
    "limits",
    [
        (),
        (limit(severity="advisory"),),
        (limit(severity="advisory", required=True),),
        (limit(required=False),),
        (limit(required=False), limit(id="other", severity="advisory", at_least=0.4)),
        (
            limit(id="gap", measure=GAP, at_least=-0.5, required="if-applicable"),
            limit(required=False),
        ),
    ],
)
def test_without_a_limit_that_could_have_failed_nothing_is_decided(worlds, limits):
    right = Measure("accuracy", Subject(split="test"), Rate(499, 500), "share", "higher", 500)
    overall = CheckResults("performance/overall", measures=(right,))
    record = worlds.record(overall, CheckResults("bias/subgroup-gap"), limits=limits)
    assert record.verdict == Verdict.INCONCLUSIVE
    page = page_one(record, ordered(record))
    assert "asks nothing of the model" in page.why
    assert "limit that is blocking and required" in page.before_release[0]
    assert any("asks nothing of the model" in line for line in summary_lines(record))


def test_one_limit_that_could_have_failed_is_enough(worlds):
    right = Measure("accuracy", Subject(split="test"), Rate(499, 500), "share", "higher", 500)
    overall = CheckResults("performance/overall", measures=(right,))
    limits = (limit(), limit(id="other", severity="advisory", at_least=0.4))
    assert worlds.record(overall, limits=limits).verdict == Verdict.PASS


def test_a_limit_behind_a_gate_that_stayed_shut_is_not_enough(worlds):
    subject = Subject.of(attribute="phone", split="test")
    worth = Measure("accuracy-worth", subject, Rate(200, 500), "difference", "lower", 500)
    tied = Measure("association", subject, Rate(1, 500), "amount", "lower", 500)
    gate = {"measure": "shortcut/metadata:association", "above": 0.2}
    limits = (limit(measure="shortcut/metadata:accuracy-worth", at_least=0.9, when=gate),)
    found = CheckResults("shortcut/metadata", measures=(worth, tied))
    record = worlds.record(found, limits=limits)
    assert [f.verdict for f in record.findings if f.limit] == [Verdict.PASS]
    assert record.verdict == Verdict.INCONCLUSIVE
