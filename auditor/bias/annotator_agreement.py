"""Agreement between annotators, overall and about each group: measures, figures and table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditor.bias.krippendorff import MOST_GRADES, Pairs, alpha_draws, pairs
from auditor.bias.ratings import Ratings
from auditor.data.dataset import MISSING_GROUP, Attribute
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import (
    MIN_UNITS,
    count_units,
    points_text,
    rate_details,
    rate_text,
    too_few,
    worst_first,
)
from auditor.stats import Draws, Rate, interval, rate, rate_difference, value

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Doubly:
    """The images of a split that two annotators or more labelled.

    `ordinal` asks for agreement of grades too; `rng` resamples.
    """

    ratings: Ratings
    split: str
    ordinal: bool
    rng: np.random.Generator

    @property
    def noun(self) -> str:
        return "images" if self.ratings.unit is None else "units"

    @cached_property
    def pair(self) -> Pairs:
        return pairs(self.ratings.given)

    @property
    def alphas(self) -> tuple[tuple[str, bool], ...]:
        """Names of the alphas to give, and whether each is ordinal."""
        given = self.ratings.given[self.ratings.doubly]
        used = len(np.unique(given[given >= 0]))
        if self.ordinal and used <= MOST_GRADES:
            return (("alpha", False), ("alpha-ordinal", True))
        return (("alpha", False),)

    def alpha(self, images: Mask, *, ordinal: bool) -> Draws | None:
        unit = self.ratings.unit
        return alpha_draws(
            self.ratings.given[images],
            unit=None if unit is None else unit[images],
            ordinal=ordinal,
            rng=self.rng,
        )

    def rate(self, keep: Mask) -> Rate:
        """Share of the pairs under the mask that agree."""
        owner = self.ratings.owner(self.pair.row)
        return rate(self.pair.agree[keep], unit=None if owner is None else owner[keep])

    def units(self, images: Mask) -> int | None:
        unit = self.ratings.unit
        return None if unit is None else count_units(images, unit)

    def examples(self, among: Mask) -> tuple[str, ...]:
        """Images under the mask, those with the most disagreeing pairs first."""
        apart = np.bincount(self.pair.row, weights=~self.pair.agree, minlength=len(among))
        ids = self.ratings.dataset.image_ids
        return worst_first(ids, badness=apart, among=among & (apart > 0))


def agreements(doubly: Doubly) -> Iterator[Result]:
    """Raw agreement and alpha over everything, then by group with a figure an attribute."""
    ratings = doubly.ratings
    subject = Subject.of(split=doubly.split)
    found = count_units(ratings.doubly, ratings.unit)
    if found < MIN_UNITS:
        for name in ("raw-agreement", "agreement", *(name for name, _ in doubly.alphas)):
            yield _too_few_doubly(name, subject, found, doubly.noun)
        return
    overall = _overall(doubly, subject)
    yield overall
    for name, ordinal in doubly.alphas:
        yield _alpha(doubly, name, ratings.doubly, ordinal=ordinal, subject=subject)
    if not ratings.dataset.attributes:
        yield no_attribute("agreement", doubly.split)
    for attribute in ratings.dataset.attributes:
        compared = _by_group(doubly, attribute)
        yield from compared
        shown = [m for m in compared if isinstance(m, Measure) and m.name == "agreement"]
        if shown:
            yield _forest(overall, shown, attribute, doubly.split)


def no_attribute(name: str, split: str) -> Unmeasured:
    """Why a comparison of groups gives nothing where no attribute is declared."""
    return Unmeasured(
        name=name,
        subject=Subject.of(split=split),
        reason=f"The {split} data declare no attribute: there are no groups to compare.",
        remedy="Add columns that group the images to the manifest (building, lighting, ...) and "
        "declare them under `data.attributes`.",
    )


def _too_few_doubly(name: str, subject: Subject, found: int, noun: str) -> Unmeasured:
    had = f"{found} {noun.removesuffix('s') if found == 1 else noun}"
    return Unmeasured(
        name=name,
        subject=subject,
        reason=f"Only {had} of the {subject.split} data have labels from two annotators; fewer "
        f"than {MIN_UNITS} say nothing of agreement.",
        remedy=f"Have a second annotator label at least {MIN_UNITS - found} more {noun}, chosen at "
        "random; a verdict will need more than that.",
    )


def _overall(doubly: Doubly, subject: Subject) -> Measure:
    found = doubly.rate(np.ones(len(doubly.pair.row), dtype=bool))
    images = doubly.ratings.doubly
    n, n_pairs = int(images.sum()), len(doubly.pair.row)
    of = f"{n_pairs:,} pairs of labels ({n:,} images)" if n_pairs > n else f"{n:,} images"
    text = rate_text(found, n=n_pairs).rpartition(" of ")[0]
    return Measure(
        name="raw-agreement",
        subject=subject,
        estimate=found,
        unit="share",
        better="higher",
        n=n,
        n_units=doubly.units(images),
        examples=doubly.examples(images),
        details={
            "pairs": n_pairs,
            "rate": rate_details(found, n=n),
            "sentence": f"Two annotators give the same image the same label in {text} of {of}.",
        },
    )


def _alpha(
    doubly: Doubly, name: str, images: Mask, *, ordinal: bool, subject: Subject,
    attribute: Attribute | None = None,
) -> Measure | Unmeasured:  # fmt: skip
    """Alpha of the images under the mask; `attribute` where they are a group of it."""
    about = f"{subject.get(attribute.name)} ({attribute.name})" if attribute else "all images"
    found = doubly.alpha(images, ordinal=ordinal)
    if found is None:
        return Unmeasured(
            name=name,
            subject=subject,
            reason=f"Annotators gave nearly all images of {about} the same class: what chance "
            "would agree on cannot be told from what they agree on.",
            remedy="Have two annotators label images of every class; raw agreement is given.",
        )
    ends = interval(found)
    n = int(images.sum())
    kind = "counting how far grades are apart, " if ordinal else ""
    return Measure(
        name=name,
        subject=subject,
        estimate=found,
        unit="",
        better="higher",
        n=n,
        n_units=doubly.units(images),
        examples=doubly.examples(images),
        details={
            "rate": {"value": value(found), "low": ends.low, "high": ends.high, "n": n},
            "sentence": f"Agreement beyond chance (Krippendorff's alpha, {kind}1 is full, 0 is "
            f"chance) about {about}: {value(found):.2f} [{ends.low:.2f}, {ends.high:.2f}] over "
            f"{n:,} images.",
        },
    )


def _by_group(doubly: Doubly, attribute: Attribute) -> list[Measure | Unmeasured]:
    of = doubly.ratings.group(attribute)
    images = doubly.ratings.doubly & (of >= 0)
    seen = [attribute.groups[code] for code in np.unique(of[images])]
    if len(seen) < 2:
        said = f"are all of one group, {seen[0]}" if seen else "have no value"
        return [
            Unmeasured(
                name="agreement",
                subject=Subject.about(
                    {attribute.name: seen[0] if seen else MISSING_GROUP}, split=doubly.split
                ),
                reason=f"Images with labels from two annotators {said} of {attribute.name}. There "
                "is no other group to compare with.",
                remedy=f"Have images of at least two groups of {attribute.name} labelled twice.",
            )
        ]
    found: list[Measure | Unmeasured] = []
    for code, group in enumerate(attribute.groups):
        inside = images & (of == code)
        compared = _compared(doubly, attribute, group, inside=inside, among=images)
        found.append(compared)
        for name, ordinal in doubly.alphas:
            subject = compared.subject
            found.append(
                _few(doubly, name, subject, {_twice(attribute, group): inside})
                or _alpha(
                    doubly, name, inside, ordinal=ordinal, subject=subject, attribute=attribute
                )
            )
    return found


def _twice(attribute: Attribute, group: str) -> str:
    return f"{group} ({attribute.name}) with labels from two annotators"


def _few(
    doubly: Doubly, name: str, subject: Subject, sides: Mapping[str, Mask]
) -> Unmeasured | None:
    unit = doubly.ratings.unit
    counts = {side: count_units(images, unit) for side, images in sides.items()}
    return too_few(name, subject, sides=counts, noun=doubly.noun)


def _compared(
    doubly: Doubly, attribute: Attribute, group: str, *, inside: Mask, among: Mask
) -> Measure | Unmeasured:
    """Raw agreement about a group minus that about the rest of the images `among`."""
    subject = Subject.about({attribute.name: group}, split=doubly.split)
    named = f"{group} ({attribute.name})"
    rest = among & ~inside
    few = _few(
        doubly, "agreement", subject,
        {_twice(attribute, group): inside, "the rest with labels from two annotators": rest},
    )  # fmt: skip
    if few is not None:
        return few
    row = doubly.pair.row
    owner = doubly.ratings.owner(row)
    known = among[row]
    gap = rate_difference(
        doubly.pair.agree[known],
        member=inside[row][known],
        unit=None if owner is None else owner[known],
    )
    here, there = doubly.rate(inside[row]), doubly.rate(rest[row])
    n, n_rest = int(inside[row].sum()), int(rest[row].sum())
    return Measure(
        name="agreement",
        subject=subject,
        estimate=gap,
        unit="share",
        better="higher",
        n=int(inside.sum()),
        n_units=doubly.units(inside),
        examples=doubly.examples(inside),
        details={
            "rate": rate_details(here, n=n),
            "rest": rate_details(there, n=n_rest),
            "attribute_role": attribute.role,
            "sentence": f"Two annotators agree about {named} in {rate_text(here, n=n)}; about all "
            f"others in {rate_text(there, n=n_rest)}; {points_text(gap)}.",
        },
    )


def _forest(overall: Measure, shown: Sequence[Measure], attribute: Attribute, split: str) -> Figure:
    entries = [("all images", overall.details["rate"])]
    entries += [(str(m.subject.get(attribute.name)), m.details["rate"]) for m in shown]
    lowest = min(shown, key=lambda m: float(m.details["rate"]["value"]))
    return Figure(
        id=f"bias/label-agreement:agreement:{attribute.name}@{split}",
        kind="forest",
        title=f"Agreement of annotators by {attribute.name}, {split} data",
        caption=f"How often two annotators give the same image the same label, with 95% intervals. "
        f"Groups with fewer than {MIN_UNITS} images or units labelled twice are left out.",
        alt=f"Intervals of agreement for {len(shown)} groups of {attribute.name}. Lowest: "
        f"{lowest.details['sentence']}",
        x=Axis("same label", "share"),
        y=Axis(attribute.name),
        rows=tuple({"label": label, **ends} for label, ends in entries),
    )


def agreement_table(measures: Sequence[Measure]) -> Iterator[Table]:
    """One table of agreement and alpha by group, where there is a measure of them."""
    rows = [
        _row(measure, {m.name: m for m in measures if m.subject == measure.subject})
        for measure in measures
        if measure.name == "agreement"
    ]
    if not rows:
        return
    names = ("data", "attribute", "group", "images", "units", "agreement", "low", "high",
             "difference", "difference low", "difference high", "alpha", "alpha low",
             "alpha high", "ordinal alpha")  # fmt: skip
    yield Table(
        id="bias/label-agreement:groups",
        title="Agreement of annotators about every group, and its difference from all other images",
        columns=tuple(Column(name, "share" if name in names[5:11] else "") for name in names),
        rows=tuple(rows),
    )


def _row(measure: Measure, same: dict[str, Measure]) -> tuple[Cell, ...]:
    attribute, group = measure.subject.keys[0]
    rate, gap = measure.details["rate"], interval(measure.estimate)
    alpha: tuple[Cell, ...] = (None, None, None)
    if "alpha" in same:
        ends = interval(same["alpha"].estimate)
        alpha = (value(same["alpha"].estimate), ends.low, ends.high)
    ordinal = value(same["alpha-ordinal"].estimate) if "alpha-ordinal" in same else None
    return (
        measure.subject.split, attribute, group, measure.n, measure.n_units,
        rate["value"], rate["low"], rate["high"],
        value(measure.estimate), gap.low, gap.high, *alpha, ordinal,
    )  # fmt: skip
