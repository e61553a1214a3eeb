"""The groups of an attribute: which rows are in each, and why some cannot be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from auditor.data.dataset import MISSING_GROUP, Attribute
from auditor.findings import Subject, Unmeasured
from auditor.scoring.comparison import count_units, has_few_units, too_few, units_by_group
from auditor.scoring.rows import Rows


@dataclass(frozen=True)
class Contrast:
    """Some rows against all others: `inside` (n,) bool; `unit` and `controls` as `Grouping`."""

    inside: np.ndarray
    unit: np.ndarray | None
    controls: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Grouping:
    """The rows whose group under `attribute` is known; `missing` counts the others.

    `at` (n,) are their positions in `rows`, `of` (n,) the place of each one's group in `groups`
    (every group declared or seen, in the attribute's order), `unit` (n,) a code of its unit,
    None where the manifest names none. `controls` maps every other attribute of role condition
    to the code of each row's group under it, (n,), -1 where it has none.
    """

    attribute: Attribute
    rows: Rows
    at: np.ndarray
    groups: tuple[str, ...]
    of: np.ndarray
    unit: np.ndarray | None
    missing: int
    controls: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.of)

    def members(self, group: str) -> np.ndarray:
        """Mask over the rows, (n,)."""
        inside: np.ndarray = self.of == self.groups.index(group)
        return inside

    def units_of(self, group: str) -> int | None:
        """Independent units of a group; None where the manifest names none."""
        if self.unit is None or self.rows.unit_codes is None:
            return None
        return int(self._units[self.groups.index(group)])

    def images_of(self, group: str) -> int:
        """Rows of a group, each once, also where it is observed several times."""
        return int(self._images[self.groups.index(group)])

    @cached_property
    def _units(self) -> np.ndarray:
        unit = self.at if self.unit is None else self.unit
        return units_by_group(self.of, unit, groups=len(self.groups))

    @cached_property
    def _images(self) -> np.ndarray:
        groups = len(self.groups)
        if (np.diff(self.at) > 0).all():
            found: np.ndarray = np.bincount(self.of, minlength=groups)
            return found
        return units_by_group(self.of, self.at, groups=groups)

    def contrast(self, group: str) -> Contrast:
        """The rows of a group against those of all others."""
        return Contrast(self.members(group), self.unit, self.controls)

    def take(self, keep: np.ndarray) -> Grouping:
        """The rows under the mask, or at the positions, `keep`; groups left empty stay."""
        return replace(
            self,
            at=self.at[keep],
            of=self.of[keep],
            unit=None if self.unit is None else self.unit[keep],
            controls={name: codes[keep] for name, codes in self.controls.items()},
        )

    def named(self, group: str) -> str:
        return f"{group} ({self.attribute.name})"

    def subject(self, group: str, keys: Mapping[str, str] | None = None) -> Subject:
        return Subject.about({self.attribute.name: group, **(keys or {})}, split=self.rows.split)

    @property
    def single(self) -> str | None:
        """The only group that has rows, None where two or more have."""
        seen = np.unique(self.of)
        return self.groups[int(seen[0])] if len(seen) == 1 else None


def groupings(
    rows: Rows, *, by_label: bool = False, unlabelled: bool = False
) -> Iterator[Grouping]:
    """One grouping an attribute, in the spec's order.

    `by_label`: of groups that can be counted by class, for what is told of a group's rows of a
    class (`auditor.data.pooling.by_label`). `unlabelled`: with the rows whose truth is not known.
    """
    rows = rows.by_label() if by_label else rows
    rows = rows if unlabelled else rows.with_truth
    conditions = condition_codes(rows)
    for attribute in rows.attributes:
        names = rows.groups(attribute.name)
        places, seen = pd.factorize(names)
        others = sorted({*seen.tolist()} - {*attribute.groups, MISSING_GROUP})
        groups = (*attribute.groups, *others)
        place_of = {group: place for place, group in enumerate(groups)}
        of = np.array([place_of.get(name, -1) for name in seen], dtype=np.int64)[places]
        at = np.flatnonzero(of >= 0)
        yield Grouping(
            attribute=attribute,
            rows=rows,
            at=at,
            groups=groups,
            of=of[at],
            unit=None if rows.unit_codes is None else rows.unit_codes[at],
            missing=len(rows) - len(at),
            controls={n: c[at] for n, c in conditions.items() if n != attribute.name},
        )


def condition_codes(rows: Rows) -> dict[str, np.ndarray]:
    """For each attribute of role condition the code of each row's group, (n,), -1 for none."""
    conditions = rows.dataset.attributes_of("condition")
    return {a.name: _group_codes(rows.groups(a.name)) for a in conditions}


def _group_codes(groups: np.ndarray) -> np.ndarray:
    codes: np.ndarray = pd.factorize(groups)[0].astype(np.int64)
    return np.where(groups == MISSING_GROUP, -1, codes)


def nothing_to_compare(
    grouping: Grouping,
    *,
    name: str,
    truth: str = "labelled ",
    keys: Mapping[str, str] | None = None,
) -> Unmeasured | None:
    """Why an attribute gives no comparison at all: one group or none; else None.

    `truth` says which rows are meant, "" where truth was not asked for; `keys` are further ones
    of the subject.
    """
    attribute, split = grouping.attribute.name, grouping.rows.split
    noun = grouping.rows.noun
    if not len(grouping):
        reason, group = (
            f"No {truth}{split} {grouping.rows.of} is in a group of {attribute}: its values are "
            f"missing{', no numbers, or outside its bins' if grouping.attribute.numeric else ''}.",
            MISSING_GROUP,
        )
    elif grouping.single is not None:
        group = grouping.single
        reason = f"All {truth}{split} {noun} are of one group, {grouping.named(group)}."
        if group in grouping.attribute.pooled:
            reason += " It is pooled of groups of which some hold too few units to be published."
    else:
        return None
    smallest = grouping.attribute.smallest
    enough = f", each with at least {smallest} units of every label" if smallest else ""
    return Unmeasured(
        name=name,
        subject=grouping.subject(group, keys),
        reason=f"{reason} There is no other group to compare with.",
        remedy=f"Collect {split} {noun} of at least two groups of {attribute}{enough}.",
    )


def too_few_units(
    grouping: Grouping, group: str, *, name: str, subject: Subject, among: str = ""
) -> Unmeasured | None:
    """Why a group cannot be compared with the rest, when a side has too few units; else None."""
    inside = grouping.members(group)
    unit = grouping.unit
    if not any(has_few_units(side, unit) for side in (inside, ~inside)):
        return None
    return too_few(
        name,
        subject,
        sides={
            f"{grouping.named(group)}{among}": count_units(inside, unit),
            f"the rest{among}": count_units(~inside, unit),
        },
        noun="images" if unit is None else "units",
    )


def errors_by_group(grouping: Grouping, *, label: str) -> pd.DataFrame:
    """False-positive and false-negative rates of a class by group; fairlearn's MetricFrame.

    Columns ``false-positive`` and ``false-negative``, indexed by group. Where a group has no
    row that could suffer the error fairlearn gives 0; here it is NaN.
    """
    from fairlearn.metrics import false_negative_rate, false_positive_rate

    truth = grouping.rows.present(label)[grouping.at]
    answer = grouping.rows.called(label)[grouping.at]
    cells = _cells(grouping, truth.astype(int), answer.astype(int))
    found = _by_group(
        cells, {"false-positive": false_positive_rate, "false-negative": false_negative_rate}
    )
    kinds = cells.groupby("group")["truth"]
    found.loc[kinds.min() == 1, "false-positive"] = np.nan
    found.loc[kinds.max() == 0, "false-negative"] = np.nan
    return found


def _cells(grouping: Grouping, truth: np.ndarray, answer: np.ndarray) -> pd.DataFrame:
    """How many rows of each group have each truth and answer: a line a combination that occurs.

    MetricFrame gives the same for these lines, weighted, as for the rows, of which 200,000
    would take it seconds.
    """
    lines = pd.DataFrame({"group": grouping.of, "truth": truth, "answer": answer})
    counted = lines.value_counts().rename("rows").reset_index()
    return counted.assign(group=[grouping.groups[place] for place in counted["group"]])


def _by_group(cells: pd.DataFrame, metrics: Mapping[str, Callable[..., float]]) -> pd.DataFrame:
    from fairlearn.metrics import MetricFrame

    frame = MetricFrame(
        metrics=dict(metrics),
        y_true=cells["truth"],
        y_pred=cells["answer"],
        # An array of one line would lose its only dimension there.
        sensitive_features=cells["group"].tolist(),
        sample_params={name: {"sample_weight": cells["rows"]} for name in metrics},
    )
    by_group: pd.DataFrame = frame.by_group.astype(float)
    return by_group
