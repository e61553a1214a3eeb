"""Curves over severities: what each kind of corruption costs, as a picture and in tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from auditor.comparing.by_group import measure_cells, side_cells
from auditor.comparing.chief_loss import ChiefLoss, mean_of
from auditor.contract.numbers import percent
from auditor.findings import Axis, Cell, Column, Figure, Measure, Measured, Table
from auditor.stats import bound

BROKEN = 0.05
"""Loss from which a kind is said to break the model: five points."""

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "noise": ("gaussian noise", "shot noise", "impulse noise", "low light"),
    "blur": ("defocus blur", "motion blur", "zoom blur", "low resolution"),
    "light and colour": ("fog", "brightness", "contrast", "saturate"),
    "files": ("pixelate", "jpeg", "colour depth"),
}
"""Kinds that share a picture."""


@dataclass(frozen=True)
class Curve:
    """One kind of corruption over severities: losses of the rows, and the measures of them."""

    kind: str
    losses: Mapping[int, ChiefLoss]
    measures: Mapping[int, Measured]

    @cached_property
    def mean(self) -> np.ndarray:
        """What each row loses on average over the severities, (n,)."""
        return mean_of(list(self.losses.values()))

    @property
    def breaks_at(self) -> float | None:
        """The severity at which `BROKEN` is lost, between those measured on a straight line.

        From no loss at severity 0; None where no severity measured loses as much.
        """
        before, lost = 0.0, 0.0
        for severity, loss in sorted(self.losses.items()):
            here = float(loss.values.mean())
            if here >= BROKEN:
                return before + (severity - before) * (BROKEN - lost) / (here - lost)
            before, lost = float(severity), here
        return None

    @property
    def shown_at(self) -> int | None:
        """The lowest severity measured at which more than `BROKEN` is shown to be lost."""
        for severity, found in sorted(self.measures.items()):
            if isinstance(found, Measure) and bound(found.estimate, side="low") > BROKEN:
                return severity
        return None


def severity_table(curves: Mapping[str, Curve]) -> Table:
    """One line a kind and severity: before, after, the loss, answers that changed."""
    lines = [
        _line(curve, severity, loss)
        for curve in curves.values()
        for severity, loss in curve.losses.items()
    ]
    head = ("corruption", "severity", "rows", "units")
    ends = tuple(f"{name}{end}" for name in ("as shot", "corrupted", "lost")
                 for end in ("", " low", " high"))  # fmt: skip
    shares = (*ends, "answers changed")
    columns = (*(Column(h) for h in head), *(Column(s, "share") for s in shares))
    title = "What is lost under each corruption, by severity"
    return Table("shift/corruptions:severities", title, columns, tuple(lines))


def _line(curve: Curve, severity: int, loss: ChiefLoss) -> tuple[Cell, ...]:
    found = curve.measures[severity]
    head = (curve.kind, severity, len(loss), loss.pair.n_units)
    if not isinstance(found, Measure) or found.sides is None:
        return (*head, *(None,) * 10)
    sides = (cell for side in found.sides for cell in side_cells(side))
    return (*head, *sides, *measure_cells(found), float(loss.changed.mean()))


def kind_table(curves: Mapping[str, Curve]) -> Table:
    """One line a kind: what is left on average, and the severity that breaks it."""
    lines = []
    for curve in curves.values():
        before = next(iter(curve.losses.values())).before.mean()
        left = float(1 - curve.mean.mean() / before) if before > 0 else None
        lost = float(curve.mean.mean())
        lines.append((curve.kind, lost, left, curve.breaks_at, curve.shown_at))
    columns = (
        Column("corruption"),
        Column("lost on average", "share"),
        Column("left of what there was", "share"),
        Column("5 points lost from severity"),
        Column("shown from severity"),
    )
    title = "What each kind of corruption leaves, and where it breaks the model"
    return Table("shift/corruptions:kinds", title, columns, tuple(lines))


def curve_figures(curves: Mapping[str, Curve]) -> Iterator[Figure]:
    """A picture for each family of kinds: the quantity over severities, with its interval."""
    by_name = {curve.kind: curve for curve in curves.values()}
    for family, kinds in FAMILIES.items():
        own = [by_name[kind] for kind in kinds if kind in by_name]
        rows = tuple(row for curve in own for row in _points(curve))
        if rows:
            yield _figure(family, own, rows)


def _figure(family: str, own: list[Curve], rows: tuple[dict[str, Cell], ...]) -> Figure:
    title = next(iter(own[0].losses.values())).title
    told = "; ".join(_told(curve) for curve in own)
    return Figure(
        id=f"shift/corruptions:{family.replace(' ', '-')}",
        kind="line",
        title=f"{title} under corruptions: {family}",
        caption=f"{title} on the same images as shot (severity 0) and corrupted, each with its 95% "
        "interval. Severities are those of ImageNet-C.",
        alt=f"{title} by severity: {told}.",
        x=Axis("severity (0: as shot, 5: hardest)"),
        y=Axis(title[:1].lower() + title[1:], "share"),
        rows=rows,
    )


def _points(curve: Curve) -> Iterator[dict[str, Cell]]:
    for i, (severity, found) in enumerate(sorted(curve.measures.items())):
        if not isinstance(found, Measure) or found.sides is None:
            continue
        sides = {severity: found.sides[1]} if i else {0: found.sides[0], severity: found.sides[1]}
        for at, side in sides.items():
            y, low, high = side_cells(side)
            yield {"x": float(at), "y": y, "low": low, "high": high, "series": curve.kind}


def _told(curve: Curve) -> str:
    points = (f"{percent(float(loss.after.mean()))}% at {s}" for s, loss in curve.losses.items())
    return f"{curve.kind} {', '.join(points)}"
