"""Which ways to choose the ranges of an INT8 form were tried, and how far off each one's is."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.contract import Evidence
from auditor.findings import Column, Measure, Result, Subject, Table, Unmeasured
from auditor.models.contained import int8_notes
from auditor.models.form_facts import QuantizationNotes
from auditor.spec import INT8
from auditor.stats import Exact

_OTHER_TAKEN = "Nothing to do: the other calibrator's form was taken."


def calibrators(evidence: Evidence) -> Iterator[Result]:
    """Every calibrator that was tried, and which one's form was kept."""
    notes = int8_notes(evidence.model_path(INT8))
    split = "train" if evidence.spec.data.train is not None else "test"
    for tried in notes.calibrators:
        subject = Subject.of(split=split, variant=INT8, calibrator=tried.name)
        if tried.noise is None:
            yield Unmeasured("calibrator-noise", subject, tried.failed, _OTHER_TAKEN)
            continue
        yield Measure(
            name="calibrator-noise",
            subject=subject,
            estimate=Exact(tried.noise),
            scale="ratio",
            better="lower",
            n=notes.held_out,
            facts={"used": "used" if tried.chosen else "not used", "share": tried.noise},
        )
    if notes.calibrators:
        yield _calibrator_table(notes)


def _calibrator_table(notes: QuantizationNotes) -> Table:
    counts = ("calibrator", "images for ranges", "images held out")
    return Table(
        id="deployment/quantization:calibrators",
        title="Ways to choose the ranges of the INT8 form: the one of the least distance is used",
        columns=(*map(Column, counts), Column("distance of outputs", "share"), Column("used")),
        rows=tuple(
            (tried.name, notes.calibrated, notes.held_out, tried.noise, tried.chosen)
            for tried in notes.calibrators
        ),
    )
