"""Two samples drawn independently: a rate of one against the same rate of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.comparing.two_sides import TwoSides
from auditor.findings import Better, Measure, Measured, RowKind, Side, Subject, Unmeasured
from auditor.scoring.comparison import count_units, too_few
from auditor.scoring.quantities import Quantity
from auditor.scoring.rows import Rows
from auditor.stats import Normal, mean, rate, two_sample_difference


@dataclass(frozen=True)
class Sample:
    """A success of each row, (n,) bool, and the code of its unit, (n,), None for rows alone."""

    success: np.ndarray
    unit: np.ndarray | None
    of: RowKind = "image"

    @classmethod
    def right(cls, rows: Rows, *, among: np.ndarray | None = None) -> Sample:
        """Whether each row of known truth, under the mask `among` (n,), is answered rightly."""
        rows = rows.with_truth if among is None else rows
        right, unit = rows.right, rows.unit_codes
        if among is None:
            return cls(right, unit, rows.of)
        return cls(right[among], None if unit is None else unit[among], rows.of)

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


def two_set_values(
    name: str,
    subject: Subject,
    *,
    values: tuple[Quantity, Quantity],
    rows: Sequence[Rows],
) -> Measured:
    """What one set of images has minus what the other has; each over the rows of its own images.

    The measure counts the images of the second.
    """
    counts = [count_units(np.ones(len(r), dtype=bool), r.unit_codes) for r in rows]
    few = too_few(name, subject, sides={r.split: n for r, n in zip(rows, counts, strict=True)})
    if few is not None:
        return few
    means = [
        mean(q.values, unit=r.unit_codes, span=q.span) for q, r in zip(values, rows, strict=True)
    ]
    there = rows[1]
    return Measure(
        name=name,
        subject=subject,
        estimate=TwoSides(means[0], means[1], covariance=0.0, units=sum(counts)).difference(),
        scale="difference",
        neutral=0.0,
        better="lower",
        n=len(there),
        n_units=None if there.unit_codes is None else counts[1],
        sides=_sides_of(means, rows),
    )


def _sides_of(means: Sequence[Normal], rows: Sequence[Rows]) -> tuple[Side, Side]:
    here, there = (Side(m, len(r)) for m, r in zip(means, rows, strict=True))
    return here, there


def _units(sample: Sample, *, clustered: bool) -> np.ndarray | None:
    """Units of a sample; each row is its own where only the other sample names units."""
    return np.arange(len(sample)) if clustered and sample.unit is None else sample.unit


def _side(sample: Sample, unit: np.ndarray | None) -> Side:
    return Side(rate(sample.success, unit=unit), len(sample))
