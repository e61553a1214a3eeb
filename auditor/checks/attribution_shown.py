"""Maps of attribution as pictures over the image plane, and their shares as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.checks.attribution_maps import Looked, Maps, shares_of
from auditor.findings import Axis, Cell, Column, Figure, Table
from auditor.stats import interval, mean, value

Both = Sequence[tuple[str, Sequence[Maps]]]
"""Maps of the model, and of the same network with random weights, each with its name."""


def part_table(both: Both, looked: Looked) -> Iterator[Table]:
    """One line for each network, method, fill and part; none where there is no map."""
    rows = []
    for whose, all_maps in both:
        for maps in all_maps:
            for (_, name), places in looked.parts.items():
                found = shares_of(maps, places)
                if len(found.values) < 2:
                    continue
                unit = None if looked.units is None else looked.units[found.at]
                estimate = mean(found.values, unit=unit, span=(0.0, 1.0))
                ends = interval(estimate)
                head = (whose, maps.method, maps.fill, name, len(found.values))
                rows.append((*head, value(estimate), ends.low, ends.high, found.area, maps.flat))
    if rows:
        columns = (
            *(Column(c) for c in ("network", "method", "fill", "part", "images")),
            *(Column(c, "share") for c in ("attribution", "low", "high", "of the picture")),
            Column("flat maps"),
        )
        title = "Share of the attribution on parts of the picture"
        yield Table("shortcut/attribution:parts", title, columns, tuple(rows))


def map_figures(both: Both) -> Iterator[Figure]:
    """The mean map over the image plane, by method and network, over all fills."""
    for whose, all_maps in both:
        for method in dict.fromkeys(maps.method for maps in all_maps):
            ours = [m for m in all_maps if m.method == method and len(m.maps)]
            if ours:
                yield _figure(whose, method, ours)


def _figure(whose: str, method: str, ours: Sequence[Maps]) -> Figure:
    shares = [m.maps / m.maps.sum(axis=(1, 2), keepdims=True) for m in ours]
    whole = sum(s.mean(axis=0) for s in shares) / len(shares)
    side = len(whole)
    rows: tuple[dict[str, Cell], ...] = tuple(
        {
            "row": str(r + 1),
            "column": str(c + 1),
            "value": float(whole[r, c]),
            "text": f"{100 * whole[r, c]:.1f}",
        }
        for r in range(side)
        for c in range(side)
    )
    at = divmod(int(whole.argmax()), side)
    fills = " and ".join(m.fill for m in ours)
    name = "random" if whose != "the model" else "model"
    return Figure(
        id=f"shortcut/attribution:{method.replace(' ', '-')}-{name}",
        kind="heat",
        title=f"Where answers come from: {method}, {whose}",
        caption=f"Mean share in per cent of the attribution of {len(ours[0].maps)} images on each "
        f"part of the picture (fills: {fills}); equal shares are {100 / side**2:.1f}. The upper "
        "left part of the picture is at the upper left.",
        alt=f"Largest share {100 * whole.max():.1f}% in row {at[0] + 1}, column {at[1] + 1} of "
        f"{side}.",
        x=Axis("column from the left"),
        y=Axis("row from the top"),
        rows=rows,
    )
