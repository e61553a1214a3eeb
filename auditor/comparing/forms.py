"""Another form of the model beside the model as given, on the same images: what is lost, by whom.

A form is what a pass with a `variant` answers: a compressed file, a new release, the same file run
otherwise. Rows and quantities say what is right, so that every task is compared alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.by_group import measure_cells
from auditor.comparing.pairs import Pair
from auditor.contract import AS_GIVEN, Available, Evidence, LabelledSplits, Pass
from auditor.data.dataset import MISSING_GROUP, Attribute
from auditor.data.image_names import ImageNames
from auditor.findings import (
    Cell,
    Column,
    Measure,
    Measured,
    Result,
    RowKind,
    Subject,
    Table,
    Unmeasured,
)
from auditor.scoring.calibration import Sureness, calibration_change, calibration_error
from auditor.scoring.comparison import too_few, worst_first
from auditor.scoring.quantities import Quantity
from auditor.scoring.rows import Rows
from auditor.scoring.set_values import EmptySetError
from auditor.spec import INT8
from auditor.stats import Normal, mcnemar_exact, mean_difference, value
from auditor.stats.codes import codes_of, distinct

Floats = NDArray[np.float64]

MOST_AFFECTED = 50
"""Images that the table of those most affected lists."""


@dataclass(frozen=True)
class Form:
    """A form of the model on one split, row by row beside the model as given.

    `pair` are the task's chief rows, `images` its images, `sets` what only a whole set has, of the
    model as given and of this form; `sureness` the rows of their answers where these say how sure
    they are. `facts` are told beside what is lost.
    """

    check: str
    name: str
    split: str
    pair: Pair
    images: Pair
    sets: tuple[Sequence[Quantity], Sequence[Quantity]]
    sureness: tuple[Rows, Rows] | None = None
    by_group: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        evidence: Evidence,
        name: str,
        split: str,
        *,
        check: str,
        by_group: bool,
        sure: bool,
        facts: Mapping[str, Any],
        sample: int | None = None,
    ) -> Form:
        """From the passes of a split as given and as `name`, on a sample of its images or all."""

        def rows(of: RowKind | None) -> tuple[Rows, Rows]:
            return (
                evidence.scored(split, of=of, sample=sample),
                evidence.scored(split, of=of, sample=sample, variant=name),
            )

        return cls(
            check=check,
            name=name,
            split=split,
            pair=Pair.of(*rows(None)),
            images=Pair.of(*rows("image")),
            sets=(
                evidence.set_values(split, sample=sample),
                evidence.set_values(split, sample=sample, variant=name),
            ),
            sureness=_with_truth(*rows("answer")) if sure else None,
            by_group=by_group,
            facts=facts,
        )

    def subject(self, **keys: str) -> Subject:
        return Subject.about(keys, split=self.split, variant=self.name)

    @property
    def among(self) -> str:
        return f"the {self.split} images"


def _with_truth(first: Rows, second: Rows) -> tuple[Rows, Rows]:
    return first.with_truth, second.with_truth


@dataclass(frozen=True)
class FormPasses(LabelledSplits):
    """Answers of a form of the model, and as given, on every labelled split, or a sample of it."""

    variant: str = INT8
    sample: int | None = None

    def frame_splits(self, available: Available) -> tuple[str, ...]:
        # A form is made after the first sweep, from frames that it has kept.
        return self.splits(available)

    def passes(self, available: Available) -> tuple[Pass, ...]:
        splits = self.splits(available)
        forms = (AS_GIVEN, self.variant)
        return tuple(Pass(s, variant=f, sample=self.sample) for s in splits for f in forms)


def form_results(form: Form) -> Iterator[Result]:
    """What the form loses over all images and in each group, what it changes, who is affected."""
    yield _lost(form, form.pair, {}, among=form.among)
    yield from _flips(form)
    yield from _sets_lost(form)
    yield from _calibration(form)
    if form.by_group:
        yield from _by_group(form)
    yield from _most_affected(form)


def _lost(form: Form, pair: Pair, keys: Mapping[str, str], *, among: str) -> Measured:
    """Accuracy as given minus that of the form, over the rows of `pair`."""
    name, subject = "accuracy-lost", form.subject(**keys)
    few = pair.too_few(name, subject, among=among)
    if few is not None:
        return few
    given, here = pair.first.right, pair.second.right
    broken, fixed = pair.broken, ~given & here
    found = pair.difference(
        name,
        subject,
        of=(given, here),
        better="lower",
        examples=worst_first(pair.first.image_ids, badness=pair.second.confidence, among=broken),
        facts={
            "right_only_as_given": int(broken.sum()),
            "right_only_here": int(fixed.sum()),
            "mcnemar_p": mcnemar_exact(int(broken.sum()), int(fixed.sum())),
            **({} if keys else form.facts),
        },
    )
    return _turned(found)


def _turned(found: Measure) -> Measure:
    # This side is the form that would ship; the loss is what it lacks.
    return replace(found, sides=None if found.sides is None else found.sides[::-1])


def _flips(form: Form) -> Iterator[Measured]:
    pair = form.pair
    about = {
        form.subject(): pair.changed,
        form.subject(kind="harmful"): pair.broken,
    }
    for subject, changed in about.items():
        few = pair.too_few("flip-rate", subject, among=form.among)
        yield pair.share("flip-rate", subject, changed) if few is None else few


def _sets_lost(form: Form) -> Iterator[Measured]:
    """What all images, and those of each group, lose of the chief value that a set has."""
    given, here = form.sets
    if not given or not here:
        return
    pair = form.images
    parts: list[tuple[dict[str, str], np.ndarray]] = [({}, np.ones(len(pair), dtype=bool))]
    for attribute in pair.first.attributes if form.by_group else ():
        of = pair.first.groups(attribute.name)
        parts += [({attribute.name: group}, of == group) for group in _groups(attribute, of)]
    for keys, keep in parts:
        yield _set_lost(form, given[0], here[0], keys, keep)


def _set_lost(
    form: Form, given: Quantity, here: Quantity, keys: Mapping[str, str], keep: np.ndarray
) -> Measured:
    name, subject = f"{given.name}-lost", form.subject(**keys)
    part = form.images.take(keep)
    few = part.too_few(name, subject, among=" ".join(keys.values()) or form.among)
    if few is not None:
        return few
    try:
        sides = tuple(replace(q, values=q.over(keep), of_set=None) for q in (given, here))
    except EmptySetError as empty:
        remedy = "Add annotated images of this group that hold what is looked for."
        return Unmeasured(name, subject, f"There is nothing to measure by: {empty}.", remedy)
    return _turned(part.set_difference(*sides, name=name, subject=subject))


def _calibration(form: Form) -> Iterator[Measured]:
    if form.sureness is None:
        return
    name, subject, pair = "calibration-lost", form.subject(), form.images
    known = pair.first.image_ids
    sides = [_of_images(rows, known) for rows in form.sureness]
    few = too_few(
        name,
        subject,
        sides={"as given": _units(sides[0]), form.name: _units(sides[1])},
        noun="images" if pair.units is None else "units",
    )
    if few is not None:
        yield few
        return
    given, here = _sureness(*sides)
    change = calibration_change(given, here)
    errors = [
        value(calibration_error(side.confidence, side.correct, unit=side.unit))
        for side in (given, here)
    ]
    yield Measure(
        name=name,
        subject=subject,
        estimate=change,
        scale="difference",
        neutral=0.0,
        better="lower",
        n=len(pair),
        n_units=pair.n_units,
        facts=dict(zip(("error_as_given", "error_here"), errors, strict=True)),
    )


def _sureness(first: Rows, second: Rows) -> tuple[Sureness, Sureness]:
    """How sure each of two forms is of its answers, units numbered alike; images without any."""
    owners = [_owner(rows) for rows in (first, second)]
    unit = codes_of(np.concatenate(owners))
    units = unit[: len(first)], unit[len(first) :]
    return (
        Sureness(first.confidence, first.right, units[0]),
        Sureness(second.confidence, second.right, units[1]),
    )


def _owner(rows: Rows) -> np.ndarray:
    return np.asarray(rows.image_ids) if rows.unit_codes is None else rows.unit_codes


def _of_images(rows: Rows, known: ImageNames) -> Rows:
    keep = known.places_of(rows.image_ids) >= 0
    return rows if keep.all() else rows.take(keep)


def _units(rows: Rows) -> int:
    """Independent units among rows: images, where the manifest names no unit."""
    return distinct(_owner(rows))


def _by_group(form: Form) -> Iterator[Result]:
    lines: list[tuple[Cell, ...]] = []
    for attribute in form.pair.first.attributes:
        of = form.pair.first.groups(attribute.name)
        for group in _groups(attribute, of):
            part, keys = form.pair.take(of == group), {attribute.name: group}
            lost = _lost(form, part, keys, among=f"{group} ({attribute.name})")
            gap = _gap_change(form, keys, member=of == group, known=of != MISSING_GROUP)
            lines.append(_line(attribute, group, part, lost, gap))
            yield lost
            yield gap
    yield _group_table(form, lines)


def _gap_change(
    form: Form, keys: Mapping[str, str], *, member: np.ndarray, known: np.ndarray
) -> Measured:
    """By how much more the group loses than the others do: what the form adds to its gap."""
    name, subject, pair = "gap-change", form.subject(**keys), form.pair
    named = ", ".join(f"{group} ({attribute})" for attribute, group in keys.items())
    lost = pair.first.right.astype(np.float64) - pair.second.right
    inside, units = member[known], None if pair.units is None else pair.units[known]
    owners = np.flatnonzero(known) if units is None else units
    sides = {named: distinct(owners[inside]), f"all but {named}": distinct(owners[~inside])}
    few = too_few(name, subject, sides=sides, noun="images" if units is None else "units")
    if few is not None:
        return few
    change: Normal = mean_difference(lost[known], member=inside, unit=units, span=(-1.0, 1.0))
    return Measure(
        name=name,
        subject=subject,
        estimate=change,
        scale="difference",
        neutral=0.0,
        better="lower",
        n=int(inside.sum()),
        n_units=None if units is None else sides[named],
        facts={"lost_here": float(lost[known][inside].mean()),
               "lost_by_others": float(lost[known][~inside].mean())},
        of=pair.first.of,
    )  # fmt: skip


def _groups(attribute: Attribute, of: np.ndarray) -> tuple[str, ...]:
    """Every group declared or seen, without the images that have no value."""
    seen = set(of.tolist()) - set(attribute.groups) - {MISSING_GROUP}
    return (*attribute.groups, *sorted(seen))


def _line(
    attribute: Attribute, group: str, pair: Pair, lost: Measured, gap: Measured
) -> tuple[Cell, ...]:
    head = (attribute.name, attribute.role, group, len(pair), pair.n_units)
    if isinstance(lost, Unmeasured):
        return (*head, *(None,) * 10)
    shares = (side.right.mean() for side in (pair.first, pair.second))
    changes = (changed.mean() for changed in (pair.changed, pair.broken))
    more = measure_cells(gap if isinstance(gap, Measure) else None)
    return (*head, *map(float, shares), *measure_cells(lost), *more, *map(float, changes))


def _group_table(form: Form, rows: list[tuple[Cell, ...]]) -> Table:
    counts = ("attribute", "role", "group", form.pair.first.noun, "units")
    shares = ("right as given", f"right as {form.name}", "lost", "low", "high",
              "lost more than others", "more low", "more high", "answers changed",
              "turned wrong")  # fmt: skip
    return Table(
        id=shown_id(form.check, "groups", form),
        title=f"What every group would lose with the form {form.name}{_of_split(form)}",
        columns=(*(Column(c) for c in counts), *(Column(s, "share") for s in shares)),
        rows=tuple(rows),
    )


def _most_affected(form: Form) -> Iterator[Table]:
    """The images that lose most: right rows of each, and its own score where the task has one."""
    pair = form.pair
    ids = form.images.first.image_ids
    at = ids.places_of(pair.first.image_ids)
    kept, n = at >= 0, len(ids)
    right = [
        np.bincount(at[kept], weights=side.right[kept], minlength=n)
        for side in (pair.first, pair.second)
    ]
    score = next((s for s in ("f1", "image-iou") if s in form.images.first.amounts), None)
    scores = [
        side.amounts[score].values if score else side.confidence
        for side in (form.images.first, form.images.second)
    ]
    lost = right[0] - right[1]
    moved = np.nan_to_num(scores[0] - scores[1])
    affected = np.flatnonzero((lost > 0) | (moved > 0 if score else False))
    order = np.lexsort((ids[affected], -moved[affected], -lost[affected]))
    order = affected[order][:MOST_AFFECTED]
    if not len(order):
        return
    named = score or "confidence"
    columns = ("image", f"right {pair.first.noun} as given", f"right {pair.first.noun} here",
               f"{named} as given", f"{named} here")  # fmt: skip
    yield Table(
        id=shown_id(form.check, "images", form),
        title=f"Images most affected by the form {form.name}{_of_split(form)}",
        columns=(*(Column(c) for c in columns[:3]), *(Column(c, "share") for c in columns[3:])),
        rows=tuple(
            (str(ids[i]), int(right[0][i]), int(right[1][i]), *(float(s[i]) for s in scores))
            for i in order
        ),
    )


def shown_id(check: str, name: str, form: Form) -> str:
    """The id of a table about a form; those of the test data name no split."""
    split = "" if form.split == "test" else f"@{form.split}"
    return f"{check}:{name}{split}+{form.name}"


def _of_split(form: Form) -> str:
    return "" if form.split == "test" else f", {form.split} data"
