"""Whole audits of small worlds: rows in another order, and a handful of perfect answers."""

import numpy as np
import pandas as pd
import pytest
from coloured_rooms import make_world
from test_certain import doubtless

import auditor
from auditor.contract import check_classes
from auditor.findings import Measure, finding_id
from auditor.stats import Exact, interval, value

pytestmark = pytest.mark.slow

TIMED = {
    "deployment/cold-start", "deployment/frame-rate", "deployment/latency", "deployment/memory",
    "deployment/quantization", "deployment/throughput",
}  # fmt: skip
CHECKS = tuple(sorted(check_classes().keys() - TIMED))
SEED = "seed: 3"
EXTRA = """
consequences:
  adverse: [blue]
  borne_by: {blue: the tenant}
  costs: {unit: EUR, matrix: {red: {blue: 400}, blue: {red: 9000}}}
shortcuts:
  - {name: corner, region: [0.0, 0.0, 0.3, 0.3]}
"""


def world(folder, **stated):
    """Coloured rooms with costs, an artefact, a nuisance, and answers of equal confidence."""
    spec = make_world(folder, **stated)
    spec.write_text(spec.read_text().replace("policy: policy.yaml", f"{EXTRA}policy: policy.yaml"))
    return spec


def shuffled(spec, *, seed):
    for split in ("test", "train", "deployment"):
        path = spec.parent / f"{split}.csv"
        table = pd.read_csv(path)
        order = np.random.default_rng(seed).permutation(len(table))
        table.iloc[order].to_csv(path, index=False)
    return spec


def numbers(record) -> dict[str, tuple[float, ...]]:
    """Value and interval of every measure by its id; None where there is only a reason."""
    found = {}
    for result in record.results:
        for one in result.measured:
            identifier = finding_id(result.check, one.name, one.subject)
            if isinstance(one, Measure) and not one.volatile:
                ends = interval(one.estimate)
                found[identifier] = (value(one.estimate), ends.low, ends.high, one.n)
            else:
                found[identifier] = None
    return found


def unlike(first, second) -> set[str]:
    return first.keys() ^ second.keys() | {
        i
        for i in first.keys() & second.keys()
        if first[i] != (None if second[i] is None else pytest.approx(second[i], rel=1e-6, abs=1e-9))
    }


def test_no_number_but_random_ones_depends_on_the_order_of_rows(tmp_path):
    spec = world(tmp_path / "rooms", wrong_in_old=0.3, sizes=(100, 50, 50))
    as_written = numbers(auditor.run(spec, out=tmp_path / "a", only=CHECKS))
    text = spec.read_text()
    spec.write_text(text.replace(SEED, "seed: 4"))
    other_seed = numbers(auditor.run(spec, out=tmp_path / "b", only=CHECKS))
    spec.write_text(text)
    in_another_order = numbers(auditor.run(shuffled(spec, seed=1), out=tmp_path / "c", only=CHECKS))
    random = unlike(as_written, other_seed)
    steady = as_written.keys() - random
    assert len(steady) > 120, sorted(random)
    assert sorted(unlike(as_written, in_another_order) - random) == []


def test_a_dozen_perfect_answers_are_not_certain(tmp_path):
    spec = world(tmp_path / "rooms", sizes=(24, 24, 24))
    record = auditor.run(spec, out=tmp_path / "out", only=CHECKS)
    measures = [m for r in record.results for m in r.measured if isinstance(m, Measure)]
    assert sum(not isinstance(m.estimate, Exact) for m in measures) > 20
    assert [said for m in measures for said in doubtless(m)] == []
