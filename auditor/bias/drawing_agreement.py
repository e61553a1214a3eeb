"""How far annotators' drawings of the same images agree, and who draws too wide or leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.bias.annotator_agreement import AGREEMENT, no_attribute
from auditor.bias.drawings import Beside, Drawing, beside, drawings_of, together
from auditor.bias.ratings import observed
from auditor.comparing.against_rest import AgainstRest
from auditor.comparing.by_group import ByGroup
from auditor.comparing.groups import Grouping, groupings, nothing_to_compare
from auditor.comparing.two_sides import paired_means
from auditor.data.dataset import Dataset
from auditor.data.truth import MapTruth
from auditor.findings import Better, Measure, Measured, Side, Subject, Unmeasured
from auditor.scoring.comparison import count_units, too_few, worst_first
from auditor.scoring.pixels import ratio_of_sums
from auditor.scoring.quantities import Quantity
from auditor.scoring.rows import Rows
from auditor.scoring.set_values import EmptySetError
from auditor.stats import Estimate, mean, rate

OVERLAP, ALIKE = "drawn-overlap", "drawn-alike"
AREA, LEFT_OUT, ADDED = "drawn-area", "left-out", "added"
BESIDE_OTHERS = {AREA: "relative-area", LEFT_OUT: "relative-left-out"}
"""What is measured beside other annotators where no expert drew the same images."""

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Drawn:
    """The drawings of a split's images; boxes of a class are alike from an IoU of `overlap` on."""

    dataset: Dataset
    overlap: float

    @cached_property
    def hands(self) -> list[Drawing]:
        return drawings_of(self.dataset)

    @cached_property
    def of_maps(self) -> bool:
        return isinstance(self.hands[0].truth, MapTruth)

    @cached_property
    def agreed(self) -> Beside:
        """Each image's drawings by each two annotators who are named."""
        parts = [
            beside(self.dataset, a, b, overlap=self.overlap) for a, b in combinations(self.hands, 2)
        ]
        every = together(parts or [self._beside(self.hands[0], self.hands[0])])
        named = np.array([bool(a and b) for a, b in zip(every.by, every.other, strict=True)], bool)
        return _once_each(every.take(named))

    @cached_property
    def graded(self) -> Beside | None:
        """Each annotator's drawings, and the annotations as a whole, beside an expert's."""
        gold = self.dataset.drawn_gold
        if gold is None:
            return None
        expert = Drawing(np.full(len(self.dataset), None, dtype=object), gold)
        whole = self.dataset.truth
        parts = [self._beside(one, expert) for one in self.hands]
        if whole is not None:
            nobody = np.full(len(self.dataset), "", dtype=object)
            parts = [p.take(np.asarray(p.by != "")) for p in parts]
            parts.append(self._beside(Drawing(nobody, whole), expert))
        return _once_each(together(parts))

    def _beside(self, one: Drawing, other: Drawing) -> Beside:
        return beside(self.dataset, one, other, overlap=self.overlap)

    def owner(self, row: Codes) -> Codes:
        """What is independent among entries of the images `row` (m,): their units, or images."""
        units = self.dataset.unit_codes
        return row if units is None else units[row]

    @property
    def noun(self) -> str:
        return "images" if self.dataset.unit_codes is None else "units"

    def few(self, name: str, subject: Subject, row: Codes, what: str) -> Unmeasured | None:
        found = count_units(np.ones(len(row), dtype=bool), self.owner(row))
        return too_few(name, subject, sides={what: found}, noun=self.noun)

    def measure(
        self, name: str, subject: Subject, estimate: Estimate, row: Codes, badness: np.ndarray,
        *, better: Better = "lower", **more: Any,
    ) -> Measure:  # fmt: skip
        """A measure over entries of the images `row` (m,), the worst first by `badness` (m,)."""
        images, place = np.unique(row, return_inverse=True)
        worst = np.zeros(len(images))
        np.maximum.at(worst, place, badness)
        ids = self.dataset.image_ids[images]
        units = self.dataset.unit_codes
        return Measure(
            name=name,
            subject=subject,
            estimate=estimate,
            scale=more.pop("scale", "share"),
            better=better,
            n=len(images),
            n_units=None if units is None else count_units(np.ones(len(row), bool), units[row]),
            examples=worst_first(ids, badness=worst, among=worst > 0),
            **more,
        )


def _once_each(every: Beside) -> Beside:
    """One entry an image and two hands: an annotator's own file may be the annotation, too."""
    lines = zip(every.row, every.by, every.other, strict=True)
    seen: dict[tuple[int, frozenset[str]], int] = {}
    for place, (row, by, other) in enumerate(lines):
        seen.setdefault((int(row), frozenset({by, other})), place)
    keep = np.zeros(len(every), dtype=bool)
    keep[list(seen.values())] = True
    return every.take(keep)


def drawn_agreement(drawn: Drawn) -> Iterator[Measured | ByGroup]:
    """Agreement of drawings, whole, by class and by group; who draws more, who leaves out."""
    yield from _agreement(drawn)
    if drawn.graded is not None:
        yield from _each_hand(drawn, drawn.graded, {})
    else:
        either = together([drawn.agreed, drawn.agreed.turned()])
        yield from _each_hand(drawn, either, BESIDE_OTHERS)


def _agreement(drawn: Drawn) -> Iterator[Measured | ByGroup]:
    entries, name = drawn.agreed, OVERLAP if drawn.of_maps else ALIKE
    split = drawn.dataset.split
    few = drawn.few(name, Subject(split=split), entries.row, "what two annotators drew")
    if few is not None:
        yield few
        return
    yield _agreed(drawn, name, Subject(split=split), np.arange(entries.whole.shape[1]))
    for label, named in enumerate(drawn.dataset.classes):
        subject = Subject.about({"class": named}, split=split)
        holding = entries.row[entries.whole[:, label] > 0]
        if len(holding):
            what = f'what two annotators drew of "{named}"'
            few = drawn.few(name, subject, holding, what)
            yield few or _agreed(drawn, name, subject, np.array([label]))
    if not drawn.dataset.attributes:
        yield no_attribute(AGREEMENT, split)
    for grouping in groupings(Rows.unanswered(drawn.dataset), unlabelled=True):
        yield _by_group(drawn, grouping)


def _agreed(drawn: Drawn, name: str, subject: Subject, labels: Codes) -> Measure:
    entries = drawn.agreed
    keep = np.asarray((entries.whole[:, labels] > 0).any(axis=1))
    held = entries.take(keep)
    shared, whole = held.shared[:, labels], held.whole[:, labels]
    found = ratio_of_sums(shared, whole, present=np.ones(len(labels), dtype=bool))
    estimate = mean(found.pseudo_observations, unit=drawn.owner(held.row), span=(0.0, 1.0))
    apart = (whole - shared).sum(axis=1)
    facts = {"pairs": len(held), "from_overlap": None if drawn.of_maps else drawn.overlap}
    return drawn.measure(name, subject, estimate, held.row, apart, better="higher", facts=facts)


def _by_group(drawn: Drawn, grouping: Grouping) -> Measured | ByGroup:
    """Mean agreement over the classes, of each group's images against all others."""
    entries = drawn.agreed
    of_entries, known = observed(grouping, entries.row)
    twice = nothing_to_compare(of_entries, name=AGREEMENT, truth="doubly annotated ")
    if twice is not None:
        return twice
    entries = entries.take(known)
    of_set = _agreement_of(entries)
    quantity = Quantity(
        AGREEMENT, of_set(np.ones(len(entries), dtype=bool)), "higher",
        among=" drawn by two annotators", least=0.0, span=(0.0, 1.0),
        badness=(entries.whole - entries.shared).sum(axis=1), of_set=of_set,
    )  # fmt: skip
    compared = AgainstRest(quantity, of_entries)
    found = {group: compared.difference(group, facts={"drawn": True}) for group in grouping.groups}
    return ByGroup(compared, {group: (one,) for group, one in found.items()})


def _agreement_of(entries: Beside) -> Callable[[np.ndarray], np.ndarray]:
    def of_set(keep: np.ndarray) -> np.ndarray:
        shared, whole = entries.shared[keep], entries.whole[keep]
        found = ratio_of_sums(shared, whole, present=whole.sum(axis=0) > 0)
        if not found.n_classes:
            raise EmptySetError("drawings: found nothing drawn, expected one object or more")
        return found.pseudo_observations

    return of_set


def _each_hand(drawn: Drawn, entries: Beside, names: Mapping[str, str]) -> Iterator[Measured]:
    """Of every annotator, and of the annotations as a whole (""), what is drawn of each class."""
    for by in sorted(set(entries.by.tolist())):
        own = entries.take(np.asarray(entries.by == by))
        for label, named in enumerate(drawn.dataset.classes):
            keys = {"class": named} | ({"annotator": by} if by else {})
            subject = Subject.about(keys, split=drawn.dataset.split)
            if own.held[:, label].any() or own.held_other[:, label].any():
                yield _area(drawn, own, label, names.get(AREA, AREA), subject)
                yield _lacking(drawn, own, label, names.get(LEFT_OUT, LEFT_OUT), subject)
                if not names:
                    yield _lacking(drawn, own.turned(), label, ADDED, subject)


def _what(subject: Subject) -> str:
    who = subject.get("annotator") or "the annotations"
    return f'what {who} and others drew of "{subject.get("class")}"'


def _area(drawn: Drawn, own: Beside, label: int, name: str, subject: Subject) -> Measured:
    """The area that is drawn of a class over that of the other hand, of the same images."""
    own = own.take((own.area[:, label] > 0) | (own.area_other[:, label] > 0))
    few = drawn.few(name, subject, own.row, _what(subject))
    if few is not None:
        return few
    area, other = own.area[:, label], own.area_other[:, label]
    if (area == other).all() or not other.any():
        why = "are the same to the pixel" if other.any() else "have nothing to be compared with"
        return Unmeasured(
            name=name,
            subject=subject,
            reason=f"All areas in {_what(subject)} {why}: nothing is told of who draws how.",
            remedy="Have the images drawn anew by one who has not seen the other's drawings.",
        )
    sides = paired_means(area, other, unit=drawn.owner(own.row))
    here, there = (
        Side(side, len(own), "amount", "pixels", 0.0) for side in (sides.group, sides.rest)
    )
    apart = np.abs(area - other)
    return drawn.measure(
        name, subject, sides.ratio(), own.row, apart, better="none", scale="ratio", neutral=1.0,
        sides=(here, there),
    )  # fmt: skip


def _lacking(drawn: Drawn, own: Beside, label: int, name: str, subject: Subject) -> Measured:
    """The share of the other hand's objects of a class for which nothing is drawn."""
    held, lacks = own.held_other[:, label], own.lacks[:, label]
    row = np.repeat(own.row, held)
    few = drawn.few(name, subject, row, _what(subject))
    if few is not None:
        return few
    missing = np.concatenate([np.arange(n) < k for n, k in zip(held, lacks, strict=True)])
    return drawn.measure(
        name, subject, rate(missing, unit=drawn.owner(row)), row, missing.astype(float),
        facts={"count": int(missing.sum()), "objects": len(row),
               "ones": "images with" if drawn.of_maps else "objects of class"},
    )  # fmt: skip
