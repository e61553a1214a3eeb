"""From measures to verdicts: the rules, their edges, and the sentences a user reads."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.findings import (
    Gating,
    Measure,
    Side,
    Subject,
    Unmeasured,
    Verdict,
    finding_id,
)
from auditor.judging.judge import judge
from auditor.judging.policy import Gate, Limit, Where
from auditor.judging.policy_file import load_policy
from auditor.judging.verdicts import limit_verdict, worst
from auditor.judging.waivers import Waiver
from auditor.record import CheckResults, NotPlannedCheck
from auditor.spec import Document
from auditor.spec.declarations import not_applicable
from auditor.stats import (
    Exact,
    Normal,
    PairedDifference,
    Rate,
    RateDifference,
    p_value,
    value,
)

TODAY = date(2026, 11, 22)
PASS, FAIL = Verdict.PASS, Verdict.FAIL
INCONCLUSIVE, NOT_RUN = Verdict.INCONCLUSIVE, Verdict.NOT_RUN
GAP = Limit(
    id="gap",
    measure="bias/subgroup-gap:accuracy",
    at_least=-0.05,
    why="no group may be served much worse",
)


def measure(
    estimate, *, name="accuracy", n=500, scale="share", subject=None, better="higher", **more
) -> Measure:
    subject = subject or Subject.of(building="old", split="test")
    return Measure(name, subject, estimate, scale, better, n, **more)


def group(wrong: int, n: int, *, building="old", wrong_rest=20, n_rest=500) -> Measure:
    estimate = RateDifference(n - wrong, n, n_rest - wrong_rest, n_rest)
    sides = (Side(Rate(n - wrong, n), n), Side(Rate(n_rest - wrong_rest, n_rest), n_rest))
    subject = Subject.of(building=building, split="test")
    return measure(estimate, n=n, scale="difference", neutral=0.0, sides=sides, subject=subject)


def results(*found, check="bias/subgroup-gap") -> CheckResults:
    return CheckResults(
        check,
        measures=tuple(f for f in found if isinstance(f, Measure)),
        unmeasured=tuple(f for f in found if isinstance(f, Unmeasured)),
    )


def judged(*found, limits=(GAP,), **more):
    ran = found if found and isinstance(found[0], CheckResults) else (results(*found),)
    roles = {"building": "condition", "phone": "nuisance"}
    by_group = {"bias/subgroup-gap"}
    return judge(ran, limits=limits, as_of=TODAY, attributes=roles, by_group=by_group, **more)


def only(judgement):
    assert len(judgement.findings) == 1
    return judgement.findings[0]


# --- one measure ---------------------------------------------------------------------------


def test_a_gap_that_exceeds_the_limit_fails_and_names_its_measure():
    judgement = judged(group(60, 300))
    finding = only(judgement)
    assert finding.verdict is FAIL
    assert finding.id == "bias/subgroup-gap:accuracy:building=old@test"
    assert finding.result == finding.id
    assert (finding.needed, finding.could_show, finding.compared) == (None, None, 1)
    assert judgement.verdict is FAIL
    assert judgement.limit_results[0].verdict is FAIL


def test_a_difference_within_the_limit_is_no_failure_although_significant():
    found = group(190, 3000, wrong_rest=120, n_rest=3000)
    finding = only(judged(found))
    assert p_value(found.estimate, limit=0, exceeds="below") < 0.05
    assert finding.verdict is PASS


def test_too_small_to_decide_says_what_would_decide():
    finding = only(judged(group(8, 60)))
    assert finding.verdict is INCONCLUSIVE
    assert finding.could_show < -0.05
    assert finding.needed.more > 0
    assert (finding.needed.counted, finding.needed.both_sides) == ("images", True)
    assert finding.leaning == "worse"


def test_an_undecided_group_that_is_not_shown_worse_does_not_lean():
    finding = only(judged(group(4, 60)))
    assert finding.verdict is INCONCLUSIVE
    assert finding.leaning is None


def test_a_group_of_nine_is_not_judged():
    finding = only(judged(group(9, 9)))
    assert finding.verdict is NOT_RUN
    crowd = dataclasses.replace(group(60, 300), n_units=9)
    assert only(judged(crowd)).verdict is NOT_RUN


def test_units_are_what_counts_and_what_is_asked_for():
    finding = only(judged(dataclasses.replace(group(8, 60), n_units=30)))
    assert finding.needed.counted == "units"


def test_a_value_on_the_limit_says_that_no_number_decides():
    limit = Limit(id="a", measure="bias/subgroup-gap:accuracy", at_least=0.5, why="x")
    finding = only(judged(measure(Rate(50, 100)), limits=[limit]))
    assert finding.verdict is INCONCLUSIVE
    assert finding.needed.more is None


@pytest.mark.parametrize(("size", "verdict"), [(0.3, PASS), (0.29, PASS), (0.31, FAIL)])
def test_exact_values_are_compared(size, verdict):
    limit = Limit(id="s", measure="deployment/quantization:size-ratio", at_most=0.3, why="x")
    found = measure(
        Exact(size), name="size-ratio", n=1, scale="ratio", subject=Subject(), better="lower"
    )
    judgement = judged(results(found, check="deployment/quantization"), limits=[limit])
    assert only(judgement).verdict is verdict


def test_a_limit_on_what_counts_everything_takes_the_value():
    shares = {"measure": "data/leakage:seen-share", "at_most": 0.0, "why": "x"}
    counted = Limit(id="c", exact=True, **shares)
    sampled = Limit(id="c", **shares)
    for seen, limit, verdict in [
        (0, counted, PASS),
        (1, counted, FAIL),
        (0, sampled, INCONCLUSIVE),
        (1, sampled, FAIL),
    ]:
        subject = Subject(split="test")
        found = measure(Rate(seen, 200), name="seen-share", subject=subject, better="lower")
        judgement = judged(results(found, check="data/leakage"), limits=[limit])
        assert only(judgement).verdict is verdict


@pytest.mark.parametrize(
    ("better", "bound", "estimate"),
    [
        ("higher", {"at_most": 0.05}, RateDifference(120, 200, 195, 200)),
        ("higher", {"below": 0.05}, RateDifference(120, 200, 195, 200)),
        ("lower", {"at_least": -0.05}, RateDifference(195, 200, 120, 200)),
        ("lower", {"above": -0.05}, RateDifference(195, 200, 120, 200)),
        ("lower", {"at_least": -0.05, "exact": True}, RateDifference(195, 200, 120, 200)),
    ],
)
def test_a_bound_on_the_good_side_alone_is_met_by_nothing(better, bound, estimate):
    stated = {"measure": "bias/subgroup-gap:accuracy", "why": "x"}
    limit = Limit(id="turned", **stated, **bound)
    found = measure(estimate, scale="difference", better=better)
    judgement = judged(found, limits=[limit])
    assert judgement.verdict is only(judgement).verdict is INCONCLUSIVE
    assert (only(judgement).needed, only(judgement).leaning) == (None, None)
    # Beside a limit on the side of harm it is one of two, and with none of them better it may be.
    harm = {"at_least": -0.5} if better == "higher" else {"at_most": 0.5}
    both = judged(found, limits=[limit, Limit(id="harm", **stated, **harm)])
    assert both.verdict is PASS
    neither = dataclasses.replace(found, better="none")
    assert judged(neither, limits=[limit]).verdict is PASS


@pytest.mark.parametrize(
    "other",
    [
        {"where": {"split": "test"}},
        {"where": {"keys": {"building": "new"}}},
        {"where": {"variant": "int8"}},
        {"when": {"measure": "shift/accuracy:lost", "above": 0.9}},
        {"severity": "advisory"},
        {"required": False},
    ],
)
def test_only_a_limit_on_the_same_finding_that_is_as_hard_bounds_the_other_side(other):
    stated = {"measure": "bias/subgroup-gap:accuracy", "why": "x"}
    turned = Limit(id="turned", at_most=0.05, **stated)
    where = Subject.of(building="old", split="deployment")
    found = measure(RateDifference(120, 200, 195, 200), scale="difference", subject=where)
    harm = Limit(id="harm", at_least=-0.9, **stated, **other)
    judgement = judged(found, limits=[turned, harm])
    (turned_finding,) = (f for f in judgement.findings if f.limit == "turned")
    assert (turned_finding.verdict, turned_finding.meant) == (INCONCLUSIVE, "at_least")
    assert judgement.verdict is INCONCLUSIVE
    # One of no more consequence needs no harder one beside it.
    weak = turned.model_copy(update={"severity": "advisory", "required": None})
    (mild,) = (f for f in judged(found, limits=[weak, harm]).findings if f.limit == "turned")
    assert (mild.meant is None) == ("severity" in other or "required" in other)


def test_a_bound_on_the_good_side_may_be_broken():
    limit = Limit(id="turned", measure="bias/subgroup-gap:accuracy", at_most=0.05, why="x")
    found = measure(RateDifference(195, 200, 120, 200), scale="difference")
    assert only(judged(found, limits=[limit])).verdict is FAIL


def test_a_strict_limit_is_not_met_at_its_bound():
    limit = Limit(id="b", measure="bias/subgroup-gap:accuracy", above=0.0, why="x")
    assert only(judged(measure(Exact(0.0)), limits=[limit])).verdict is FAIL


# --- many measures -------------------------------------------------------------------------


def test_holm_is_over_all_measures_of_the_limit():
    alone = group(26, 200)
    p = p_value(alone.estimate, limit=-0.05, exceeds="below")
    assert 0.01 < p <= 0.05
    assert only(judged(alone)).verdict is FAIL
    others = [group(8, 200, building=f"b{i}") for i in range(9)]
    among = judged(alone, *others).findings
    assert among[0].verdict is INCONCLUSIVE
    assert among[0].compared == 10


estimates = st.one_of(
    st.builds(lambda n, x: Rate(min(x, n), n), st.integers(10, 400), st.integers(0, 400)),
    st.builds(
        lambda n, x, m, y: RateDifference(min(x, n), n, min(y, m), m),
        st.integers(10, 300),
        st.integers(0, 300),
        st.integers(10, 300),
        st.integers(0, 300),
    ),
    st.builds(Normal, st.floats(-1, 1), st.floats(0.001, 0.5)),
    st.builds(Exact, st.floats(-1, 1)),
    st.builds(
        lambda n, g, k: PairedDifference(g * n // 100, k * n // 100, n),
        st.integers(10, 300),
        st.integers(0, 50),
        st.integers(0, 50),
    ),
)


@given(
    found=st.lists(estimates, min_size=1, max_size=6),
    bound=st.sampled_from([-0.05, 0.0, 0.05, 0.3]),
    kind=st.sampled_from(["at_least", "at_most", "above", "below"]),
)
@settings(max_examples=60)
def test_random_measures_keep_the_rules(found, bound, kind):
    limit = Limit(id="r", measure="bias/subgroup-gap:accuracy", why="x", **{kind: bound})
    subjects = [Subject.of(building=str(i)) for i in range(len(found))]
    measures = [measure(e, subject=s) for e, s in zip(found, subjects, strict=True)]
    judgement = judged(*measures, limits=[limit])
    verdicts = [f.verdict for f in judgement.findings]
    assert len(verdicts) == len(found)
    assert judgement.limit_results[0].verdict is limit_verdict(verdicts)
    by_id = {finding_id("bias/subgroup-gap", m.name, m.subject): m for m in measures}
    for finding in judgement.findings:
        found_measure = by_id[finding.result]
        assert finding.verdict in (PASS, FAIL, INCONCLUSIVE)
        p = p_value(found_measure.estimate, limit=bound, exceeds=limit.exceeds)
        if finding.verdict is PASS:
            assert p >= 0.5
            assert limit.is_met_by(value(found_measure.estimate))
        if finding.verdict is FAIL and not isinstance(found_measure.estimate, Exact):
            assert p <= 0.05
            assert not limit.is_met_by(value(found_measure.estimate))
        if len(found) == 1 and p <= 0.05:
            assert finding.verdict is FAIL
        if p <= 0.05 / len(found):
            assert finding.verdict is FAIL
    # A measure's fate never improves by dropping the others: Holm only takes away failures.
    for finding in judgement.findings:
        if finding.verdict is FAIL:
            assert only(judged(by_id[finding.result], limits=[limit])).verdict is FAIL


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        ([], NOT_RUN),
        ([NOT_RUN, NOT_RUN], NOT_RUN),
        ([PASS, PASS], PASS),
        ([PASS, NOT_RUN], INCONCLUSIVE),
        ([PASS, INCONCLUSIVE], INCONCLUSIVE),
        ([INCONCLUSIVE, FAIL, NOT_RUN], FAIL),
    ],
)
def test_a_limit_over_many_groups(verdicts, whole):
    assert limit_verdict(verdicts) is whole


def test_a_measure_without_a_limit_is_information_and_one_with_two_has_two_findings():
    second = GAP.model_copy(update={"id": "tight", "at_least": -0.02})
    judgement = judged(group(5, 300), measure(Rate(1, 20), name="other"), limits=[GAP, second])
    ids = [f.id for f in judgement.findings]
    base = "bias/subgroup-gap:accuracy:building=old@test"
    assert ids == [base, f"{base}#tight", "bias/subgroup-gap:other:building=old@test"]
    assert [f.limit for f in judgement.findings] == ["gap", "tight", None]
    assert judgement.findings[2].verdict is None
    assert judgement.limit_results[1].findings == (f"{base}#tight",)


def test_roles_variants_and_attribute_roles_choose_measures():
    lost = {"measure": "deployment/quantization:accuracy-lost", "at_most": 0.03, "why": "x"}
    overall = Limit(id="all", where=Where(of="none", variant="int8"), **lost)
    by_group = Limit(id="groups", where=Where(of="any", variant="int8"), **lost)
    found = [
        measure(PairedDifference(1, 2, 500), name="accuracy-lost", subject=s)
        for s in (
            Subject.of(split="test", variant="int8"),
            Subject.of(building="old", split="test", variant="int8"),
        )
    ]
    judgement = judged(results(*found, check="deployment/quantization"), limits=[overall, by_group])
    assert [f.limit for f in judgement.findings] == ["all", "groups"]


# --- what did not run ----------------------------------------------------------------------


def crash(check):
    reason = Unmeasured("check", Subject(), "The check crashed: ValueError: x", "Report this.")
    return CheckResults(check, unmeasured=(reason,), traceback="...")


@pytest.mark.parametrize("name", ["default", "strict"])
def test_an_audit_in_which_every_check_failed_to_run_never_passes(name):
    limits = load_policy(name).policy.limits
    checks = sorted({limit.check for limit in limits})
    crashed = judge([crash(c) for c in checks], limits=limits, as_of=TODAY)
    assert crashed.verdict is INCONCLUSIVE
    assert {r.verdict for r in crashed.limit_results} == {NOT_RUN}
    not_run = [NotPlannedCheck(c, "No data.", "Add some.") for c in checks]
    unplanned = judge([], limits=limits, not_run=not_run, as_of=TODAY)
    assert unplanned.verdict is INCONCLUSIVE
    assert unplanned.limit_results[0].reason == "No data. Add some."
    nothing = judge([], limits=limits, as_of=TODAY)
    assert nothing.verdict is INCONCLUSIVE
    assert "was not run" in nothing.limit_results[0].reason


def test_an_empty_policy_never_passes():
    judgement = judged(group(5, 3000), limits=[])
    assert judgement.verdict is INCONCLUSIVE
    assert only(judgement).verdict is None


@pytest.mark.parametrize("required", [False, "if-applicable"])
@pytest.mark.parametrize("severity", ["blocking", "advisory"])
def test_a_policy_of_nothing_applicable_never_passes(required, severity):
    limit = GAP.model_copy(update={"required": required, "severity": severity})
    not_run = [NotPlannedCheck(GAP.check, "No attribute.", "Declare one.")]
    assert judge([], limits=[limit], not_run=not_run, as_of=TODAY).verdict is INCONCLUSIVE


OTHER = Limit(id="other", measure="performance/overall:accuracy", at_least=0.5, why="x")
GOOD = results(measure(Rate(490, 500), subject=Subject(split="test")), check="performance/overall")


@pytest.mark.parametrize(
    ("required", "ran", "not_run", "verdict"),
    [
        (True, False, True, INCONCLUSIVE),
        (False, False, True, PASS),
        ("if-applicable", False, True, PASS),
        ("if-applicable", False, False, INCONCLUSIVE),  # left out by --only
        ("if-applicable", True, False, INCONCLUSIVE),
        (False, True, False, PASS),
    ],
)
def test_what_is_required(required, ran, not_run, verdict):
    limit = GAP.model_copy(update={"required": required})
    reason = Unmeasured("accuracy", Subject(split="test"), "One group only.", "Add another.")
    judgement = judged(
        GOOD,
        *([results(reason)] if ran else []),
        limits=[OTHER, limit],
        not_run=[NotPlannedCheck(GAP.check, "No attribute.", "Declare one.")] if not_run else [],
    )
    assert judgement.verdict is verdict


def test_a_crash_is_a_finding_of_every_limit_of_its_check():
    second = GAP.model_copy(update={"id": "recall", "measure": "bias/subgroup-gap:recall"})
    judgement = judged(crash("bias/subgroup-gap"), limits=[GAP, second])
    assert [(f.limit, f.verdict) for f in judgement.findings] == [
        ("gap", NOT_RUN),
        ("recall", NOT_RUN),
    ]


def test_a_crash_is_about_a_limit_however_narrow():
    narrow = GAP.model_copy(
        update={"where": Where(split="test", variant="int8", of="any", keys={"class": "a"})}
    )
    judgement = judged(crash("bias/subgroup-gap"), limits=[narrow])
    assert only(judgement).limit == "gap"


def test_an_unmeasured_group_leaves_the_limit_undecided():
    reason = Unmeasured("accuracy", Subject.of(building="new"), "3 units.", "Add 7.")
    judgement = judged(group(5, 3000, wrong_rest=5, n_rest=3000), reason)
    assert [f.verdict for f in judgement.findings] == [PASS, NOT_RUN]
    result = judgement.limit_results[0]
    assert result.verdict is INCONCLUSIVE


# --- severity, waivers, gates --------------------------------------------------------------


def test_an_advisory_failure_does_not_fail_the_audit():
    advisory = GAP.model_copy(update={"severity": "advisory"})
    judgement = judged(GOOD, results(group(60, 300)), limits=[OTHER, advisory])
    assert judgement.limit_results[1].verdict is FAIL
    assert judgement.verdict is PASS


def waiver(**changes) -> Waiver:
    stated = {
        "id": "W-1",
        "limit": "gap",
        "reason": "known",
        "owner": "one",
        "approved_by": "another",
        "issued": "2026-11-01",
        "expires": "2026-12-31",
    }
    return Waiver.model_validate({k: v for k, v in (stated | changes).items() if v is not None})


def test_a_waived_failure_passes_with_waivers_and_stays_a_failure():
    judgement = judged(GOOD, results(group(60, 300)), limits=[OTHER, GAP], waivers=[waiver()])
    assert judgement.verdict is Verdict.PASS_WITH_WAIVERS
    assert judgement.findings[1].verdict is FAIL
    assert judgement.findings[1].waived_by == "W-1"
    assert judgement.limit_results[1].waived_by == "W-1"
    assert judgement.warnings == ()


def test_an_expired_waiver_changes_nothing_and_is_reported():
    expired = waiver(issued="2026-01-01", expires="2026-02-01")
    judgement = judged(GOOD, results(group(60, 300)), limits=[OTHER, GAP], waivers=[expired])
    assert judgement.verdict is FAIL
    assert "expired on 2026-02-01" in judgement.warnings[0]


def test_a_waiver_of_one_group_leaves_the_failure_of_another():
    one = waiver(limit=None, finding="bias/subgroup-gap:accuracy:building=old@test")
    found = [group(60, 300), group(60, 300, building="new")]
    assert judged(*found, waivers=[one]).verdict is FAIL
    judgement = judged(found[0], waivers=[one])
    assert judgement.verdict is Verdict.PASS_WITH_WAIVERS


def test_a_waiver_does_not_cover_what_is_undecided():
    judgement = judged(group(60, 300), group(4, 60, building="new"), waivers=[waiver()])
    assert [f.verdict for f in judgement.findings] == [FAIL, INCONCLUSIVE]
    assert judgement.verdict is INCONCLUSIVE


SHORTCUT = Limit(
    id="shortcut",
    measure="shortcut/metadata:accuracy-worth",
    at_most=0.05,
    when=Gate(measure="shortcut/metadata:association", above=0.1),
    why="x",
)
WORTH = {
    "fails": (190, 200, 100, 200),
    "passes": (1800, 2000, 1800, 2000),
    "open": (19, 20, 16, 20),
}
GATES = {"open": Normal(0.6, 0.05), "shut": Normal(0.01, 0.02), "undecided": Normal(0.1, 0.05)}


@pytest.mark.parametrize(
    ("gate", "worth", "verdict"),
    [
        ("open", "fails", FAIL),
        ("open", "passes", PASS),
        ("open", "open", INCONCLUSIVE),
        ("shut", "fails", PASS),
        ("shut", "open", PASS),
        ("undecided", "fails", INCONCLUSIVE),
        ("undecided", "passes", PASS),
        ("missing", "fails", INCONCLUSIVE),
        ("other", "fails", INCONCLUSIVE),
        ("unmeasured", "fails", INCONCLUSIVE),
    ],
)
def test_gates(gate, worth, verdict):
    about = Subject.of(attribute="phone", split="test")
    lost = RateDifference(*WORTH[worth])
    found = [measure(lost, name="accuracy-worth", subject=about, better="lower")]
    if gate == "unmeasured":
        found.append(Unmeasured("association", about, "One phone only.", "Add another."))
    elif gate == "other":
        elsewhere = Subject.of(attribute="building", split="test")
        found.append(measure(GATES["shut"], name="association", subject=elsewhere))
    elif gate != "missing":
        found.append(measure(GATES[gate], name="association", subject=about, scale="amount"))
    judgement = judged(results(*found, check="shortcut/metadata"), limits=[SHORTCUT])
    finding = judgement.findings[0]
    assert finding.verdict is verdict
    looked_at = "shortcut/metadata:association:attribute=phone@test"
    states = {
        "shut": Gating("shut", looked_at),
        "undecided": Gating("undecided", looked_at),
        "unmeasured": Gating("unmeasured", looked_at),
        "missing": Gating("unmeasured", None),
        "other": Gating("unmeasured", None),
    }
    passed_anyway = worth == "passes"
    assert finding.gating == (None if passed_anyway else states.get(gate))


def test_required_attributes_must_be_measured():
    ok = judged(group(5, 3000, wrong_rest=5, n_rest=3000), required_attributes=["building"])
    assert ok.verdict is PASS
    lacking = judged(group(5, 3000, wrong_rest=5, n_rest=3000), required_attributes=["phone"])
    assert lacking.verdict is INCONCLUSIVE
    assert "Declare phone under `data.attributes`" in lacking.limit_results[-1].reason
    assert "as `not-applicable:phone` in the declarations" in lacking.limit_results[-1].reason


@pytest.mark.parametrize(("expires", "verdict"), [(None, PASS), ("2026-01-01", INCONCLUSIVE)])
def test_a_required_attribute_may_be_declared_not_to_apply_by_a_named_owner(expires, verdict):
    stated = {
        "key": "not-applicable:phone",
        "statement": "All photos are taken with one camera.",
        "owner": {"name": "A. Owner", "role": "head of housing"},
        "date": "2025-05-01",
        "expires": expires,
    }
    document = Document("d.yaml", "", "0", {"declarations": [stated]})
    declared = not_applicable(document, as_of=TODAY)
    found = judged(
        group(5, 3000, wrong_rest=5, n_rest=3000),
        required_attributes=["phone"],
        not_applicable=declared,
    )
    assert found.verdict is verdict
    if verdict is PASS:
        reason = found.limit_results[-1].reason
        assert "A. Owner (head of housing) on 2025-05-01: All photos" in reason
        assert reason.startswith("Declared not to apply, not measured.")


# --- what to read first --------------------------------------------------------------------


def test_the_worst_come_first_and_one_limit_does_not_fill_the_list(worlds):
    advisory = OTHER.model_copy(update={"severity": "advisory"})
    low = results(measure(Rate(10, 100), subject=Subject(split="test")), check=OTHER.check)
    bad = [group(60 + 10 * i, 300, building=f"b{i}") for i in range(4)]
    claim = Limit(id="claim", measure="performance/claims:accuracy", at_least=0.91, why="x")
    claimed = results(measure(Rate(390, 500), subject=Subject()), check="performance/claims")
    gaps = results(*bad, group(4, 60, building="few"))
    record = worlds.record(low, gaps, claimed, limits=[advisory, GAP, claim])
    first = worst(record, k=5)
    assert [f.limit for f in first] == ["gap", "gap", "claim", "gap", "gap"]
    assert "b3" in first[0].id
    assert "b2" in first[1].id
    every = worst(record, k=99)
    assert every[-1].limit == "other"
    assert all(f.verdict is not PASS for f in every)
