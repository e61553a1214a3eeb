"""JUnit, SARIF and CSV: what other tools read of a record, with nothing passed in silence."""

import csv
import dataclasses
import io
import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from auditor.findings import Verdict
from auditor.record.files import record_digest
from auditor.record.tables import csv_text
from auditor.rendering import render
from auditor.reports.csv_tables import findings_csv
from auditor.reports.junit import cases, junit_xml
from auditor.reports.ordering import ordered
from auditor.reports.reasons import remedy
from auditor.reports.sarif import sarif_json


@pytest.fixture(scope="module")
def suites(failing):
    return ElementTree.fromstring(junit_xml(failing))


@pytest.fixture(scope="module")
def run(failing):
    (one,) = json.loads(sarif_json(failing))["runs"]
    return one


def outcome(case) -> str:
    found = [child.tag for child in case]
    assert len(found) <= 1
    return found[0] if found else "passed"


def test_nothing_undecided_not_run_or_failed_counts_as_passed(failing, suites):
    passed = [c for c in suites.iter("testcase") if outcome(c) == "passed"]
    met = [f for f in failing.findings if f.verdict is Verdict.PASS]
    assert len(passed) == len(met) > 0
    verdicts = {f.verdict for f in failing.findings if f.verdict is not None}
    assert {Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_RUN} <= verdicts
    judged = [f for f in failing.findings if f.verdict is not None]
    bare = [r for r in failing.limit_results if not r.findings and r.verdict is not Verdict.PASS]
    assert bare
    assert len(list(suites.iter("testcase"))) == len(judged) + len(bare) + 1


def test_counts_add_up_and_suites_have_what_readers_ask_for(suites):
    assert suites.tag == "testsuites"
    for element in (suites, *suites.iter("testsuite")):
        found = [outcome(case) for case in element.iter("testcase")]
        assert int(element.get("tests")) == len(found)
        assert int(element.get("failures")) == found.count("failure")
        if element is not suites:
            assert int(element.get("skipped")) == found.count("skipped")
        assert element.get("errors") == "0"
    for case in suites.iter("testcase"):
        assert case.get("classname").startswith("auditor.")
        assert case.get("name")
        for child in case:
            assert child.get("message")
    names = [s.get("name") for s in suites.iter("testsuite")]
    assert len(names) == len(set(names))


JENKINS = {
    "testsuites": "name time tests failures disabled errors",
    "testsuite": "name tests failures errors group time skipped timestamp hostname id package",
    "properties": "",
    "property": "name value",
    "testcase": "name time classname group",
    "failure": "message type",
    "skipped": "message type",
}
"""What junit-10.xsd of Jenkins' xunit plugin knows of an element (and of others we do not use)."""


def test_elements_have_the_attributes_of_the_schema_that_jenkins_reads_by(suites):
    for element in suites.iter():
        assert element.attrib.keys() <= set(JENKINS[element.tag].split()), element.tag
        assert all(element.attrib.values())


def test_a_waived_failure_and_one_that_the_policy_does_not_insist_on_are_skipped(failing):
    found = {case.name.partition(": ")[0]: case for case in cases(failing)}
    waived = next(f for f in failing.findings if f.waived_by)
    assert found[waived.limit].outcome == "skipped"
    assert "waived" in found[waived.limit].word
    free = {str(r.limit["id"]) for r in failing.limit_results if not r.limit["required"]}
    free &= {f.limit for f in failing.findings if f.verdict is Verdict.INCONCLUSIVE}
    assert free
    assert all(found[limit].outcome != "failure" for limit in free)


def test_the_last_case_is_the_audits_verdict(failing, clean):
    *_, last = cases(failing)
    assert (last.suite, last.outcome) == ("audit", "failure")
    met = dataclasses.replace(clean, verdict=Verdict.PASS)
    *_, last = cases(met)
    assert last.outcome == "passed"
    *_, last = cases(dataclasses.replace(met, altered=True))
    assert last.outcome == "failure"
    assert "changed after it had been written" in last.text
    *_, last = cases(dataclasses.replace(clean, verdict=Verdict.INCONCLUSIVE))
    assert last.outcome == "failure"


def test_digests_are_properties(failing, suites):
    stated = {p.get("name"): p.get("value") for p in suites.iter("property")}
    assert stated["record.sha256"] == record_digest(failing)
    assert stated["policy.sha256"] == failing.policy.digest
    assert stated["model.sha256"] == "1" * 64


def test_sarif_has_every_judged_finding_of_its_kind(failing, run):
    kinds = {r["properties"].get("finding"): (r["kind"], r["level"]) for r in run["results"]}
    for finding in failing.findings:
        if finding.verdict is None:
            assert finding.id not in kinds
        elif finding.verdict is Verdict.FAIL:
            level = {"blocking": "error", "advisory": "warning"}[finding.severity]
            assert kinds[finding.id] == ("fail", level)
        else:
            kind = "pass" if finding.verdict is Verdict.PASS else "open"
            assert kinds[finding.id] == (kind, "none")
    assert any(not r["properties"].get("finding") for r in run["results"])


def test_sarif_rules_have_help_and_are_pointed_at(run):
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted({r["ruleId"] for r in run["results"]})
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
    documented = [rule for rule in rules if "markdown" in rule["help"]]
    assert documented
    assert all("**How it can mislead**" in rule["help"]["markdown"] for rule in documented)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_sarif_results_lie_where_the_limit_is_stated(failing, run):
    lines = failing.policy.text.splitlines()
    for result in run["results"]:
        place = result["locations"][0]["physicalLocation"]
        limit = result["properties"]["limit"]
        if place["artifactLocation"]["uri"] == "default.yaml" and place["region"]["startLine"] > 1:
            assert limit.split(":")[-1] in lines[place["region"]["startLine"] - 1]
    prints = [r["partialFingerprints"]["auditorFinding/v1"] for r in run["results"]]
    assert len(prints) == len(set(prints))


def test_waivers_are_suppressions(failing, run):
    waived = {f.id: f.waived_by for f in failing.findings if f.waived_by}
    assert waived
    for result in run["results"]:
        expected = waived.get(result["properties"].get("finding"))
        assert bool(result["suppressions"]) == bool(expected)
        for each in result["suppressions"]:
            assert (each["kind"], each["status"]) == ("external", "accepted")
            assert (
                f"Waiver {expected}: being mended. Done meanwhile: a clerk looks"
                in each["justification"]
            )


def test_an_expired_waiver_is_told_in_junit_and_sarif(failing, suites, run):
    (told,) = (w for w in failing.warnings if "W-2" in w)
    assert "expired on 2026-02-01" in told
    assert told in ElementTree.tostring(suites, "unicode").replace("&quot;", '"')
    notes = [n["message"]["text"] for n in run["invocations"][0]["toolExecutionNotifications"]]
    assert told in notes


def test_no_image_is_named_in_sarif_or_junit(failing):
    assert any(m.examples for _, m in failing.measures())
    for text in (sarif_json(failing), junit_xml(failing)):
        assert ".png" not in text


def test_sarif_fits_its_schema(failing):
    place = os.environ.get("AUDITOR_SARIF_SCHEMA")
    if not place:
        pytest.skip("set AUDITOR_SARIF_SCHEMA to sarif-schema-2.1.0.json of OASIS")
    import jsonschema

    schema = json.loads(Path(place).read_text())
    jsonschema.validators.validator_for(schema)(schema).validate(json.loads(sarif_json(failing)))


def test_a_finding_has_one_remedy_in_every_export(failing, run):
    order = ordered(failing)
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(findings_csv(failing)))}
    told = {r["properties"].get("finding"): r["message"]["text"] for r in run["results"]}
    texts = {case.name.rpartition("[")[2]: case.text for case in cases(failing)}
    for finding in order.findings:
        said = remedy(finding, order)
        assert rows[finding.id]["remedy"].removeprefix("'") == said
        if finding.verdict not in (None, Verdict.PASS):
            assert said in told[finding.id]
            assert said in texts[f"{finding.id}]"]


def test_csv_has_a_mark_for_excel_verdicts_apart_and_its_records_digest(failing, tmp_path):
    render(failing, tmp_path, formats=["csv"])
    data = (tmp_path / "findings.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    assert {row["record sha256"] for row in rows} == {record_digest(failing)}
    kinds = [row["kind"] for row in rows]
    first = kinds.index("fact")
    assert set(kinds[:first]) == {"verdict"}
    assert set(kinds[first:]) == {"fact"}
    assert all((row["kind"] == "fact") == (row["verdict"] == "") for row in rows)


def test_csv_says_what_was_counted(failing):
    rows = list(csv.DictReader(io.StringIO(findings_csv(failing).removeprefix("\ufeff"))))
    assert {row["counted"] for row in rows} == {"", "images", "timed runs"}
    assert all((row["n"] == "") == (row["counted"] == "") for row in rows)


def test_clauses_of_a_limit_reach_every_export(failing):
    clauses = ("ai-act/art-15-1", "nist-ai-rmf/measure-2.11")
    judged = next(f for f in failing.findings if f.verdict is Verdict.FAIL)
    findings = tuple(
        dataclasses.replace(f, clauses=clauses) if f is judged else f for f in failing.findings
    )
    record = dataclasses.replace(failing, findings=findings)
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(findings_csv(record)))}
    assert rows[judged.id]["clauses"] == "; ".join(clauses)
    (one,) = json.loads(sarif_json(record))["runs"]
    (result,) = (r for r in one["results"] if r["properties"].get("finding") == judged.id)
    assert result["properties"]["clauses"] == list(clauses)


def test_where_a_limit_cites_no_clause_those_of_the_table_that_its_check_serves_are_listed(failing):
    bare = tuple(dataclasses.replace(f, clauses=()) for f in failing.findings)
    record = dataclasses.replace(failing, findings=bare)
    rows = list(csv.DictReader(io.StringIO(findings_csv(record))))
    gaps = {row["clauses"] for row in rows if row["id"].startswith("bias/subgroup-gap")}
    assert len(gaps) == 1
    listed = gaps.pop().split("; ")
    assert {"ai-act/art-10-2-f", "nist-ai-rmf/measure-2-11"} <= set(listed)
    assert "ai-act/art-15-4" not in listed
    without = dataclasses.replace(record, clauses=None)
    rows = list(csv.DictReader(io.StringIO(findings_csv(without))))
    assert {row["clauses"] for row in rows} == {""}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_begins_as_a_formula_does(start):
    (_, (cell, number)) = csv.reader(io.StringIO(csv_text(["a", "b"], [(f"{start}1+1", -0.5)])))
    assert cell == f"'{start}1+1".replace("\r", "\n")
    assert float(number) == -0.5


def test_exports_are_the_same_bytes_each_time(failing):
    for text in (junit_xml, sarif_json, findings_csv):
        assert text(failing) == text(failing)


def test_control_characters_and_markup_do_not_break_xml(failing):
    spec = dataclasses.replace(
        failing.spec, parsed={**failing.spec.parsed, "audit": {"title": 'A\x00<b>&"\n'}}
    )
    record = dataclasses.replace(failing, spec=spec)
    assert ElementTree.fromstring(junit_xml(record)).get("name") == 'A\ufffd<b>&"'
