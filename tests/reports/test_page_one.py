"""Page one says what a dean must know, on one page, without words of statistics."""

import dataclasses
import re
from collections import defaultdict
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from auditor.findings import Finding, Measure, Question, Side, Subject, Verdict, finding_id
from auditor.record import AuditRecord
from auditor.record.audit_record import AttributeSummary, GroupCount
from auditor.record.files import record_digest
from auditor.reports.action_plan import action_plan
from auditor.reports.answers import _broken, _shares
from auditor.reports.drawing.figures import group_forest_svg
from auditor.reports.group_forest import worst_served
from auditor.reports.group_results import group_results
from auditor.reports.html import report_html
from auditor.reports.ordering import ordered
from auditor.reports.page_one import counts, page_one
from auditor.reports.pdf import laid_out
from auditor.spec import Document
from auditor.stats import Exact, Normal, Rate

STATISTICS = r"(?i)p-value|\bCI\b|confidence interval|\bHolm\b|significan|hypothes|standard error"
SMALLEST = 8.5
HEADLINES = (("performance/overall", "accuracy"), ("performance/baseline", "gain"))


def pictures(record):
    """The picture of page one as it is drawn; all others empty."""
    order = ordered(record)
    drawn = {f.id: group_forest_svg(f) for f in worst_served(group_results(order), order)}
    return defaultdict(lambda: "<svg/>", drawn)


def one(record: AuditRecord):
    return page_one(record, ordered(record))


def section(record) -> str:
    text = report_html(record, pictures=pictures(record), for_browser=False)
    return text[: text.index("</section>")] + "</section></main></body></html>"


class Words(HTMLParser):
    def __init__(self):
        super().__init__()
        self.words = []

    def handle_data(self, data):
        self.words.append(data)


def plain(html) -> str:
    parser = Words()
    parser.feed(html[html.index("<body") :])
    return " ".join(" ".join(parser.words).split())


def test_the_claim_that_rests_on_seen_images_is_the_first_sentence(failing):
    assert one(failing).why == "The claimed 85% rests on images that the model had already seen."


def test_the_headline_is_the_sound_accuracy_beside_always_guessing(failing):
    accuracy = next(
        m for c, m in failing.measures() if (c, m.name) == ("performance/overall", "accuracy")
    )
    first, unit, always = one(failing).headline
    share = 100 * accuracy.estimate.x / accuracy.estimate.n
    assert f"{share:.0f}%" in first
    assert "750 images" in first
    assert "rooms" in unit
    assert re.fullmatch(r"Always answering “compliant” would give \d\d%\.", always)


def test_who_is_hurt_names_the_group_its_rate_and_the_limit(failing):
    first = one(failing).harms[0]
    assert first.what == "wrongly called “serious”"
    said = (
        r"accessible \(household\): \d+% \[.+\] of \d+ images that are not “serious”; all others "
    )
    assert re.match(said, first.figures)
    assert " times as often [" in first.figures
    assert first.figures.endswith("the limit is at most 1.25 times, or at most 2.5 points more")


def test_a_harm_to_a_group_is_told_once_though_two_limits_are_broken(failing):
    told = [(harm.what, harm.figures.partition(":")[0]) for harm in one(failing).harms]
    assert len(set(told)) == len(told) <= 4


def test_adverse_answers_over_everyone_are_told_with_their_images(failing, clean):
    for record in (failing, clean):
        told = {harm.what: harm.figures for harm in one(record).harms}
        assert re.match(r"\S+% \[.+\] of \d+ “serious” ", told["“serious” missed"])
        assert not any(what.startswith("errors furthest apart") for what in told)


def with_accuracy_of(record: AuditRecord, *splits: str) -> AuditRecord:
    """The record with the accuracy, and the gain over always guessing, of further splits."""
    more = tuple(
        dataclasses.replace(
            result,
            measures=result.measures
            + tuple(
                dataclasses.replace(m, subject=Subject(split=split), n=n)
                for n, split in enumerate(splits, start=431)
                for m in result.measures
                if (result.check, m.name) in HEADLINES
            ),
        )
        for result in record.results
    )
    return dataclasses.replace(record, results=more)


def test_what_errors_cost_is_told_of_where_the_model_will_run(failing):
    (result,) = (r for r in failing.results if r.check == "performance/consequences")
    (test,) = (m for m in result.measures if m.name == "expected-cost")
    there = dataclasses.replace(
        test,
        subject=dataclasses.replace(test.subject, split="deployment"),
        estimate=Normal(1_005.0, 100.0, 349),
    )
    more = dataclasses.replace(result, measures=(*result.measures, there))
    finding = Finding(finding_id(result.check, there.name, there.subject), result.check)
    answers = tuple(
        dataclasses.replace(a, findings=(*a.findings, finding.id))
        if a.question is Question.WRONG else a
        for a in failing.answers
    )  # fmt: skip
    record = dataclasses.replace(
        failing,
        results=tuple(more if r is result else r for r in failing.results),
        findings=(*failing.findings, finding),
        answers=answers,
    )
    assert "on test images that it had not seen" in one(failing).questions[3].why
    assert "Errors cost about 1,005 EUR per image" in one(record).questions[3].why
    assert "on images from where it will run" in one(record).questions[3].why


def test_the_headline_leads_with_where_the_model_will_run(failing):
    always = one(failing).headline[-1]
    lines = one(with_accuracy_of(failing, "deployment")).headline
    assert re.fullmatch(r"On images from where it will run: .+ right, 431 images\.", lines[0])
    assert lines[1] == always
    assert lines[2:] == one(failing).headline[:1]


def test_the_headline_never_tells_how_often_it_is_right_on_training_images(failing):
    record = with_accuracy_of(failing, "train")
    assert one(record).headline == one(failing).headline
    assert "431" not in " ".join(one(record).headline)


def test_when_nobody_is_shown_to_be_hurt_page_one_says_how_much_is_open(clean):
    harm = one(clean).harms[0]
    assert harm.what == "No group shown"
    assert "not decided" in harm.figures


def test_groups_that_no_limit_is_about_are_not_said_to_be_within_one(clean):
    free = tuple(
        dataclasses.replace(f, verdict=None, limit=None, leaning=None) for f in clean.findings
    )
    harm = one(dataclasses.replace(clean, findings=free)).harms[0]
    assert harm.what == "Not judged"
    assert harm.figures.endswith(" comparisons of groups; the policy sets no limit on any of them")
    assert harm.refs
    order = ordered(clean)
    judged = next(f for f in clean.findings if f.verdict is Verdict.PASS
                  and order.answers(f, Question.MEASURED) and order.measure(f))  # fmt: skip
    mixed = (f if f.id == judged.id else g for f, g in zip(clean.findings, free, strict=True))
    harm = one(dataclasses.replace(clean, findings=tuple(mixed))).harms[0]
    assert harm.what == "No group shown"
    assert re.fullmatch(
        "1 comparison of groups; none shown to be worse than the limits allow; "
        r"\d+ more without a limit",
        harm.figures,
    )


def test_images_that_are_in_no_group_are_told_where_groups_were_compared(clean):
    def told(share):
        datasets = []
        for dataset in clean.datasets:
            first, *rest = dataset.attributes
            first = dataclasses.replace(first, missing=round(share * dataset.n))
            datasets.append(dataclasses.replace(dataset, attributes=(first, *rest)))
        record = dataclasses.replace(clean, datasets=tuple(datasets))
        (why,) = [q.why for q in one(record).questions if q.question.endswith("per group?")]
        return first.name, dataset, why

    name, _, why = told(0.3)
    test = next(d for d in clean.datasets if d.split == "test")
    missing = f"of {ordered(clean).telling.shown(name)}: {round(0.3 * test.n)} of {test.n:,} test"
    assert f"Compared with none, being in no group {missing} images" in why
    assert "train images" not in why
    assert "Compared with none" not in told(0.005)[2]


@pytest.mark.parametrize(
    ("without", "more", "said"),
    [
        (1, 0, r"class “.+” \(no labelled image to test it on\); "),
        (2, 0, r"classes “.+”, “.+” \(no labelled image to test them on\); "),
        (1, 5, r"6 of \d+ classes \(no labelled image to test them on\); "),
    ],
)
def test_classes_that_no_image_tests_come_first_of_what_is_not_tested(clean, without, more, said):
    def lacking(dataset):
        if dataset.split == "train":
            return dataset
        none = [dataclasses.replace(c, n=0, n_sound=0) for c in dataset.labels[:without]]
        none += [GroupCount(f"more {i}", 0, 0) for i in range(more)]
        return dataclasses.replace(dataset, labels=(*none, *dataset.labels[without:]))

    assert "no labelled image" not in one(clean).not_tested
    bare = dataclasses.replace(clean, datasets=tuple(map(lacking, clean.datasets)))
    assert re.match(said, one(bare).not_tested)
    # What is labelled where the model will run tests a class, too.
    test = tuple(lacking(d) if d.split == "test" else d for d in clean.datasets)
    labelled = any(d.split == "deployment" and d.has_labels for d in clean.datasets)
    told = one(dataclasses.replace(clean, datasets=test)).not_tested
    assert ("no labelled image" in told) is (more > 0 or not labelled)


def test_the_four_questions_point_to_findings_that_exist(failing):
    order = ordered(failing)
    page = page_one(failing, order)
    assert len(page.questions) == 4
    for question, answer in zip(page.questions, failing.answers, strict=True):
        assert bool(question.refs) == bool(answer.findings)
        decisive = (*answer.findings, *answer.undecided)
        for ref in question.refs:
            assert ref.target in decisive or ref.target in {order.by_id[i].check for i in decisive}
            if ref.text.isdigit():
                assert order.reading[int(ref.text) - 1].id == ref.target


def test_the_five_worst_failed_or_are_open_and_none_is_waived(failing):
    order = ordered(failing)
    assert len(one(failing).worst) == 5
    assert "false certainty" not in one(failing).worst
    waived = [f for f in order.findings if f.waived_by]
    assert waived


def test_each_verdict_has_its_words(failing, clean):
    assert one(failing).word == "Does not meet"
    assert one(clean).word == "Not decided against"
    assert "could not be decided" in one(clean).why
    for verdict, word in ((Verdict.PASS, "Meets"),
                          (Verdict.PASS_WITH_WAIVERS, "Meets, with waivers,")):  # fmt: skip
        passed = one(dataclasses.replace(clean, verdict=verdict))
        assert passed.word == word
        assert re.match(r"\d+ of \d+ limits are met", passed.why)


def test_without_a_broken_claim_the_worst_failure_is_the_reason(failing):
    others = tuple(r for r in failing.limit_results if not r.limit["id"].startswith("claim"))
    said = one(dataclasses.replace(failing, limit_results=others)).why
    assert re.match(r"\d of \d+ limits are not met\. Worst: ", said)
    assert "25%; the limit is at most 1%" in said


def test_code_that_was_run_and_times_that_count_are_told(failing):
    provenance = dataclasses.replace(failing.provenance, trusted_code=True)
    notes = one(dataclasses.replace(failing, provenance=provenance)).notes
    assert any("own code was run" in note for note in notes)
    assert any("Times were taken on A processor, and hold for it alone" in n for n in notes)


@pytest.mark.parametrize("which", ["failing", "clean", "crowded"])
def test_no_words_of_statistics(which, request):
    assert not re.search(STATISTICS, plain(section(request.getfixturevalue(which))))


def test_every_line_of_the_pattern_is_there(failing):
    text = plain(section(failing))
    for line in ("Who is hurt", "Four questions", "Five worst", "Before release", "Not decided",
                 "Not tested", "Decision:", "Unsigned: a change would go unnoticed. Run by:",
                 "Measured against a policy; not a legal opinion."):  # fmt: skip
        assert line in text, line


def test_it_counts_the_blocking_limits_that_are_not_met(failing, clean):
    blocking = [r for r in failing.limit_results if r.limit["severity"] == "blocking"]
    failed = [r for r in blocking if r.verdict is Verdict.FAIL]
    assert one(failing).counts.startswith(f"{len(failed)} of {len(blocking)} blocking limits not")
    waived = sum(r.waived_by is not None for r in failed)
    assert (f"{waived} of them waived" in one(failing).counts) == bool(waived)
    assert one(clean).counts.startswith("none of ")
    assert " not decided" in one(clean).counts
    assert f"{one(failing).counts}." in plain(section(failing))


def test_what_was_not_measured_is_not_called_undecided(failing):
    first, *rest = [r for r in failing.limit_results if r.limit["severity"] == "blocking"]
    others = [dataclasses.replace(r, verdict=Verdict.PASS) for r in rest]
    none = dataclasses.replace(first, verdict=Verdict.NOT_RUN)
    said = counts(ordered(dataclasses.replace(failing, limit_results=(none, *others))))
    assert said.endswith(" shown to be broken, 1 not measured")
    assert "not decided" not in said


def test_it_names_the_audit_its_scope_and_its_model(failing):
    page = one(failing)
    assert record_digest(failing).startswith(page.audit_id)
    assert len(page.audit_id) == 12
    assert "750 of 1,000 test images; 1,000 training images; model file model.onnx" in page.scope
    assert f"Audit {page.audit_id}" in re.sub(r" +", " ", plain(section(failing)))


def test_every_page_after_the_first_has_the_audits_id_in_its_head(failing, failing_document):
    pages = failing_document.pages
    assert len(pages) > 5
    for page in pages[1:]:
        heads = [b for b in page._page_box.children if getattr(b, "at_keyword", "") == "@top-left"]
        text = "".join(getattr(b, "text", "") for box in heads for b in box.descendants())
        assert f"audit {one(failing).audit_id}" in text


def test_what_has_no_room_is_counted_and_leads_to_the_action_plan(failing):
    page, text = one(failing), section(failing)
    stated = [t for t in action_plan(ordered(failing)) if t.is_failure and t.severity == "blocking"]
    told = len(page.before_release) + page.more_steps
    assert page.more_steps
    assert told <= len(stated)
    assert f'<a href="#action-plan">and {page.more_steps} more: action plan</a>' in text
    undecided = sum(f.verdict is Verdict.INCONCLUSIVE for f in failing.findings)
    assert len(page.not_decided) + page.more_open == undecided
    assert f'<a href="#action-plan">and {page.more_open} more: action plan</a>' in text


def with_failures(record: AuditRecord) -> AuditRecord:
    """The record with every judged comparison of groups not met."""
    order = ordered(record)
    findings = tuple(
        dataclasses.replace(f, verdict=Verdict.FAIL)
        if f.limit and order.answers(f, Question.MEASURED) and order.measure(f) else f
        for f in record.findings
    )  # fmt: skip
    return dataclasses.replace(record, findings=findings)


def test_groups_that_page_one_does_not_name_are_counted(failing):
    record = with_failures(failing)
    order = ordered(record)
    hurt = [f for f in order.findings
            if order.answers(f, Question.MEASURED) and f.verdict is Verdict.FAIL]  # fmt: skip
    once = {(order.filled(order.words(f).harm, f), order.result(f).subject) for f in hurt}
    assert len(once) > 3
    further = next(h for h in one(record).harms if h.what == "also worse")
    # Their groups are named, and what is counted says what it is: "7 more of 5 groups" did not.
    assert f": {len(once) - 2} more results, {len(once) - 2} beyond the limit" in further.figures
    first = further.figures.split(":")[0].removeprefix("the ").split(", ")[0]
    assert any(first in order.group(f) for f in hurt)
    assert further.refs
    assert all(h.what != "also worse" for h in one(failing).harms)


def test_the_group_whose_share_lacks_most_is_named_first():
    found = {"family": 0.03, "old": 0.03, "accessible": 0.04}
    due = {"family": 0.15, "old": 0.61, "accessible": 0.10}
    measures = {
        group: Measure(
            "share-ratio", Subject.of(split="train", group=group), Rate(3, 100), "ratio", "higher",
            n=100, neutral=1.0, sides=(Side(Exact(found[group])), Side(Exact(due[group]))),
        )
        for group in found
    }  # fmt: skip
    order = SimpleNamespace(measure=lambda f: measures[f.id], group=lambda f: f.id)
    said = _shares([Finding(group, "bias/representation") for group in found], order)
    assert said == (
        "Too few of: old: 3% where 61% are due; family: 3% where 15% are due; "
        "accessible: 4% where 10% are due."
    )


def test_a_no_that_no_limit_decides_says_by_which_rule():
    counted = tuple(GroupCount(name, n, n) for name, n in (("white", 86), ("dark", 14)))
    plate = AttributeSummary(
        "plate", "condition", counted, population={"white": 0.68, "dark": 0.32}
    )
    order = SimpleNamespace(
        record=SimpleNamespace(dataset=lambda _: SimpleNamespace(attributes=(plate,))),
        telling=SimpleNamespace(shown_of=lambda _, group: group),
    )
    assert _broken(Question.REPRESENTS, (), order) == (
        "No limit decides it; counted, these have less than 80% of what is due: "
        "dark (14% of training images where 32% are due)."
    )


def test_a_harm_that_nobody_suffered_is_not_told(failing):
    name = "missed-adverse-rate"
    results = tuple(
        dataclasses.replace(
            result,
            measures=tuple(
                dataclasses.replace(m, estimate=Rate(0, m.n)) if m.name == name else m
                for m in result.measures
            ),
        )
        for result in failing.results
    )
    told = {harm.what for harm in one(dataclasses.replace(failing, results=results)).harms}
    assert "“serious” missed" not in told
    assert "“serious” missed" in {harm.what for harm in one(failing).harms}


def declared(record: AuditRecord, **changed) -> AuditRecord:
    """The record with a declaration that nobody looks at an answer."""
    stated = {
        "key": "oversight", "statement": "Notices are sent without a person looking.",
        "owner": {"name": "Head of housing", "role": None}, "date": "2026-09-14",
        "expires": None, "evidence_ref": None,
    }  # fmt: skip
    parsed = {"declarations": [stated | changed]}
    return dataclasses.replace(record, declarations=Document("d.yaml", "", "0" * 64, parsed))


def test_what_is_decided_without_a_person_looking_stands_at_question_four(failing):
    last = one(declared(failing)).questions[3]
    assert last.declared == (
        "Notices are sent without a person looking. (Head of housing, 2026-09-14)"
    )
    text = plain(section(declared(failing)))
    assert "declared Notices are sent without a person looking." in text
    late = one(declared(failing, expires="2026-10-01")).questions[3].declared
    assert late.endswith("(Head of housing, 2026-09-14, out of date)")
    assert one(failing).questions[3].declared == ""
    assert one(declared(failing, key="data-collection")).questions[3].declared == ""


def test_one_picture_has_the_groups_served_worst_with_their_limits(failing):
    order = ordered(failing)
    (picture,) = worst_served(group_results(order), order)
    first = order.telling.named("household", "accessible")
    assert first in picture.groups
    assert len(picture.groups) == 1
    record = with_failures(failing)
    (more,) = worst_served(group_results(ordered(record)), ordered(record))
    assert len(more.groups) == 4
    assert more.more_groups
    assert all(panel.limit is not None for panel in picture.panels)
    styles = {row.style for panel in picture.panels for row in panel.rows if row}
    assert "fail" in styles
    assert section(failing).count("<svg") == 1


def test_no_picture_is_drawn_where_no_group_is_shown_to_be_served_worse(clean):
    nobody = tuple(dataclasses.replace(f, verdict=None, leaning=None) for f in clean.findings)
    order = ordered(dataclasses.replace(clean, findings=nobody))
    assert worst_served(group_results(order), order) == ()


def longest(record: AuditRecord) -> AuditRecord:
    """The record with texts far longer than anyone writes."""
    spec = dict(record.spec.parsed)
    spec["audit"] = spec["audit"] | {"title": "A very long title of a system " * 10}
    long = "Unbrokenwordsareworstofall" * 12
    spec["consequences"] = spec["consequences"] | {
        "when_wrong": "word " * 60, "appeal": f"{long} and many words " * 20
    }  # fmt: skip
    lacking = tuple(
        dataclasses.replace(n, reason=f"{long} {n.reason} " * 20) for n in record.plan.not_run
    )
    return dataclasses.replace(
        record,
        spec=dataclasses.replace(record.spec, parsed=spec),
        plan=dataclasses.replace(record.plan, not_run=lacking),
    )


@pytest.mark.parametrize("which", ["failing", "crowded", "clean"])
@pytest.mark.parametrize("change", [lambda r: r, longest], ids=["as-is", "longest"])
def test_page_one_fits_one_page_and_is_legible(which, change, request):
    record = change(request.getfixturevalue(which))
    document = laid_out(section(record))
    assert len(document.pages) == 1
    body = next(c for c in document.pages[0]._page_box.children if c.element_tag == "html")
    sizes = {
        box.style["font_size"] * 0.75
        for box in body.descendants()
        if getattr(box, "text", "").strip()
    }
    assert sizes
    assert min(sizes) >= SMALLEST - 0.01
