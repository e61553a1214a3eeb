"""One list of what people are asked to state, for spec, report, card and clauses alike."""

import dataclasses
import datetime

import pytest
import yaml

from auditor.clauses.coverage import AtHand, clause_table, still_missing
from auditor.clauses.table import shipped_clauses
from auditor.errors import SpecError
from auditor.findings import EvidenceStatus
from auditor.spec.declarations import read_declarations
from auditor.spec.spec_file import read_spec
from auditor.spec.statement_keys import STATEMENTS, known_key, misspelt
from auditor.spec.statements import statements

DAY = datetime.date(2026, 11, 22)
SPEC = """
audit: {title: Rooms, system: SYSTEM}
model: {path: m.onnx, classes: [a, b], input: {size: [8, 8]}}
data: {test: {manifest: t.csv, images: .}}
"""


def declared(folder, *listed):
    path = folder / "declarations.yaml"
    path.write_text(yaml.safe_dump({"declarations": list(listed)}))
    return read_declarations(path)


def one(key, statement="Said.", date="2026-01-01", expires=None):
    return {"key": key, "statement": statement, "date": date, "expires": expires,
            "owner": {"name": "A. Person", "role": "clerk"}}  # fmt: skip


def found(system=None, declarations=None, **more):
    spec = {"audit": {"title": "T", "system": system or {}}, **more}
    return {s.key: s for s in statements(spec, declarations, as_of=DAY)}


@pytest.mark.parametrize("name", ["purpose", "intended_use", "intended-use", "intended use"])
def test_whatever_name_the_spec_has_for_it_it_is_the_same_statement(name):
    said = found({name: "Grades photos."})["intended-use"]
    assert (said.text, said.status) == ("Grades photos.", EvidenceStatus.DECLARED)
    assert said.said == "Grades photos."


def test_each_example_states_what_its_report_would_else_call_missing():
    said = found({"purpose": "p", "developer": "d", "version": "1", "intended_users": "u",
                  "out_of_scope": "o"})  # fmt: skip
    for key in ("intended-use", "developer", "system-version", "intended-users", "out-of-scope"):
        assert said[key].status is EvidenceStatus.DECLARED
    missing = {k for k, s in said.items() if s.status is EvidenceStatus.MISSING}
    assert missing == {s.key for s in STATEMENTS if s.wanted} - {
        "intended-use", "developer", "system-version", "intended-users", "out-of-scope"
    }  # fmt: skip
    assert all(not said[key].text for key in missing)


def test_a_declaration_that_holds_comes_before_the_spec_and_an_old_one_after_it(tmp_path):
    spec = {"purpose": "As the spec has it."}
    holds = declared(tmp_path, one("intended_use", "As declared.", expires="2027-01-01"))
    said = found(spec, holds)["intended-use"]
    assert said.said == (
        "As declared. Stated by A. Person, clerk on 2026-01-01, valid until 2027-01-01."
    )
    old = declared(tmp_path, one("purpose", "Long ago.", expires="2026-02-01"))
    assert found(spec, old)["intended-use"].text == "As the spec has it."
    late = found({}, old)["intended-use"]
    assert late.expired
    assert late.said.endswith("Out of date when this audit ran.")
    newer = declared(tmp_path, one("purpose", "First."), one("purpose", "Second.", "2026-03-01"))
    assert found({}, newer)["intended-use"].text == "Second."


def test_statements_of_ones_own_are_kept(tmp_path):
    said = found({"department": "Housing"}, declared(tmp_path, one("survey", "By scanner.")))
    assert said["department"].text == "Housing"
    assert said["survey"].text == "By scanner."
    wrong = found(consequences={"borne_by": {"b": "x", "nothing": "y"}, "adverse": ["b"]})
    assert wrong["affected-groups"].text == "wrong “b”: x; what is missed: y"
    assert wrong["adverse"].text == "b"


def test_a_misspelt_key_is_an_error_with_its_line_and_the_right_one(tmp_path):
    path = tmp_path / "audit.yaml"
    path.write_text(SPEC.replace("SYSTEM", "{intened_use: x}"))
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    assert str(caught.value) == (
        "audit.yaml:2: audit.system.intened_use: found 'intened_use', which nobody asks for. Did "
        "you mean 'intended_use'? Write that; a key of your own needs a name less like it."
    )
    path.write_text(SPEC.replace("SYSTEM", "{purpose: x, department: y, risk_owner: z}"))
    assert read_spec(path).spec.audit.system["department"] == "y"


def test_every_name_is_of_one_key_alone():
    names = [n for s in STATEMENTS for n in (s.key, *s.also)]
    assert len(names) == len(set(names))
    assert all(not misspelt(n.replace("-", "_")) for n in names if not known_key(n).place)
    # What stands elsewhere in the spec is no statement of audit.system.
    assert misspelt("monitorring") == "monitoring"


def test_clauses_take_a_statement_from_wherever_it_may_stand(tmp_path):
    wanted = {w.key for w in shipped_clauses().declarations}
    shared = [s for s in STATEMENTS if s.key in wanted]
    assert len(shared) >= 10
    bare = AtHand(frozenset(), {"audit": {"title": "T"}}, {}, None, DAY)
    assert {s.key for s in shared} <= still_missing(clause_table(bare)).keys()
    for each in shared:
        for name in (each.key, *each.also):
            stated = dataclasses.replace(bare, declarations=declared(tmp_path, one(name)))
            assert each.key not in still_missing(clause_table(stated)), name
            if not each.place:
                spec = {"audit": {"title": "T", "system": {name.replace("-", "_"): "x"}}}
                table = clause_table(dataclasses.replace(bare, spec=spec))
                assert each.key not in still_missing(table), name
