"""shift/time: whether images, and how well they are answered, change in the course of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd

from auditor.comparing.two_samples import Sample, two_samples, two_set_values
from auditor.contract import Available, Check, Evidence, LabelledSplits, Need, Scan, Unmet, Words
from auditor.contract.quantity_words import lost_words
from auditor.contract.words import EITHER_WAY
from auditor.data.dataset import Dataset
from auditor.findings import (
    Cell,
    Column,
    Measure,
    Question,
    Result,
    Subject,
    Table,
    Unmeasured,
)
from auditor.scoring.quantities import Quantity, amount
from auditor.scoring.rows import Rows
from auditor.shift.image_properties import ImageProperties
from auditor.shift.properties import PROPERTY_WORDS
from auditor.stats import auc, drift_p, holm, rate, value
from auditor.stats.codes import distinct

SPLITS = ("test", "deployment")
MIN_UNITS = 30
"""Fewer independent units than this in a stretch of time, and stretches differ by luck."""

_SIDES = ("Earlier images", "Later images")
_ACTION = "find out what changed, and test again on images as they are now"


@dataclass(frozen=True)
class Times(Need):
    """A time of capture, in the manifest of the test images or of the deployment images."""

    def unmet(self, available: Available) -> Unmet | None:
        found = (available.datasets.get(split) for split in SPLITS)
        if any(dataset is not None and _has_times(dataset) for dataset in found):
            return None
        return Unmet(
            reason="No manifest says when its images were taken.",
            remedy="Name the column with the time of capture under `data.columns.time`.",
        )


@dataclass(frozen=True)
class OverTime(Check):
    """Later images against earlier ones: what they look like, and how well they are answered.

    What it measures
    ----------------
    Units in the order of their (median) time, in up to six stretches of equally many. `lost` is
    the share of rows answered rightly in the earlier half minus the same share in the later half,
    on every labelled split; of class maps the overlap of an image takes that share's place. For
    each property of the images `auc` is the probability that a later image has more of it than
    an earlier one (0.5: no difference), with a test whether its mean differs between the
    stretches: blocks of units that follow each other are put in other orders, each block as long
    as neighbours are alike; Holm's correction over the properties.

    Why it matters
    --------------
    Cameras age, lamps are replaced, the seasons turn, users learn. An accuracy measured over a
    year may have been lost in its last month, and the model will run in the months to come.

    How it can mislead
    ------------------
    Two halves show a change that stays; one that comes and goes shows in the table and in the
    test of the properties alone. If other places, people or classes came in the course of time,
    these may be the cause. A change that is slower than the whole period, or a yearly one seen
    for half a year, is taken for a trend. Where neighbours are alike over long stretches there
    are too few independent ones to tell.
    """

    id: ClassVar[str] = "shift/time"
    topic: ClassVar[str] = "change in the course of time"
    question: ClassVar[Question | None] = Question.MATCHES
    needs: ClassVar[tuple[Need, ...]] = (
        Times(),
        *(Scan(split=split, optional=True) for split in SPLITS),
        LabelledSplits(optional=True),
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Künsch (1989), doi:10.1214/aos/1176347265 (blocks of what follows each other)",
        "Obuchowski (1997), doi:10.2307/2533958 (clustered AUC)",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "lost": (
            Words(
                title="Accuracy lost in the course of time, {split} data",
                span=EITHER_WAY,
                short="accuracy lost in the course of time",
                sentence="Accuracy on {split} images: earlier half {this}; later half {other}; "
                "earlier {gap}.",
                hundred="Of 100 earlier images it answers {here} rightly; of 100 later ones, "
                "{there}.",
                sides=_SIDES,
                action=_ACTION,
                answer="accuracy lost in the course of time: {point}",
                of="image",
            ),
            Words(
                title="Found less in the course of time, {split} data",
                span=EITHER_WAY,
                short="objects found less in the course of time",
                sentence="Objects found in {split} images: earlier half {this}; later half "
                "{other}; earlier {gap}.",
                hundred="Of 100 objects in earlier images it finds {here}; of 100 in later ones, "
                "{there}.",
                sides=_SIDES,
                action=_ACTION,
                answer="found less in the course of time: {point}",
                of="object",
            ),
            Words(title="Whether later images are answered as earlier ones, {split} data",
                  short="accuracy in the course of time"),
        ),
        **lost_words(_SIDES, where="in the course of time", action=_ACTION),
        "auc": (
            Words(
                title="Later images differ from earlier ones in {what}, {split} data",
                short="{what} in the course of time",
                sentence="The {what} of a later image is higher than in an earlier one in {value} "
                "of pairs (50% is no difference).",
                answer="{what} changes in the course of time",
            ),
            Words(
                title="Whether later images differ from earlier ones in {property}, {split} data",
                short="{property} in the course of time",
            ),
            Words(
                title="Whether later images differ from earlier ones, {split} data",
                short="images in the course of time",
            ),
        ),
    }  # fmt: skip

    most_stretches: Annotated[int, "Stretches of time that are told apart, at most."] = 6

    def run(self, evidence: Evidence) -> Iterator[Result]:
        labelled: tuple[str, ...] = ()
        if evidence.has(LabelledSplits(optional=True)):
            labelled = evidence.labelled_splits()
        for split in SPLITS:
            seen = evidence.has(Scan(split=split, optional=True))
            if not seen or not _has_times(evidence.dataset(split)):
                continue
            order = Order.of(evidence.dataset(split), most=self.most_stretches)
            if isinstance(order, Unmeasured):
                yield order
                continue
            yield from _properties(evidence, split, order)
            if split in labelled:
                yield from _answers(evidence, split, order)


@dataclass(frozen=True)
class Order:
    """The images of a split in time.

    `unit` (n,) is each image's place in the order of units, -1 without a time; `later` (n,) says
    whether it is of the later half; `stretch` (n,) is the stretch of time of an image, -1 without.
    """

    dataset: Dataset
    unit: np.ndarray
    later: np.ndarray
    stretch: np.ndarray
    n_units: int
    n_stretches: int

    @classmethod
    def of(cls, dataset: Dataset, *, most: int) -> Order | Unmeasured:
        """By the median time of each unit; units of one time stay in one stretch."""
        unit, time = _unit_codes(dataset), dataset.table["time"]
        timed = np.flatnonzero(time.notna())
        # Codes rise with names, so that units of one time are in the order of their names.
        medians = time.iloc[timed].groupby(unit[timed]).median().rename_axis("unit")
        times = medians.rename("time").reset_index().sort_values(["time", "unit"])
        n = len(times)
        if times["time"].nunique() < 2:
            return _too_few(dataset, n, 1)
        before = times["time"].rank(method="min").to_numpy(dtype=np.int64) - 1
        moments = np.unique(before)
        # The moment nearest to the middle, so that no time is on both sides.
        cut = moments[1:][np.abs(moments[1:] - n / 2).argmin()]
        if min(cut, n - cut) < MIN_UNITS:
            return _too_few(dataset, min(cut, n - cut), len(moments))
        stretch = np.unique(before * min(most, n // MIN_UNITS) // n, return_inverse=True)[1]
        place = np.full(int(unit.max()) + 1, -1, dtype=np.int64)
        place[times["unit"].to_numpy()] = np.arange(n)
        at = place[unit]
        has = at >= 0
        return cls(
            dataset,
            at,
            has & (before[at] >= cut),
            np.where(has, stretch[at], -1),
            n,
            int(stretch.max()) + 1,
        )

    @property
    def noun(self) -> str:
        return "units" if self.dataset.has_units else "images"

    def places(self, rows: Rows) -> np.ndarray:
        """Of which image of the split each row is, (n,)."""
        if rows.dataset is self.dataset:
            return np.arange(len(rows))
        return self.dataset.image_ids.places_of(rows.image_ids)

    def by_unit(self, values: np.ndarray) -> np.ndarray:
        """Mean rank of the values of each unit's images, in the order of time; NaN where none."""
        ranks = pd.Series(values).rank().to_numpy()
        timed = self.unit >= 0
        return (
            pd.Series(ranks[timed])
            .groupby(self.unit[timed])
            .mean()
            .reindex(range(self.n_units))
            .to_numpy()
        )

    def span(self, stretch: int) -> str:
        """The days of a stretch, from the first to the last."""
        times = self.dataset.table["time"][self.stretch == stretch]
        return f"{times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}"


def _unit_codes(dataset: Dataset) -> np.ndarray:
    codes = dataset.unit_codes
    return dataset.image_ids.codes() if codes is None else codes


def _has_times(dataset: Dataset) -> bool:
    return bool(dataset.table["time"].notna().any())


def _too_few(dataset: Dataset, n: int, moments: int) -> Unmeasured:
    noun = "units" if dataset.has_units else "images"
    found = f"only {n} {noun} are of an earlier or of a later time" if moments > 1 else (
        f"all {n} {noun} that have a time of capture were taken at the same one")  # fmt: skip
    return Unmeasured(
        name="auc",
        subject=Subject(split=dataset.split),
        reason=f"Of the {dataset.split} images {found}: fewer than {MIN_UNITS} on either side "
        "differ from any others by luck.",
        remedy=f"Give {dataset.split} images of more times, and when each was taken.",
    )


def _properties(evidence: Evidence, split: str, order: Order) -> Iterator[Result]:
    values = ImageProperties.of(evidence, split)
    vary = [name for name, found in values.items() if _varies(found, order)]
    if not vary:
        return
    by_unit = np.column_stack([order.by_unit(values[name]) for name in vary])
    tested = dict(
        zip(vary, drift_p(by_unit, windows=order.n_stretches, rng=evidence.rng), strict=True)
    )
    untold = [name for name, p in tested.items() if not np.isfinite(p)]
    yield from (_alike(name, split, order) for name in untold)
    told = values.among([name for name in vary if name not in untold])
    if not told:
        return
    adjusted = holm([tested[name] for name in told])
    measures = [
        _area(name, found, order, p=float(tested[name]), p_holm=float(p_holm))
        for (name, found), p_holm in zip(told.items(), adjusted, strict=True)
    ]
    yield from measures
    yield _table(split, order, told, measures)


def _varies(values: np.ndarray, order: Order) -> bool:
    """Whether both halves have a value of some units, and not all the same."""
    has = np.isfinite(values) & (order.unit >= 0)
    units = [distinct(order.unit[has & half]) for half in (order.later, ~order.later)]
    return min(units) >= MIN_UNITS and bool(values[has].min() < values[has].max())


def _alike(name: str, split: str, order: Order) -> Unmeasured:
    return Unmeasured(
        name="auc",
        subject=Subject.of(split=split, property=name),
        reason=f"In {_noun(name)} images that follow each other are alike for so long that the "
        f"{order.n_units} {order.noun} hold too few independent stretches to tell a change from "
        "chance.",
        remedy="Give images of a longer time.",
    )


def _area(name: str, values: np.ndarray, order: Order, *, p: float, p_holm: float) -> Measure:
    has = np.isfinite(values)
    early, late = (has & half for half in ((order.stretch >= 0) & ~order.later, order.later))
    units: dict[str, Any] = {}
    if order.dataset.has_units:
        units = {"unit_a": order.unit[early], "unit_b": order.unit[late]}
    return Measure(
        name="auc",
        subject=Subject.of(split=order.dataset.split, property=name),
        estimate=auc(values[early], values[late], **units),
        scale="share",
        neutral=0.5,
        better="none",
        n=int((early | late).sum()),
        n_units=distinct(order.unit[early | late]) if units else None,
        facts={
            "what": _noun(name),
            "p": p,
            "p_holm": p_holm,
            "median_earlier": float(np.median(values[early])),
            "median_later": float(np.median(values[late])),
        },
    )


def _table(
    split: str, order: Order, values: Mapping[str, np.ndarray], measures: list[Measure]
) -> Table:
    stretches = range(order.n_stretches)
    rows: list[tuple[Cell, ...]] = [
        (
            _noun(name),
            value(measure.estimate),
            measure.facts["p"],
            measure.facts["p_holm"],
            *(_median(found[order.stretch == s]) for s in stretches),
        )
        for (name, found), measure in zip(values.items(), measures, strict=True)
    ]
    return Table(
        id=f"shift/time:properties@{split}",
        title=f"Properties of the {split} images in the course of time",
        columns=(Column("property"), Column("area"), Column("p"), Column("p (Holm)"),
                 *(Column(f"median {order.span(s)}") for s in stretches)),
        rows=tuple(rows),
    )  # fmt: skip


def _noun(name: str) -> str:
    return PROPERTY_WORDS.get(name, name.replace("_", " "))


def _median(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None


def _answers(evidence: Evidence, split: str, order: Order) -> Iterator[Result]:
    rows = evidence.scored(split).with_truth
    at = order.places(rows)
    later, stretch = order.later[at], order.stretch[at]
    del at
    earlier = (stretch >= 0) & ~later
    subject = Subject(split=split)
    if "image-iou" in rows.amounts:
        halves = [rows.take(half) for half in (earlier, later)]
        found: list[Quantity] = [amount(half, "image-iou") for half in halves]
        measure = two_set_values("image-iou-lost", subject, values=(found[0], found[1]),
                                 rows=halves)  # fmt: skip
    else:
        here, there = (Sample.right(rows, among=half) for half in (earlier, later))
        measure = two_samples(
            "lost", subject, here=here, there=there,
            named=("the earlier half", "the later half"), better="lower", counted=there,
        )  # fmt: skip
        if isinstance(measure, Measure):
            measure = replace(measure, n=len(rows))
    yield measure
    if isinstance(measure, Measure):
        yield _course(split, order, rows, stretch)


def _course(split: str, order: Order, rows: Rows, stretch: np.ndarray) -> Table:
    codes = rows.unit_codes
    lines: list[tuple[Cell, ...]] = []
    for s in range(order.n_stretches):
        mine = stretch == s
        if mine.any():
            unit = None if codes is None else codes[mine]
            lines.append((order.span(s), value(rate(rows.right[mine], unit=unit)),
                          int(mine.sum())))  # fmt: skip
    return Table(
        id=f"shift/time:course@{split}",
        title=f"Share of {rows.noun} answered rightly in the course of time, {split} data",
        columns=(Column("taken"), Column("answered rightly", "share"), Column(rows.noun)),
        rows=tuple(lines),
    )
