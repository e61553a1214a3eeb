"""Confirmed slices as a table and as a picture, and what goes with each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from auditor.bias.slice_features import Trait
from auditor.comparing.by_group import measure_cells, side_cells
from auditor.comparing.interval_row import interval_row
from auditor.contract.numbers import side_text
from auditor.contract.quantity_words import title_of
from auditor.findings import Axis, Cell, Column, Figure, Measure, Table

MOST_TRAITS, _LEAST_PHI = 3, 0.1


def strongest(traits: tuple[Trait, ...], inside: np.ndarray) -> list[dict[str, Any]]:
    """Traits that go with the slice most (phi coefficient), one of a kind, strongest first."""
    found: list[dict[str, Any]] = []
    for trait in traits:
        here, elsewhere = float(trait.member[inside].mean()), float(trait.member[~inside].mean())
        share, size = float(trait.member.mean()), float(inside.mean())
        if not 0 < share < 1:
            continue
        phi = (here - elsewhere) * (size * (1 - size) / (share * (1 - share))) ** 0.5
        found.append({"of": trait.name, "trait": trait.words, "here": here,
                      "elsewhere": elsewhere, "phi": phi})  # fmt: skip
    found.sort(key=lambda t: -t["phi"])
    best: dict[str, dict[str, Any]] = {}
    for trait_found in found:
        best.setdefault(trait_found["of"], trait_found)
    return [t for t in best.values() if t["phi"] >= _LEAST_PHI][:MOST_TRAITS]


def slice_table(measures: Sequence[Measure], *, n: int) -> Table:
    """Each slice beside the rest of the `n` rows that had no part in finding it."""
    of, name = f"{measures[0].of}s", measures[0].name
    rows: list[tuple[Cell, ...]] = []
    for number, measure in enumerate(measures, start=1):
        own = side_cells(measure.sides[0]) if measure.sides else ()
        traits = measure.facts["traits"] or [dict.fromkeys(("trait", "here", "elsewhere"))]
        rows += [
            (number, measure.facts["rule"], measure.n, t["trait"], *own,
             *measure_cells(measure), t["here"], t["elsewhere"])
            for t in traits
        ]  # fmt: skip
    names = ("slice", "rule", of, "trait", title_of(name).lower(), "low", "high", "difference",
             "difference low", "difference high", "share in the slice",
             "share elsewhere")  # fmt: skip
    return Table(
        id="bias/slices:slices-of-answers" if of == "answers" else "bias/slices:slices",
        title=f"Confirmed slices on {n:,} {of}, and what goes with them",
        columns=tuple(Column(n, "share" if n in names[4:] else "") for n in names),
        rows=tuple(rows),
    )


def slice_forest(measures: Sequence[Measure]) -> Figure:
    """What is right in each slice, with its interval."""
    of, title = f"{measures[0].of}s", title_of(measures[0].name)
    rows: list[Mapping[str, Cell]] = []
    alt = []
    for measure in measures:
        here, _ = measure.sides or (None, None)
        if here is None:
            continue
        label = f"slice {measure.subject.get('slice')}"
        rows.append(interval_row(label, here.estimate, n=here.n))
        rule = measure.facts["rule"] or f"{of} that look alike to the model"
        alt.append(f"{label.capitalize()}, {rule}: {side_text(here)}")
    return Figure(
        id=f"bias/slices:{measures[0].name}",
        kind="forest",
        title=f"{title} of confirmed slices",
        caption=f"{title} of each slice with its 95% interval, on the half of the {of} that had "
        "no part in finding it.",
        alt="; ".join(alt),
        x=Axis(title.lower(), "share"),
        y=Axis("slice"),
        rows=tuple(rows),
    )
