"""How often a limit on the calibration error is wrongly broken, or met, by a model that lies at it.

    python benchmarks/calibration_error.py [--repetitions 3000] [--seed 0]

Six worlds whose true error (root mean square) is exactly the limit, 0.05: over- and under-confident
alike everywhere, in one half, in two steps, near certainty, near guessing. For each and for 100 to
1,000 images: the share of samples in which "at most 0.05" is judged FAIL, and PASS. Both may be
0.05 by design; the aim is at most 0.06. About six minutes.
"""

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from auditor.scoring.calibration import calibration_error
from auditor.stats import p_value

Floats = NDArray[np.float64]
World = Callable[[np.random.Generator, int], tuple[Floats, Floats]]

LIMIT = 0.05
SIZES = (100, 200, 300, 1000)


def everywhere(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    confidence = rng.uniform(0.7, 0.99, n)
    return confidence, confidence - LIMIT


def two_steps(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    confidence = np.where(rng.random(n) < 0.5, 0.98, 0.75)
    return confidence, confidence - LIMIT


def one_half(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    confidence = rng.uniform(0.6, 0.95, n)
    return confidence, np.where(confidence > 0.775, confidence - LIMIT * 2**0.5, confidence)


def both_ways(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    confidence = rng.uniform(0.6, 0.94, n)
    return confidence, np.where(confidence > 0.77, confidence - LIMIT, confidence + LIMIT)


def near_certainty(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    confidence = rng.beta(12, 1, n) * 0.5 + 0.5
    return confidence, confidence - LIMIT


def near_guessing(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    confidence = rng.uniform(0.3, 0.6, n)
    return confidence, confidence - LIMIT


WORLDS = (everywhere, two_steps, one_half, both_ways, near_certainty, near_guessing)


def shares(world: World, n: int, *, repetitions: int, rng: np.random.Generator) -> Floats:
    """The shares of samples that are judged FAIL, and PASS."""
    verdicts = np.zeros((repetitions, 2), dtype=bool)
    for at in range(repetitions):
        confidence, right = world(rng, n)
        found = calibration_error(confidence, rng.random(n) < right)
        verdicts[at] = [p_value(found, limit=LIMIT, exceeds=side) <= 0.05
                        for side in ("above", "below")]  # fmt: skip
    found_shares: Floats = verdicts.mean(axis=0)
    return found_shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    print("| world | images | FAIL | PASS |\n|---|---|---|---|")
    for world in WORLDS:
        for n in SIZES:
            failed, passed = shares(world, n, repetitions=asked.repetitions, rng=rng)
            print(f"| {world.__name__.replace('_', ' ')} | {n} | {failed:.3f} | {passed:.3f} |")


if __name__ == "__main__":
    main()
