"""What readers stumbled over: counts of units, repeated names, figures that seem to contradict."""

import dataclasses
import re
from collections import defaultdict

import pytest

from auditor.contract.quantity_words import called
from auditor.findings import Finding, Measure, Side, Subject, Verdict, finding_id
from auditor.record import CheckResults
from auditor.record.audit_record import AttributeSummary, GroupCount
from auditor.reports.chapters import _fact, _facts
from auditor.reports.harms import Harm, _alike, _group_harm
from auditor.reports.html import report_html
from auditor.reports.ordering import ordered
from auditor.reports.reasons import more_of, reason
from auditor.reports.record_words import telling
from auditor.reports.shown_figure import shown_words
from auditor.reports.telling import Telling
from auditor.reports.templates import template_text
from auditor.reports.why import _measured_text
from auditor.scoring.tasks.segmentation import RIGHT_IOU
from auditor.spec.statements import _name
from auditor.stats import Exact, Rate, RateDifference

ROOMS = Telling(checks={}, attributes=frozenset({"size"}), unit="room", units="rooms")


def measure(estimate, name="largest-share", **changes):
    stated = {"scale": "share", "better": "lower", "subject": Subject.of(split="test")} | changes
    return Measure(name, estimate=estimate, **stated)


def test_what_was_left_out_are_images_of_units_with_the_cause():
    found = measure(Exact(0.6), n=10, facts={"commonest": ["seen_unit", "the first is 'a.png'"]})
    assert ROOMS.filled("{commonest:apart}", found) == (
        "images of rooms that the model had already seen (the first is 'a.png')"
    )
    nothing = dataclasses.replace(found, facts={"commonest": []})
    assert ROOMS.filled("{commonest:apart}", nothing) is None


def test_a_subject_is_told_without_the_names_of_its_keys():
    about = ROOMS.about(Subject.about({"artefact": "logo", "class": "garnish"}, split="test"))
    assert about == "logo, “garnish”"
    assert ROOMS.about(Subject.of(split="test", size="small")) == "size: small"


def test_a_range_that_would_end_in_what_is_claimed_has_a_digit_more():
    """ "The claimed 97% does not hold: measured 95% [93, 97]" seemed to say that it may."""
    found = measure(Rate(951, 1000), name="accuracy", n=1000)
    assert f"{found.interval.high:.2f}" == "0.96"
    assert re.fullmatch(r"95\.1% \[93\.\d, 96\.\d\]", _measured_text(found, 0.96))
    assert re.fullmatch(r"95% \[\d\d, 96\]", _measured_text(found, 0.99))


def test_a_unit_that_is_the_name_itself_is_said_once(failing):
    order = ordered(failing)
    finding = next(f for f in order.findings if order.measure(f) and not order.group(f))
    name = order.short(finding)
    counted = measure(Exact(12), n=1, scale="amount", unit=name)
    assert _fact(finding, counted, order).count(name) == 1


def test_names_of_statements_and_of_measures_are_words():
    assert _name("basis-room_type") == "basis for room type"
    assert called("recall") == "share of each class found"
    assert called("recall-lost") == "share of each class found: lost"


@pytest.fixture
def grouped(failing):
    order = ordered(failing)
    found = {order.group(f): f for f in order.findings if order.group(f)}
    return order, list(found.values())[:3]


def test_harms_with_the_same_figures_are_told_once(grouped):
    order, findings = grouped
    said = ["14% of 70; others 100%", "14% of 70; others 100%", "20% of 10; others 50%"]
    told = [
        (f, Harm("fewer found", f"{order.group(f)}: {figures}"))
        for f, figures in zip(findings, said, strict=True)
    ]
    found = _alike(told, order)
    first, second = (order.group(f) for f in findings[:2])
    assert [len(same) for same, _ in found] == [2, 1]
    assert found[0][1].figures == f"{first}, and likewise {second}: {said[0]}"
    assert found[1][1] == told[2][1]


def test_what_is_not_undecided_asks_for_no_more(grouped):
    order, findings = grouped
    assert all(more_of(f, order) is None for f in findings if f.verdict is not Verdict.INCONCLUSIVE)


@pytest.mark.parametrize("table", ["plan", "checks", "clauses"])
def test_on_a_phone_each_cell_of_a_stacked_row_says_what_it_is(failing, table):
    """Below the width of a tablet rows are blocks, and the heads of columns are not seen."""
    page = report_html(failing, pictures=defaultdict(lambda: "<svg/>"))
    (row,) = re.findall(rf'<table class="{table} stack"[^>]*>.*?<thead>(.*?)</thead>', page, re.S)[
        :1
    ]
    heads = re.findall(r"<th [^>]*>(.*?)</th>", row)
    labels = template_text("browser.css")
    named = {int(n) for n in re.findall(rf"\.{table} td:nth-child\((\d)\)::before", labels)}
    names_the_row = {"plan": 2, "checks": 1, "clauses": 1}[table]
    assert named == set(range(1, len(heads) + 1)) - {names_the_row}


def test_a_harm_says_of_what_its_shares_are(grouped):
    order, findings = grouped
    for finding in findings:
        harm = _group_harm(finding, order) if order.measure(finding) else None
        assert harm is None or not re.search(r"\] of [\d,]+;", harm.figures.partition("others")[0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fewer than 10 units of a group", "fewer than 10 rooms of a group"),
        ("Units of one answer for a unit", "Rooms of one answer for a room"),
        ("named under `data.columns.unit`, or as {unit: room}", None),
        ("units: 3", None),
    ],
)
def test_units_are_called_what_they_are(text, said):
    assert Telling({}, unit="room", units="rooms").with_units(text) == (said or text)
    assert Telling({}).with_units(text) == text
    assert Telling({}, unit="image", units="images").with_units(text) == text
    assert Telling({}, unit="aisle", units="aisles").with_units("for a unit") == "for an aisle"
    named = Telling({}, unit="room", units="rooms", unit_is_a_name=True)
    assert named.with_units(text) == text


@pytest.mark.parametrize("group", ["Unit 3", "unit", "2 units"])
def test_a_group_that_is_called_a_unit_keeps_its_name(failing, group):
    assert not telling(failing).unit_is_a_name
    (first, *others) = failing.datasets
    attribute = AttributeSummary("building", "condition", (GroupCount(group, 5, 5),))
    record = dataclasses.replace(
        failing, datasets=(dataclasses.replace(first, attributes=(attribute,)), *others)
    )
    assert telling(record).unit_is_a_name


def test_what_is_asked_for_units_reaches_the_reader_by_their_name():
    told = Telling({}, unit="dish", units="dishes")
    assert (
        shown_words("Collect at least 10 more units.", told) == "Collect at least 10 more dishes."
    )


def test_training_data_are_called_that():
    found = Telling({}).about(Subject.about({"class": "a"}, split="train"))
    assert found == "“a”, training data"


def paired(name, of="image"):
    sides = (Side(Rate(60, 100), 100), Side(Rate(50, 100), 100))
    facts = {"lost_here": 0.1, "lost_by_others": 0.0, "kind": "harmful", "most_shifted": ["grain"],
             "right_test": 0.6, "right_there": 0.5, "lost": True}  # fmt: skip
    subject = Subject.of(household="family", split="deployment", variant="int8")
    return Measure(name, subject, RateDifference(60, 100, 50, 100), "difference", "lower", n=100,
                   neutral=0.0, of=of, sides=sides, facts=facts)  # fmt: skip


RIGHT_IS_TOLD = [
    ("performance/overfitting", "accuracy-gap"),
    ("shift/accuracy", "lost"),
    ("shift/properties", "any"),
    ("shift/embeddings", "any"),
    *((check, name) for check in ("deployment/variants", "deployment/quantization")
      for name in ("accuracy-lost", "gap-change", "flip-rate")),
]  # fmt: skip


@pytest.mark.parametrize(("check", "name"), RIGHT_IS_TOLD)
def test_where_an_image_of_a_segmenter_is_right_it_is_said_from_when_on(failing, check, name):
    assert RIGHT_IOU == 0.5, "the sentence says half"
    drawn = dataclasses.replace(failing.model, task="segmentation")
    of_maps = telling(dataclasses.replace(failing, model=drawn))
    said = "An image counts as right if what is drawn overlaps the truth by half or more (IoU)."
    assert said in of_maps.sentence(check, paired(name))
    assert said not in of_maps.sentence(check, paired(name, of="object"))
    assert said not in telling(failing).sentence(check, paired(name))


SENTENCES = {
    (
        "data/leakage",
        "seen-share",
        "share",
    ): "or their room was. Known as changed copies alone: 0; a search "
    "looks for such copies, and can miss some.",
    ("performance/calibration", "ece", "difference"): "Among images of which it is equally sure, "
    "the share that is right lies 30 points from how sure it says it is, test data.",
}


@pytest.mark.parametrize(("check", "name", "scale"), SENTENCES)
def test_a_sentence_says_what_its_number_is_a_number_of(failing, check, name, scale):
    told = dataclasses.replace(telling(failing), unit="room", units="rooms")
    found = measure(Exact(0.3), name, n=100, facts={"count": 30, "near": 0}, scale=scale)
    assert SENTENCES[check, name, scale] in told.sentence(check, found)


def test_a_failure_among_many_says_that_luck_was_allowed_for(failing):
    order = ordered(failing)
    said = {f.compared > 1: reason(f, order) for f in order.findings
            if f.verdict is Verdict.FAIL and order.measure(f) and not f.gating
            and not isinstance(order.measure(f).estimate, Exact)}  # fmt: skip
    assert "allowing for luck in " in said[True]
    assert "luck" not in said[False]


def test_findings_that_meet_a_limit_and_are_not_listed_are_counted_in_a_sentence(failing):
    page = report_html(failing, pictures=defaultdict(lambda: "<svg/>"), for_browser=False)
    counts = re.findall(r"(\d+) more (meets?) this limit; see findings.csv", page)
    assert counts
    assert all((verb == "meets") == (n == "1") for n, verb in counts)


def facts(failing, check, *measures):
    """What a chapter says in short of these results of a check."""
    found = [Finding(finding_id(check, m.name, m.subject), check) for m in measures]
    results = (CheckResults(check, measures=tuple(measures)),)
    record = dataclasses.replace(failing, results=results, findings=tuple(found), limit_results=())
    order = ordered(record)
    return list(_facts(order.findings, order))


def test_a_share_of_pairs_is_told_with_what_the_pairs_are(failing):
    dark = measure(
        Exact(0.35), "auc", neutral=0.5, n=100, facts={"what": "brightness"},
        subject=Subject.of(property="brightness", split="deployment"),
    )  # fmt: skip
    assert facts(failing, "shift/properties", dark) == [
        "the brightness of a deployment image is higher than in a test image in 35% of pairs "
        "(50% is no difference)"
    ]


def test_results_that_are_all_zero_are_told_by_what_there_is_none_of(failing):
    faulty = [
        measure(Exact(0), "failing-rows", n=9, subject=Subject.of(split=s))
        for s in ("test", "train")
    ]
    assert facts(failing, "data/manifest", *faulty) == [
        "faulty manifest rows: none in test and training data"
    ]
    unseen = [
        measure(
            Exact(0), "unseen-share", n=9,
            subject=Subject.of(attribute=name, split="deployment"),
        )
        for name in ("phone", "floor", "light")
    ]  # fmt: skip
    assert facts(failing, "shift/metadata", *unseen) == [
        "groups of phone that the test data lack, groups of floor that the test data lack and 1 "
        "more: none"
    ]
