"""No check is certain of what it saw in a small sample, and none depends on the order of rows."""

import dataclasses

import numpy as np
import pytest
from degenerate_worlds import SPEC, degenerate

from auditor.contract import Boxes, check_classes
from auditor.findings import Measure
from auditor.stats import Exact, interval, value

CLASSES = check_classes()
FROM_FILES = {
    "data/duplicates", "data/images", "data/leakage", "data/left-out", "data/manifest",
    "deployment/latency", "deployment/portability",
    "deployment/quantization", "deployment/size", "deployment/variants",
    "model/architecture", "model/consistency", "model/preprocessing",
    "model/task-fit", "shift/corruptions", "shift/geometry",
    "shortcut/toggle",
}  # fmt: skip
"""Checks of files and of the live model; whole audits ask them (`test_whole_audits.py`)."""

ASKED = sorted(
    name
    for name, cls in CLASSES.items()
    if name not in FROM_FILES and not any(isinstance(need, Boxes) for need in cls.needs)
)


def doubtless(measure: Measure) -> list[str]:
    """What of a measure has no width although it is of a sample, or leaves its scale."""
    low, high = measure.span
    said = {"": (measure.estimate, low, high)}
    for i, side in enumerate(measure.sides or ()):
        said[f" side {i}"] = (side.estimate, -np.inf, np.inf)
    found = []
    for part, (estimate, least, most) in said.items():
        ends = interval(estimate)
        if not isinstance(estimate, Exact) and not ends.high > ends.low:
            found.append(f"{measure.name}:{measure.subject}{part} has no width: {estimate}")
        if ends.low < least or ends.high > most:
            found.append(f"{measure.name}:{measure.subject}{part} leaves its scale: {ends}")
    found += [
        f"{measure.name}:{measure.subject} among like {alike.condition} has no width"
        for alike in measure.adjusted
        if alike.low is not None and not alike.high > alike.low
    ]
    return found


@pytest.mark.parametrize(
    ("kind", "units"),
    [
        ("all right", False),
        ("all wrong", True),
        ("equal scores", True),
    ],
)
def test_no_measure_of_a_degenerate_world_is_certain(worlds, kind, units):
    evidence = degenerate(worlds, kind, n=36 if units else 12, units=units)
    asked, certain = 0, []
    for name in ASKED:
        own = dataclasses.replace(evidence, check_id=name)
        measures = [r for r in CLASSES[name]().run(own) if isinstance(r, Measure)]
        asked += len(measures)
        certain += [f"{name}:{said}" for m in measures for said in doubtless(m)]
    assert asked > 80
    assert certain == []


def numbers(evidence) -> dict[str, tuple[float, ...]]:
    found = {}
    for name in ASKED:
        for one in CLASSES[name]().run(dataclasses.replace(evidence, check_id=name)):
            if isinstance(one, Measure):
                ends = interval(one.estimate)
                key = f"{name}:{one.name}:{one.subject}"
                found[key] = (value(one.estimate), ends.low, ends.high)
    return found


def unlike(first: dict, second: dict) -> list[str]:
    near = {k: pytest.approx(second.get(k, ()), rel=1e-6, abs=1e-9) for k in first}
    return sorted({k for k in first if first[k] != near[k]} | second.keys() - first.keys())


def test_where_scores_are_equal_no_number_depends_on_the_order_of_rows(worlds):
    # Every confidence is 1 and a third are right: whoever goes by the rows' order shows it.
    evidence = degenerate(worlds, "one answer", n=36, units=False)
    order = np.random.default_rng(5).permutation(36)
    turned = dataclasses.replace(
        evidence,
        datasets={k: d.take(order) for k, d in evidence.datasets.items()},
        passes={k: o.take(order) for k, o in evidence.passes.items()},
        scans={k: s.iloc[order].reset_index(drop=True) for k, s in evidence.scans.items()},
    )
    spec = worlds.spec(**SPEC, audit={"title": "A world", "seed": 8})
    as_written = numbers(evidence)
    random = unlike(as_written, numbers(dataclasses.replace(evidence, spec=spec)))
    moved = unlike(as_written, numbers(turned))
    assert "performance/abstention:aurc:@test" in as_written
    assert set(moved) <= set(random), sorted(set(moved) - set(random))
    assert len(random) < 0.2 * len(as_written), random
