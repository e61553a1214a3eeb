"""How often the tests of shift/ alarm, on one source and on shifted digits, and what they cost.

    python benchmarks/shift.py [--nulls 1000] [--repeats 40]
        [--only nulls power margin mix accuracy speed]

nulls   samples of one source: every test alarms in about 5 of 100, also where images come in
        bursts of four, and so do the three looks (properties, predictions, embeddings) together
power   1,797 handwritten digits (scikit-learn's) at 32 x 32, nine changes, a small trained net;
        600 digits of reference, n changed ones: the share of changes noticed at 5%
margin  how often a verdict is wrong where the classifier's area lies at the limit
mix     classes' shares estimated for other mixes of the digits, without labels
accuracy  estimated without labels, over shifts of families left out (`estimated_accuracy.py`)
speed   1,000 deals against the same statistic by indexing the kernel again for each of them, as
        alibi-detect does; extrapolated from a few
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import estimated_accuracy
import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter, zoom
from threadpoolctl import threadpool_limits

from auditor.data.scan import PROPERTY_NAMES, properties
from auditor.shift.domain_classifier import area_of, cross_fitted_scores
from auditor.shift.embedded import told_apart
from auditor.shift.sides import Sampled, Sides
from auditor.stats import Normal, bound, value
from auditor.stats.classifier_test import classifier_test
from auditor.stats.distribution_test import distribution_test
from auditor.stats.kernel_test import kernel_test
from auditor.stats.label_shift import calibration, from_answers, from_scores
from auditor.stats.rank_features import RankFeatures
from auditor.stats.two_samples import TwoSamples, pooled_components

ALPHA, LOOKS, DEALS = 0.05, 3, 199
SIDE = 32


@dataclass(frozen=True)
class Looks:
    """What the three looks see of images, (n, d) each."""

    properties: np.ndarray
    scores: np.ndarray
    embedding: np.ndarray

    def take(self, at: np.ndarray) -> Looks:
        return Looks(self.properties[at], self.scores[at], self.embedding[at])


def looked_at(
    here: Looks, there: Looks, samples: TwoSamples, rng: np.random.Generator
) -> dict[str, float]:
    """The p-value of each test, of each look, and of all looks together."""
    both = [np.concatenate(pair) for pair in zip(vars(here).values(), vars(there).values(),
                                                 strict=True)]  # fmt: skip
    vary = both[0].std(axis=0) > 0
    found = {
        "properties": min(_adjusted(both[0][:, vary], samples, rng)),
        "predictions": min(_adjusted(both[1], samples, rng)),
    }
    seen = pooled_components(both[2])
    assert seen is not None
    found["classifier"] = classifier_test(seen, samples, rng=rng, permutations=DEALS).p_value
    found["discrepancy"] = kernel_test(seen, samples, rng=rng, permutations=DEALS).p_value
    found["embeddings"] = 2 * min(found["classifier"], found["discrepancy"])
    found["together"] = LOOKS * min(found[k] for k in ("properties", "predictions", "embeddings"))
    return found


def _adjusted(values: np.ndarray, samples: TwoSamples, rng: np.random.Generator) -> np.ndarray:
    return distribution_test(values, samples, rng=rng, permutations=DEALS).adjusted


def scores_of(probabilities: np.ndarray) -> np.ndarray:
    """Scores of each class, confidence, entropy and margin, as shift/predictions compares them."""
    top = np.sort(probabilities, axis=1)[:, ::-1]
    entropy = -(probabilities * np.log(np.maximum(probabilities, 1e-12))).sum(axis=1)
    return np.column_stack([probabilities, top[:, 0], entropy, top[:, 0] - top[:, 1]])


# Samples of one source


def one_source(rng: np.random.Generator, units: int, copies: int) -> Looks:
    """Images of bursts; what the looks see goes together."""
    cause = np.repeat(rng.normal(size=(units, 12)), copies, axis=0)
    cause += 0.05 * rng.normal(size=cause.shape)

    def seen(width: int) -> np.ndarray:
        mixing = np.random.default_rng(width).normal(size=(12, width)) / math.sqrt(12)
        own = np.repeat(rng.normal(size=(units, width)), copies, axis=0)
        return cause @ mixing + own + 0.05 * rng.normal(size=(len(cause), width))

    raised = np.exp(2 * seen(5))
    return Looks(
        seen(16), scores_of(raised / raised.sum(axis=1, keepdims=True)), np.maximum(seen(64), 0)
    )


def nulls(repeats: int) -> None:
    kinds = {"single images, 200 and 60": (200, 60, 1), "bursts of 4, 50 and 40": (50, 40, 4)}
    print("| samples of one source | " + " | ".join(_NAMES) + " |")
    print("|---" * (len(_NAMES) + 1) + "|")
    for kind, (here, there, copies) in kinds.items():
        rng = np.random.default_rng(1)
        units = [np.repeat(np.arange(n), copies) for n in (here, there)]
        samples = TwoSamples.of(*units)
        alarms = dict.fromkeys(_NAMES, 0)
        for _ in range(repeats):
            sides = (one_source(rng, n, copies) for n in (here, there))
            for name, p in looked_at(*sides, samples, rng).items():
                alarms[name] += p <= ALPHA
        row = " | ".join(f"{alarms[name] / repeats:.3f}" for name in _NAMES)
        print(f"| {kind} | {row} |", flush=True)


_NAMES = ("properties", "predictions", "classifier", "discrepancy", "embeddings", "together")


# Changed digits


def digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    found = load_digits()
    large = zoom(found.images / 16, (1, SIDE / 8, SIDE / 8), order=1)
    return np.clip(large, 0, 1), found.target


def changed(
    images: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Nine changes: a name, all images changed, and the places that may be drawn."""
    everyone = np.arange(len(images))
    some = rng.random(len(images)) < 0.5
    half = some[:, None, None]

    def turned(most: float) -> np.ndarray:
        return np.array([_affine(image, rng, most) for image in images])

    noise = rng.normal(size=images.shape)
    yield "noise 10/255", images + noise * 10 / 255, everyone
    yield "noise 25/255, half", images + half * noise * 25 / 255, everyone
    yield "blur .7", gaussian_filter(images, (0, 0.7, 0.7)), everyone
    yield "brighter .05, half", images + half * 0.05, everyone
    yield "contrast .8", 0.5 + 0.8 * (images - 0.5), everyone
    yield "small turns and shifts", turned(0.1), everyone
    yield "medium turns and shifts, half", np.where(half, turned(0.3), images), everyone
    yield "no zeros", images, np.flatnonzero(labels != 0)
    yield "half the zeros", images, np.flatnonzero((labels != 0) | some)


def _affine(image: np.ndarray, rng: np.random.Generator, most: float) -> np.ndarray:
    angle, scale = rng.uniform(-most, most), 1 + rng.uniform(-most, most) / 2
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = np.full(2, (SIDE - 1) / 2)
    shift = rng.uniform(-most, most, size=2) * SIDE / 4
    matrix = turn / scale
    return affine_transform(image, matrix, offset=middle - matrix @ (middle + shift), order=1)


def described(images: np.ndarray) -> np.ndarray:
    pixels = np.clip(np.round(images * 255), 0, 255).astype(np.uint8)
    names = [name for name in PROPERTY_NAMES if name != "bytes"]
    rows = [properties(np.repeat(one[..., None], 3, axis=2)) for one in pixels]
    return np.array([[row[name] for name in names] for row in rows])


@dataclass(frozen=True)
class Net:
    """A net of one layer of 64 rectified units, trained on digits."""

    net: object

    @classmethod
    def trained(cls, images: np.ndarray, labels: np.ndarray) -> Net:
        from sklearn.neural_network import MLPClassifier

        net = MLPClassifier((64,), alpha=0.1, max_iter=1000, random_state=0)
        return cls(net.fit(_small(images), labels))

    def scores(self, images: np.ndarray) -> np.ndarray:
        small = _small(np.clip(np.round(images * 255), 0, 255) / 255)
        return self.net.predict_proba(small).astype(np.float64)

    def looks(self, images: np.ndarray) -> Looks:
        small = _small(np.clip(np.round(images * 255), 0, 255) / 255)
        hidden = np.maximum(small @ self.net.coefs_[0] + self.net.intercepts_[0], 0)
        return Looks(described(images), scores_of(self.net.predict_proba(small)), hidden)


def _small(images: np.ndarray) -> np.ndarray:
    step = SIDE // 8
    return images.reshape(len(images), 8, step, 8, step).mean(axis=(2, 4)).reshape(-1, 64)


@dataclass(frozen=True)
class Split:
    """Digits in three parts: the net's, the reference, and those that are changed."""

    net: Net
    reference: np.ndarray
    rest: np.ndarray
    images: np.ndarray
    labels: np.ndarray

    @classmethod
    def drawn(cls, seed: int) -> Split:
        images, labels = digits()
        order = np.random.default_rng(seed).permutation(len(images))
        net = Net.trained(images[order[:600]], labels[order[:600]])
        return cls(net, order[600:1200], order[1200:], images, labels)


def power(repeats: int) -> None:
    rng, split = np.random.default_rng(2), Split.drawn(0)
    here = split.net.looks(split.images[split.reference])
    sizes, names = (20, 50, 200), (*_NAMES[:2], "embeddings", "together")
    noticed = {(n, name): [] for n in sizes for name in names}
    images, labels = split.images[split.rest], split.labels[split.rest]
    print("| change | " + " | ".join(f"together, n = {n}" for n in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for change, all_changed, places in changed(images, labels, rng):
        there = split.net.looks(all_changed)
        for n in sizes:
            found = [_noticed(here, there.take(rng.choice(places, n, replace=False)), rng)
                     for _ in range(repeats)]  # fmt: skip
            for name in names:
                noticed[n, name].append(np.mean([p[name] <= ALPHA for p in found]))
        row = " | ".join(f"{noticed[n, 'together'][-1]:.2f}" for n in sizes)
        print(f"| {change} | {row} |", flush=True)
    print("\n| mean of nine changes | " + " | ".join(f"n = {n}" for n in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for name in names:
        row = " | ".join(f"{np.mean(noticed[n, name]):.2f}" for n in sizes)
        print(f"| {name} | {row} |")


def _noticed(here: Looks, there: Looks, rng: np.random.Generator) -> dict[str, float]:
    samples = TwoSamples.of(np.arange(len(here.scores)), np.arange(len(there.scores)))
    return looked_at(here, there, samples, rng)


# Verdicts at the limit


def margin(repeats: int) -> None:
    """The limit is the mean area itself: what a classifier of so many images attains."""
    print("| a side | looked at | wrongly above | wrongly below |\n|---|---|---|---|")
    for n, copies in ((100, 1), (400, 1), (100, 4)):
        for kind in ("properties", "embeddings"):
            rng = np.random.default_rng(3)
            areas = [_area(rng, n, copies, kind) for _ in range(repeats)]
            limit = float(np.mean([value(a) for a in areas]))
            above = np.mean([bound(a, side="low", confidence=0.95) > limit for a in areas])
            below = np.mean([bound(a, side="high", confidence=0.95) < limit for a in areas])
            said = f"{n} bursts of {copies}" if copies > 1 else f"{n} images"
            print(f"| {said} | {kind}, area {limit:.2f} | {above:.3f} | {below:.3f} |", flush=True)


def _area(rng: np.random.Generator, n: int, copies: int, kind: str) -> Normal:
    unit = np.repeat(np.arange(n), copies)
    first = np.arange(n * copies) % copies == 0
    sides = Sides(*(Sampled(s, unit, copies > 1, first) for s in ("test", "deployment")))
    here, there = one_source(rng, n, copies), one_source(rng, n, copies)
    if kind == "properties":
        a, b = here.properties, there.properties + np.eye(16)[0] * 0.9
        apart = np.arange(2 * len(unit))
        features = RankFeatures.of(np.concatenate([a, b]).T)
        scores = cross_fitted_scores(features, sides=sides, rng=rng, photographs=apart)
        return area_of(*scores, sides=sides)
    moved = there.embedding + 0.25 * (np.arange(64) < 8)
    seen = pooled_components(np.concatenate([here.embedding, moved]))
    assert seen is not None
    return told_apart(seen, sides, rng=rng, permutations=0).area


# The mix of classes


def mix(draws: int) -> None:
    rng, split = np.random.default_rng(4), Split.drawn(0)
    known = split.net.looks(split.images[split.reference]).scores[:, :10]
    labels = split.labels[split.reference]
    scores = split.net.looks(split.images[split.rest]).scores[:, :10]
    theirs = split.labels[split.rest]
    how = calibration(known, labels)
    errors: dict[str, list[float]] = {"answers counted": [], "by answers": [], "by scores": []}
    for _ in range(draws):
        shares = rng.dirichlet(np.full(10, 0.5))
        drawn = rng.choice(len(theirs), size=1500, p=(shares / np.bincount(theirs))[theirs]
                           / (shares / np.bincount(theirs))[theirs].sum())  # fmt: skip
        truth = np.bincount(theirs[drawn], minlength=10) / len(drawn)
        answered = np.bincount(scores[drawn].argmax(axis=1), minlength=10).astype(float)
        confusion = np.bincount(known.argmax(axis=1) * 10 + labels, minlength=100).reshape(10, 10)
        found = {
            "answers counted": answered / answered.sum(),
            "by answers": from_answers(confusion[None].astype(float), answered[None])[0],
            "by scores": from_scores(how.of(scores[drawn]), how.of(known).mean(axis=0),
                                     weight=np.ones((len(drawn), 1)))[0],
        }  # fmt: skip
        for name, estimate in found.items():
            errors[name].append(float(np.abs(estimate - truth).sum()))
    print("| shares of ten classes, 1,500 images | mean sum of errors |\n|---|---|")
    for name, found in errors.items():
        print(f"| {name} | {np.mean(found):.3f} |")


# Cost


def by_indexing(
    features: np.ndarray, n: int, deals: int, rng: np.random.Generator
) -> tuple[float, float]:
    """CPU seconds of the kernel matrix, and of each deal, that is indexed anew for it."""
    start = time.process_time()
    norms = (features**2).sum(axis=1)
    squared = np.maximum(norms[:, None] + norms - 2 * features @ features.T, 0)
    kernel = np.exp(-squared / np.median(squared))
    fixed = time.process_time() - start
    start = time.process_time()
    for _ in range(deals):
        order = rng.permutation(len(features))
        dealt = kernel[order][:, order]
        xx, yy, xy = dealt[:n, :n], dealt[n:, n:], dealt[:n, n:]
        _ = sum((k.sum() - np.trace(k)) / (n * (n - 1)) for k in (xx, yy)) - 2 * xy.mean()
    return fixed, (time.process_time() - start) / deals


def own_cost(n: int, width: int) -> float:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2 * n, width)).astype(np.float32)
    samples = TwoSamples.of(np.arange(n), np.arange(n))
    start = time.process_time()
    kernel_test(features, samples, rng=rng, permutations=999)
    return time.process_time() - start


def speed() -> None:
    width = 512
    print("| images a side | own, 999 deals | indexed anew, 999 deals | times as fast |")
    print("|---|---|---|---|")
    own_cost(100, 8)
    for n, deals in ((500, 20), (1000, 10), (2000, 5)):
        rng = np.random.default_rng(0)
        features = rng.normal(size=(2 * n, width)).astype(np.float32)
        fixed, each = by_indexing(features, n, deals, rng)
        own, other = own_cost(n, width), fixed + 999 * each
        print(f"| {n:,} | {own:.2f} s | {other:.1f} s | {other / own:.0f} |", flush=True)
    command = [sys.executable, __file__, "--alone", "10000"]
    print(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def alone(n: int) -> None:
    seconds = own_cost(n, 512)
    # Of all that the process ever held, which for a child may begin with what its parent held.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"| {n:,} | {seconds:.1f} s; at most {peak:.0f} MB | | |")


_PARTS = ["nulls", "power", "margin", "mix", "accuracy", "speed"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nulls", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--only", nargs="+", default=_PARTS)
    parser.add_argument("--alone", type=int)
    given = parser.parse_args()
    parts = {
        "nulls": lambda: nulls(given.nulls), "power": lambda: power(given.repeats),
        "margin": lambda: margin(given.nulls), "mix": lambda: mix(20),
        "accuracy": lambda: estimated_accuracy.report(map(Split.drawn, range(3))), "speed": speed,
    }  # fmt: skip
    with threadpool_limits(limits=1):
        if given.alone:
            alone(given.alone)
            return
        for name in given.only:
            start = time.process_time()
            parts[name]()
            print(f"\n{name}: {time.process_time() - start:.0f} CPU-seconds\n", flush=True)


if __name__ == "__main__":
    main()
