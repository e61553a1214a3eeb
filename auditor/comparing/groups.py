"""The groups of an attribute: which rows are in each, and why some cannot be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import pandas as pd

from auditor.data.dataset import MISSING_GROUP, Attribute, CodedGroups
from auditor.findings import Subject, Unmeasured
from auditor.scoring.comparison import count_units, has_few_units, too_few, units_by_group
from auditor.scoring.rows import Rows
from auditor.stats.codes import compact


@dataclass(frozen=True)
class Contrast:
    """Some rows against all others: `inside` (n,) bool; `unit` and `controls` as `Grouping`."""

    inside: np.ndarray
    unit: np.ndarray | None
    controls: Mapping[str, np.ndarray] = field(default_factory=dict)


class _Arrays:
    """What the rows of a grouping are counted by, (n,) int64 each, made when it is asked for."""

    def __init__(self, grouping: Grouping) -> None:
        self.at = grouping.positions()
        self._places, self._rows = grouping.places, grouping.rows
        self._rows_are_units = grouping.rows_are_units

    @cached_property
    def of(self) -> np.ndarray:
        return np.asarray(self._places[self.at], dtype=np.int64)

    @cached_property
    def unit(self) -> np.ndarray | None:
        if self._rows_are_units:
            return self.at
        codes = self._rows.unit_codes
        return None if codes is None else codes[self.at]


Made = TypeVar("Made")


class Latest:
    """What was made for the two that asked last: that of all who ask would fill the memory.

    Two, for some rows are told beside others of the same ones.
    """

    def __init__(self) -> None:
        self._made: dict[type, list[tuple[object, object]]] = {}

    def of(self, token: object, make: Callable[[], Made], *, kind: type[Made]) -> Made:
        """What `make` gives, of a `kind`, unless it is there still for the same `token`."""
        held = self._made.setdefault(kind, [])
        at = next((i for i, (mine, _) in enumerate(held) if mine is token), None)
        if at is None:
            # Before others are made.
            del held[:-1]
            held.append((token, make()))
        else:
            held.append(held.pop(at))
        found = held[-1][1]
        assert isinstance(found, kind)
        return found

    def clear(self) -> None:
        self._made.clear()


@dataclass(frozen=True)
class Controls(Mapping[str, np.ndarray]):
    """Codes of each row's group by condition, (n,) int64, -1 for none; made when asked for.

    `codes` are of all rows, `at` (n,) the positions of those that are meant.
    """

    codes: Mapping[str, np.ndarray]
    at: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        found: np.ndarray = self.codes[name][self.at].astype(np.int64)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.codes)

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True)
class Grouping:
    """The rows whose group under `attribute` is known; `missing` counts the others.

    `places` are the place of the group of every row of `rows` in `groups` (every group declared or
    seen, in the attribute's order), -1 where it is not known. Of the rows only those under the
    mask `among` are meant, or, as often as they stand there, those at the positions `among` (m,)
    that are observed; all, where None. `conditions` maps every other attribute of role condition
    to the code of the group of every row of `rows`, -1 for none. `rows_are_units` says that what
    is observed of one row is of one unit, where none are named.
    """

    attribute: Attribute
    rows: Rows
    groups: tuple[str, ...]
    places: np.ndarray
    missing: int
    conditions: Mapping[str, np.ndarray] = field(default_factory=dict)
    among: np.ndarray | None = None
    rows_are_units: bool = False
    latest: Latest = field(default_factory=Latest, compare=False, repr=False)
    token: object = field(default_factory=object, init=False, compare=False, repr=False)

    def __len__(self) -> int:
        return self._size

    @cached_property
    def _size(self) -> int:
        return int(np.count_nonzero(self._known()))

    def _known(self) -> np.ndarray:
        """Which of `rows`, or of what is observed of them, are meant and have a group, a mask."""
        if self.among is None:
            known: np.ndarray = self.places >= 0
            return known
        if self.among.dtype == bool:
            return np.asarray(self.among & (self.places >= 0))
        return np.asarray(self.places[self.among] >= 0)

    @property
    def observes(self) -> bool:
        """Whether rows are observed, each perhaps several times."""
        return self.among is not None and self.among.dtype != bool

    def positions(self) -> np.ndarray:
        """Positions in `rows`, (n,) int64; rising unless rows are observed."""
        if self.among is not None and self.observes:
            return np.asarray(self.among[self._known()], dtype=np.int64)
        return np.flatnonzero(self._known())

    def taken(self, values: np.ndarray) -> np.ndarray:
        """Values of each row, (n,), from `values` of all `rows`, or of all that is observed."""
        return np.asarray(values[self._known() if self.observes else self.at])

    @property
    def _arrays(self) -> _Arrays:
        return self.latest.of(self.token, lambda: _Arrays(self), kind=_Arrays)

    @property
    def at(self) -> np.ndarray:
        """Positions in `rows`, (n,) int64."""
        return self._arrays.at

    @property
    def of(self) -> np.ndarray:
        """The place of each row's group in `groups`, (n,) int64."""
        return self._arrays.of

    @property
    def unit(self) -> np.ndarray | None:
        """A code of each row's unit, (n,) int64; None where the manifest names none."""
        return self._arrays.unit

    @property
    def controls(self) -> Mapping[str, np.ndarray]:
        """Each row's group under the other conditions, (n,) each (`Controls`)."""
        return Controls(self.conditions, self.at)

    def members(self, group: str) -> np.ndarray:
        """Mask over the rows, (n,)."""
        inside: np.ndarray = self.of == self.groups.index(group)
        return inside

    def units_of(self, group: str) -> int | None:
        """Independent units of a group; None where the manifest names none."""
        if not self.rows.dataset.has_units:
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
        if self.observes:
            return units_by_group(self.of, self.at, groups=groups)
        found: np.ndarray = np.bincount(self.of, minlength=groups)
        return found

    def contrast(self, group: str) -> Contrast:
        """The rows of a group against those of all others."""
        return Contrast(self.members(group), self.unit, self.controls)

    def take(self, keep: np.ndarray) -> Grouping:
        """The rows under the mask, or at the positions, `keep`; groups left empty stay."""
        return replace(self, among=compact(self.at[keep]))

    def only(self, meant: np.ndarray) -> Grouping:
        """Those of the rows that are under the mask `meant` over all `rows`; groups stay."""
        if self.observes:
            return self.take(meant[self.at])
        return replace(self, among=meant if self.among is None else meant & self.among)

    def named(self, group: str) -> str:
        return f"{group} ({self.attribute.name})"

    def subject(self, group: str, keys: Mapping[str, str] | None = None) -> Subject:
        return Subject.about({self.attribute.name: group, **(keys or {})}, split=self.rows.split)

    @property
    def single(self) -> str | None:
        """The only group that has rows, None where two or more have."""
        seen = np.flatnonzero(np.bincount(self.of))
        return self.groups[int(seen[0])] if len(seen) == 1 else None


def groupings(
    rows: Rows, *, by_label: bool = False, unlabelled: bool = False
) -> tuple[Grouping, ...]:
    """One grouping an attribute, in the spec's order; the same for all checks that ask.

    `by_label`: of groups that can be counted by class, for what is told of a group's rows of a
    class (`auditor.data.pooling.by_label`). `unlabelled`: with the rows whose truth is not known.
    """
    key = "rows of groupings", by_label, unlabelled
    if key not in rows.derived:
        meant = rows.by_label() if by_label else rows
        rows.derived[key] = meant if unlabelled else meant.with_truth
    # Mostly the same ones, however they are asked for.
    kept = rows.derived[key].derived
    if "groupings" not in kept:
        kept["groupings"] = tuple(_groupings(rows.derived[key]))
    found: tuple[Grouping, ...] = kept["groupings"]
    return found


def _groupings(rows: Rows) -> Iterator[Grouping]:
    conditions, latest = condition_codes(rows), Latest()
    for attribute in rows.attributes:
        coded = rows.dataset.coded_groups(attribute.name)
        others = sorted(coded.seen - {*attribute.groups, MISSING_GROUP})
        groups = (*attribute.groups, *others)
        of = coded.places_in(groups)
        yield Grouping(
            attribute=attribute,
            rows=rows,
            groups=groups,
            places=of,
            missing=int(np.count_nonzero(of < 0)),
            conditions={n: c for n, c in conditions.items() if n != attribute.name},
            latest=latest,
        )


def let_go(found: Iterable[Grouping]) -> None:
    """Drop what was made of groupings, for when no more is asked: they stay for other checks."""
    for grouping in found:
        grouping.latest.clear()


def let_go_of(rows: Rows) -> None:
    """`let_go` of all groupings that were asked for of some rows."""
    for meant in rows.derived.values():
        if isinstance(meant, Rows):
            let_go(meant.derived.get("groupings", ()))


def condition_codes(rows: Rows) -> dict[str, np.ndarray]:
    """For each attribute of role condition the code of each row's group, (n,), -1 for none."""
    conditions = rows.dataset.attributes_of("condition")
    return {a.name: _in_order(rows.dataset.coded_groups(a.name)) for a in conditions}


def _in_order(groups: CodedGroups) -> np.ndarray:
    """Codes in the order in which groups appear, so that sums over them are the same."""
    codes = compact(pd.factorize(groups.codes)[0])
    return np.where(groups.places_in([MISSING_GROUP]) == 0, codes.dtype.type(-1), codes)


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

    cells = _cells(grouping, label)
    found = _by_group(
        cells, {"false-positive": false_positive_rate, "false-negative": false_negative_rate}
    )
    kinds = cells.groupby("group")["truth"]
    found.loc[kinds.min() == 1, "false-positive"] = np.nan
    found.loc[kinds.max() == 0, "false-negative"] = np.nan
    return found


def _cells(grouping: Grouping, label: str) -> pd.DataFrame:
    """How many rows of each group are, and are called, the class: a line a case that occurs.

    Columns ``group``, ``truth``, ``answer`` and ``rows``. MetricFrame gives the same for these
    lines, weighted, as for the rows, of which 200,000 would take it seconds.
    """
    truth, answer = grouping.rows.present(label), grouping.rows.called(label)
    case = 4 * grouping.of + 2 * truth[grouping.at] + answer[grouping.at]
    counts = np.bincount(case, minlength=4 * len(grouping.groups))
    found = np.flatnonzero(counts)
    names = [grouping.groups[place] for place in (found // 4).tolist()]
    return pd.DataFrame(
        {"group": names, "truth": found // 2 % 2, "answer": found % 2, "rows": counts[found]}
    )


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
