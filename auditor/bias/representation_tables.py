"""What `bias/representation` shows beside its measures: two tables and a figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from auditor.comparing.by_group import measure_cells, side_cells
from auditor.comparing.composition import Composition, Reference
from auditor.comparing.goodness_of_fit import GoodnessOfFit, fit_of_splits, fit_to_shares
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Side, Table
from auditor.scoring.comparison import MIN_UNITS
from auditor.stats import value

RATIO = "share-ratio"
"""Name of the measure that the tables are about."""


def group_rows(here: Composition, results: Sequence[Result]) -> Iterator[tuple[Cell, ...]]:
    """A line a group: its share, and its ratio to the share due where that was measured."""
    attribute = here.attribute
    ratios = {
        m.subject.get(attribute.name): m
        for m in results
        if isinstance(m, Measure) and m.name == RATIO
    }
    for group in here.groups:
        own = side_cells(here.side(group)) if here.n else (None,) * 3
        counted = int(here.members(group).sum()) if here.by_unit else None
        yield (attribute.name, attribute.role, here.split, group, here.images_of[group], counted,
               *own, *_due_cells(ratios.get(group)))  # fmt: skip


def _due_cells(ratio: Measure | None) -> tuple[Cell, ...]:
    if ratio is None or ratio.sides is None:
        return (None,) * 7
    facts, due = ratio.facts, value(ratio.sides[1].estimate)
    return (facts["reference"], due, *measure_cells(ratio), facts["missing_units"],
            facts["missing_images"])  # fmt: skip


def group_table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    names = ("attribute", "role", "data", "group", "images", "units", "share", "low", "high",
             "held against", "share there", "ratio", "ratio low", "ratio high", "units missing",
             "images missing")  # fmt: skip
    shares = ("share", "low", "high", "share there")
    return Table(
        id="bias/representation:groups",
        title="Every group's share of the data, and of those whom they are to stand for",
        columns=tuple(Column(name, "share" if name in shares else "") for name in names),
        rows=tuple(rows),
    )


def object_table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    """As `group_table`, of objects by class and by the attributes of their own."""
    table = group_table(rows)
    renamed = {"images": "objects", "images missing": "objects missing"}
    columns = tuple(replace(c, name=renamed.get(c.name, c.name)) for c in table.columns)
    title = "Every class's and group's share of the objects, and of those where it will run"
    return replace(table, id="bias/representation:objects", title=title, columns=columns)


def whole_rows(
    here: Composition, reference: Reference | None, others: Sequence[Composition]
) -> Iterator[tuple[Cell, ...]]:
    """A split's composition against the declared population, and against `others`."""
    if reference is not None and reference.deployment is None:
        enough = here.independent >= MIN_UNITS
        fit = fit_to_shares(here, reference.shares) if enough else None
        yield _whole(here, reference.of, fit)
    for there in others:
        enough = min(here.independent, there.independent) >= MIN_UNITS
        yield _whole(
            here, f"the {there.split} data", fit_of_splits(here, there) if enough else None
        )


def _whole(here: Composition, against: str, fit: GoodnessOfFit | None) -> tuple[Cell, ...]:
    tested = (None,) * 3 if fit is None else (fit.statistic, fit.df, fit.p_value)
    return (here.attribute.name, here.split, here.noun, here.n, here.missing, here.spanning,
            against, *tested)  # fmt: skip


def whole_table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    names = ("attribute", "data", "counted", "with a value", "images without", "units of several "
             "groups", "held against", "G", "degrees of freedom", "p")  # fmt: skip
    return Table(
        id="bias/representation:compositions",
        title="Each composition as a whole (G-test): p is the probability of as large a "
        "difference by luck",
        columns=tuple(Column(name) for name in names),
        rows=tuple(rows),
    )


def forest(found: Sequence[Composition], references: Mapping[str, Reference | None]) -> Figure:
    """The share of every group in each split, and in the population where that is declared."""
    attribute, counted = found[0].attribute.name, found[0].noun
    declared = next((r for r in references.values() if r and r.deployment is None), None)
    enough = [c for c in found if c.independent >= MIN_UNITS]
    rows: list[dict[str, Cell]] = []
    for group in found[0].groups:
        if declared is not None:
            share = declared.shares.get(group, 0.0)
            rows.append({"label": group, "value": share, "low": share, "high": share, "n": None,
                         "series": "population"})  # fmt: skip
        rows += [_entry(group, c.side(group), c.split) for c in enough]
    return Figure(
        id=f"bias/representation:{attribute}",
        kind="forest",
        title=f"Shares of {attribute} in the data",
        caption=f"Share of {counted} in each group, with 95% intervals, in each split of the data"
        f"{' and as declared for the population' if declared else ''}. "
        f"{found[0].of.capitalize()}s without a value of {attribute} are left out: "
        f"{', '.join(f'{c.missing:,} {c.split}' for c in found)}.",
        alt="; ".join(_scarcest(c, r) for c in enough if (r := references[c.split]))
        or f"Shares of the groups of {attribute}.",
        x=Axis(f"share of {counted}", "share"),
        y=Axis(attribute),
        rows=tuple(rows),
    )


def _entry(group: str, side: Side, split: str) -> dict[str, Cell]:
    point, low, high = side_cells(side)
    return {"label": group, "value": point, "low": low, "high": high, "n": side.n, "series": split}


def _scarcest(here: Composition, reference: Reference) -> str:
    """The group that a split has too few of."""
    ratios = {g: value(here.share(g)) / s for g, s in reference.shares.items() if s > 0}
    scarcest = min(ratios, key=lambda g: ratios[g])
    return (
        f"scarcest in {here.split}: {scarcest}, {ratios[scarcest]:.2f} times its share of "
        f"{reference.of}"
    )
