"""bias/representation: whether the data are made of the people and rooms they are to stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any, ClassVar

from auditor.bias.composition import (
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
from auditor.bias.departure import Departure
from auditor.bias.representation_tables import (
    RATIO,
    departure_from,
    forest,
    group_rows,
    group_table,
    pair_row,
    whole_rows,
    whole_table,
)
from auditor.contract import Attributes, Check, Evidence, Manifest, Need
from auditor.data.dataset import Dataset
from auditor.findings import (
    Better,
    Cell,
    Measure,
    Result,
    Subject,
    Unmeasured,
)
from auditor.scoring.comparison import (
    MIN_UNITS,
    percent,
    points_text,
    rate_details,
    rate_text,
)
from auditor.stats import Draws, RateRatio, interval, rate, value

UNNAMED = "unnamed-share"
TRAIN = Manifest(split="train", optional=True)
TEST = Manifest()
DEPLOYMENT = Manifest(split="deployment", optional=True)


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
    G-test whether a composition as a whole departs from the population's.

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
    needs: ClassVar[tuple[Need, ...]] = (Attributes(), TEST, TRAIN, DEPLOYMENT)
    sources: ClassVar[tuple[str, ...]] = (
        "Clopper & Pearson (1934), doi:10.1093/biomet/26.4.404",
        "Miettinen & Nurminen (1985), doi:10.1002/sim.4780040211",
        "Rao & Scott (1984), doi:10.1214/aos/1176346391 (G-test where units span groups)",
        "Regulation (EU) 2024/1689, Art. 10(3) (data sufficiently representative)",
    )

    most_groups: Annotated[
        int, "A figure is drawn for attributes of up to this many groups; the table has all."
    ] = 15

    def run(self, evidence: Evidence) -> Iterator[Result]:
        datasets = [evidence.dataset(n.split) for n in (TRAIN, TEST, DEPLOYMENT) if evidence.has(n)]
        groups: list[tuple[Cell, ...]] = []
        wholes: list[tuple[Cell, ...]] = []
        for attribute in known_attributes(datasets):
            found = compositions(datasets, attribute=attribute)
            yield from _without_column(datasets, found)
            references = {c.split: _reference(c, found) for c in found}
            for here in found:
                results = list(_against_reference(here, references[here.split]))
                yield from results
                groups.extend(group_rows(here, references[here.split], results))
                wholes.extend(whole_rows(here, references[here.split]))
            for here, there in combinations(found, 2):
                yield from _against_split(here, there)
                wholes.append(pair_row(here, there))
            if len(found[0].groups) <= self.most_groups:
                yield forest(found, references)
        yield group_table(groups)
        yield whole_table(wholes)


def _reference(here: Composition, found: Sequence[Composition]) -> Reference | None:
    population = here.attribute.population
    if population:
        return Reference(population, "the declared population")
    there = next((c for c in found if c.split == "deployment"), None)
    if there is None or here.split == "deployment" or there.independent < MIN_UNITS:
        return None
    shares = {g: value(there.share(g)) for g in there.groups}
    return Reference(shares, "the deployment data", there)


def _against_reference(
    here: Composition, reference: Reference | None
) -> Iterator[Measure | Unmeasured]:
    whole = Subject.of(attribute=here.attribute.name, split=here.split)
    few = _too_few(here, RATIO, whole)
    if few is not None:
        yield few
        return
    if reference is None:
        if here.split != "deployment":
            yield _no_reference(here, whole)
        return
    departure = departure_from(reference, here)
    for group in here.groups:
        if reference.shares.get(group, 0) > 0:
            yield _ratio(here, reference, group, departure)
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
    noun = "images" if here.n_units is None else "units"
    return Unmeasured(
        name=name,
        subject=subject,
        reason=f"{here.independent} {here.split} {noun} have a value of {here.attribute.name}: "
        f"the shares of groups among fewer than {MIN_UNITS} say nothing.",
        remedy=f"Add {here.split} {noun}, or fill in {here.attribute.name} where it is missing "
        f"({here.missing:,} images).",
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


def _ratio(
    here: Composition, reference: Reference, group: str, departure: Departure | None
) -> Measure:
    share, own = reference.shares[group], here.share(group)
    if reference.deployment is None:
        estimate: Draws | RateRatio = ratio_to_share(own, share=share)
    else:
        estimate = ratio_of_shares(here, reference.deployment, group=group)
    more = still_missing(here, group=group, share=share)
    return Measure(
        name=RATIO,
        subject=Subject.about({here.attribute.name: group}, split=here.split),
        estimate=estimate,
        unit="ratio",
        better="higher",
        n=here.n_images,
        n_units=here.n_units,
        examples=here.image_ids[group],
        details={
            **_common(here, group),
            "rest": _reference_details(reference, group),
            "reference": reference.of,
            "of_all": True,
            "missing_units": more if here.by_unit else None,
            "missing_images": here.images(more),
            "departure": _departure_details(departure),
            "sentence": _ratio_sentence(here, reference, group, estimate),
            **_remedy(here, reference, group, more),
        },
    )


def _common(here: Composition, group: str) -> dict[str, Any]:
    return {
        "rate": rate_details(here.share(group), n=here.n),
        "attribute_role": here.attribute.role,
        "counted": here.noun,
        "images": here.images_of[group],
        "spanning_units": here.spanning,
        "missing": here.missing,
    }


def _reference_details(reference: Reference, group: str) -> dict[str, Any]:
    if reference.deployment is not None:
        there = reference.deployment
        return rate_details(there.share(group), n=there.n)
    share = reference.shares[group]
    return {"value": share, "low": share, "high": share, "n": None}


def _departure_details(departure: Departure | None) -> dict[str, float] | None:
    if departure is None:
        return None
    return {"statistic": departure.statistic, "df": departure.df, "p": departure.p_value}


def _ratio_sentence(
    here: Composition, reference: Reference, group: str, estimate: Draws | RateRatio
) -> str:
    named = f"{group} ({here.attribute.name})"
    of = f"{rate_text(here.share(group), n=here.n)} {here.split} {here.noun}"
    should = f"{percent(reference.shares[group])}% of {reference.of}"
    ends = interval(estimate)
    if not here.images_of[group]:
        return (
            f"{named}: none of {here.n:,} {here.split} {here.noun}; {should}; with this many, "
            f"its share may be as high as {ends.high:.2f} times what it should be."
        )
    more = still_missing(here, group=group, share=reference.shares[group])
    lacks = f"; {_counted(here, more, 'more ')} would bring it there" if more else ""
    times = f"{value(estimate):.2f} times its share [{ends.low:.2f}, {ends.high:.2f}]"
    return f"{named}: {of}; {should}; {times}{lacks}."


def _counted(here: Composition, count: int, more: str = "") -> str:
    if not here.by_unit:
        return f"{count:,} {more}{_plural(count, 'image')}"
    images = here.images(count)
    return f"{count:,} {more}{_plural(count, 'unit')} (about {images:,} {_plural(images, 'image')})"


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def _remedy(here: Composition, reference: Reference, group: str, more: int) -> dict[str, str]:
    if not more:
        return {}
    named = f"{group} ({here.attribute.name})"
    return {
        "remedy": f"Add {_counted(here, more)} of {named} to the {here.split} data, which brings "
        f"it to its {percent(reference.shares[group])}%, or correct {reference.of}."
    }


def _unnamed(
    here: Composition, reference: Reference, groups: Sequence[str], subject: Subject
) -> Measure:
    names = here.attribute.name
    codes = [here.groups.index(g) for g in groups]
    inside = sum((here.codes == c for c in codes[1:]), start=here.codes == codes[0])
    found = rate(inside, unit=here.unit)
    listed = ", ".join(f"{g} ({here.images_of[g]:,} images)" for g in groups[:5])
    more = f" and {len(groups) - 5} more" if len(groups) > 5 else ""
    return Measure(
        name=UNNAMED,
        subject=subject,
        estimate=found,
        unit="share",
        better="lower",
        n=here.n_images,
        n_units=here.n_units,
        examples=here.image_ids[groups[0]],
        details={
            "groups": list(groups),
            "reference": reference.of,
            "sentence": f"{rate_text(found, n=here.n)} {here.split} {here.noun} are of groups of "
            f"{names} that {reference.of} does not have: {listed}{more}.",
        },
    )


def _against_split(here: Composition, there: Composition) -> Iterator[Measure | Unmeasured]:
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
    gap = difference_of_shares(here, there, group=group)
    # Fewer than where it will run is harm; that training and test differ is not by itself.
    better: Better = "higher" if there.split == "deployment" else "none"
    own, other = here.share(group), there.share(group)
    return Measure(
        name=name,
        subject=Subject.about({here.attribute.name: group}, split=here.split),
        estimate=gap,
        unit="share",
        better=better,
        n=here.n_images + there.n_images,
        n_units=_sum(here.n_units, there.n_units),
        examples=here.image_ids[group],
        details={
            **_common(here, group),
            "rest": rate_details(other, n=there.n),
            "sentence": f"{group} ({here.attribute.name}): {rate_text(own, n=here.n)} {here.split} "
            f"{here.noun}; {rate_text(other, n=there.n)} {there.split} {there.noun}; "
            f"{points_text(gap)} in the {here.split} data.",
        },
    )


def _sum(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b
