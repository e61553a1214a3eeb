import numpy as np
import pytest
from detector_worlds import DETECTOR

from auditor.contract import Available
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.shift.labels import LabelShift
from auditor.stats import value

CLASSES = ("a", "b", "c")
HERE, THERE = np.array([0.6, 0.25, 0.15]), np.array([0.35, 0.25, 0.4])
QUICK = LabelShift(permutations=99)


def world(
    worlds, *, seed, n=(500, 300), there=THERE, moved=0.0, sharp=2.0, copies=1, labelled=False
):
    """Embeddings with a mean for each class, scores from them; deployment moved beside them."""
    rng = np.random.default_rng(seed)
    evidence = worlds.evidence(model=worlds.facts(classes=CLASSES))
    evidence.check_id = f"seed {seed}"
    for split, size, shares in zip(("test", "deployment"), n, (HERE, there), strict=True):
        labels = np.repeat(rng.choice(3, size=size, p=shares), copies)
        seen = np.repeat(rng.normal(size=(size, 8)), copies, axis=0)
        seen[np.arange(size * copies), labels] += sharp
        if split == "deployment":
            seen[:, 5] += moved
        raised = np.exp(2 * seen[:, :3])
        scores = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
        units = np.repeat(np.arange(size), copies)
        known = labels if split == "test" or labelled else np.full(len(labels), -1)
        data = worlds.dataset(known, split=split, classes=CLASSES, units=units)
        evidence.add(data, scores)
        evidence.embeddings[split] = seen.astype(np.float32)
    return evidence


def shares(worlds, evidence) -> dict[str, Measure]:
    found = worlds.measures(QUICK, evidence)
    return {c: found[f"estimated-share:class={c}@deployment"] for c in CLASSES}


@pytest.mark.parametrize("seed", range(4))
def test_another_mix_of_classes_is_estimated_and_little_remains(worlds, seed):
    found = worlds.measures(QUICK, world(worlds, seed=seed))
    for name, share in zip(CLASSES, THERE, strict=True):
        measure = found[f"estimated-share:class={name}@deployment"]
        assert value(measure.estimate) == pytest.approx(share, abs=0.09)
        assert measure.facts["by_answers"] == pytest.approx(share, abs=0.11)
        assert measure.interval.low < share < measure.interval.high
    left = found["remains:@deployment"]
    assert left.facts["before"] > 0.57
    assert value(left.estimate) < left.facts["before"]
    assert left.facts["p"] > 0.01


@pytest.mark.parametrize("seed", range(3))
def test_images_of_a_class_that_look_otherwise_remain(worlds, seed):
    found = worlds.measures(QUICK, world(worlds, seed=seed, moved=1.0))
    left, share = found["remains:@deployment"], found["estimated-share:class=a@deployment"]
    assert left.facts["shown"]
    assert "may be beside the truth" in worlds.sentence(LabelShift, share)
    assert left.facts["p"] <= 0.05
    assert value(left.estimate) > 0.65


def test_another_mix_alone_rarely_leaves_a_difference(worlds):
    check = LabelShift(permutations=99)
    shown = sum(
        worlds.measures(check, world(worlds, seed=seed, n=(300, 150)))["remains:@deployment"].facts[
            "shown"
        ]
        for seed in range(24)
    )
    # At most 5% of 24 are expected; more than 4 has probability 2%.
    assert shown <= 4


def test_a_burst_counts_as_one(worlds):
    one, four = (shares(worlds, world(worlds, seed=1, copies=c))["c"] for c in (1, 4))
    widths = [m.interval.high - m.interval.low for m in (one, four)]
    assert widths[0] == pytest.approx(widths[1], rel=0.15)
    assert (four.n, four.n_units) == (1200, 300)


def test_few_labelled_test_images_make_intervals_wider(worlds):
    """How often the model confuses classes is then hardly known, however many answers there are."""
    few, many = (shares(worlds, world(worlds, seed=2, n=(n, 1200), sharp=1.5)) for n in (120, 1200))
    for ends in (lambda m: m.interval.high - m.interval.low,
                 lambda m: m.facts["by_answers_high"] - m.facts["by_answers_low"]):  # fmt: skip
        assert ends(few["a"]) > 1.4 * ends(many["a"])


def test_without_an_embedding_scores_are_looked_at(worlds):
    evidence = world(worlds, seed=0, moved=1.0)
    evidence.model = worlds.facts(classes=CLASSES, embedding=None)
    left = worlds.measures(QUICK, evidence)["remains:@deployment"]
    assert "by the scores (50% is guessing)" in worlds.sentence(LabelShift, left)
    # What moved leaves the scores as they were.
    assert left.facts["not_shown"]


def test_a_model_that_guesses_is_not_asked(worlds):
    results = list(QUICK.run(world(worlds, seed=0, sharp=0.0)))
    (only,) = results
    assert isinstance(only, Unmeasured)
    assert "answers hardly depend on the class" in only.reason
    assert "Label a random sample" in only.remedy


def test_a_class_with_few_test_images_has_a_reason(worlds):
    evidence = world(worlds, seed=0)
    data = evidence.dataset("test")
    labels = np.where(data.labels == 2, 0, data.labels)
    labels[:5] = 2
    data = worlds.dataset(labels, split="test", classes=CLASSES)
    evidence.add(data, evidence.answers("test").probabilities)
    (few,) = QUICK.run(evidence)
    assert "classes with fewer than 10 test images: c (5)" in few.reason.replace("units", "images")


def test_many_classes_are_not_estimated(worlds):
    (many,) = LabelShift(most_classes=2).run(world(worlds, seed=0))
    assert many.reason.startswith("There are 3 classes, and shares are estimated of at most 2.")


def test_a_detector_is_told_why_not(worlds):
    spec = worlds.spec(model={**DETECTOR, "classes": ("cup",)})
    available = Available(spec, worlds.facts(task="detection"), {})
    unmet = [need.unmet(available) for need in LabelShift.needs if not need.optional]
    assert "gives no score for each class" in unmet[0].reason


def test_what_is_said_and_shown(worlds):
    evidence = world(worlds, seed=0, labelled=True)
    results = list(QUICK.run(evidence))
    assert worlds.unfilled(LabelShift, results) == []
    found = worlds.measures(QUICK, evidence)
    sentence = worlds.sentence(LabelShift, found["estimated-share:class=c@deployment"])
    assert "estimated from the scores" in sentence
    assert "From the answers alone: " in sentence
    assert "Of the labelled deployment images: " in sentence
    assert "beside the truth" not in sentence
    assert "not shown (p = " in worlds.sentence(LabelShift, found["remains:@deployment"])
    (table,) = [r for r in results if isinstance(r, Table)]
    assert [row[0] for row in table.rows] == list(CLASSES)
    assert all(len(row) == len(table.columns) for row in table.rows)
    (figure,) = [r for r in results if isinstance(r, Figure)]
    assert len(figure.rows) == 6


def test_same_seed_same_numbers(worlds):
    one, other = (list(QUICK.run(world(worlds, seed=3, n=(200, 100)))) for _ in range(2))
    assert one == other
