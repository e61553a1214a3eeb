import numpy as np
import pytest

from auditor.findings import Unmeasured
from auditor.shift.accuracy import AccuracyLost
from auditor.stats import Rate, interval, p_value, two_sample_difference, value
from auditor.stats.loss_parts import Cells, loss_parts

LIMIT = 0.05


def world(worlds, *, seed, test=0.9, deployment=0.9, n=600, photos=1, unlabelled=0):
    """Rooms of `photos` alike photos; the whole room is right or wrong."""
    rng = np.random.default_rng(seed)
    evidence = worlds.evidence()
    for split, accuracy in (("test", test), ("deployment", deployment)):
        right = np.repeat(rng.random(n // photos) < accuracy, photos)
        labels = np.zeros(n, dtype=int)
        if split == "deployment":
            labels[:unlabelled] = -1
        units = np.repeat(np.arange(n // photos), photos) if photos > 1 else None
        dataset = worlds.dataset(labels, split=split, units=units)
        evidence.add(dataset, worlds.probabilities(np.where(right, 0, 1)))
        evidence.embeddings[split] = rng.normal(size=(n, 4)).astype(np.float32)
    return evidence


def lost(worlds, evidence):
    return worlds.measures(AccuracyLost(), evidence)["lost:@deployment"]


@pytest.mark.parametrize("seed", range(6))
def test_a_loss_of_fifteen_points_is_shown(worlds, seed):
    measure = lost(worlds, world(worlds, seed=seed, deployment=0.75))
    assert p_value(measure.estimate, limit=LIMIT, exceeds="above") <= 0.05


@pytest.mark.parametrize("photos", [1, 6])
def test_no_loss_is_rarely_called_one(worlds, photos):
    failed = 0
    for seed in range(100):
        measure = lost(worlds, world(worlds, seed=seed, n=600, photos=photos))
        failed += p_value(measure.estimate, limit=0.0, exceeds="above") <= 0.05
    # 5% of 100; more than 10 has probability 1%.
    assert failed <= 10


def test_value_is_test_minus_deployment(worlds):
    evidence = world(worlds, seed=0, deployment=0.8, n=300, unlabelled=100)
    measure = lost(worlds, evidence)
    test, deployment = (evidence.answers(r).with_labels() for r in ("test", "deployment"))
    assert measure.estimate == worlds.nearly(
        two_sample_difference(test.correct, deployment.correct)
    )
    assert measure.n == 200
    assert value(measure.sides[1].estimate) == pytest.approx(deployment.correct.mean())
    assert worlds.sentence(AccuracyLost, measure).startswith("Accuracy: test ")
    assert set(measure.examples) <= set(deployment.image_ids[~deployment.correct])


def test_units_on_one_side_only_still_count(worlds):
    evidence = world(worlds, seed=0, n=300, photos=6)
    plain = worlds.dataset(np.zeros(300, int))
    evidence.add(plain, evidence.answers("test").probabilities)
    measure = lost(worlds, evidence)
    assert measure.n_units == 50
    assert measure.estimate.n_rest < 300
    assert value(measure.estimate) == pytest.approx(
        value(Rate(evidence.answers("test").correct.sum(), 300))
        - evidence.answers("deployment").correct.mean()
    )


def test_nine_labelled_deployment_images_are_too_few(worlds):
    (result,) = AccuracyLost().run(world(worlds, seed=0, n=100, unlabelled=91))
    assert isinstance(result, Unmeasured)
    assert "9 images of the labelled deployment data" in result.reason
    assert "1 more" in result.remedy


# Parts of a loss

MIX, LOOK, ALIKE = "lost-with-mix", "lost-with-images", "lost-alike"


def parted(worlds, *, seed, mix=False, look=0.2, worse=0.0, n=1500, apart=0.0):
    """Class b is hard, dark images are harder; `look` is the share of dark deployment images.

    `mix`: two thirds of deployment are of class b, not one third; `worse` is answered worse of
    every kind of image there; `apart` moves all deployment images away from all test images.
    """
    rng = np.random.default_rng(seed)
    evidence = worlds.evidence()
    for split in ("test", "deployment"):
        moved = split == "deployment"
        label = (rng.random(n) < (2 / 3 if mix and moved else 1 / 3)).astype(int)
        dark = rng.random(n) < (look if moved else 0.2)
        chance = 0.95 - 0.3 * label - 0.35 * dark - worse * moved
        right = rng.random(n) < chance
        evidence.add(worlds.dataset(label, split=split),
                     worlds.probabilities(np.where(right, label, 1 - label)))  # fmt: skip
        seen = rng.normal(size=(n, 4))
        seen[:, 0] += 6.0 * dark + apart * moved
        evidence.embeddings[split] = seen.astype(np.float32)
    return evidence


def parts(worlds, evidence):
    found = worlds.measures(AccuracyLost(), evidence)
    return {name: found[f"{name}:@deployment"] for name in (MIX, LOOK, ALIKE)}


@pytest.mark.parametrize(
    ("name", "planted", "truth"),
    [(MIX, {"mix": True}, 0.1), (LOOK, {"look": 0.6}, 0.14), (ALIKE, {"worse": 0.12}, 0.12)],
)
@pytest.mark.parametrize("seed", range(2))
def test_what_was_planted_is_the_part_that_the_loss_goes_with(worlds, seed, name, planted, truth):
    found = parts(worlds, parted(worlds, seed=seed, **planted))
    assert value(found[name].estimate) == pytest.approx(truth, abs=0.05)
    for other in {MIX, LOOK, ALIKE} - {name}:
        assert value(found[other].estimate) == pytest.approx(0, abs=0.05)
        assert p_value(found[other].estimate, limit=0.05, exceeds="above") > 0.05
    total = worlds.measures(AccuracyLost(), parted(worlds, seed=seed, **planted))
    lost = value(total["lost:@deployment"].estimate)
    assert sum(value(m.estimate) for m in found.values()) == pytest.approx(lost)
    assert "lost go with images of the same classes" in worlds.sentence(AccuracyLost, found[LOOK])


def test_images_without_their_like_are_not_compared(worlds):
    results = list(AccuracyLost().run(parted(worlds, seed=0, worse=0.2, apart=9.0)))
    (refused,) = [r for r in results if isinstance(r, Unmeasured)]
    assert refused.name == LOOK
    assert "hardly any deployment image looks like a test image" in refused.reason
    assert not [r for r in results if r.name == ALIKE]


def test_a_class_that_the_test_hardly_has_is_named(worlds):
    evidence = parted(worlds, seed=0, worse=0.3)
    test = evidence.dataset("test")
    labels = np.where(test.labels == 1, 0, test.labels)
    labels[:4] = 1
    evidence.add(worlds.dataset(labels), evidence.answers("test").probabilities)
    results = list(AccuracyLost().run(evidence))
    (refused,) = [r for r in results if isinstance(r, Unmeasured)]
    assert "b (4)" in refused.reason


def test_intervals_of_the_parts_hold_the_truth_in_about_95_of_100():
    """Strata and classes are given; of each part the truth follows from the chances."""
    rng = np.random.default_rng(0)
    p, q = np.array([0.3, 0.5, 0.2]), np.array([0.2, 0.3, 0.5])
    own, share = 0.4, 0.6
    chance = 0.9 - 0.2 * np.arange(2)[:, None] - 0.1 * np.arange(3)
    there = chance - 0.06
    both = p * q / (p + q) / (p * q / (p + q)).sum()

    def over(classes, strata, of):
        return float(np.array([1 - classes, classes]) @ of @ strata)

    # Rates in a stratum here are over the classes weighed to be as common as there.
    truth = {
        "mix": over(own, p, chance) - over(share, p, chance),
        "alike": 0.06,
        "images": over(share, p, chance) - over(share, q, there) - 0.06,
    }
    assert over(share, both, chance) - over(share, both, there) == pytest.approx(0.06)
    held = dict.fromkeys(truth, 0)
    for _ in range(200):
        drawn = []
        for n, of_class, strata, right in ((150, own, p, chance), (150, share, q, there)):
            label = (rng.random(n) < of_class).astype(int)
            stratum = rng.choice(3, size=n, p=strata)
            # Bursts of three: of one class and look, each right or wrong as a whole.
            ok = rng.random(n) < right[label, stratum]
            drawn.append(Cells(*(np.repeat(v, 3) for v in (label, stratum, np.arange(n), ok))))
        found = loss_parts(*drawn, rng=rng, draws=300)
        for name, is_ in truth.items():
            low, high = np.quantile(getattr(found, name)[1:], [0.025, 0.975])
            held[name] += low <= is_ <= high
    assert all(0.90 <= n / 200 <= 0.985 for n in held.values()), held
    assert found.total[0] == pytest.approx(found.mix[0] + found.images[0] + found.alike[0])


def test_a_part_has_width_though_no_answer_is_wrong_here(worlds):
    found = parts(worlds, parted(worlds, seed=5, worse=0.2))
    assert all(interval(m.estimate).high > interval(m.estimate).low for m in found.values())
