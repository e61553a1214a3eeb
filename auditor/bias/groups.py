"""The groups of an attribute, as the checks of this family compare them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from auditor.data.dataset import MISSING_GROUP, Attribute
from auditor.findings import Subject, Unmeasured
from auditor.scoring.comparison import count_units, too_few, unit_codes
from auditor.scoring.outcomes import Outcomes


@dataclass(frozen=True)
class Contrast:
    """Some images against all others: `inside` (n,) bool; `unit` and `controls` as `Grouping`."""

    inside: np.ndarray
    unit: np.ndarray | None
    controls: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Grouping:
    """Images whose group under `attribute` is known; `missing` counts the others.

    `of` (n,) is the group of each image, `unit` (n,) a code of its unit, None where the manifest
    names none. `controls` maps every other attribute of role condition to the code of each
    image's group under it, (n,), -1 where it has none.
    """

    attribute: Attribute
    outcomes: Outcomes
    of: np.ndarray
    unit: np.ndarray | None
    missing: int
    controls: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group declared or seen, in the attribute's order."""
        seen = sorted(set(self.of.tolist()) - set(self.attribute.groups))
        return (*self.attribute.groups, *seen)

    def members(self, group: str) -> np.ndarray:
        """Mask over the images, shape (n,)."""
        inside: np.ndarray = self.of == group
        return inside

    def contrast(self, group: str) -> Contrast:
        """The images of a group against those of all others."""
        return Contrast(self.members(group), self.unit, self.controls)

    def take(self, keep: np.ndarray) -> Grouping:
        """The images under the mask `keep`."""
        return replace(
            self,
            outcomes=self.outcomes.take(keep),
            of=self.of[keep],
            unit=None if self.unit is None else self.unit[keep],
            controls={name: codes[keep] for name, codes in self.controls.items()},
        )

    def named(self, group: str) -> str:
        return f"{group} ({self.attribute.name})"

    @property
    def single(self) -> str | None:
        """The only group that has images, None where two or more have."""
        seen = set(self.of.tolist())
        return next(iter(seen)) if len(seen) == 1 else None


def groupings(
    outcomes: Outcomes, *, by_label: bool = False, unlabelled: bool = False
) -> Iterator[Grouping]:
    """One grouping an attribute, in the spec's order.

    `by_label`: of groups that can be counted by class, for what is told of a group's images of a
    class (`auditor.data.pooling.by_label`). `unlabelled`: with the images that have no label.
    """
    outcomes = outcomes.by_label() if by_label else outcomes
    outcomes = outcomes if unlabelled else outcomes.with_labels()
    # Codes once: comparing names, once a group and class, would take most of the time.
    unit = None if outcomes.units is None else unit_codes(outcomes.units)
    conditions = condition_codes(outcomes)
    for attribute in outcomes.attributes:
        groups = outcomes.groups(attribute.name)
        known = groups != MISSING_GROUP
        yield Grouping(
            attribute=attribute,
            outcomes=outcomes.take(known),
            of=groups[known],
            unit=None if unit is None else unit[known],
            missing=int((~known).sum()),
            controls={n: c[known] for n, c in conditions.items() if n != attribute.name},
        )


def condition_codes(outcomes: Outcomes) -> dict[str, np.ndarray]:
    """For each attribute of role condition the code of each image's group, (n,), -1 for none."""
    conditions = outcomes.dataset.attributes_of("condition")
    return {a.name: _group_codes(outcomes.groups(a.name)) for a in conditions}


def _group_codes(groups: np.ndarray) -> np.ndarray:
    codes: np.ndarray = pd.factorize(groups)[0].astype(np.int64)
    return np.where(groups == MISSING_GROUP, -1, codes)


def nothing_to_compare(grouping: Grouping, *, name: str) -> Unmeasured | None:
    """Why an attribute gives no comparison at all: one group or none; else None."""
    attribute = grouping.attribute.name
    if not len(grouping.of):
        reason, group = f"No labelled test image has a value of {attribute}.", MISSING_GROUP
    elif grouping.single is not None:
        group = grouping.single
        reason = f"All labelled test images are of one group, {grouping.named(group)}."
        if group in grouping.attribute.pooled:
            reason += " It is pooled of groups of which some hold too few units to be published."
    else:
        return None
    smallest = grouping.attribute.smallest
    enough = f", each with at least {smallest} units of every label" if smallest else ""
    return Unmeasured(
        name=name,
        subject=Subject.about({attribute: group}, split="test"),
        reason=f"{reason} There is no other group to compare with.",
        remedy=f"Collect test images of at least two groups of {attribute}{enough}.",
    )


def too_few_units(
    grouping: Grouping, group: str, *, name: str, subject: Subject, among: str = ""
) -> Unmeasured | None:
    """Why a group cannot be compared with the rest, when a side has too few units; else None."""
    inside = grouping.members(group)
    unit = grouping.unit
    return too_few(
        name,
        subject,
        sides={
            f"{grouping.named(group)}{among}": count_units(inside, unit),
            f"the rest{among}": count_units(~inside, unit),
        },
        noun="images" if unit is None else "units",
    )


def accuracy_by_group(grouping: Grouping) -> pd.Series[float]:
    """Accuracy indexed by group; fairlearn's MetricFrame."""
    # scikit-learn takes a second to import, which only an audit with groups should pay.
    from sklearn.metrics import accuracy_score

    cells = _cells(grouping, grouping.outcomes.labels, grouping.outcomes.predicted)
    return _by_group(cells, {"accuracy": accuracy_score})["accuracy"]


def errors_by_group(grouping: Grouping, *, label: str) -> pd.DataFrame:
    """False-positive and false-negative rates of a class by group; fairlearn's MetricFrame.

    Columns ``false-positive`` and ``false-negative``, indexed by group. Where a group has no
    image that could suffer the error fairlearn gives 0; here it is NaN.
    """
    from fairlearn.metrics import false_negative_rate, false_positive_rate

    index = grouping.outcomes.classes.index(label)
    truth, answer = grouping.outcomes.labels == index, grouping.outcomes.predicted == index
    cells = _cells(grouping, truth.astype(int), answer.astype(int))
    found = _by_group(
        cells, {"false-positive": false_positive_rate, "false-negative": false_negative_rate}
    )
    kinds = cells.groupby("group")["truth"]
    found.loc[kinds.min() == 1, "false-positive"] = np.nan
    found.loc[kinds.max() == 0, "false-negative"] = np.nan
    return found


def _cells(grouping: Grouping, truth: np.ndarray, answer: np.ndarray) -> pd.DataFrame:
    """How many images of each group have each truth and answer: a row a combination that occurs.

    MetricFrame gives the same for these rows, weighted, as for the images, of which 200,000
    would take it seconds.
    """
    images = pd.DataFrame({"group": grouping.of.astype(str), "truth": truth, "answer": answer})
    return images.value_counts().rename("images").reset_index()


def _by_group(cells: pd.DataFrame, metrics: Mapping[str, Callable[..., float]]) -> pd.DataFrame:
    from fairlearn.metrics import MetricFrame

    frame = MetricFrame(
        metrics=dict(metrics),
        y_true=cells["truth"],
        y_pred=cells["answer"],
        sensitive_features=cells["group"].to_numpy(),
        sample_params={name: {"sample_weight": cells["images"]} for name in metrics},
    )
    by_group: pd.DataFrame = frame.by_group.astype(float)
    return by_group
