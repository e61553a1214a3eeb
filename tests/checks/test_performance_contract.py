"""What holds for every performance check, on ordinary and on extreme worlds."""

import dataclasses
import inspect
import json

import numpy as np
import pytest

from auditor.checks import (
    performance_abstention,
    performance_baseline,
    performance_calibration,
    performance_claims,
    performance_consequences,
    performance_decision_rule,
    performance_overall,
    performance_overfitting,
    performance_per_class,
    performance_unit_decision,
)
from auditor.contract import Available, Check, ClassScores, Pass, check_classes
from auditor.findings import Figure, Measure, Table, Unmeasured, finding_id
from auditor.stats import interval, value

MODULES = (
    performance_abstention,
    performance_baseline,
    performance_calibration,
    performance_claims,
    performance_consequences,
    performance_decision_rule,
    performance_overall,
    performance_overfitting,
    performance_per_class,
    performance_unit_decision,
)
CHECKS = tuple(
    cls
    for module in MODULES
    for cls in vars(module).values()
    if inspect.isclass(cls) and issubclass(cls, Check) and cls is not Check
)
CLASSES = ("fine", "minor", "serious")
SPEC = {
    "model": {"path": "m.onnx", "classes": CLASSES, "input": {"size": (8, 8)}},
    "claims": (
        {"measure": "accuracy", "at_least": 0.9, "source": "report"},
        {"measure": "recall", "label": "serious", "at_least": 0.8, "source": "report"},
        {"measure": "precision", "label": "serious", "at_least": 0.8, "source": "report"},
        {"measure": "deployment/latency:p99", "at_most": 80.0, "source": "report"},
        {"measure": "accuracy", "at_least": 0.9, "split": "deployment", "source": "pilot"},
    ),
    "consequences": {
        "adverse": ("serious",),
        "costs": {
            "unit": "EUR",
            "matrix": {"fine": {"serious": 4000.0}, "serious": {"fine": 50000.0}},
        },
        "borne_by": {"serious": "the tenant"},
    },
}


def world(worlds, *, n=300, right=0.8, units=True, seed=0, absent=None, alike=False, spec=SPEC):
    """Test and train images of three classes, answered rightly in a share of them.

    With `alike` both images of a unit have one label.
    """
    rng = np.random.default_rng(seed)
    evidence = worlds.evidence(
        spec=worlds.spec(**spec), model=worlds.facts(classes=spec["model"]["classes"])
    )
    for split in ("test", "train"):
        labels = rng.choice([c for c in range(3) if c != absent], size=n)
        labels = np.repeat(labels[::2], 2) if alike else labels
        answers = np.where(rng.random(n) < right, labels, (labels + 1) % 3)
        dataset = worlds.dataset(
            labels,
            split=split,
            classes=CLASSES,
            units=np.arange(n) // 2 if units else None,
            attributes={"lift": ("condition", rng.choice(["yes", "no", ""], size=n))},
        )
        confidence = rng.uniform(0.5, 0.99, size=n)
        evidence.add(dataset, worlds.probabilities(answers, n_classes=3, confidence=confidence))
    return evidence


@dataclasses.dataclass
class Strict:
    """Evidence that hands out only what the check declares, as the engine's does."""

    inner: object
    check: Check

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def _available(self):
        datasets = {split: d for (split, _), d in self.inner.datasets.items()}
        return Available(self.inner.spec, self.inner.model, datasets)

    def has(self, need):
        assert need in self.check.needs, f"{need} is not declared"
        return self.inner.has(need)

    def scored(self, split="test", *, sample=None, part="sound", of=None):
        self._require(split, sample)
        return self.inner.scored(split, sample=sample, part=part, of=of)

    def answers(self, split="test", *, sample=None, part="sound"):
        assert any(isinstance(need, ClassScores) for need in self.check.needs)
        self._require(split, sample)
        return self.inner.answers(split, sample=sample, part=part)

    def _require(self, split, sample):
        available = self._available()
        declared = {
            p
            for need in self.check.needs
            if need.unmet(available) is None
            for p in need.passes(available)
        }
        assert Pass(split, sample=sample) in declared


def results(cls, evidence):
    check = cls()
    return list(check.run(Strict(evidence, check)))


WORLDS = {
    "ordinary": {},
    "without units": {"units": False},
    "all right": {"right": 1.0},
    "all wrong": {"right": 0.0},
    "class absent": {"absent": 2},
    "twelve images": {"n": 12, "units": False},
    "four images": {"n": 4, "units": False},
    "one unit": {"n": 2},
    "units alike": {"alike": True},
}


def cases(names):
    """Checks with the worlds in which their needs are met."""
    return [
        pytest.param(cls, name, id=f"{cls.id}-{name}")
        for cls in CHECKS
        for name in names
        if WORLDS[name].get("units", True) or cls.id != "performance/unit-decision"
    ]


SMALL = ("four images", "one unit")
LARGE = tuple(name for name in WORLDS if name not in SMALL)


def test_ten_checks_are_found_by_the_registry():
    assert len(CHECKS) == 10
    registered = check_classes()
    assert all(registered[cls.id] is cls for cls in CHECKS)


@pytest.mark.parametrize(("cls", "name"), cases(WORLDS))
def test_results_can_be_recorded(worlds, cls, name):
    evidence = world(worlds, **WORLDS[name])
    found = results(cls, evidence)
    measured = [r for r in found if isinstance(r, Measure | Unmeasured)]
    assert measured
    ids = [finding_id(cls.id, r.name, r.subject) for r in measured]
    assert len(set(ids)) == len(ids)
    shown = [r.id for r in found if isinstance(r, Figure)]
    assert len(set(shown)) == len(shown)
    assert all(r.id.startswith(f"{cls.id}:") for r in found if isinstance(r, Figure | Table))
    for result in found:
        json.dumps(dataclasses.asdict(result), allow_nan=False)
    assert results(cls, evidence) == found


@pytest.mark.parametrize(("cls", "name"), cases(LARGE))
def test_every_measure_has_an_interval_and_known_examples(worlds, cls, name):
    evidence = world(worlds, **WORLDS[name])
    known = {i for split in ("test", "train") for i in evidence.dataset(split).image_ids}
    for measure in (r for r in results(cls, evidence) if isinstance(r, Measure)):
        ends = interval(measure.estimate)
        assert ends.low <= value(measure.estimate) <= ends.high
        assert ends.high > ends.low, f"{measure.name} claims certainty"
        assert len(measure.examples) <= 12
        assert set(measure.examples) <= known
        assert (measure.n_units is None) == (not WORLDS[name].get("units", True))


@pytest.mark.parametrize(("cls", "name"), cases(SMALL))
def test_fewer_than_ten_units_give_reasons_with_remedies(worlds, cls, name):
    found = results(cls, world(worlds, **WORLDS[name]))
    assert not [r for r in found if isinstance(r, Measure)]
    assert all(r.reason and r.remedy for r in found if isinstance(r, Unmeasured))


@pytest.mark.parametrize("cls", CHECKS, ids=lambda cls: cls.id)
def test_tables_have_a_cell_for_every_column(worlds, cls):
    for table in (r for r in results(cls, world(worlds)) if isinstance(r, Table)):
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}


@pytest.mark.parametrize("cls", CHECKS, ids=lambda cls: cls.id)
def test_the_class_is_its_documentation(cls):
    text = inspect.getdoc(cls)
    for section in ("What it measures", "Why it matters", "How it can mislead"):
        assert f"{section}\n{'-' * len(section)}" in text
    assert cls.sources
    assert cls.id == f"performance/{cls.__module__.split('performance_')[1].replace('_', '-')}"


OF_ONE_SPLIT = ("performance/claims", "performance/overfitting")


@pytest.mark.parametrize(
    "cls", [cls for cls in CHECKS if cls.id not in OF_ONE_SPLIT], ids=lambda cls: cls.id
)
def test_labelled_deployment_images_are_measured_as_if_they_were_the_test(worlds, cls):
    here, there = world(worlds, seed=1, alike=True), world(worlds, seed=2, right=0.6, alike=True)
    alone = results(cls, here)
    o = there.answers("test")
    deployed = dataclasses.replace(o.dataset, split="deployment")
    both = results(cls, here.add(deployed, o.probabilities))
    measured = [r for r in both if isinstance(r, Measure | Unmeasured)]
    own = [r for r in measured if r.subject.split != "deployment"]
    assert own == [r for r in alone if isinstance(r, Measure | Unmeasured)]
    shown = [(type(r), r.id) for r in both if isinstance(r, Figure | Table)]
    assert len(shown) == len(set(shown))
    found = [r for r in both if isinstance(r, Measure) and r.subject.split == "deployment"]
    expected = [
        dataclasses.replace(r, subject=dataclasses.replace(r.subject, split="deployment"))
        for r in results(cls, there)
        if isinstance(r, Measure) and r.subject.split == "test"
    ]
    assert found
    assert found == expected


@pytest.mark.parametrize(("cls", "name"), cases(LARGE))
def test_every_measure_has_words_that_can_be_filled(worlds, cls, name):
    assert not worlds.unfilled(cls, results(cls, world(worlds, **WORLDS[name])))
