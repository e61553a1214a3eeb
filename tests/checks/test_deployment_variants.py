"""deployment/variants on planted worlds: what another form loses, for whom, where layers part."""

import types

import numpy as np
import pytest

from auditor.checks import deployment_variants
from auditor.checks.deployment_variants import NamedForms, Variants
from auditor.contract import Available, NotMeasurableError
from auditor.errors import ModelError
from auditor.findings import Table, Unmeasured
from auditor.models.form_facts import LayerApart
from auditor.reports.telling import Telling
from auditor.stats import interval, p_value, value

GROUP_LIMIT, LIMIT = 0.03, 0.01
LAYERS = (LayerApart("stem", "Conv", 0.0004, True), LayerApart("block", "Relu", 0.3, True),
          LayerApart("head", "Gemm", 0.5, True))  # fmt: skip


def exceeds(measure, limit):
    return p_value(measure.estimate, limit=limit, exceeds="above") <= 0.05


def holds(measure, limit):
    """Non-inferior: the whole one-sided 95% interval is within the margin."""
    return p_value(measure.estimate, limit=limit, exceeds="below") <= 0.05


@pytest.fixture(autouse=True)
def layers(monkeypatch):
    """Layers as planted; what was asked for."""
    planted = {"layers": LAYERS, "asked": []}

    def answer(one, other, frames, *, limits):
        planted["asked"].append((one, other, frames))
        if isinstance(planted["layers"], Exception):
            raise planted["layers"]
        return planted["layers"]

    monkeypatch.setattr(deployment_variants, "layers_apart", answer)
    return planted


def world(worlds, tmp_path, *, seed, lost_by=0.0, churn=0.02, n=6000, variants=None):
    """Two classes; the form breaks and mends alike, and breaks `lost_by` more at night."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    correct = rng.random(n) < 0.9
    night = np.arange(n) % 4 == 0
    flips = correct & (rng.random(n) < churn)
    flips[rng.permutation(np.flatnonzero(night & correct & ~flips))[: round(lost_by * n / 4)]] = 1
    flips |= ~correct & (rng.random(n) < 9 * churn)
    answers = np.where(correct, labels, 1 - labels)
    light = {"light": ("condition", list(np.where(night, "night", "day")))}
    dataset = worlds.dataset(labels, attributes=light)
    given = tmp_path / "model.onnx"
    evidence = worlds.evidence(
        spec=worlds.spec(variants=variants or {"edge": {"path": "edge.onnx"}}),
        model=worlds.facts(file_bytes=1000),
        paths={"as-given": given, "edge": tmp_path / "edge.onnx"},
    )
    facts = worlds.facts(file_bytes=250, sparsity={"weights": 100, "zeros": 85})
    evidence.predictors["edge"] = types.SimpleNamespace(facts=facts)
    evidence.add(dataset, worlds.probabilities(answers))
    other = np.where(flips, 1 - answers, answers)
    evidence.add(dataset, worlds.probabilities(other), variant="edge")
    evidence.frame_stacks["test"] = np.zeros((min(n, 400), 8, 8, 3), dtype=np.uint8)
    evidence.frame_stacks["test"][:, 0, 0, 0] = np.arange(min(n, 400)) % 256
    return evidence


@pytest.mark.parametrize("seed", range(4))
def test_the_group_that_pays_for_the_other_form_is_told(worlds, tmp_path, seed):
    found = worlds.measures(Variants(), world(worlds, tmp_path, seed=seed, lost_by=0.07, n=12_000))
    assert exceeds(found["accuracy-lost:light=night@test+edge"], GROUP_LIMIT)
    assert not exceeds(found["accuracy-lost:light=day@test+edge"], GROUP_LIMIT)
    assert interval(found["gap-change:light=night@test+edge"].estimate).low > 0.03
    lost = found["accuracy-lost:light=night@test+edge"]
    telling = Telling({}, attributes=frozenset({"light"}), display={"night": "night photos"})
    said = telling.filled(Variants.words["accuracy-lost"][1].hundred, lost)
    assert said.startswith("Of 100 images of night photos, the model as given answers ")
    short = telling.filled(Variants.words["accuracy-lost"][1].short, lost)
    assert short == "accuracy lost in the edge form, night photos"


@pytest.mark.parametrize("seed", range(4))
def test_a_form_that_loses_nothing_is_within_the_margin(worlds, tmp_path, seed):
    found = worlds.measures(Variants(), world(worlds, tmp_path, seed=seed, churn=0.002, n=12_000))
    assert holds(found["accuracy-lost:@test+edge"], LIMIT)
    lost = [m for m in found.values() if m.name == "accuracy-lost"]
    assert len(lost) == 3
    assert not any(exceeds(m, GROUP_LIMIT) for m in lost)


def test_a_new_release_of_the_same_accuracy_shows_its_flips(worlds, tmp_path):
    evidence = world(worlds, tmp_path, seed=1, churn=0.08)
    given, other = evidence.answers(), evidence.answers(variant="edge")
    found = worlds.measures(Variants(), evidence)
    assert not exceeds(found["accuracy-lost:@test+edge"], LIMIT)
    harmful = found["flip-rate:kind=harmful@test+edge"]
    assert value(harmful.estimate) == pytest.approx((given.correct & ~other.correct).mean())
    assert value(harmful.estimate) > 0.05
    assert "turn from right to wrong" in worlds.sentence(Variants, harmful)


def test_the_first_layer_to_part_is_named_where_answers_differ(worlds, tmp_path, layers):
    evidence = world(worlds, tmp_path, seed=2)
    results = list(Variants().run(evidence))
    (first,) = [r for r in results if getattr(r, "name", "") == "layers-alike"]
    assert (value(first.estimate), first.facts["layer"]) == (1, "block")
    said = worlds.sentence(Variants, first)
    assert "block (Relu) is the first of 3 layers, matched by name" in said
    lost = worlds.measures(Variants(), evidence)["accuracy-lost:@test+edge"]
    assert "the first layer to part is block" in worlds.sentence(Variants, lost)
    ((one, other, frames), *_) = layers["asked"]
    assert (one.path.name, other.path.name, len(frames)) == ("model.onnx", "edge.onnx", 8)
    pair = evidence.answers(), evidence.answers(variant="edge")
    changed = np.flatnonzero((pair[0].predicted != pair[1].predicted)[:256])
    others = np.setdiff1d(np.arange(256), changed)
    assert len(changed) > 2
    assert frames[:, 0, 0, 0].tolist() == [*changed, *others][:8]
    (table,) = [r for r in results if isinstance(r, Table) and "layers" in r.id]
    assert [row[2] for row in table.rows] == [0.0004, 0.3, 0.5]


def test_without_a_changed_answer_no_layer_is_looked_at(worlds, tmp_path, layers):
    found = worlds.measures(Variants(), world(worlds, tmp_path, seed=2, churn=0))
    assert not layers["asked"]
    assert "layers-alike:+edge" not in found
    assert value(found["flip-rate:@test+edge"].estimate) == pytest.approx(0)


def test_layers_that_all_agree_are_said_to(worlds, tmp_path, layers):
    layers["layers"] = LAYERS[:1]
    first = worlds.measures(Variants(), world(worlds, tmp_path, seed=2))["layers-alike:+edge"]
    assert "none of 1 layers parts" in worlds.sentence(Variants, first)


@pytest.mark.parametrize(
    ("planted", "said"),
    [((), "share no layer"), (ModelError("no memory"), "Layers could not be run: no memory")],
)
def test_layers_that_cannot_be_compared_are_a_reason(worlds, tmp_path, layers, planted, said):
    layers["layers"] = planted
    results = list(Variants().run(world(worlds, tmp_path, seed=2)))
    (refused,) = [r for r in results if isinstance(r, Unmeasured)]
    assert (refused.name, said in refused.reason) == ("layers-alike", True)


def test_a_form_that_is_fed_otherwise_has_other_layers(worlds, tmp_path, layers):
    variants = {"edge": {"path": "edge.onnx", "input": {"size": (16, 16)}}}
    results = list(Variants().run(world(worlds, tmp_path, seed=2, variants=variants)))
    (refused,) = [r for r in results if isinstance(r, Unmeasured)]
    assert "fed otherwise" in refused.reason
    assert not layers["asked"]


def test_a_form_that_could_not_be_loaded_leaves_the_others(worlds, tmp_path):
    variants = {"gone": {"path": "gone.onnx"}, "edge": {"path": "edge.onnx"}}
    evidence = world(worlds, tmp_path, seed=2, variants=variants)
    predictor = evidence.predictor

    def found(variant="as-given"):
        if variant == "gone":
            raise NotMeasurableError("gone.onnx is missing.", remedy="Correct it.")
        return predictor(variant)

    evidence.predictor = found
    results = list(Variants().run(evidence))
    (refused,) = [r for r in results if isinstance(r, Unmeasured)]
    assert str(refused.subject) == "+gone"
    (table,) = [r for r in results if isinstance(r, Table) and r.id.endswith(":forms")]
    assert [row[0] for row in table.rows] == ["as given", "edge"]
    assert table.rows[1][4] == pytest.approx(0.85)


def test_forms_are_asked_for_on_every_labelled_split(worlds):
    spec = worlds.spec(variants={"edge": {"path": "e.onnx"}, "int8": {"path": "i.onnx"}})
    datasets = {s: worlds.dataset([0, 1], split=s) for s in ("test", "deployment")}
    passes = NamedForms().passes(Available(spec, worlds.facts(), datasets))
    assert {(p.split, p.variant) for p in passes} == {
        (split, form) for split in datasets for form in ("as-given", "edge")
    }
    alone = Available(worlds.spec(), worlds.facts(), datasets)
    assert "names no other form" in NamedForms().unmet(alone).reason


def test_every_word_has_its_fields(worlds, tmp_path):
    results = list(Variants().run(world(worlds, tmp_path, seed=3, lost_by=0.05)))
    assert not worlds.unfilled(Variants, results)
