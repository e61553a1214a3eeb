"""A comparison as a reader meets it: lines on a terminal, a page, an exit code."""

import dataclasses
import html.parser

import pytest

from auditor.changes.compare import compare_records
from auditor.findings import Finding, Measure, Subject, Verdict
from auditor.judging.judged_record import make_record, policy_of, spec_of
from auditor.record import CheckResults
from auditor.record.files import write_record
from auditor.reports.changes_page import changes_html
from auditor.reports.changes_text import text_lines
from auditor.reports.changes_told import RULE, UNPAIRED, Told
from auditor.spec.spec_file import SpecFile
from auditor.stats import Rate


@pytest.fixture(scope="module")
def changes(failing, clean):
    """From the audit without faults to the one with them."""
    return compare_records(clean, failing)


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parsed(changes):
    found = Links()
    found.feed(changes_html(changes))
    assert found.open == []
    return found


def test_the_page_is_whole_and_needs_nothing_beside_it(changes):
    found = parsed(changes)
    for tag, attributes in found.tags:
        assert tag not in ("script", "img", "link")
        assert not {"src", "href", "onclick"} & attributes.keys()
    heads = [t for t, _ in found.tags if t in ("h1", "h2", "h3")]
    assert heads.count("h1") == 1
    tables = [t for t, _ in found.tags if t == "table"]
    assert len(tables) == len([t for t, _ in found.tags if t == "caption"])


def test_names_are_escaped_and_no_cell_is_blank(failing, clean, housing):
    spec = dataclasses.replace(
        failing.spec, parsed={**failing.spec.parsed, "audit": {"title": housing.HOSTILE, "seed": 7}}
    )
    changes = compare_records(clean, dataclasses.replace(failing, spec=spec))
    text = changes_html(changes)
    assert housing.HOSTILE not in text
    assert "&lt;script&gt;" in text
    assert "<td></td>" not in text
    assert "None" not in "".join(parsed(changes).text)


def test_text_and_page_say_what_regressed_and_by_which_rule(changes):
    lines, page = "\n".join(text_lines(changes)), "".join(parsed(changes).text)
    n = len(changes.regressed)
    assert n > 3
    for said in (lines, page):
        assert f"{n} findings regressed." in said
        assert RULE in said
        assert "in a store beside its record" in said
    assert UNPAIRED in page
    assert all(line.title in page for line in Told(changes).broken)


def test_the_same_record_twice_is_said_to_be_the_same(failing):
    changes = compare_records(failing, failing)
    assert Told(changes).verdict == "Both are the same record, to the byte."
    assert changes.regressed == ()
    assert Told(changes).better == Told(changes).worse == ()


def test_equal_records_give_equal_bytes(changes, failing, clean):
    assert changes_html(changes) == changes_html(compare_records(clean, failing))


def test_an_expired_waiver_is_a_caution(changes):
    assert any(
        c.startswith("Of the new audit: Waiver W-2") and "expired on 2026-02-01" in c
        for c in Told(changes).cautions
    )


def test_audits_of_two_tasks_are_told_and_compared(failing):
    other = dataclasses.replace(
        failing, model=dataclasses.replace(failing.model, task="detection", classes=("a",))
    )
    changes = compare_records(failing, other)
    said = " ".join(Told(changes).cautions)
    assert "of two tasks, classification and detection: only what both measure" in said
    assert "The models have other classes" in said
    assert changes.numbers


def test_an_order_that_may_be_turned_round_is_asked_about(failing):
    come_from = dataclasses.replace(failing.provenance, started="2020-01-01T00:00:00+00:00")
    earlier = dataclasses.replace(failing, provenance=come_from)
    said = " ".join(Told(compare_records(failing, earlier)).cautions)
    assert "The old audit is the later one of the two." in said


def test_findings_of_one_audit_alone_are_counted_not_listed(changes, failing):
    more = tuple(
        Measure("extra", Subject.of(split="test", room=str(i)), Rate(1, 20), "share", "lower", n=20)
        for i in range(40)
    )
    results = (*failing.results, CheckResults("x/y", more))
    limit = failing.limit_results[0]
    findings = tuple(
        Finding(f"x/y:extra:room={i}@test", "x/y", str(limit.limit["id"]), Verdict.PASS)
        for i in range(40)
    )
    new = dataclasses.replace(failing, results=results, findings=(*failing.findings, *findings))
    told = Told(compare_records(failing, new))
    assert any("40 only in the new audit, met." in line for line in told.one_sided)
    assert told.added == (
        "x/y: 40 (extra:room=0@test, extra:room=1@test, extra:room=2@test and 37 more)",
    )
    assert told.mended == ()


def written(record, folder):
    folder.mkdir()
    write_record(record, folder / "audit.json")
    return folder


def test_the_command_says_it_writes_it_and_exits_by_the_rule(failing, clean, tmp_path, command):
    good, bad = written(clean, tmp_path / "good"), written(failing, tmp_path / "bad")
    code, said, _ = command("compare", good, bad, "--out", tmp_path / "changes")
    assert code == 1
    assert "findings regressed." in said
    page = (tmp_path / "changes" / "changes.html").read_text()
    assert page == changes_html(compare_records(clean, failing))
    text = (tmp_path / "changes" / "changes.txt").read_text()
    assert text.strip() in said
    code, said, _ = command("compare", bad, bad)
    assert code == 0
    assert "the same record" in said


def test_what_cannot_be_read_exits_with_2_in_one_line(failing, tmp_path, command):
    bad = written(failing, tmp_path / "bad")
    (tmp_path / "half.json").write_text((bad / "audit.json").read_text()[:5000])
    for place, told in (
        (tmp_path / "none", "does not exist"),
        (tmp_path / "half.json", "is not JSON"),
    ):
        code, said, error = command("compare", bad, place, "--out", tmp_path / "changes")
        assert code == 2
        assert said == ""
        assert error.count("\n") == 1
        assert error.startswith(f"auditor: NEW ({place}): ")
        assert told in error
    assert not (tmp_path / "changes").exists()


def test_another_policy_is_told_by_its_limits(failing):
    policy = policy_of(failing)
    limits = tuple(
        limit.model_copy(update={"at_most": 0.5}) if limit.id == "calibration" else limit
        for limit in policy.policy.limits
        if limit.id != "overfitting"
    )
    other = dataclasses.replace(
        policy, policy=policy.policy.model_copy(update={"limits": limits, "waivers": ()}),
        digest="f" * 64,
    )  # fmt: skip
    spec = SpecFile(spec_of(failing), "audit.yaml", "", failing.spec.digest)
    kept = {
        name: getattr(failing, name)
        for name in ("provenance", "model", "datasets", "plan", "passes", "results", "check_texts")
    }
    new = make_record(spec=spec, policy=other, **kept)
    told = Told(compare_records(failing, new))
    assert "Limit calibration was loosened: at_most 0.05 → 0.5." in told.limits
    assert "Limit overfitting was dropped." in told.limits
    assert "Waiver W-1 was dropped." in told.limits
    assert told.broken == ()
    whys = {line.why for line in told.mended}
    assert whys <= {"The policy alone: the old numbers have the same verdict by it."}
