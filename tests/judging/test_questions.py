"""The four answers: of which kind, and on which findings they rest."""

import pytest

from auditor.findings import Measure, Question, Side, Subject, Unmeasured
from auditor.judging.policy import Limit
from auditor.record import AttributeSummary, CheckResults, DatasetSummary, GroupCount
from auditor.stats import Exact, Normal, Rate, RateDifference

QUESTIONS = {
    "bias/x": Question.MEASURED,
    "shift/x": Question.MATCHES,
    "bias/shares": Question.REPRESENTS,
    "performance/cost": Question.WRONG,
}
GAP = Limit(id="gap", measure="bias/x:accuracy", at_least=-0.05, why="x")
LOST = Limit(id="lost", measure="shift/x:lost", at_most=0.05, why="x")
SHARE = Limit(id="share", measure="bias/shares:share-ratio", at_least=0.8, why="x")


def group(wrong, n, *, building="old"):
    sides = (Side(Rate(n - wrong, n), n), Side(Rate(480, 500), 500))
    estimate = RateDifference(n - wrong, n, 480, 500)
    subject = Subject.of(building=building, split="test")
    return Measure("accuracy", subject, estimate, "difference", "higher", n, neutral=0.0,
                   sides=sides)  # fmt: skip


def lost(right):
    estimate = RateDifference(450, 500, right, 500)
    subject = Subject(split="deployment")
    return Measure("lost", subject, estimate, "difference", "lower", 500)


def share(found):
    sides = (Side(Rate(1000 * found, 1000), 1000), Side(Exact(0.1)))
    subject = Subject.of(split="train", building="old")
    return Measure("share-ratio", subject, Normal(found / 0.1, 0.05, None), "ratio", "higher",
                   1000, neutral=1.0, sides=sides)  # fmt: skip


def answers(worlds, **more):
    found = {
        "bias/x": more.pop("groups", ()),
        "shift/x": more.pop("shifts", ()),
        "bias/shares": more.pop("shares", ()),
    }
    results = [
        CheckResults(
            check,
            measures=tuple(m for m in some if isinstance(m, Measure)),
            unmeasured=tuple(u for u in some if isinstance(u, Unmeasured)),
        )
        for check, some in found.items()
    ]
    record = worlds.record(*results, limits=[GAP, LOST, SHARE], questions=QUESTIONS, **more)
    return dict(zip(Question, record.answers, strict=True))


TRAIN = DatasetSummary("train", 1000, 1000, None, True, (), (), (), "0")


@pytest.mark.parametrize(
    ("right", "said"), [(300, "no"), (440, "not decided"), (450, "yes"), (None, "not tested")]
)
def test_whether_the_test_data_match(worlds, right, said):
    found = answers(worlds, shifts=[] if right is None else [lost(right)])[Question.MATCHES]
    if right == 450:
        found = answers(worlds, shifts=[lost(470)])[Question.MATCHES]
    assert found.answer == said
    assert found.findings == (() if right is None else ("shift/x:lost@deployment",))


@pytest.mark.parametrize(("found", "said"), [(0.02, "no"), (0.095, "yes"), (0.08, "not decided")])
def test_whether_the_training_data_represent_everyone(worlds, found, said):
    given = answers(worlds, shares=[share(found)], datasets=[TRAIN])
    assert given[Question.REPRESENTS].answer == said


def test_without_training_data_nothing_is_represented(worlds):
    assert answers(worlds, shares=[share(0.095)])[Question.REPRESENTS].answer == "not tested"


@pytest.mark.parametrize(("count", "said"), [(20, "no"), (100, "yes")])
def test_shares_are_counted_where_no_check_judged_them(worlds, count, said):
    groups = (GroupCount("old", count, count), GroupCount("new", 1000 - count, 1000 - count))
    attribute = AttributeSummary(
        "building", "condition", groups, population={"old": 0.1, "new": 0.9}
    )
    train = DatasetSummary("train", 1000, 1000, None, True, (), (attribute,), (), "0")
    assert answers(worlds, datasets=[train])[Question.REPRESENTS].answer == said


def test_whether_performance_was_measured_per_group(worlds):
    def said(*groups):
        return answers(worlds, groups=groups)[Question.MEASURED]

    assert said().answer == "no"
    worse = said(group(60, 300), group(4, 60, building="few"))
    assert worse.answer == "unequal"
    assert worse.findings == ("bias/x:accuracy:building=old@test",)
    leaning = said(group(8, 60), group(3, 60, building="few"))
    assert leaning.answer == "not decided"
    assert leaning.findings == ("bias/x:accuracy:building=old@test",)
    assert leaning.undecided == ("bias/x:accuracy:building=few@test",)
    assert said(group(60, 3000)).answer == "equal"


def test_measured_without_a_limit_is_not_judged(worlds):
    result = CheckResults("bias/x", measures=(group(60, 300),))
    record = worlds.record(result, questions=QUESTIONS)
    assert record.answers[2].answer == "not judged"


def test_a_shift_without_a_limit_is_not_judged_and_what_was_not_measured_says_why(worlds):
    measured = CheckResults("shift/x", measures=(lost(300),))
    record = worlds.record(measured, questions=QUESTIONS)
    assert record.answers[0].answer == "not judged"
    lacking = Unmeasured("lost", Subject(split="deployment"), "No image is left.", "Give others.")
    record = worlds.record(CheckResults("shift/x", unmeasured=(lacking,)), questions=QUESTIONS)
    assert record.answers[0].answer == "not tested"
    assert record.answers[0].findings == ("shift/x:lost@deployment",)


def test_a_crash_is_a_finding_of_the_answer(worlds):
    crash = Unmeasured("check", Subject(), "The check crashed: KeyError: 'x'", "Report this.")
    given = answers(worlds, shifts=[crash], groups=[crash])
    assert given[Question.MATCHES].answer == "not tested"
    assert given[Question.MATCHES].findings == ("shift/x:check",)
    assert given[Question.MEASURED].findings == ("bias/x:check",)


@pytest.mark.parametrize(
    ("when_wrong", "said"), [("Out within 48 hours", "stated"), (None, "not stated")]
)
def test_what_happens_when_it_is_wrong_is_stated_or_not(worlds, when_wrong, said):
    spec = worlds.spec(consequences={"when_wrong": when_wrong} if when_wrong else {})
    cost = Measure("expected-cost", Subject(split="test"), Normal(483.28, 56.0, None), "amount",
                   "lower", n=1400, unit="EUR per image", least=0.0)  # fmt: skip
    result = CheckResults("performance/cost", measures=(cost,))
    record = worlds.record(result, spec=spec, questions=QUESTIONS)
    assert record.answers[3].answer == said
    assert record.answers[3].findings == ("performance/cost:expected-cost@test",)
