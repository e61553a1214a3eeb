"""shift/metadata: which groups are commoner where the model will run than in the test data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from auditor.comparing.composition import (
    Composition,
    compositions,
    difference_of_shares,
    known_attributes,
    strangers,
)
from auditor.comparing.goodness_of_fit import fit_of_splits
from auditor.comparing.interval_row import interval_row
from auditor.contract import Attributes, Check, Evidence, Manifest, Need, Words
from auditor.contract.words import EITHER_WAY
from auditor.findings import (
    Axis,
    Cell,
    Column,
    Figure,
    Measure,
    Measured,
    Question,
    Result,
    Subject,
    Table,
    Unmeasured,
)
from auditor.scoring.comparison import MIN_UNITS
from auditor.stats import holm, interval, rate, value

_TRAIN = Manifest(split="train", optional=True)
_NAMED = 5
"""Groups that a sentence names at most."""


def _without(data: str, *, do: str, rank: int) -> tuple[Words, Words]:
    """Words for what is of groups that the `data` lack; the second where there is none."""
    told = Words(
        title=f"Deployment data of groups of {{attribute}} that the {data} data lack{{named:if}}",
        short=f"groups of {{attribute}} that the {data} data lack",
        sentence="{value} of {of} {counted:noun} where it will run are of groups of {attribute} "
        f"that the {data} data do not have: {{named}}.",
        action=f"{do} on images of every group of {{attribute}} that there is where it will run",
        answer=f"the {data} data have none of {{named}}",
        answer_rank=rank,
    )
    none = Words(
        title=f"Deployment data of groups of {{attribute}} that the {data} data lack",
        short=told.short,
        sentence=f"The {data} data have every group of {{attribute}} that was seen where it will "
        "run.",
        action=told.action,
    )
    return told, none


@dataclass(frozen=True)
class MetadataShift(Check):
    """Each group's share of the deployment data against its share of the test data.

    What it measures
    ----------------
    For every attribute that both manifests have: each group's share of the deployment data minus
    its share of the test data (`share`); the share of the deployment data that is of groups which
    the test data do not have at all (`unseen-share`), and the same of the training data
    (`untrained-share`). Shares are of units (rooms, persons) where all images of a unit are of one
    group, else of images. A G-test says whether the two compositions could be of one source, its
    p-values adjusted over all attributes (Holm).

    Why it matters
    --------------
    It is the difference that a reader knows by name. Where six in ten photos come from old phones
    and one in twenty test photos did, the measured accuracy is that of other phones, whatever the
    pixels say; and who takes the photos can be told what to add to the test.

    How it can mislead
    ------------------
    Only what somebody wrote down is compared. A group may have its share and yet look otherwise
    than in the test. A group that is commoner there costs accuracy only if the model is worse for
    it (`bias/subgroup-gap`). Deployment data gathered in one week have that week's groups.
    Images without a value are counted, and left out.
    """

    id: ClassVar[str] = "shift/metadata"
    topic: ClassVar[str] = "which groups there are where it will run"
    question: ClassVar[Question | None] = Question.MATCHES
    needs: ClassVar[tuple[Need, ...]] = (
        Attributes(split="test"),
        Attributes(split="deployment"),
        _TRAIN,
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
        "Rao & Scott (1984), doi:10.1214/aos/1176346391 (G-test where units span groups)",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "share": (
            Words(
                title="Share of {group} where it will run, against the test data",
                short="{group}: commoner where it will run",
                sentence=(
                    "{group}: {this} {counted:noun} where it will run; {other} test "
                    "{counted:noun}; {gap} where it will run.",
                    "The test data have none{absent:if}.",
                    "Training data: {train_share:percent}.",
                ),
                hundred="Of 100 {counted:noun} where it will run, {here:are/is} of {group}; of 100 "
                "test {counted:noun}, {there}.",
                sides=("Where it will run", "Test data"),
                span=EITHER_WAY,
                column="share there",
                action="test on more images of {group}",
                answer="{group}: {here} of 100 there, {there} in the test",
                answer_rank=0,
                when="above",
            ),
            Words(
                title="Share of {group} where it will run, against the test data",
                short="{group}: rarer where it will run",
                sentence=(
                    "{group}: {this} {counted:noun} where it will run; {other} test "
                    "{counted:noun}; {gap} where it will run.",
                    "Training data: {train_share:percent}.",
                ),
                hundred="Of 100 {counted:noun} where it will run, {here:are/is} of {group}; of 100 "
                "test {counted:noun}, {there}.",
                sides=("Where it will run", "Test data"),
                span=EITHER_WAY,
                column="share there",
            ),
            Words(
                title="Shares of {attribute} where it will run, against the test data",
                short="shares of {attribute} where it will run",
            ),
        ),
        "unseen-share": _without("test", do="test", rank=0),
        "untrained-share": _without("training", do="train", rank=1),
    }

    most_groups: Annotated[
        int, "A figure is drawn for attributes of up to this many groups; the table has all."
    ] = 15

    def run(self, evidence: Evidence) -> Iterator[Result]:
        splits = ["test", "deployment", *(["train"] if evidence.has(_TRAIN) else [])]
        datasets = [evidence.dataset(split) for split in splits]
        compared: list[_Compared] = []
        for attribute in known_attributes(datasets):
            found = {c.split: c for c in compositions(datasets, attribute=attribute)}
            lacking = _lacking(attribute, found)
            if lacking is not None:
                yield lacking
            else:
                compared.append(_Compared(found["test"], found["deployment"], found.get("train")))
        for one in compared:
            yield from one.measures()
        if compared:
            yield _groups(compared)
            yield _attributes(compared)
        yield from (_forest(c) for c in compared if len(c.there.groups) <= self.most_groups)


def _lacking(attribute: str, found: Mapping[str, Composition]) -> Unmeasured | None:
    """Why the shares of an attribute are not compared."""
    subject = Subject.of(attribute=attribute, split="deployment")
    for split in ("test", "deployment"):
        if split not in found:
            return Unmeasured(
                name="share",
                subject=subject,
                reason=f"The {split} manifest has no column for {attribute}.",
                remedy=f"Add the column to the {split} manifest, or name it under "
                f"`data.attributes.{attribute}.column`.",
            )
        here = found[split]
        if here.independent < MIN_UNITS:
            noun = "images" if here.n_units is None else "units"
            return Unmeasured(
                name="share",
                subject=subject,
                reason=f"{here.independent} {split} {noun} have a value of {attribute}: the "
                f"shares of groups among fewer than {MIN_UNITS} say nothing.",
                remedy=f"Fill in {attribute} where it is missing ({here.missing:,} {split} "
                "images), or add images that have it.",
            )
    return None


@dataclass(frozen=True)
class _Compared:
    """The groups of one attribute in the test data, where it will run, and in training."""

    test: Composition
    there: Composition
    train: Composition | None

    @property
    def name(self) -> str:
        return self.there.attribute.name

    @property
    def present(self) -> tuple[str, ...]:
        """Groups that the test or the deployment data have."""
        both = self.test.images_of, self.there.images_of
        return tuple(g for g in self.there.groups if any(images[g] for images in both))

    def measures(self) -> Iterator[Measured]:
        yield from (self._share(group) for group in self.present)
        yield self._lacked_by("unseen-share", self.test)
        if self.train is not None and self.train.n:
            yield self._lacked_by("untrained-share", self.train)

    def _share(self, group: str) -> Measure:
        facts: dict[str, Any] = {
            "counted": self.there.noun,
            "absent": self.test.images_of[group] == 0,
        }
        if self.train is not None and self.train.n:
            facts["train_share"] = value(self.train.share(group))
        units = (self.there.n_units, self.test.n_units)
        return Measure(
            name="share",
            subject=Subject.about({self.name: group}, split="deployment"),
            estimate=difference_of_shares(self.there, self.test, group=group),
            scale="difference",
            neutral=0.0,
            better="none",
            n=self.there.n_images,
            n_units=None if None in units else self.there.n_units,
            sides=(self.there.side(group), self.test.side(group)),
            facts=facts,
        )

    def _lacked_by(self, name: str, other: Composition) -> Measure:
        """The share of what is there that is of groups which `other` does not have."""
        lacking = list(strangers(self.there, _images(other)))
        places = [self.there.groups.index(g) for g in lacking]
        more = [f"{len(lacking) - _NAMED} more"] if len(lacking) > _NAMED else []
        return Measure(
            name=name,
            subject=Subject.of(attribute=self.name, split="deployment"),
            estimate=rate(np.isin(self.there.codes, places), unit=self.there.unit),
            scale="share",
            better="lower",
            n=self.there.n_images,
            n_units=self.there.n_units,
            examples=self.there.image_ids[lacking[0]] if lacking else (),
            ranked=False,
            facts={
                "counted": self.there.noun,
                "of": self.there.n,
                "groups": lacking,
                "named": [*lacking[:_NAMED], *more],
            },
        )


def _images(composition: Composition) -> Mapping[str, float]:
    return {group: float(n) for group, n in composition.images_of.items()}


def _groups(compared: Sequence[_Compared]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for one in compared:
        for group in one.there.groups:
            gap = difference_of_shares(one.there, one.test, group=group)
            ends = interval(gap)
            train = None if one.train is None or not one.train.n else one.train.share(group)
            rows.append(
                (one.name, group, one.there.noun, value(one.test.share(group)),
                 value(one.there.share(group)), None if train is None else value(train),
                 value(gap), ends.low, ends.high)
            )  # fmt: skip
    names = ("attribute", "group", "shares of", "test", "deployment", "train",
             "deployment minus test", "low", "high")  # fmt: skip
    return Table(
        id="shift/metadata:groups",
        title="Groups in the test data, where it will run, and in training",
        columns=tuple(Column(name) for name in names),
        rows=tuple(rows),
    )


def _attributes(compared: Sequence[_Compared]) -> Table:
    """Whether the two compositions of each attribute could be of one source."""
    fits = [fit_of_splits(one.there, one.test) for one in compared]
    tested = [fit for fit in fits if fit is not None]
    adjusted = iter(holm([fit.p_value for fit in tested]))
    rows: list[tuple[Cell, ...]] = []
    for one, fit in zip(compared, fits, strict=True):
        numbers: tuple[Cell, ...] = (None, None, None)
        if fit is not None:
            numbers = (fit.statistic, fit.p_value, next(adjusted))
        rows.append((one.name, *numbers, one.test.missing, one.there.missing))
    names = ("attribute", "G", "p", "p (Holm)", "test images without a value",
             "deployment images without a value")  # fmt: skip
    return Table(
        id="shift/metadata:attributes",
        title="Whether test and deployment data could be of one composition",
        columns=tuple(Column(name) for name in names),
        rows=tuple(rows),
    )


def _forest(one: _Compared) -> Figure:
    entries: list[dict[str, Cell]] = []
    for series, side in (("test data", one.test), ("where it will run", one.there)):
        for group in one.present:
            n = side.images_of[group]
            entries.append(interval_row(group, side.share(group), n=n, series=series))
    gaps = {g: value(one.there.share(g)) - value(one.test.share(g)) for g in one.present}
    farthest = max(gaps, key=lambda g: abs(gaps[g]))
    return Figure(
        id=f"shift/metadata:{one.name}",
        kind="forest",
        title=f"Shares of {one.name} in the test data and where it will run",
        caption=f"Share of the {one.there.noun} of each side, with 95% intervals.",
        alt=f"{len(one.present)} groups; farthest apart: {farthest}, "
        f"{100 * value(one.test.share(farthest)):.0f}% of the test data and "
        f"{100 * value(one.there.share(farthest)):.0f}% where it will run.",
        x=Axis("share", "share"),
        y=Axis(one.name),
        rows=tuple(entries),
    )
