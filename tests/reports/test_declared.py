import dataclasses

from auditor.findings import EvidenceStatus
from auditor.reports.annex import declared
from auditor.spec.declarations import read_declarations

TEXT = """
declarations:
  - {key: monitoring, statement: Counted every month., owner: {name: A, role: clerk},
     date: 2026-10-01, expires: 2026-10-31}
  - {key: oversight, statement: A clerk looks., owner: {name: B}, date: 2026-10-01,
     evidence_ref: "Duty rota, sheet 3."}
"""


def test_declarations_are_printed_with_owner_and_date_and_whether_they_are_out_of_date(
    clean, tmp_path
):
    path = tmp_path / "declarations.yaml"
    path.write_text(TEXT)
    started = dataclasses.replace(clean.provenance, started="2026-11-23T10:00:00+00:00")
    stated = dataclasses.replace(clean, provenance=started, declarations=read_declarations(path))
    entries = {entry.name: entry for entry in declared(stated)}
    assert entries["monitoring"].status is EvidenceStatus.DECLARED
    assert "Counted every month. Stated by A, clerk on 2026-10-01" in entries["monitoring"].text
    assert entries["monitoring"].text.endswith("Out of date when this audit ran.")
    assert entries["oversight"].text == (
        "A clerk looks. Stated by B on 2026-10-01. Evidence: Duty rota, sheet 3."
    )
