"""The annex on clauses, earlier runs and checking: what it holds comes from the record alone."""

import dataclasses
import re

from auditor.judging.judged_record import from_json
from auditor.record.files import to_json
from auditor.reports.clauses_section import clause_name, clauses_view
from auditor.reports.html import report_html


def page(record, **given):
    return report_html(record, pictures={}, **given)


def test_every_clause_has_a_row_with_a_status(worlds):
    record = worlds.record()
    text = page(record)
    table = text[text.index('id="clauses"') : text.index('id="verify"')]
    rows = [row for one in record.clauses.instruments for row in one.rows]
    for row in rows:
        cells = re.search(rf"<tr>(?:(?!</tr>).)*<code>{re.escape(row.id)}</code>.*?</tr>", table)
        assert cells, row.id
        assert 'class="status' in cells.group(), row.id
    assert "of 64 clauses lack a statement" in table
    assert "who watches it, how they can stop it and how they were trained" in table
    assert "None" not in table
    assert "Text version 02024R1689-20260727" in table
    assert "2 December 2027 (systems of Annex III), 2 August 2028 (systems of Annex I)" in table


def test_a_record_read_back_renders_to_the_same_bytes(worlds):
    record = worlds.record()
    assert page(from_json(to_json(record))) == page(record)


def test_a_record_of_an_older_version_renders_without_clauses(worlds):
    record = dataclasses.replace(worlds.record(), clauses=None)
    again = from_json(to_json(record))
    assert again == record
    assert clauses_view(again) is None
    assert 'id="clauses"' not in page(again)
    assert 'href="#clauses"' not in page(again)


def test_texts_of_declarations_are_escaped(worlds):
    table = worlds.record().clauses
    first = table.instruments[0]
    part = dataclasses.replace(first.rows[0].parts[0], text="<script>alert(1)</script>")
    rows = (dataclasses.replace(first.rows[0], parts=(part,)), *first.rows[1:])
    changed = dataclasses.replace(
        table, instruments=(dataclasses.replace(first, rows=rows), *table.instruments[1:])
    )
    text = page(dataclasses.replace(worlds.record(), clauses=changed))
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_a_limit_names_its_clauses_as_readers_know_them(failing):
    instrument = failing.clauses.instruments[0]
    row = instrument.rows[0]
    told = clause_name(row.id, failing)
    assert told.endswith(f", {row.title}")
    assert row.id not in told
    assert clause_name("own/rule-4", failing) == "own/rule-4"
