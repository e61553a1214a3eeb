"""Audits of small worlds to compare: the same checks over answers that are planted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pytest

from auditor.contract import check_classes
from auditor.engine.row_files import RunRows
from auditor.findings import Measure, Unmeasured
from auditor.judging.judged_record import make_record
from auditor.judging.policy_file import parse_policy
from auditor.record import AuditRecord, CheckResults, CheckText, PlanSummary
from auditor.record.provenance import collect_provenance
from auditor.spec.spec_file import SpecFile

CHECKS = ("performance/overall", "performance/per-class", "bias/subgroup-gap", "bias/error-rates")
POLICY = """
id: tried
version: "1"
owner: {name: a tester}
limits:
  - {id: overall, measure: "performance/overall:accuracy", at_least: 0.8, why: a floor}
  - {id: gap, measure: "bias/subgroup-gap:accuracy", at_least: -0.1, why: nobody far behind}
"""


@dataclass(frozen=True)
class Audited:
    """A record and the rows that it was made from."""

    record: AuditRecord
    rows: dict


@dataclass(frozen=True)
class World:
    """Labels, units and groups of a sample of images, whose ids begin with `name`."""

    worlds: object
    n: int = 400
    name: str = "photo"
    seed: int = 1

    def draw(self):
        rng = np.random.default_rng(self.seed)
        labels = rng.integers(0, 2, self.n)
        return labels, np.arange(self.n) // 2, rng.choice(["old", "new"], self.n)

    def right(self, share, *, seed, phone=None):
        """Whether each image is answered rightly: `share` of them, `phone` of old phones."""
        rng = np.random.default_rng([self.seed, seed])
        at = np.full(self.n, float(share))
        if phone is not None:
            at[self.draw()[2] == "old"] = phone
        return rng.random(self.n) < at

    def audit(self, right, *, policy=POLICY, checks=CHECKS, title="A model", keep=None):
        labels, units, phones = self.draw()
        keep = np.ones(self.n, dtype=bool) if keep is None else keep
        answers = np.where(right, labels, 1 - labels)
        spec = self.worlds.spec(
            audit={"title": title, "seed": 7},
            data={"test": {"manifest": "test.csv", "images": "."},
                  "attributes": {"phone": {"role": "condition"}}},
            consequences={"adverse": ("b",), "when_wrong": "a fine"},
        )  # fmt: skip
        dataset = self.worlds.dataset(
            labels, units=units, attributes={"phone": ("condition", phones)}, prefix=self.name
        ).take(keep)
        evidence = self.worlds.evidence(spec=spec).add(
            dataset, self.worlds.probabilities(answers[keep])
        )
        results = tuple(_run(check, evidence) for check in checks)
        rows = evidence.scored("test").with_truth
        return Audited(
            _record(self.worlds, spec, policy, results),
            {("test", "image"): RunRows(rows, np.array([f"d{i}" for i in rows.image_ids]))},
        )


def _run(identifier, evidence) -> CheckResults:
    check = check_classes()[identifier]
    evidence.check_id = identifier
    found = list(check().run(evidence))
    return CheckResults(
        identifier,
        tuple(r for r in found if isinstance(r, Measure)),
        tuple(r for r in found if isinstance(r, Unmeasured)),
    )


def _record(worlds, spec, policy, results):
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    return make_record(
        spec=SpecFile(spec, "audit.yaml", "", "0"),
        policy=parse_policy(policy, name="policy.yaml"),
        provenance=collect_provenance(seed=7, started=noon, finished=noon),
        model=worlds.facts(),
        datasets=(),
        plan=PlanSummary(tuple(r.check for r in results)),
        passes=(),
        results=results,
        check_texts=tuple(CheckText(r.check, "", (), {}, ()) for r in results),
    )


@pytest.fixture(scope="session")
def world(worlds):
    return lambda **given: World(worlds, **given)
