"""bias/representation: whether the data are made of the people and rooms they are to stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Annotated, ClassVar

import numpy as np

from auditor.bias.representation_tables import (
    RATIO,
    forest,
    group_rows,
    group_table,
    object_table,
    whole_rows,
    whole_table,
)
from auditor.comparing.composition import (
    Composition,
    Reference,
    compositions,
    difference_of_shares,
    known_attributes,
    ratio_of_shares,
    ratio_to_share,
    still_missing,
    strangers,
)
from auditor.contract import Attributes, Check, Evidence, Manifest, Need, Words
from auditor.contract.words import EITHER_WAY, FROM_0
from auditor.data.dataset import Dataset
from auditor.data.objects import CLASS, classed, objects_of
from auditor.findings import (
    Better,
    Cell,
    Measure,
    Measured,
    Question,
    Result,
    Subject,
    Unmeasured,
)
from auditor.scoring.comparison import MIN_UNITS
from auditor.stats import rate, value

UNNAMED = "unnamed-share"
TRAIN = Manifest(split="train", optional=True)
TEST = Manifest()
DEPLOYMENT = Manifest(split="deployment", optional=True)
NAMED = 5
"""Groups that a sentence names at most."""

_WHOLE = Words(
    title="Shares of {attribute} in the {split} data, against the shares due",
    short="shares of {attribute} in {split}",
)


def _ratio_words(of: str, *, named: str) -> tuple[Words, Words]:
    """Words for a share that is too small, and one that is too large, of a group or a class."""
    title = f"Share of {of} in the {{split}} data, against the share due"
    hundred = (
        f"Of 100 {{counted:noun}} of the {{split}} data, {{here:are/is}} of {of}; {{there}} would "
        "be due."
    )
    sentence = (
        f"{of}: {{this}} {{split}} {{counted:noun}}; due: {{other}} ({{reference}}); its share is "
        "{value} what it should be."
    )
    return (
        Words(
            title=title,
            span=FROM_0,
            ratio=True,
            short=f"{of}: share in {{split}} data against the share due",
            sentence=(
                sentence,
                "{missing_units:units} more (about {missing_images:rows}) would bring it "
                "there, if {reference} is right.",
                "{missing_images:rows} more would bring it there, if {reference} is right"
                "{by_image:if}.",
            ),
            hundred=hundred,
            sides=("Share found", "Share due"),
            column="share in {split} data",
            action=f"collect images of {named}, and train again",
            when="below",
        ),
        Words(
            title=title,
            short=f"{of}: share in {{split}} data against the share due",
            sentence=sentence,
            hundred=hundred,
            sides=("Share found", "Share due"),
            column="share in {split} data",
            action=f"collect images of others than {named}, and train again",
            when="above",
        ),
    )


def _against(split: str) -> tuple[Words, ...]:
    return tuple(
        Words(
            title=f"Share of {of} in the {{split}} data, against the {split} data",
            short=f"{of}: share in {{split}} and {split}",
            sentence=f"{of}: {{this}} {{split}} {{counted:noun}}; "
            f"{{other}} {split} {{counted:noun}}; {{gap}} in the {{split}} data.",
            sides=("This split", f"{split.capitalize()} data"),
            span=EITHER_WAY,
        )
        for of in ("{group}", "“{class}”")
    )


@dataclass(frozen=True)
class Representation(Check):
    """Each group's share of the data, against its share of those whom the model will meet.

    What it measures
    ----------------
    For every declared attribute, in the training, test and deployment data: each group's share,
    divided by its share of the population that the spec declares (`population`). 1 means as many
    as there should be, 0.5 half as many, 0 none at all. Where no population is declared, the
    deployment data stand for it. Shares are of units (rooms, persons) where all images of a unit
    are of one group, else of images. Also said: how many more of a group would bring it to its
    share, groups that the population does not name, how the shares of two splits differ, and by a
    G-test whether a composition as a whole fits the population's. Of a detector's data the same
    is said of objects: of each class, and of each group of the attributes that objects have
    themselves; each object counts, and the units of their images are taken into account.

    Why it matters
    --------------
    A model learns what it is shown. A group that is rare in training is learnt badly, and rare
    in the test its errors are not seen; the total looks good all the same.

    How it can mislead
    ------------------
    The right share is not always the population's: to learn a small group, or to measure its
    errors, more of it than its share is needed, so 1 is not enough by itself. The population is
    what somebody declared; a wrong figure makes sound data look wrong, and deployment data
    stand for the population only if they were taken at random. A group may have its share and
    still be shown in one condition only (`bias/coverage` counts the pairs). Images without a
    value of the attribute are counted, and left out: if one group's values are missing more
    often, its share comes out too low. Who was never asked about has no attribute at all.
    """

    id: ClassVar[str] = "bias/representation"
    topic: ClassVar[str] = "who is in the data"
    question: ClassVar[Question | None] = Question.REPRESENTS
    needs: ClassVar[tuple[Need, ...]] = (Attributes(), TEST, TRAIN, DEPLOYMENT)
    sources: ClassVar[tuple[str, ...]] = (
        "Clopper & Pearson (1934), doi:10.1093/biomet/26.4.404",
        "Miettinen & Nurminen (1985), doi:10.1002/sim.4780040211",
        "Rao & Scott (1984), doi:10.1214/aos/1176346391 (G-test where units span groups)",
        "Regulation (EU) 2024/1689, Art. 10(3) (data sufficiently representative)",
    )
    words: ClassVar = {
        RATIO: (
            *_ratio_words("{group}", named="{group}"),
            *_ratio_words("“{class}”", named="“{class}”"),
            _WHOLE,
        ),
        UNNAMED: Words(
            title="Groups of {attribute} in the {split} data that have no share due",
            short="groups of {attribute} in {split} without a share due",
            sentence="{value} of {of} {split} {counted:noun} are of groups of {attribute} that "
            "{reference} does not have: {named}.",
        ),
        "share-against-test": _against("test"),
        "share-against-deployment": _against("deployment"),
    }

    most_groups: Annotated[
        int, "A figure is drawn for attributes of up to this many groups; the table has all."
    ] = 15

    def run(self, evidence: Evidence) -> Iterator[Result]:
        datasets = [evidence.dataset(n.split) for n in (TRAIN, TEST, DEPLOYMENT) if evidence.has(n)]
        lines = _Lines()
        for attribute in known_attributes(datasets):
            found = compositions(datasets, attribute=attribute)
            yield from _without_column(datasets, found)
            yield from self._composed(found, lines)
        for found in _of_objects(datasets):
            yield from self._composed(found, lines)
        yield group_table(lines.groups)
        if lines.objects:
            yield object_table(lines.objects)
        yield whole_table(lines.wholes)

    def _composed(self, found: Sequence[Composition], lines: _Lines) -> Iterator[Result]:
        """Every split's composition of one attribute, held against what it should be."""
        references = {c.split: _reference(c, found) for c in found}
        for here in found:
            results = list(_against_reference(here, references[here.split]))
            yield from results
            (lines.groups if here.of == "image" else lines.objects).extend(
                group_rows(here, results)
            )
        for here, there in combinations(found, 2):
            yield from _against_split(here, there)
        for place, here in enumerate(found, start=1):
            lines.wholes.extend(whole_rows(here, references[here.split], found[place:]))
        if len(found[0].groups) <= self.most_groups:
            yield forest(found, references)


def _of_objects(datasets: Sequence[Dataset]) -> Iterator[tuple[Composition, ...]]:
    """Compositions of the splits' objects: by the attributes of their own, and by class."""
    counted = [o for o in map(objects_of, datasets) if o is not None and len(o)]
    own = {a.name for d in datasets for a in d.object_attributes}
    splits = [classed(objects) for objects in counted]
    for attribute in known_attributes(splits):
        if attribute in {*own, CLASS}:
            yield compositions(splits, attribute=attribute, of="object")


@dataclass(frozen=True)
class _Lines:
    """Lines of the tables: of groups of images, of groups of objects, and of whole splits."""

    groups: list[tuple[Cell, ...]] = field(default_factory=list)
    objects: list[tuple[Cell, ...]] = field(default_factory=list)
    wholes: list[tuple[Cell, ...]] = field(default_factory=list)


def _reference(here: Composition, found: Sequence[Composition]) -> Reference | None:
    population = here.attribute.population
    if population:
        return Reference(population, "the declared population")
    there = next((c for c in found if c.split == "deployment"), None)
    if there is None or here.split == "deployment" or there.independent < MIN_UNITS:
        return None
    shares = {g: value(there.share(g)) for g in there.groups}
    return Reference(shares, "the deployment data", there)


def _against_reference(here: Composition, reference: Reference | None) -> Iterator[Measured]:
    whole = Subject.of(attribute=here.attribute.name, split=here.split)
    few = _too_few(here, RATIO, whole)
    if few is not None:
        yield few
        return
    if reference is None:
        if here.split != "deployment" and here.attribute.name != CLASS:
            yield _no_reference(here, whole)
        return
    for group in here.groups:
        if reference.shares.get(group, 0) > 0:
            yield _ratio(here, reference, group)
    unnamed = strangers(here, reference.shares)
    if unnamed:
        yield _unnamed(here, reference, unnamed, whole)


def _without_column(
    datasets: Sequence[Dataset], found: Sequence[Composition]
) -> Iterator[Unmeasured]:
    """Splits that must have the attribute's column, and lack it."""
    attribute, have = found[0].attribute.name, {c.split for c in found}
    for split in (d.split for d in datasets if d.split not in have):
        yield Unmeasured(
            name=RATIO,
            subject=Subject.of(attribute=attribute, split=split),
            reason=f"The {split} manifest has no column for {attribute}.",
            remedy=f"Add the column to the {split} manifest, or name it under "
            f"`data.attributes.{attribute}.column`.",
        )


def _too_few(here: Composition, name: str, subject: Subject) -> Unmeasured | None:
    if here.independent >= MIN_UNITS:
        return None
    noun = f"{here.of}s" if here.n_units is None else "units"
    return Unmeasured(
        name=name,
        subject=subject,
        reason=f"{here.independent} {here.split} {noun} have a value of {here.attribute.name}: "
        f"the shares of groups among fewer than {MIN_UNITS} say nothing.",
        remedy=f"Add {here.split} {noun}, or fill in {here.attribute.name} where it is missing "
        f"({here.missing:,} {here.of}s).",
    )


def _no_reference(here: Composition, subject: Subject) -> Unmeasured:
    name = here.attribute.name
    return Unmeasured(
        name=RATIO,
        subject=subject,
        reason=f"Nothing says what share each group of {name} should have: the spec declares no "
        "population for it, and there are no deployment data with enough values of it.",
        remedy=f"State the shares under `data.attributes.{name}.population` (from a register or a "
        f"census, with its source), or add deployment data with {name}.",
    )


def _ratio(here: Composition, reference: Reference, group: str) -> Measure:
    share, there = reference.shares[group], reference.deployment
    more = still_missing(here, group=group, share=share)
    return Measure(
        name=RATIO,
        subject=Subject.about({here.attribute.name: group}, split=here.split),
        estimate=ratio_to_share(here.share(group), share=share)
        if there is None
        else ratio_of_shares(here, there, group=group),
        scale="ratio",
        neutral=1.0,
        better="higher",
        n=here.n_images,
        n_units=here.n_units,
        of_all=True,
        sides=(here.side(group), reference.side(group)),
        examples=here.image_ids[group],
        ranked=False,
        of=here.of,
        facts={
            "counted": here.noun,
            "by_image": not here.by_unit,
            "reference": reference.of,
            "missing_units": more if more and here.by_unit else None,
            "missing_images": here.images(more) or None,
        },
    )


def _unnamed(
    here: Composition, reference: Reference, groups: Sequence[str], subject: Subject
) -> Measure:
    places = [here.groups.index(g) for g in groups]
    more = [f"{len(groups) - NAMED} more"] if len(groups) > NAMED else []
    return Measure(
        name=UNNAMED,
        subject=subject,
        estimate=rate(np.isin(here.codes, places), unit=here.unit),
        scale="share",
        better="lower",
        n=here.n_images,
        n_units=here.n_units,
        examples=here.image_ids[groups[0]],
        ranked=False,
        of=here.of,
        facts={
            "counted": here.noun,
            "of": here.n,
            "groups": list(groups),
            "named": [*groups[:NAMED], *more],
            "reference": reference.of,
        },
    )


def _against_split(here: Composition, there: Composition) -> Iterator[Measured]:
    name = f"share-against-{there.split}"
    for side in (here, there):
        whole = Subject.of(attribute=here.attribute.name, split=here.split)
        few = _too_few(side, name, whole)
        if few is not None:
            yield few
            return
    for group in here.groups:
        if here.images_of[group] or there.images_of[group]:
            yield _difference(here, there, group, name)


def _difference(here: Composition, there: Composition, group: str, name: str) -> Measure:
    # Fewer than where it will run is harm; that training and test differ is not by itself.
    better: Better = "higher" if there.split == "deployment" else "none"
    known = None not in (here.n_units, there.n_units)
    return Measure(
        name=name,
        subject=Subject.about({here.attribute.name: group}, split=here.split),
        estimate=difference_of_shares(here, there, group=group),
        scale="difference",
        neutral=0.0,
        better=better,
        n=here.n_images + there.n_images,
        n_units=(here.n_units or 0) + (there.n_units or 0) if known else None,
        sides=(here.side(group), there.side(group)),
        examples=here.image_ids[group],
        ranked=False,
        of=here.of,
        facts={"counted": here.noun},
    )
