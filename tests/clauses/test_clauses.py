"""The clause table: what it names exists, every clause has a status, nothing missing is blank."""

from datetime import date
from fnmatch import fnmatchcase

import pytest

from auditor.clauses.coverage import AtHand, clause_rows, clause_table, not_tested, still_missing
from auditor.clauses.table import parse_clauses, shipped_clauses, shipped_standards
from auditor.clauses.telling import coverage_lines, table_lines
from auditor.contract import check_classes
from auditor.errors import SpecError
from auditor.findings import EvidenceStatus
from auditor.judging.policy_file import BUILT_IN, load_policy, parse_policy
from auditor.spec import Document

TODAY = date(2026, 11, 29)
ARTICLES = ("art-9-", "art-10-", "art-4a", "art-11", "art-12", "art-13-", "art-14", "art-15-",
            "art-17", "art-26", "art-27", "art-43", "art-72")  # fmt: skip
ANNEX_IV = [f"{n}-{c}" for n, s in ((1, "abcdefgh"), (2, "abcdefgh")) for c in s] + list("3456789")


def stated(key, **changes):
    said = {"key": key, "statement": "It is so.", "owner": {"name": "A. Person", "role": "head"},
            "date": "2026-09-01"}  # fmt: skip
    return said | changes


def at_hand(*declarations, measured=(), planned=(), spec=None, policy=None):
    document = Document("declarations.yaml", "", "", {"declarations": list(declarations)})
    return AtHand(
        frozenset(measured), spec or {}, policy or {}, document, TODAY, frozenset(planned)
    )


def row_of(found, identifier):
    table = clause_table(found)
    return next(r for one in table.instruments for r in one.rows if r.id == identifier)


def statuses(row):
    return {part.status: part for part in row.parts}


def test_every_clause_that_was_asked_for_is_there():
    ids = {clause.id for clause in shipped_clauses().clauses}
    for article in ARTICLES:
        assert any(name.startswith(f"ai-act/{article}") for name in ids), article
    assert {f"ai-act/annex-iv-{point}" for point in ANNEX_IV} <= ids
    assert sum(name.startswith("nist-ai-rmf/measure-") for name in ids) >= 13
    assert any(name.startswith("iso-iec-42001/") for name in ids)


@pytest.mark.parametrize("clause", shipped_clauses().clauses, ids=lambda clause: clause.id)
def test_every_check_that_a_clause_names_exists(clause):
    for pattern in (*clause.measured_by, *clause.derived_by):
        check = pattern.partition(":")[0]
        known = [name for name in check_classes() if fnmatchcase(name, check)]
        assert known, pattern
        measure = pattern.partition(":")[2]
        names = {name for each in known for name in check_classes()[each].words}
        assert not measure or any(fnmatchcase(name, measure) for name in names), pattern


def test_the_dates_are_those_of_the_amended_law():
    act = next(one for one in shipped_clauses().instruments if one.id == "ai-act")
    assert act.applies_from == {"annex_iii": "2027-12-02", "annex_i": "2028-08-02"}
    assert act.text_version == "02024R1689-20260727"


def test_standards_are_data_and_no_draft_has_clause_numbers():
    for standard in shipped_standards().standards:
        assert "clause" not in standard.about.lower()
    assert {s.id for s in shipped_standards().standards} >= {"prEN 18281", "EN 18286:2026"}


def test_without_declarations_everything_that_a_person_must_state_is_missing():
    rows = clause_rows(shipped_clauses(), at_hand())
    asked = [clause for clause in shipped_clauses().clauses if clause.declared_by]
    for clause in asked:
        row = next(r for r in rows if r.id == clause.id)
        assert statuses(row)[EvidenceStatus.MISSING].names == clause.declared_by
    assert all(row.parts and all(p.names or p.text for p in row.parts) for row in rows)
    wanted = {one.key for one in shipped_clauses().declarations}
    assert set(still_missing(clause_table(at_hand()))) == wanted


def test_a_declaration_stands_with_its_owner_and_an_old_one_is_missing():
    good = row_of(at_hand(stated("oversight")), "ai-act/art-14")
    assert statuses(good)[EvidenceStatus.DECLARED].text == "head, 2026-09-01"
    old = stated("oversight", expires="2026-10-01")
    late = statuses(row_of(at_hand(old), "ai-act/art-14"))
    assert EvidenceStatus.DECLARED not in late
    assert late[EvidenceStatus.MISSING].text == (
        "oversight was declared until 2026-10-01 and is out of date"
    )


def test_what_the_spec_or_the_approval_of_a_policy_states_counts_and_says_so():
    spec = {"audit": {"system": {"intended_use": "Sorting photos"}}}
    found = statuses(row_of(at_hand(spec=spec), "ai-act/art-9-6"))
    assert "without owner and date" in found[EvidenceStatus.DECLARED].text
    approved = {"approved": {"by": "Audit board", "on": "2026-10-01"}}
    found = statuses(row_of(at_hand(policy=approved), "ai-act/art-9-8"))
    assert found[EvidenceStatus.DECLARED].text == (
        "the policy, approved by Audit board on 2026-10-01"
    )


def test_measured_derived_and_not_tested_are_told_apart():
    found = at_hand(measured=("performance/consequences:expected-cost", "bias/subgroup-gap:recall"))
    row = statuses(row_of(found, "ai-act/art-27"))
    assert row[EvidenceStatus.MEASURED].names == ("bias/subgroup-gap",)
    assert row[EvidenceStatus.DERIVED].names == ("performance/consequences",)
    assert row[EvidenceStatus.NOT_TESTED].names == ("bias/error-rates", "bias/harm")


def test_before_a_run_nothing_is_measured_and_what_is_planned_is_said():
    found = at_hand(planned=("performance/calibration",))
    row = statuses(row_of(found, "ai-act/art-14"))
    assert EvidenceStatus.MEASURED not in row
    lacking = [p for p in row_of(found, "ai-act/art-14").parts if p.status == "NOT_TESTED"]
    assert [(p.names, bool(p.text)) for p in lacking] == [
        (("performance/calibration",), True),
        (("performance/abstention",), False),
    ]
    assert "performance/calibration" not in not_tested(clause_table(found))


def test_a_clause_that_does_not_apply_is_declared_with_reason_and_owner():
    outside = stated("not-applicable:ai-act/art-27", statement="A private company.")
    (part,) = row_of(at_hand(outside), "ai-act/art-27").parts
    assert part.status == EvidenceStatus.NOT_APPLICABLE
    assert part.text == "A. Person (head) on 2026-09-01: A private company."


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("declared_by: [oversight]", "declared_by: [oversite]", "asks for 'oversite'"),
        ("verified_from: framework", "verified_from: hearsay", "names the source 'hearsay'"),
        ("id: ai-act/art-12\n", "id: ai-act/art-14\n", "stands twice"),
        ("id: ai-act/art-12\n", "id: acts/art-12\n", "is of no instrument"),
        ("coverage: supports", "coverage: satisfied", "expected one of supports"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(old, new, said):
    from importlib import resources

    text = (resources.files("auditor") / "clauses" / "clauses.yaml").read_text(encoding="utf-8")
    with pytest.raises(SpecError, match=said):
        parse_clauses(text.replace(old, new))


def test_every_limit_of_a_built_in_policy_cites_clauses_that_exist():
    known = {clause.id for clause in shipped_clauses().clauses}
    for name in BUILT_IN:
        for limit in load_policy(name).policy.limits:
            assert limit.clauses, limit.id
            assert known.issuperset(limit.clauses)


def test_a_limit_cites_nothing_that_its_measure_does_not_serve():
    """Where a cited clause names what measures it, the limit's check is one that does."""
    loose = {"performance", "bias", "shift", "shortcut", "deployment", "data", "model"}
    clauses = {clause.id: clause for clause in shipped_clauses().clauses}
    for limit in load_policy("default").policy.limits:
        check = limit.measure.partition(":")[0]
        patterns = [p for c in limit.clauses for p in clauses[c].measured_by]
        family = check.partition("/")[0]
        assert family in loose
        assert any(p.partition("/")[0] == family for p in patterns), limit.id


def test_a_limit_that_names_a_clause_that_is_none_is_told_with_its_line():
    text = """
schema: auditor/policy/v1
id: mine
version: "1"
owner: {name: A. Person}
limits:
  - id: gap
    measure: bias/subgroup-gap:accuracy
    at_least: -0.05
    why: a reason
    clauses: [ai-act/art-15-1, our-handbook/4, ai-act/art-15-9]
"""
    with pytest.raises(SpecError, match=r"policy\.yaml:11.*no clause 'ai-act/art-15-9'.*Did you"):
        parse_policy(text, name="policy.yaml")
    good = parse_policy(text.replace("15-9", "15-4"), name="policy.yaml")
    assert good.policy.limits[0].clauses[1] == "our-handbook/4"


def test_the_lines_for_a_terminal_say_what_is_missing_and_never_that_a_duty_is_met():
    lines = "\n".join(coverage_lines(clause_table(at_hand(planned=("performance/overall",)))))
    assert "Still missing:" in lines
    assert "oversight: who watches it, how they can stop it" in lines
    assert "no line says that a duty is met" in lines
    alone = "\n".join(table_lines())
    for clause in shipped_clauses().clauses:
        assert clause.id in alone
        assert clause.paraphrase in alone
