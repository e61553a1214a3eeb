"""How often `bias/slices` finds a planted slice, and how often it finds one where there is none.

    python benchmarks/slices.py [--worlds 40] [--seed 0] [--classes 2 5 10] [--only net]

2,000 images with an embedding of 64; a tenth lie apart in it, by three standard deviations in a
random direction, and of these 40% are spoiled. In the same worlds without spoiled images nothing is
to be found: the others are answered wrongly as often inside as outside. Found means that at least
half of the examples of a confirmed slice are of the planted one.

drawn      answers that no model gave: 90% right, whatever the embedding is
head       a linear head, trained on other images; spoiled ones get another class's scores
mistaken   the same head; in the embedding of spoiled images, the class is another one
net        a net of 64 rectified units and a head, trained; in spoiled images, the class is another
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from checks_at_scale import ArrayEvidence
from threadpoolctl import threadpool_limits

from auditor.bias.slices import Slices
from auditor.data.dataset import Dataset
from auditor.data.scan import PROPERTY_NAMES
from auditor.findings import Measure
from auditor.scoring.outcomes import Outcomes

IMAGES, TRAINED_ON, WIDTH = 2000, 4000, 64
SHARE, AWAY = 0.1, 3.0
APART = {2: 1.9, 5: 2.6, 10: 3.1}
"""Length of class means, by classes, at which about nine of ten answers of a head are right."""


@dataclass(frozen=True)
class Kind:
    """Class means of `scale`, and variances that fall as `decay` says (0: alike)."""

    answers: str
    scale: float = 1.0
    decay: float = 0.0

    def __str__(self) -> str:
        return f"{self.answers}, means x {self.scale:g}, decay {self.decay:g}"


KINDS = (
    Kind("drawn"),
    Kind("drawn", scale=6.0),
    Kind("drawn", decay=0.7),
    Kind("head"),
    Kind("head", decay=0.5),
    Kind("mistaken"),
    Kind("net"),
)


@dataclass(frozen=True)
class World:
    """Labels (n,), whether an image is of the slice (n,), embedding (n, 64), scores (n, k)."""

    labels: np.ndarray
    inside: np.ndarray
    embedding: np.ndarray
    scores: np.ndarray


def world(kind: Kind, classes: int, *, spoiled: float, rng: np.random.Generator) -> World:
    """A world in which the share `spoiled` of the slice's images is answered wrongly."""
    spread = (1 + np.arange(WIDTH)) ** -kind.decay
    spread = rng.permutation(spread / np.sqrt((spread**2).mean()))
    means = rng.normal(size=(classes, WIDTH))
    means *= kind.scale * APART.get(classes, 3.1) / np.linalg.norm(means, axis=1, keepdims=True)
    away = rng.normal(size=WIDTH)
    away *= AWAY * np.sqrt((away**2 * spread**2).sum()) / (away**2).sum()

    def draw(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labels, inside = rng.integers(0, classes, n), rng.random(n) < SHARE
        seen = means[labels] + rng.normal(size=(n, WIDTH)) * spread + np.outer(inside, away)
        return labels, inside, seen

    labels, inside, seen = draw(IMAGES)
    bad = inside & (rng.random(IMAGES) < spoiled)
    other = (labels + rng.integers(1, classes, IMAGES)) % classes
    if kind.answers == "drawn":
        right = (rng.random(IMAGES) < 0.9) & ~bad
        return World(labels, inside, seen, _drawn(np.where(right, labels, other), classes, rng))
    if kind.answers in ("mistaken", "net"):
        seen[bad] += (rng.uniform(0.8, 1.2, IMAGES)[:, None] * (means[other] - means[labels]))[bad]
    trained_on, _, shown = draw(TRAINED_ON)
    embed, score = _trained(kind.answers, shown, trained_on)
    scores = score(seen)
    if kind.answers == "head":
        scores[bad] = _exchanged(scores, labels, other)[bad]
    return World(labels, inside, embed(seen), scores)


def _drawn(answers: np.ndarray, classes: int, rng: np.random.Generator) -> np.ndarray:
    sure = rng.uniform(0.5, 0.99, len(answers))
    scores = np.repeat(((1 - sure) / (classes - 1))[:, None], classes, axis=1)
    scores[np.arange(len(answers)), answers] = sure
    return scores


def _exchanged(scores: np.ndarray, labels: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Scores in which the best class and `other` have changed places where the best is right."""
    row, best = np.arange(len(scores)), scores.argmax(axis=1)
    changed = scores.copy()
    changed[row, best], changed[row, other] = scores[row, other], scores[row, best]
    return np.where((best == labels)[:, None], changed, scores)


Mapped = Callable[[np.ndarray], np.ndarray]


def _trained(answers: str, shown: np.ndarray, labels: np.ndarray) -> tuple[Mapped, Mapped]:
    """Embedding and scores of what is seen."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    if answers != "net":
        return np.array, LogisticRegression(max_iter=300).fit(shown, labels).predict_proba
    net = MLPClassifier((64,), alpha=0.05, max_iter=25, random_state=0).fit(shown, labels)
    return lambda x: np.maximum(x @ net.coefs_[0] + net.intercepts_[0], 0), net.predict_proba


def evidence(made: World, *, seed: int) -> ArrayEvidence:
    """Evidence with six properties of the images that mean nothing."""
    n, classes = made.scores.shape
    ids = pd.Series([f"test/{i:05d}.jpg" for i in range(n)], dtype="str")
    frame = pd.DataFrame({"image_id": ids, "path": ids, "label": made.labels.astype(np.int64)})
    dataset = Dataset(
        split="test",
        table=frame,
        classes=tuple(f"c{i}" for i in range(classes)),
        attributes=(),
        digest="0" * 64,
        has_labels=True,
        has_units=False,
    )
    rng = np.random.default_rng([seed, 1])
    scan = pd.DataFrame({"image_id": ids, **{p: rng.normal(size=n) for p in PROPERTY_NAMES[:6]}})
    outcomes = Outcomes(dataset, made.scores.astype(np.float32))
    return ArrayEvidence(
        {"test": outcomes}, {}, {"test": scan}, made.embedding.astype(np.float32), f"world {seed}"
    )


def found(made: World, *, seed: int) -> tuple[bool, bool]:
    """Whether a slice is confirmed, and whether one is the planted."""
    given = evidence(made, seed=seed)
    of = dict(zip(given.dataset("test").image_ids, made.inside, strict=True))
    shown = [
        np.mean([of[i] for i in m.examples])
        for m in Slices().run(given)
        if isinstance(m, Measure) and m.name == "accuracy"
    ]
    return bool(shown), any(share >= 0.5 for share in shown)


def rates(kind: Kind, classes: int, *, worlds: int, seed: int) -> tuple[float, float]:
    """How often the planted slice is found, and how often any is where none is worse."""
    counts = np.zeros(2)
    for at in range(seed, seed + worlds):
        for place, spoiled in enumerate((0.4, 0.0)):
            rng = np.random.default_rng([at, classes, place, KINDS.index(kind)])
            any_found, planted = found(world(kind, classes, spoiled=spoiled, rng=rng), seed=at)
            counts[place] += any_found if place else planted
    planted_rate, null_rate = counts / worlds
    return float(planted_rate), float(null_rate)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--worlds", type=int, default=40, help="of each kind (default 40)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--classes", type=int, nargs="+", default=[2, 5, 10])
    parser.add_argument("--only", default="", help="kinds whose name begins so")
    asked = parser.parse_args()
    # A net that stopped before it converged is a net all the same.
    warnings.filterwarnings("ignore", module="sklearn")
    print("| answers | classes | planted slice found | a slice found where none is |")
    print("|---|---|---|---|", flush=True)
    with threadpool_limits(limits=1):
        for kind in (k for k in KINDS if k.answers.startswith(asked.only)):
            for classes in asked.classes:
                planted, null = rates(kind, classes, worlds=asked.worlds, seed=asked.seed)
                print(f"| {kind} | {classes} | {planted:.2f} | {null:.2f} |", flush=True)


if __name__ == "__main__":
    main()
