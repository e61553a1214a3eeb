"""How severely each hand grades each group, beside an expert and beside the other annotators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from auditor.bias.net_severity import Scale, comparable, net_difference
from auditor.bias.ratings import Ratings
from auditor.data.dataset import MISSING_GROUP, Attribute
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import (
    MIN_UNITS,
    count_units,
    percent,
    points,
    rate_details,
    rate_text,
    too_few,
    worst_first,
)
from auditor.stats import Normal, Rate, interval, rate, rate_difference, value

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

_MOST_SERIES = 8
"""Annotators that a figure shows; tables have all."""
_NOTICEABLE = 0.99
"""Level at which images are said not to have been given out at random."""


@dataclass(frozen=True)
class Graded:
    """One hand's labels beside a reference's, an entry for each image (and other annotator).

    `row` (m,) is the image, `step` (m,) by how much the hand was more severe (below 0: more
    lenient), `like` (m,) a code of the images that are compared with each other, `unit` (m,) what
    is independent, None where every entry is. `labelled` (n,) marks what the hand labelled.
    """

    ratings: Ratings
    annotator: str
    name: str
    row: Codes
    step: NDArray[np.float64]
    like: Codes
    labelled: Mask

    @property
    def up(self) -> Mask:
        return self.step > 0

    @property
    def down(self) -> Mask:
        return self.step < 0

    @cached_property
    def unit(self) -> Codes | None:
        return self.ratings.owner(self.row)

    @property
    def whose(self) -> str:
        """The hand's labels, in words."""
        return f"The labels of {self.annotator}" if self.annotator else "The labels"

    @property
    def reference(self) -> str:
        return "the expert" if self.name == "severity" else "the other annotators"

    @property
    def counted(self) -> str:
        return "images" if self.name == "severity" else "comparisons"

    def take(self, keep: Mask) -> Graded:
        """The entries under the mask `keep` (m,)."""
        return replace(self, row=self.row[keep], step=self.step[keep], like=self.like[keep])

    def subject(self, keys: dict[str, str], split: str) -> Subject:
        hand = {"annotator": self.annotator} if self.annotator else {}
        return Subject.about(keys | hand, split=split)


def severities(ratings: Ratings, scale: Scale, split: str) -> list[Result]:
    """Every hand's severity towards every group; hands with too few units share one reason."""
    found: list[Measure | Unmeasured] = []
    for graded, small in _enough(ratings, scale):
        if small:
            found.append(_small(graded, small, split))
            continue
        for attribute in ratings.dataset.attributes:
            found += _by_group(graded, attribute, split)
    measures = [m for m in found if isinstance(m, Measure)]
    return [*found, *_figures(measures, scale)]


def _enough(ratings: Ratings, scale: Scale) -> Iterator[tuple[Graded, tuple[str, ...]]]:
    """Hands to measure, and last, for each reference, the names of those with too little."""
    for _, hands in groupby(_all_graded(ratings, scale), key=lambda graded: graded.name):
        small: list[Graded] = []
        for graded in hands:
            everything = np.ones(len(graded.row), dtype=bool)
            if count_units(everything, graded.unit) >= MIN_UNITS:
                yield graded, ()
            else:
                small.append(graded)
        if small:
            yield small[0], tuple(graded.annotator or "the labels" for graded in small)


def _all_graded(ratings: Ratings, scale: Scale) -> Iterator[Graded]:
    if ratings.dataset.has_gold:
        labels = ratings.dataset.labels
        if ratings.dataset.has_labels:
            yield _beside_gold(ratings, "", labels, scale)
        for name in ratings.names:
            given = ratings.of(name)
            if not np.array_equal(given, labels):
                yield _beside_gold(ratings, name, given, scale)
    if ratings.doubly.any():
        for name in ratings.names:
            yield _beside_others(ratings, name, scale)


def _beside_gold(ratings: Ratings, annotator: str, given: Codes, scale: Scale) -> Graded:
    gold = ratings.dataset.gold
    row = np.flatnonzero((given >= 0) & (gold >= 0))
    step = scale.severity[given[row]] - scale.severity[gold[row]]
    return Graded(ratings, annotator, "severity", row, step, gold[row], given >= 0)


def _beside_others(ratings: Ratings, annotator: str, scale: Scale) -> Graded:
    given, others = ratings.of(annotator), ratings.but(annotator)
    row, column = np.nonzero((others >= 0) & (given >= 0)[:, None])
    step = scale.severity[given[row]] - scale.severity[others[row, column]]
    # Neither is the truth: taking one's label as a stratum would blame the other for its errors.
    like = np.zeros(len(row), dtype=np.int64)
    return Graded(ratings, annotator, "relative-severity", row, step, like, given >= 0)


def _small(graded: Graded, names: tuple[str, ...], split: str) -> Unmeasured:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    what = "units" if graded.ratings.unit is not None else "images"
    also = "the expert" if graded.name == "severity" else "another annotator"
    whole = not graded.annotator
    return Unmeasured(
        name=graded.name,
        subject=Subject.of(split=split) if whole else Subject.of(split=split, annotator="others"),
        reason=f"Fewer than {MIN_UNITS} {what} were labelled both by {also} and by each of: "
        f"{shown}.",
        remedy=f"Have {also} label at least {MIN_UNITS} {what} of each, of every group.",
    )


def _by_group(graded: Graded, attribute: Attribute, split: str) -> list[Measure | Unmeasured]:
    of = graded.ratings.group(attribute)
    known = graded.take(of[graded.row] >= 0)
    seen = [attribute.groups[code] for code in np.unique(of[known.row])]
    if len(seen) >= 2:
        return [_compared(known, attribute, group, split) for group in attribute.groups]
    only = f"are all of one group, {seen[0]}" if seen else "have no value"
    return [
        Unmeasured(
            name=graded.name,
            subject=graded.subject({attribute.name: seen[0] if seen else MISSING_GROUP}, split),
            reason=f"{graded.whose} and those of {graded.reference} are both known for "
            f"{len(graded.row):,} images, which {only} of {attribute.name}.",
            remedy=f"Have images of at least two groups of {attribute.name} labelled by both.",
        )
    ]


def _compared(graded: Graded, attribute: Attribute, group: str, split: str) -> Measure | Unmeasured:
    """A hand's severity towards a group less that towards the rest; entries of known groups."""
    subject = graded.subject({attribute.name: group}, split)
    named = f"{group} ({attribute.name})"
    of = graded.ratings.group(attribute)
    code = attribute.groups.index(group)
    member = of[graded.row] == code
    like = comparable(member, graded.like)
    few = too_few(
        graded.name,
        subject,
        sides={
            f"{side} also labelled by {graded.reference}": count_units(mask & like, graded.unit)
            for side, mask in ((named, member), ("the rest", ~member))
        },
        noun="images" if graded.ratings.unit is None else "units",
    )
    if few is not None:
        return few
    found = net_difference(
        graded.up.astype(float), graded.down.astype(float),
        member=member, stratum=graded.like, unit=graded.unit,
    )  # fmt: skip
    own, rest = _Shares.of(graded, member), _Shares.of(graded, ~member)
    assigned = _assigned(graded, of, code)
    return Measure(
        name=graded.name,
        subject=subject,
        estimate=found.estimate,
        unit="share",
        better="lower",
        n=len(np.unique(graded.row[member])),
        n_units=None if graded.ratings.unit is None else count_units(member, graded.unit),
        examples=worst_first(
            graded.ratings.dataset.image_ids,
            badness=np.bincount(graded.row, weights=graded.step, minlength=len(of)),
            among=np.isin(np.arange(len(of)), graded.row[member & graded.up]),
        ),
        details={
            "rate": rate_details(own.up, n=own.n),
            "rest": rate_details(rest.up, n=rest.n),
            "more_lenient": {"rate": value(own.down), "rest": value(rest.down)},
            "compared": int(found.taken.sum()),
            "attribute_role": attribute.role,
            "labelled": assigned,
            "sentence": _sentence(graded, named, own, rest, found.estimate)
            + _assignment_words(graded, named, assigned),
        },
    )


@dataclass(frozen=True)
class _Shares:
    up: Rate
    down: Rate
    n: int

    @classmethod
    def of(cls, graded: Graded, side: Mask) -> _Shares:
        unit = None if graded.unit is None else graded.unit[side]
        up, down = (rate(graded_to[side], unit=unit) for graded_to in (graded.up, graded.down))
        return cls(up, down, int(side.sum()))


def _sentence(graded: Graded, named: str, own: _Shares, rest: _Shares, balance: Normal) -> str:
    whose = graded.whose
    theirs = "the expert's" if graded.name == "severity" else "the other annotators'"
    like = ", among images that the expert labels alike" if graded.name == "severity" else ""
    ends, point = interval(balance), balance.value
    low, high, word = ends.low, ends.high, "more"
    if point < 0:
        low, high, word = -ends.high, -ends.low, "less"
    return (
        f"{whose} are more severe than {theirs} for {named} in {rate_text(own.up, n=own.n)} "
        f"{graded.counted}, for all others in {rate_text(rest.up, n=rest.n)}; more lenient in "
        f"{percent(value(own.down))}% and {percent(value(rest.down))}%; on balance "
        f"{points(abs(point))} points [{points(low)}, {points(high)}] {word} severe on "
        f"{named}{like}."
    )


def _assigned(graded: Graded, of: Codes, code: int) -> dict[str, Cell]:
    """Shares of the group's images and of the others that the hand labelled.

    They differ by more than chance where images were not given out at random.
    """
    known = of >= 0
    member, labelled = (of == code)[known], graded.labelled[known]
    unit = graded.ratings.unit
    split = rate_difference(labelled, member=member, unit=None if unit is None else unit[known])
    ends = interval(split, level=_NOTICEABLE)
    return {
        "rate": float(labelled[member].mean()),
        "rest": float(labelled[~member].mean()),
        "at_random": bool(ends.low <= 0 <= ends.high),
    }


def _assignment_words(graded: Graded, named: str, assigned: dict[str, Cell]) -> str:
    if assigned["at_random"] or not graded.annotator:
        return ""
    shares = [percent(float(assigned[side] or 0.0)) for side in ("rate", "rest")]
    return (
        f" {graded.annotator} labelled {shares[0]}% of the images of {named} and {shares[1]}% of "
        "all others: images were not given out at random, so these may differ in more than that."
    )


def severity_table(measures: Sequence[Measure]) -> Iterator[Table]:
    """One table of every hand's severity by group, where there is a measure of it."""
    severe = [m for m in measures if m.name in ("severity", "relative-severity")]
    if not severe:
        return
    names = ("data", "annotator", "beside", "attribute", "group", "compared", "more severe",
             "more lenient", "all others", "others more severe", "others more lenient",
             "on balance", "low", "high")  # fmt: skip
    shares = {"more severe", "more lenient", *names[9:]}
    yield Table(
        id="bias/label-agreement:severity",
        title="How often labels are more severe, and more lenient, than another hand's, by group",
        columns=tuple(Column(name, "share" if name in shares else "") for name in names),
        rows=tuple(_row(measure) for measure in severe),
    )


def _row(measure: Measure) -> tuple[Cell, ...]:
    attribute, group = _group(measure)
    ends = interval(measure.estimate)
    rest, lenient = measure.details["rest"], measure.details["more_lenient"]
    return (
        measure.subject.split, _hand(measure), _beside(measure),
        attribute, group,
        measure.details["rate"]["n"], measure.details["rate"]["value"], lenient["rate"],
        rest["n"], rest["value"], lenient["rest"],
        value(measure.estimate), ends.low, ends.high,
    )  # fmt: skip


def _group(measure: Measure) -> tuple[str, str]:
    """The attribute and the group that a severity is about."""
    return next((key, said) for key, said in measure.subject.keys if key != "annotator")


def _beside(measure: Measure) -> str:
    return "the expert" if measure.name == "severity" else "other annotators"


def _figures(measures: Sequence[Measure], scale: Scale) -> Iterator[Figure]:
    """One forest for each attribute and reference."""

    def about(measure: Measure) -> tuple[str, str, str]:
        return str(measure.subject.split), _group(measure)[0], measure.name

    for (split, attribute, name), chosen in groupby(sorted(measures, key=about), key=about):
        shown = list(chosen)
        hands = list(dict.fromkeys(_hand(m) for m in shown))
        beside = _beside(shown[0])
        yield Figure(
            id=f"bias/label-agreement:{name}:{attribute}@{split}",
            kind="forest",
            title=f"Severity by {attribute}, beside {beside}, {split} data",
            caption=f"Share of {split} images labelled more severely than by {beside} (more "
            f"severe: {scale.meaning}), less the share labelled more leniently, of each group "
            f"less all others, with 95% intervals; 0 is the same severity towards all.",
            alt=" ".join(str(m.details["sentence"]) for m in shown[:_MOST_SERIES]),
            x=Axis("more severe on balance", "share"),
            y=Axis(attribute),
            rows=tuple(_forest_row(m) for m in shown if _hand(m) in hands[:_MOST_SERIES]),
        )


def _hand(measure: Measure) -> str:
    return measure.subject.get("annotator") or "all labels"


def _forest_row(measure: Measure) -> dict[str, Cell]:
    ends = interval(measure.estimate)
    return {
        "label": _group(measure)[1],
        "value": value(measure.estimate),
        "low": ends.low,
        "high": ends.high,
        "n": measure.n,
        "series": _hand(measure),
    }
