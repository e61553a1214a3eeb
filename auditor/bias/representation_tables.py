"""What `bias/representation` shows beside its measures: two tables and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auditor.bias.composition import Composition, Reference
from auditor.bias.goodness_of_fit import Departure, departure_from_shares, departure_of_splits
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Table
from auditor.scoring.comparison import MIN_UNITS, rate_details
from auditor.stats import interval, value

RATIO = "share-ratio"
"""Name of the measure that the tables are about."""


def departure_from(reference: Reference, here: Composition) -> Departure | None:
    """The test of a whole composition against what it is held against."""
    if reference.deployment is not None:
        return departure_of_splits(here, reference.deployment)
    return departure_from_shares(here, reference.shares)


def group_rows(
    here: Composition, reference: Reference | None, results: Sequence[Result]
) -> list[tuple[Cell, ...]]:
    attribute = here.attribute.name
    by_group = {
        str(m.subject.get(attribute)): m
        for m in results
        if isinstance(m, Measure) and m.name == RATIO
    }
    rows: list[tuple[Cell, ...]] = []
    for group in here.groups:
        own = rate_details(here.share(group), n=here.n) if here.n else dict.fromkeys(_ENDS)
        counted = int(here.members(group).sum()) if here.by_unit else None
        head: tuple[Cell, ...] = (attribute, here.attribute.role, here.split, group,
                                  here.images_of[group], counted,
                                  *(own[end] for end in _ENDS))  # fmt: skip
        measure = by_group.get(group)
        rows.append((*head, *_ratio_cells(measure, reference, group)))
    return rows


_ENDS = ("value", "low", "high")


def _ratio_cells(
    measure: Measure | None, reference: Reference | None, group: str
) -> tuple[Cell, ...]:
    if measure is None or reference is None:
        return (None,) * 7
    ends = interval(measure.estimate)
    # A ratio to a share of few images has no upper end.
    high = ends.high if ends.high < float("inf") else None
    details = measure.details
    return (reference.of, reference.shares[group], value(measure.estimate), ends.low, high,
            details["missing_units"], details["missing_images"])  # fmt: skip


def group_table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        id="bias/representation:groups",
        title="Every group's share of the data, and of those whom they are to stand for",
        columns=(
            *(Column(n) for n in ("attribute", "split", "data", "group", "images", "units")),
            *(Column(n, "share") for n in ("share", "low", "high")),
            Column("held against"),
            Column("share there", "share"),
            *(Column(n) for n in ("ratio", "ratio low", "ratio high")),
            Column("units missing"),
            Column("images missing"),
        ),
        rows=tuple(rows),
    )


def whole_rows(here: Composition, reference: Reference | None) -> list[tuple[Cell, ...]]:
    """A split's composition against the declared population, where there is one."""
    if reference is None or reference.deployment is not None:
        return []
    enough = here.independent >= MIN_UNITS
    return [_whole(here, reference.of, departure_from(reference, here) if enough else None)]


def pair_row(here: Composition, there: Composition) -> tuple[Cell, ...]:
    enough = min(here.independent, there.independent) >= MIN_UNITS
    departure = departure_of_splits(here, there) if enough else None
    return _whole(here, f"the {there.split} data", departure)


def _whole(here: Composition, against: str | None, departure: Departure | None) -> tuple[Cell, ...]:
    tested: tuple[Cell, ...] = (None, None, None)
    if departure is not None:
        tested = (departure.statistic, departure.df, departure.p_value)
    return (here.attribute.name, here.split, here.noun, here.n, here.missing, here.spanning,
            against, *tested)  # fmt: skip


def whole_table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    names = ("attribute", "data", "counted", "with a value", "images without", "units of several "
             "groups", "held against", "G", "degrees of freedom", "p")  # fmt: skip
    return Table(
        id="bias/representation:compositions",
        title="Each composition as a whole: p is the probability of as large a departure by luck",
        columns=tuple(Column(name) for name in names),
        rows=tuple(rows),
    )


def forest(found: Sequence[Composition], references: Mapping[str, Reference | None]) -> Figure:
    attribute = found[0].attribute.name
    rows: list[dict[str, Cell]] = []
    declared = next((r for r in references.values() if r and r.deployment is None), None)
    for group in found[0].groups:
        if declared is not None:
            share = declared.shares.get(group, 0.0)
            rows.append({"label": group, "value": share, "low": share, "high": share, "n": None,
                         "series": "population"})  # fmt: skip
        rows += [
            {"label": group, **rate_details(c.share(group), n=c.n), "series": c.split}
            for c in found
            if c.independent >= MIN_UNITS
        ]
    counted = found[0].noun
    return Figure(
        id=f"bias/representation:{attribute}",
        kind="forest",
        title=f"Shares of {attribute} in the data",
        caption=f"Share of {counted} in each group, with 95% intervals, in each split of the data"
        f"{' and as declared for the population' if declared else ''}. Images without a value of "
        f"{attribute} are left out: {', '.join(f'{c.missing:,} {c.split}' for c in found)}."
        f"{_departures(found, references)}",
        alt=_alt(found, references),
        x=Axis(f"share of {counted}", "share"),
        y=Axis(attribute),
        rows=tuple(rows),
    )


def _alt(found: Sequence[Composition], references: Mapping[str, Reference | None]) -> str:
    """The group that each split has too few of, the scarcest first named."""
    parts = []
    for here in found:
        reference = references[here.split]
        if reference is None or here.independent < MIN_UNITS:
            continue
        ratios = {g: value(here.share(g)) / s for g, s in reference.shares.items() if s > 0}
        scarcest = min(ratios, key=lambda g: ratios[g])
        parts.append(
            f"scarcest in {here.split}: {scarcest}, {ratios[scarcest]:.2f} times its share of "
            f"{reference.of}"
        )
    return "; ".join(parts) or f"Shares of the groups of {found[0].attribute.name}."


def _departures(found: Sequence[Composition], references: Mapping[str, Reference | None]) -> str:
    """Which compositions depart as a whole, in a sentence with a space before it."""
    said = []
    for here in found:
        reference = references[here.split]
        if reference is None or here.independent < MIN_UNITS:
            continue
        departure = departure_from(reference, here)
        if departure is not None:
            p = departure.p_value
            chance = "below 0.001" if p < 0.001 else f"{p:.3f}"
            said.append(f"{here.split} against {reference.of}: {chance}")
    if not said:
        return ""
    return f" Probability of as large a departure by luck (G-test), {'; '.join(said)}."
