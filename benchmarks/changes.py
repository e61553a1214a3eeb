"""How often `auditor compare` calls a change where there is none, and finds one that is there.

Audits of small worlds (the tests' own, with the real checks): one model on two samples drawn
independently, and two models of the same share of errors on the same images. A call is a comparison
in which any number is shown to have changed.

Run: .venv/bin/python benchmarks/changes.py [comparisons]     (about half a second of CPU each)
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from auditor.changes.compare import Changes, compare_records

TESTS = Path(__file__).resolve().parents[1] / "tests"
OVERALL = "performance/overall:accuracy@test"


def _module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def comparison(world: Any, worlds: Any, seed: int, *, paired: bool, lost: float) -> Changes:
    """Audits of 240 images in 120 units, 80% right; the second answers `lost` of them wrongly."""
    old = world(worlds, n=240, seed=2 * seed)
    new = old if paired else world(worlds, n=240, seed=2 * seed + 1, name="other")
    before = old.right(0.8, seed=1)
    after = (
        before & old.right(1 - lost, seed=2) if paired and lost else new.right(0.8 - lost, seed=2)
    )
    audits = old.audit(before), new.audit(after)
    rows = (audits[0].rows, audits[1].rows) if paired else ({}, {})
    return compare_records(audits[0].record, audits[1].record, rows=rows)


def main(comparisons: int) -> None:
    sys.path.insert(0, str(TESTS))
    worlds = _module("conftest", TESTS / "conftest.py").Worlds()
    world = _module("changes_worlds", TESTS / "changes" / "conftest.py").World
    for lost in (0.0, 0.1):
        for paired in (False, True):
            found = [
                comparison(world, worlds, seed, paired=paired, lost=lost)
                for seed in range(comparisons)
            ]
            any_shown = sum(bool(c.shown) for c in found)
            overall = sum(any(s.id == OVERALL for s in c.shown) for c in found)
            how = "the same images" if paired else "two samples"
            print(
                f"lost {lost:.0%}, {how}: any change shown in {any_shown} of {comparisons}, "
                f"accuracy's in {overall}; {found[0].tested} numbers tested in the first",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
