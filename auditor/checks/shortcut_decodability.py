"""shortcut/decodability: whether an attribute can be read from what the model sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from auditor.checks.model_sees import Seen, nothing_seen, seen
from auditor.comparing.interval_row import interval_row
from auditor.contract import Attributes, Check, Embedding, Evidence, Need, Predictions, Truth, Words
from auditor.data.dataset import MISSING_GROUP, Attribute
from auditor.findings import (
    Axis,
    Cell,
    Column,
    Figure,
    Measure,
    Result,
    Subject,
    Table,
    Unmeasured,
)
from auditor.scoring.comparison import MIN_UNITS, count_units
from auditor.stats import Normal, holm, interval, value
from auditor.stats.areas import Area, area_within, mean_area
from auditor.stats.out_of_fold import (
    PERMUTATIONS,
    exchangeable,
    folds_of,
    less_stratum_mean,
    out_of_fold,
    permutation_p,
)

ALPHA = 0.05

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Decodability(Check):
    """Whether declared attributes can be read from the model's embedding, among images of a class.

    What it measures
    ----------------
    For every declared attribute of the images: over all pairs of a test image of a group and one
    of another group, both of the same class, how often the first looks more like its group in
    the numbers that the model reduces an image to before its last layer (0.5: guessing), to a
    linear model that saw neither the image nor its unit; the mean over groups. For a detector or
    a segmenter, images of the same class are those that hold the same classes. The p-value is
    that of groups dealt anew among units within each class, adjusted for the number of
    attributes (Holm).

    Why it matters
    --------------
    It explains. What cannot be read from the embedding, the last layer cannot go by; what can be
    read, it could. Beside a shortcut that another check found it says that the model carries the
    attribute along; without one it says where to look.

    How it can mislead
    ------------------
    A readable attribute is not a used one: as a verdict this would have accused 47% of models
    that were trained without any such shortcut. A network keeps much that its answers never
    need, and it decides nothing here. What a linear model cannot read, another one
    may. Where an attribute goes with what else is in the picture (night photos are of other
    rooms), that is what is read.
    """

    id: ClassVar[str] = "shortcut/decodability"
    topic: ClassVar[str] = "attributes that the model's description holds"
    needs: ClassVar[tuple[Need, ...]] = (Predictions(), Truth(), Attributes(), Embedding())
    cannot_see: ClassVar[str] = (
        "Whether the model uses what can be read from its description of an image, and what only a "
        "model that is not linear could read."
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Alain & Bengio (2016), arXiv:1610.01644 (linear probes)",
        "Belinkov (2022), doi:10.1162/coli_a_00422 (what probes do not show)",
        "DeLong, DeLong & Clarke-Pearson (1988), doi:10.2307/2531595 (area under the ROC curve)",
        "Phipson & Smyth (2010), doi:10.2202/1544-6115.1585 (p-values are never 0)",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "group-auc": Words(
            title="Whether {attribute} can be read from what the model sees",
            short="{attribute} can be read from the embedding",
            sentence=(
                "Among images of the same class, {attribute} is told from the model's description "
                "of the image in {value} of pairs (50% is guessing), over {groups} groups.",
                "It can be read (p = {p:.2g}){readable:if}.",
                "It is not shown that it can be read (p = {p:.2g}){not_shown:if}.",
                "A readable attribute is not a used one: this explains and decides nothing.",
                "Looked at were {drawn:,} of {of_all:,} images, drawn at random.",
            ),
        ),
    }

    most_images: Annotated[
        int, "Of more images, so many in whole units drawn at random are looked at."
    ] = 2000
    most_groups: Annotated[int, "The groups of an attribute looked at, the commonest first."] = 8
    permutations: Annotated[int, "Random deals of the groups to the units."] = PERMUTATIONS

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rng = evidence.rng
        looked = seen(evidence, most=self.most_images, rng=rng, by_label=True)
        if looked is None:
            yield nothing_seen("group-auc")
            return
        attributes = looked.rows.attributes
        found: list[Read] = []
        for attribute, own in zip(attributes, rng.spawn(len(attributes)), strict=True):
            known = looked.take(looked.rows.groups(attribute.name) != MISSING_GROUP)
            groups = _groups(known, attribute, most=self.most_groups)
            read = _read(known, attribute, groups, rng=own, permutations=self.permutations)
            if read is None:
                yield _too_few_groups(attribute)
                continue
            found.append(read)
        for read, p in zip(found, holm([r.p for r in found]), strict=True):
            yield _measure(read, p=p)
        if found:
            yield _table(found)
            yield _forest(found)


@dataclass(frozen=True)
class Read:
    """How well each group of an attribute is read, their mean, and its p-value."""

    attribute: Attribute
    looked: Seen
    groups: tuple[str, ...]
    areas: tuple[Area, ...]
    told: Normal
    p: float


def _groups(looked: Seen, attribute: Attribute, *, most: int) -> tuple[str, ...]:
    """Groups that ten units or more are of, and as many are not; one of two is enough."""
    names = looked.rows.groups(attribute.name)
    sizes = {group: count_units(names == group, looked.unit) for group in set(names.tolist())}
    enough = [group for group in sorted(sizes, key=lambda g: (-sizes[g], g))
              if sizes[group] >= MIN_UNITS
              and count_units(names != group, looked.unit) >= MIN_UNITS]  # fmt: skip
    return tuple(enough[:1] if len(sizes) == 2 else enough[:most])


def _read(
    looked: Seen, attribute: Attribute, groups: tuple[str, ...], *, rng: np.random.Generator,
    permutations: int,
) -> Read | None:  # fmt: skip
    if not groups:
        return None
    names = looked.rows.groups(attribute.name)
    member = np.column_stack([names == group for group in groups])
    strata = looked.strata
    features = less_stratum_mean(looked.features, strata)
    targets = less_stratum_mean(member.astype(np.float64), strata)
    fold = folds_of(looked.unit, rng=rng)
    weight = 1.0 / np.bincount(looked.unit)[looked.unit]
    scores = out_of_fold(features, targets, fold=fold, weight=weight)
    compared = [
        area_within(score, inside, strata=strata, unit=looked.unit)
        for score, inside in zip(scores.T, member.T, strict=True)
    ]
    kept = [i for i, area in enumerate(compared) if area is not None and area.smaller >= MIN_UNITS]
    if not kept:
        return None
    areas = tuple(area for area in compared if area is not None and area.smaller >= MIN_UNITS)
    cells = exchangeable(looked.unit, _kinds(strata, names), rng=rng)
    p = permutation_p(
        cells.means(features), member[cells.first].astype(np.float64),
        strata=strata[cells.first], rng=rng, permutations=permutations,
    )  # fmt: skip
    told = mean_area(areas, unit=looked.units)
    return Read(attribute, looked, tuple(groups[i] for i in kept), areas, told, p)


def _kinds(strata: Codes, names: NDArray[np.object_]) -> Codes:
    """A code for stratum and group of each image, (n,)."""
    group: Codes = np.unique(names.astype(str), return_inverse=True)[1]
    return strata * (int(group.max()) + 1) + group


def _measure(read: Read, *, p: float) -> Measure:
    looked = read.looked
    return Measure(
        name="group-auc",
        subject=Subject.of(split="test", attribute=read.attribute.name),
        estimate=read.told,
        scale="share",
        neutral=0.5,
        better="none",
        n=len(looked.rows),
        n_units=None if looked.units is None else len(np.unique(looked.unit)),
        facts={
            "p": p,
            "readable": p <= ALPHA,
            "not_shown": p > ALPHA,
            "groups": len(read.groups) if len(read.groups) > 1 else 2,
            **looked.drawn,
        },
    )


def _table(found: list[Read]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for read in found:
        for group, area in zip(read.groups, read.areas, strict=True):
            one = mean_area([area], unit=read.looked.units)
            ends = interval(one)
            rows.append((read.attribute.name, group, value(one), ends.low, ends.high))
    return Table(
        id="shortcut/decodability:groups",
        title="Pairs of images of the same class that the model's description tells apart",
        columns=(Column("attribute"), Column("group"), Column("told apart", "share"),
                 Column("low", "share"), Column("high", "share")),
        rows=tuple(rows),
    )  # fmt: skip


def _forest(found: list[Read]) -> Figure:
    return Figure(
        id="shortcut/decodability:attributes",
        kind="forest",
        title="What can be read from the model's description of an image",
        caption="How often an image of a group is told from one of another of the same class, with "
        "95% intervals; 50% is guessing. That an attribute can be read does not show that it is "
        "used.",
        alt=f"{len(found)} attributes.",
        x=Axis("told apart", "share"),
        y=Axis("attribute"),
        rows=tuple(
            interval_row(read.attribute.name, read.told, n=len(read.looked.rows)) for read in found
        ),
    )


def _too_few_groups(attribute: Attribute) -> Unmeasured:
    return Unmeasured(
        name="group-auc",
        subject=Subject.of(split="test", attribute=attribute.name),
        reason=f"Fewer than two groups of {attribute.name} have {MIN_UNITS} units each among test "
        "images of the same class: whether it can be read cannot be seen.",
        remedy=f"Collect test images of at least {MIN_UNITS} units of two groups of "
        f"{attribute.name}, of the same class.",
    )
