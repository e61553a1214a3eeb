"""Two samples drawn independently: a rate of one against the same rate of the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.findings import Better, Measure, RowKind, Side, Subject, Unmeasured
from auditor.scoring.comparison import count_units, too_few
from auditor.scoring.rows import Rows
from auditor.stats import rate, two_sample_difference


@dataclass(frozen=True)
class Sample:
    """A success of each row, (n,) bool, and the code of its unit, (n,), None for rows alone."""

    success: np.ndarray
    unit: np.ndarray | None
    of: RowKind = "image"

    @classmethod
    def right(cls, rows: Rows) -> Sample:
        """Whether each row of known truth is answered rightly."""
        rows = rows.with_truth
        return cls(rows.right, rows.unit_codes, rows.of)

    def __len__(self) -> int:
        return len(self.success)

    @property
    def n_units(self) -> int:
        return count_units(np.ones(len(self), dtype=bool), self.unit)


def two_samples(
    name: str,
    subject: Subject,
    *,
    here: Sample,
    there: Sample,
    named: tuple[str, str],
    better: Better,
    counted: Sample,
    examples: tuple[str, ...] = (),
) -> Measure | Unmeasured:
    """The rate of one sample minus that of the other; `named` says what each is in a reason.

    `counted` is the sample whose rows and units the measure counts.
    """
    clustered = here.unit is not None or there.unit is not None
    sizes = {said: sample.n_units for said, sample in zip(named, (here, there), strict=True)}
    few = too_few(name, subject, sides=sizes, noun="units" if clustered else "images")
    if few is not None:
        return few
    units = [_units(sample, clustered=clustered) for sample in (here, there)]
    return Measure(
        name=name,
        subject=subject,
        estimate=two_sample_difference(
            here.success, there.success, unit_a=units[0], unit_b=units[1]
        ),
        scale="difference",
        neutral=0.0,
        better=better,
        n=len(counted),
        n_units=None if counted.unit is None else counted.n_units,
        sides=(_side(here, units[0]), _side(there, units[1])),
        examples=examples,
        of=counted.of,
    )


def _units(sample: Sample, *, clustered: bool) -> np.ndarray | None:
    """Units of a sample; each row is its own where only the other sample names units."""
    return np.arange(len(sample)) if clustered and sample.unit is None else sample.unit


def _side(sample: Sample, unit: np.ndarray | None) -> Side:
    return Side(rate(sample.success, unit=unit), len(sample))
