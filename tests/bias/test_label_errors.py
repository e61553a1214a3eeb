import dataclasses

import numpy as np
import pytest

from auditor.bias.label_errors import LabelErrors
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.stats import holm, interval, p_value, rate_difference, value

LIMIT = 0.05


def world(
    worlds,
    *,
    seed,
    wrong_of,
    sharpness=None,
    n=1500,
    n_gold=0,
    images_a_unit=1,
    overconfident=1.0,
):
    """A model that is right as often as it says, and labels wrong at the group's rate.

    `sharpness` of a group: how sure (and how right) the model is there. A unit's images share
    group, truth and whether the label is wrong.
    """
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n // images_a_unit), images_a_unit)
    units = int(unit[-1]) + 1
    names = list(wrong_of)
    group = np.array(names)[rng.integers(0, len(names), units)][unit]
    sharp = np.array([(sharpness or {}).get(g, 6.0) for g in group])[:, None]
    logits = rng.normal(size=(n, 3)) * sharp
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores = raised / raised.sum(axis=1, keepdims=True)
    truth = np.minimum((rng.random(n)[:, None] > np.cumsum(scores, axis=1)).sum(axis=1), 2)
    swapped = (rng.random(units) < np.array([wrong_of[g] for g in group[::images_a_unit]]))[unit]
    labels = np.where(swapped, (truth + rng.integers(1, 3, n)) % 3, truth)
    said = scores**overconfident
    dataset = worlds.dataset(
        labels,
        classes=("a", "b", "c"),
        units=unit if images_a_unit > 1 else None,
        attributes={"hangings": ("condition", list(group))},
        gold=np.where(np.arange(n) < n_gold, truth, -1) if n_gold else None,
    )
    return worlds.evidence().add(dataset, said / said.sum(axis=1, keepdims=True))


def measures(worlds, evidence):
    return worlds.measures(LabelErrors(), evidence)


def failing(found, name):
    family = [m for m in found.values() if m.name == name]
    p = holm([p_value(m.estimate, limit=LIMIT, exceeds="above") for m in family])
    return {m.subject.get("hangings") for m, adjusted in zip(family, p, strict=True)
            if adjusted <= 0.05}  # fmt: skip


def reasons(evidence):
    return {
        f"{r.name}:{r.subject}": r for r in LabelErrors().run(evidence) if isinstance(r, Unmeasured)
    }


def listing(evidence):
    """The table of images whose label is likely wrong."""
    tables = [r for r in LabelErrors().run(evidence) if isinstance(r, Table)]
    return next(t for t in tables if t.id == "bias/label-errors:images")


def test_wrong_labels_of_one_group_are_shown_and_no_other_is_blamed(worlds):
    shown = 0
    for seed in range(12):
        evidence = world(worlds, seed=seed, wrong_of={"dense": 0.2, "none": 0.01, "some": 0.01})
        found = measures(worlds, evidence)
        failed = failing(found, "flagged-excess")
        shown += "dense" in failed
        assert failed <= {"dense"}
        assert failing(found, "flagged") == {"dense"}
    assert shown >= 11


@pytest.mark.parametrize("overconfident", [1.0, 2.0])
@pytest.mark.parametrize("images_a_unit", [1, 3])
def test_right_labels_fail_in_few_worlds(worlds, overconfident, images_a_unit):
    failed = 0
    for seed in range(30):
        evidence = world(
            worlds, seed=seed, wrong_of={"dense": 0.0, "none": 0.0, "some": 0.0}, n=900,
            images_a_unit=images_a_unit, overconfident=overconfident,
        )  # fmt: skip
        found = measures(worlds, evidence)
        failed += bool(failing(found, "flagged") | failing(found, "flagged-excess"))
    assert failed <= 3


def test_a_harder_group_is_flagged_more_but_has_no_excess(worlds):
    """The model errs more about dense rooms, as its scores say; all labels are right."""
    flagged = excess = 0
    for seed in range(20):
        evidence = world(
            worlds,
            seed=seed,
            wrong_of={"dense": 0.0, "none": 0.0},
            sharpness={"dense": 1.5, "none": 40.0},
        )
        found = measures(worlds, evidence)
        for name in ("flagged", "flagged-excess"):
            measure = found[f"{name}:hangings=dense@test"]
            shown = p_value(measure.estimate, limit=0, exceeds="above") <= 0.05
            flagged += shown and name == "flagged"
            excess += shown and name == "flagged-excess"
    assert flagged >= 19
    assert excess <= 3


def test_measures_are_those_of_the_images(worlds):
    evidence = world(worlds, seed=3, wrong_of={"dense": 0.2, "none": 0.02})
    found = measures(worlds, evidence)
    listed = listing(evidence)
    ids = list(evidence.dataset("test").image_ids)
    flagged = np.isin(ids, [row[0] for row in listed.rows])
    dense = evidence.dataset("test").groups("hangings") == "dense"
    measure = found["flagged:hangings=dense@test"]
    assert measure.estimate == worlds.nearly(rate_difference(flagged, member=dense))
    assert value(found["flagged-share:@test"].estimate) == pytest.approx(flagged.mean())
    assert measure.n == dense.sum()
    assert set(measure.examples) <= set(np.array(ids)[flagged & dense])
    excess = found["flagged-excess:hangings=dense@test"]
    chance = measure.facts["if_right"] - measure.facts["if_right_rest"]
    expected = value(measure.estimate) - chance
    assert value(excess.estimate) == pytest.approx(expected)


def test_the_list_is_worst_first_and_mostly_wrong(worlds):
    evidence = world(worlds, seed=3, wrong_of={"dense": 0.1, "none": 0.1}, n_gold=1500)
    listed = listing(evidence)
    assert all(len(row) == len(listed.columns) for row in listed.rows)
    margins = [row[3] - row[4] for row in listed.rows]
    assert margins == sorted(margins)
    assert all(row[1] != row[2] for row in listed.rows)
    wrong = [row[1] != row[5] for row in listed.rows]
    assert np.mean(wrong[:50]) > 0.9
    assert np.mean(wrong[:50]) > np.mean(wrong[-50:])


def test_the_false_alarm_rate_is_beside_the_share(worlds):
    right = world(worlds, seed=1, wrong_of={"dense": 0.0, "none": 0.0}, n=3000)
    measure = measures(worlds, right)["flagged-share:@test"]
    assert measure.facts["if_right"] == pytest.approx(value(measure.estimate), abs=0.02)
    sentence = worlds.sentence(LabelErrors, measure)
    assert sentence.startswith("Labels look wrong in ")
    assert "If every label were right, " in sentence


def test_the_experts_sample_decides(worlds):
    failed_fair = shown = 0
    for seed in range(20):
        biased = {"dense": 0.25, "none": 0.03}
        evidence = world(worlds, seed=seed, wrong_of=biased, n_gold=400)
        shown += failing(measures(worlds, evidence), "label-error") == {"dense"}
        fair = world(worlds, seed=seed, wrong_of={"dense": 0.1, "none": 0.1}, n_gold=400)
        failed_fair += bool(failing(measures(worlds, fair), "label-error"))
    assert shown >= 18
    assert failed_fair <= 2


def test_gold_measures_are_those_of_the_sample(worlds):
    evidence = world(worlds, seed=2, wrong_of={"dense": 0.2, "none": 0.05}, n_gold=500)
    found = measures(worlds, evidence)
    dataset = evidence.dataset("test")
    known, dense = dataset.gold >= 0, dataset.groups("hangings") == "dense"
    wrong = dataset.gold != dataset.labels
    overall = found["label-error-share:@test"]
    assert overall.n == 500
    assert value(overall.estimate) == pytest.approx(wrong[known].mean())
    gap = found["label-error:hangings=dense@test"]
    assert gap.estimate == worlds.nearly(rate_difference(wrong[known], member=dense[known]))
    sentence = worlds.sentence(LabelErrors, gap)
    assert "are not the expert’s in" in sentence
    assert "images that the expert labelled" in sentence
    listed = listing(evidence)
    checked = [(row[1], row[5]) for row in listed.rows if row[5] is not None]
    precision = found["flag-precision:@test"]
    assert precision.n == len(checked)
    assert value(precision.estimate) == pytest.approx(np.mean([a != b for a, b in checked]))
    assert precision.facts["wrong"] == wrong[known].sum()
    assert precision.facts["found"] == sum(a != b for a, b in checked)


def test_few_checked_flags_have_a_reason(worlds):
    evidence = world(worlds, seed=2, wrong_of={"dense": 0.05, "none": 0.05}, n_gold=30)
    found = reasons(evidence)
    assert "fewer than 10 images" in found["flag-precision:@test"].reason


def test_a_tiny_expert_sample_has_a_reason_and_a_remedy(worlds):
    evidence = world(worlds, seed=2, wrong_of={"dense": 0.05, "none": 0.05}, n_gold=7)
    found = reasons(evidence)
    for name in ("label-error-share", "label-error"):
        reason = found[f"{name}:@test"]
        assert reason.reason == (
            "Only 7 images that the expert labelled: fewer than 10 say nothing."
        )
        assert reason.remedy == "Collect at least 3 more images that the expert labelled."


def test_train_labels_are_refused_but_the_experts_are_used(worlds):
    evidence = world(worlds, seed=2, wrong_of={"dense": 0.05, "none": 0.05})
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    gold = np.where(rng.random(300) < 0.2, (labels + 1) % 3, labels)
    train = worlds.dataset(
        labels, split="train", classes=("a", "b", "c"), gold=gold,
        attributes={"hangings": ("condition", ["dense", "none"] * 150)},
    )  # fmt: skip
    evidence.add(train)
    assert "trained on these labels" in reasons(evidence)["flagged-share:@train"].reason
    found = measures(worlds, evidence)
    assert value(found["label-error-share:@train"].estimate) == pytest.approx(
        (gold != labels).mean()
    )
    assert "label-error:hangings=dense@train" in found
    assert not any(m.name.startswith("flag") and m.subject.split == "train" for m in found.values())


def test_units_are_what_counts(worlds):
    evidence = world(worlds, seed=1, wrong_of={"dense": 0.2, "none": 0.05}, images_a_unit=5)
    by_unit = measures(worlds, evidence)["flagged:hangings=dense@test"]
    dataset = evidence.dataset("test")
    alone = dataclasses.replace(dataset, has_units=False)
    evidence.add(alone, evidence.answers().probabilities)
    by_image = measures(worlds, evidence)["flagged:hangings=dense@test"]
    assert by_unit.n == by_image.n
    assert by_unit.n_units < by_unit.n / 4
    assert by_image.n_units is None
    wide, narrow = interval(by_unit.estimate), interval(by_image.estimate)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    images = measures(worlds, evidence)["flagged-excess:hangings=dense@test"].estimate
    evidence.add(dataset, evidence.answers().probabilities)
    units = measures(worlds, evidence)["flagged-excess:hangings=dense@test"].estimate
    assert units.se > 1.4 * images.se
    assert units.df < len(set(dataset.units)) < images.df


def test_excess_of_units_covers(worlds):
    """A world whose labels are wrong alike everywhere: the interval of the excess holds 0."""
    held = 0
    for seed in range(60):
        evidence = world(
            worlds, seed=seed, wrong_of={"dense": 0.1, "none": 0.1}, n=600, images_a_unit=5
        )
        found = measures(worlds, evidence)["flagged-excess:hangings=dense@test"]
        ends = interval(found.estimate)
        held += ends.low <= 0 <= ends.high
    assert held >= 53


def test_nothing_flagged_is_not_certainty(worlds):
    labels = np.arange(40) % 2
    dataset = worlds.dataset(labels, attributes={"g": ("condition", ["x"] * 15 + ["y"] * 25)})
    evidence = worlds.evidence().add(dataset, worlds.probabilities(labels, confidence=0.999))
    found = measures(worlds, evidence)
    ends = interval(found["flagged-excess:g=x@test"].estimate)
    assert ends.high > 0.05
    assert value(found["flagged-share:@test"].estimate) == 0


def test_a_group_of_nine_and_a_single_group_have_reasons(worlds):
    labels = np.arange(209) % 2
    dataset = worlds.dataset(
        labels,
        attributes={
            "g": ("condition", ["few"] * 9 + ["many"] * 200),
            "h": ("condition", ["only"] * 209),
            "i": ("condition", [""] * 209),
        },
    )
    evidence = worlds.evidence().add(dataset, worlds.probabilities(labels))
    found = reasons(evidence)
    assert "9 images of few (g)" in found["flagged:g=few@test"].reason
    assert "flagged-excess:g=few@test" in found
    assert "All labelled test images are of one group, only (h)" in (
        found["flagged:h=only@test"].reason
    )
    assert (
        "No labelled test image is in a group of i: its values are missing"
        in found["flagged:i=@test"].reason
    )
    assert not any(
        m.name == "flagged" for m in LabelErrors().run(evidence) if isinstance(m, Measure)
    )


def test_without_attributes_only_the_whole_is_measured(worlds):
    labels = np.arange(60) % 2
    evidence = worlds.evidence().add(worlds.dataset(labels), worlds.probabilities(labels))
    assert "declare no attribute" in reasons(evidence)["flagged:@test"].reason
    assert set(measures(worlds, evidence)) == {"flagged-share:@test"}


def test_unlabelled_images_are_left_out(worlds):
    evidence = world(worlds, seed=2, wrong_of={"dense": 0.1, "none": 0.1}, n_gold=1500)
    dataset, scores = evidence.dataset("test"), evidence.answers().probabilities
    frame = dataset.frame.copy()
    frame.loc[:499, "label"] = -1
    unlabelled = dataclasses.replace(dataset, table=frame)
    found = measures(worlds, worlds.evidence().add(unlabelled, scores))
    kept = dataset.take(np.arange(500, 1500))
    fewer = measures(worlds, worlds.evidence().add(kept, scores[500:]))
    without = {n: m.estimate for n, m in fewer.items()}
    assert {n: m.estimate for n, m in found.items()} == worlds.nearly(without)


def test_tables_and_figures_hold_every_group(worlds):
    evidence = world(worlds, seed=5, wrong_of={"dense": 0.2, "none": 0.02, "some": 0.02})
    results = list(LabelErrors().run(evidence))
    (groups,) = [r for r in results if getattr(r, "id", "") == "bias/label-errors:groups"]
    (figure,) = [r for r in results if isinstance(r, Figure)]
    at = [column.name for column in groups.columns]
    assert [row[at.index("group")] for row in groups.rows] == 2 * ["dense", "none", "some"]
    assert all(len(row) == len(groups.columns) for row in groups.rows)
    assert {row["series"] for row in figure.rows} == {"look wrong", "would by chance"}
    assert all(row["low"] <= row["value"] <= row["high"] for row in figure.rows)


def test_sentences_can_be_repeated(worlds):
    evidence = world(worlds, seed=5, wrong_of={"dense": 0.2, "none": 0.02}, n_gold=600)
    found = measures(worlds, evidence)
    said = {name: worlds.sentence(LabelErrors, m) for name, m in found.items()}
    dense = said["flagged:hangings=dense@test"]
    assert dense.startswith("Labels of dense (hangings) look wrong in ")
    assert "points higher [" in dense
    assert "If every label were right, " in dense
    excess = said["flagged-excess:hangings=dense@test"]
    assert excess.startswith("Beyond what right labels would show by chance, ")
    assert " points more [" in excess
    assert " points fewer [" in said["flagged-excess:hangings=none@test"]
    precision = said["flag-precision:@test"]
    assert "Of the labels that look wrong and that the expert labelled" in precision
    assert not any("{" in text for text in said.values())


def test_labelled_deployment_images_are_measured_too(worlds):
    evidence = world(worlds, seed=5, wrong_of={"dense": 0.2, "none": 0.02}, n_gold=600)
    test = measures(worlds, evidence)
    there = dataclasses.replace(evidence.dataset("test"), split="deployment")
    evidence.add(there, evidence.answers().probabilities)
    both = measures(worlds, evidence)
    assert len(both) == 2 * len(test)
    for key, measure in test.items():
        assert both[key] == measure
        assert both[key.replace("@test", "@deployment")].estimate == worlds.nearly(measure.estimate)
    assert {row[-1] for row in listing(evidence).rows} == {"test", "deployment"}
