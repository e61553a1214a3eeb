"""Box matching beside pycocotools, average precision by group, and what its intervals hold.

    python benchmarks/boxes.py [--images 5000] [--rounds 1000]

- matching of `--images` images with 100 answers each at ten thresholds, beside `COCOeval`'s
  `evaluate` on the same boxes (aim: at least twice its speed; both of one size range);
- AP of 24 groups, and of the rest beside each, with intervals, beside one AP from boxes (aim: at
  most 10 times);
- share of `--rounds` samples of 50, 100 and 300 images whose 95% interval holds the AP of all
  images that they were drawn from, independent and in units of three that resemble each other.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from coco_reference import coco_evaluation
from detector_worlds import answers_to, objects, objects_by_image

from auditor.data.boxes import Boxes, Detections
from auditor.scoring.average_precision import RankedAnswers, average_precision
from auditor.scoring.matching import Matched, match, ranked
from auditor.scoring.overlaps import overlaps
from auditor.stats import Normal, interval, mean


def matched(truth: Boxes, answers: Detections) -> Matched:
    pairs = overlaps(answers, truth, least=0.5)
    return match(pairs, n_answers=len(answers), truth=truth, ignored=truth.crowd)


def sorted_answers(
    truth: Boxes, answers: Detections, *, n_images: int, n_classes: int
) -> RankedAnswers:
    answers = ranked(answers)
    found = matched(truth, answers)
    kept = ~truth.crowd
    counts = objects_by_image(truth.image[kept], truth.classes[kept], n_images, n_classes)
    return RankedAnswers.of(
        image=answers.image, classes=answers.classes, scores=answers.scores,
        right=found.right, ignored=found.ignored, objects=counts,
    )  # fmt: skip


def timed(task: Callable[[], object]) -> float:
    start = time.process_time()
    task()
    return time.process_time() - start


def with_interval(answers: RankedAnswers, unit: np.ndarray | None = None) -> Normal:
    return mean(average_precision(answers).pseudo_observations, unit=unit, span=(0.0, 1.0))


def speed(n_images: int) -> None:
    rng = np.random.default_rng(1)
    n_classes = 80
    truth = objects(rng, n_images=n_images, n_classes=n_classes, most=15, crowds=0.01)
    made_up = 100 - 3 * 7 * 7 // 10
    answers = answers_to(truth, rng, n_images=n_images, n_classes=n_classes, made_up=made_up)
    print(f"{n_images} images, {len(truth)} objects, {len(answers)} answers, {n_classes} classes")
    reference = coco_evaluation(truth, answers, n_images=n_images, n_classes=n_classes)
    reference.params.areaRng, reference.params.areaRngLbl = [[0, 1e10]], ["all"]
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = timed(reference.evaluate)
    own = timed(lambda: matched(truth, ranked(answers)))
    print(f"matching: {own:.2f} s, pycocotools {theirs:.2f} s: {theirs / own:.1f} times its speed")
    held: list[RankedAnswers] = []
    once = timed(
        lambda: held.append(sorted_answers(truth, answers, n_images=n_images, n_classes=n_classes))
    ) + timed(lambda: average_precision(held[0]))
    group = rng.integers(0, 24, n_images)
    alone = timed(lambda: [with_interval(held[0].among(group == g)) for g in range(24)])
    rest = timed(lambda: [with_interval(held[0].among(group != g)) for g in range(24)])
    print(f"one AP from boxes {once:.2f} s; of 24 groups with intervals {alone / once:.1f} times "
          f"that, and with the rest beside each {(alone + rest) / once:.1f} times")  # fmt: skip


def world(rng: np.random.Generator, *, n_units: int, size: int, hardness: float) -> RankedAnswers:
    """Images in units of `size` that are alike in how hard they are; 0 is a perfect detector.

    Answers are the surer the better their boxes are, in part, as a trained detector's.
    """
    n_images = n_units * size
    truth = objects(rng, n_images=n_images, n_classes=3, most=8, crowds=0.02)
    hard = hardness * np.repeat(rng.beta(1, 2, n_units), size)[truth.image]
    found = truth.take(rng.random(len(truth)) > hard)
    shake = hardness * rng.uniform(0, 0.2, len(found))
    sides = np.tile(found.corners[:, 2:] - found.corners[:, :2], 2)
    corners = found.corners + rng.normal(size=sides.shape) * sides * shake[:, None]
    corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2] + 1)
    scores = 0.9 - 2 * shake + hardness * 0.15 * rng.normal(size=len(found))
    n_wrong = int(2 * hardness * n_images)
    start = rng.uniform(0, 400, (n_wrong, 2))
    wrong = np.concatenate([start, start + rng.uniform(5, 200, (n_wrong, 2))], axis=1)
    answers = Detections(
        np.concatenate([found.image, rng.integers(0, n_images, n_wrong)]),
        np.concatenate([corners, wrong]),
        np.concatenate([found.classes, rng.integers(0, 3, n_wrong)]),
        np.concatenate([scores.clip(0.01, 1), rng.beta(1.5, 4, n_wrong)]),
    )
    return sorted_answers(truth, answers, n_images=n_images, n_classes=3)


def drawn(everything: RankedAnswers, images: np.ndarray) -> RankedAnswers:
    """The images (n,), drawn without replacement, of all."""
    return everything.among(np.isin(np.arange(len(everything.objects)), images))


def samples(
    everything: RankedAnswers, rng: np.random.Generator, *, n: int, size: int, rounds: int
) -> Iterator[tuple[RankedAnswers, np.ndarray | None]]:
    n_units = len(everything.objects) // size
    for _ in range(rounds):
        units = np.sort(rng.choice(n_units, n // size, replace=False))
        images = (units[:, None] * size + np.arange(size)).ravel()
        yield drawn(everything, images), None if size == 1 else images // size


def coverage(rounds: int) -> None:
    rng = np.random.default_rng(2)
    for size, hardness in ((1, 1.0), (1, 0.4), (1, 0.02), (3, 1.0)):
        everything = world(rng, n_units=20_000 // size, size=size, hardness=hardness)
        truth = average_precision(everything).value
        for n in (50, 100, 300):
            held, below, widths, values = 0, 0, [], []
            for one, unit in samples(everything, rng, n=n, size=size, rounds=rounds):
                estimate = with_interval(one, unit)
                ends = interval(estimate)
                held += ends.low <= truth <= ends.high
                below += truth > ends.high
                widths.append(estimate.se)
                values.append(estimate.value)
            spread, bias = np.std(values), np.mean(values) - truth
            print(f"AP {truth:.3f}, units of {size}, {n} images: held {held / rounds:.1%} (truth "
                  f"above {below / rounds:.1%}), mean se {np.mean(widths):.4f}, "
                  f"spread {spread:.4f}, bias {bias:+.4f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=1000)
    given = parser.parse_args()
    if given.images:
        speed(given.images)
    if given.rounds:
        coverage(given.rounds)
