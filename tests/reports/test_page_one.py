"""Page one says what a dean must know, on one page, without words of statistics."""

import dataclasses
import re
from collections import defaultdict
from html.parser import HTMLParser

import pytest

from auditor.findings import Subject, Verdict
from auditor.record import AuditRecord
from auditor.reports.html import report_html
from auditor.reports.ordering import ordered
from auditor.reports.page_one import page_one
from auditor.reports.pdf import laid_out

STATISTICS = r"(?i)p-value|\bCI\b|confidence interval|\bHolm\b|significan|hypothes|standard error"
SMALLEST = 8.5
HEADLINES = (("performance/overall", "accuracy"), ("performance/baseline", "gain"))


def pictures(record):
    return defaultdict(lambda: "<svg/>")


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
    assert re.match(r"accessible \(household\): \d+% \[.+\] of \d+; all others ", first.figures)
    assert " times as often [" in first.figures
    assert first.figures.endswith("the limit is at most 1.25 times, or at most 2.5 points more")


def test_a_harm_to_a_group_is_told_once_though_two_limits_are_broken(failing):
    told = [(harm.what, harm.figures.partition(":")[0]) for harm in one(failing).harms]
    assert len(set(told)) == len(told) <= 4


def test_adverse_answers_over_everyone_are_told_with_their_images(failing, clean):
    for record in (failing, clean):
        told = {harm.what: harm.figures for harm in one(record).harms}
        assert re.match(r"\S+% \[.+\] of \d+ ", told["“serious” missed"])
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


def test_the_four_questions_point_to_findings_that_exist(failing):
    order = ordered(failing)
    page = page_one(failing, order)
    assert len(page.questions) == 4
    for question, answer in zip(page.questions, failing.answers, strict=True):
        assert bool(question.findings) == bool(answer.findings)
        decisive = (*answer.findings, *answer.undecided)
        for number in re.findall(r"\d+", question.findings.split(" and ")[0]):
            assert order.findings[int(number) - 1].id in decisive


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
    assert any("Times hold for the machine" in note for note in notes)


@pytest.mark.parametrize("which", ["failing", "clean", "crowded"])
def test_no_words_of_statistics(which, request):
    assert not re.search(STATISTICS, plain(section(request.getfixturevalue(which))))


def test_every_line_of_the_pattern_is_there(failing):
    text = plain(section(failing))
    for line in ("Who is hurt", "Four questions", "Five worst", "Before release", "Not decided",
                 "Not tested", "Decision:", "Unsigned: a change would go unnoticed. Run by:",
                 "Measured against a policy; not a legal opinion."):  # fmt: skip
        assert line in text, line


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
