"""All files from a record alone, the same bytes each time, none half written."""

import csv
import io

import pytest

from auditor.errors import SpecError
from auditor.judging.judged_record import from_json
from auditor.record.files import to_json
from auditor.rendering import render
from auditor.reports.csv_tables import findings_csv
from auditor.reports.ordering import ordered
from auditor.stats import interval, value

QUICK = ("html", "card", "csv", "junit", "sarif", "figures")


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def rendered(failing, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered")
    return folder, render(failing, folder, formats=QUICK)


def test_what_is_returned_is_what_was_written(rendered):
    folder, paths = rendered
    assert {p.relative_to(folder) for p in paths} == set(contents(folder))
    names = {p.name for p in paths}
    texts = {"MODEL_CARD.md", "findings.csv", "junit.xml", "findings.sarif"}
    assert {"report.html", *texts} <= names
    assert not [name for name in names if name.startswith(".")]


def test_the_same_record_read_back_gives_the_same_bytes(failing, rendered, tmp_path):
    render(from_json(to_json(failing)), tmp_path, formats=QUICK)
    assert contents(tmp_path) == contents(rendered[0])


def test_one_format_writes_one_file(failing, tmp_path):
    assert render(failing, tmp_path, formats=["card"]) == (tmp_path / "MODEL_CARD.md",)
    assert set(contents(tmp_path)) == {(tmp_path / "MODEL_CARD.md").relative_to(tmp_path)}


def test_an_unknown_format_is_an_error_that_lists_the_known_ones(failing, tmp_path):
    with pytest.raises(
        SpecError, match=r"'docx'\. Expected any of html, pdf, card, csv, junit, sarif, figures"
    ):
        render(failing, tmp_path, formats=["docx"])


def test_a_table_that_the_record_holds_in_part_is_not_overwritten(failing, tmp_path):
    whole = tmp_path / "tables" / "data-leakage-pairs.csv"
    whole.parent.mkdir()
    whole.write_text("all 1,500 rows")
    render(failing, tmp_path, formats=["csv"])
    assert whole.read_text() == "all 1,500 rows"


def test_findings_csv_has_every_finding_with_the_records_numbers(failing):
    rows = list(csv.DictReader(io.StringIO(findings_csv(failing))))
    order = ordered(failing)
    assert [row["id"] for row in rows] == [f.id for f in order.reading]
    assert {f.id for f in order.reading} == {f.id for f in failing.findings}
    for row, finding in zip(rows, order.reading, strict=True):
        measure = failing.measure(finding)
        if measure is None:
            assert row["value"] == ""
            continue
        ends = interval(measure.estimate)
        for name, number in (("value", value(measure.estimate)), ("low", ends.low)):
            assert row[name] == "" or float(row[name]) == number


def test_a_spreadsheet_finds_no_formula(failing, housing):
    text = findings_csv(failing)
    assert any(name.startswith("=") for name in housing.BUILDINGS)
    for row in csv.reader(io.StringIO(text)):
        for cell in row:
            assert not cell.startswith(("=", "+", "@")), cell
            if cell.startswith("-"):
                float(cell)
