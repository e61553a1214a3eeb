"""No check is certain of what it saw in a small sample, and none depends on the order of rows."""

import dataclasses

import numpy as np
import pytest
from degenerate_worlds import degenerate

from auditor.contract import check_classes
from auditor.findings import Measure
from auditor.stats import Exact, interval

CLASSES = check_classes()
FROM_FILES = {
    "data/duplicates", "data/images", "data/leakage", "data/manifest", "deployment/latency",
    "deployment/quantization", "deployment/size", "model/architecture", "model/consistency",
    "model/preprocessing", "shortcut/toggle",
}  # fmt: skip
"""Checks of files and of the live model; whole audits ask them (`test_whole_audits.py`)."""
"""Their measures are rates, counts of all there is, and timings: see their own tests."""


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
        ("all right, unsure", True),
        ("all wrong", True),
        ("one answer", False),
        ("equal scores", True),
    ],
)
def test_no_measure_of_a_degenerate_world_is_certain(worlds, kind, units):
    evidence = degenerate(worlds, kind, n=36 if units else 12, units=units)
    asked, certain = 0, []
    for name in sorted(CLASSES.keys() - FROM_FILES):
        own = dataclasses.replace(evidence, check_id=name)
        measures = [r for r in CLASSES[name]().run(own) if isinstance(r, Measure)]
        asked += len(measures)
        certain += [f"{name}:{said}" for m in measures for said in doubtless(m)]
    assert asked > 80
    assert certain == []
