"""How often a form of the model is wrongly told to be worse calibrated, and how often rightly.

    python benchmarks/calibration_lost.py [--repetitions 500] [--seed 0]

`calibration-lost` of deployment/quantization and deployment/variants, on answers to the same images
by the model as given and by a form of it. Both know of each image how likely they are right, with
some noise of their own, so that some answers change. *Shown* is the share of samples in which the
one-sided 95% bound of the loss lies above 0, *held* in which the 95% interval holds the truth.

no loss     both are calibrated, or both too sure by 5 points, or the form is right less often and
            says so; the truth is 0
loss        the form is too sure by 3, 5 or 10 points, and the model as given is calibrated
"""

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.scoring.calibration import Sureness, calibration_change
from auditor.stats import bound, interval, value

Floats = NDArray[np.float64]

SIZES = (100, 300, 1000, 3000)
NOISE = 0.3
"""Of each form's logits: about one answer in twelve is right in one of the two alone."""


@dataclass(frozen=True)
class World:
    """How much too sure the model as given and the form are, and how much less often this is right.

    `truth` is the calibration error lost.
    """

    name: str
    given: float
    here: float
    worse: float = 0.0

    @property
    def truth(self) -> float:
        return self.here - self.given


WORLDS = (
    World("no loss, both calibrated", 0.0, 0.0),
    World("no loss, both too sure by 5 points", 0.05, 0.05),
    World("no loss, the form is right 5 points less often", 0.0, 0.0, 0.05),
    World("loss of 3 points", 0.0, 0.03),
    World("loss of 5 points", 0.0, 0.05),
    World("loss of 10 points", 0.0, 0.10),
)


def answers(world: World, n: int, rng: np.random.Generator) -> tuple[Sureness, Sureness]:
    """Rows of the model as given, and of the form, to the same n images."""
    easy, luck = rng.normal(1.8, 1.0, n), rng.random(n)
    sides = []
    for sure, worse in ((world.given, 0.0), (world.here, world.worse)):
        seen = 1 / (1 + np.exp(-(easy + NOISE * rng.normal(size=n))))
        # From 15% to 90%, so that no confidence leaves the scale.
        likely = 0.15 + 0.75 * seen - worse
        right = np.where(rng.random(n) < 0.9, luck, rng.random(n)) < likely
        sides.append(Sureness(likely + sure, right, np.arange(n)))
    return sides[0], sides[1]


def shares(world: World, n: int, *, repetitions: int, rng: np.random.Generator) -> Floats:
    """How often a loss is shown, how often the interval holds the truth, and the mean estimate."""
    found = np.zeros((repetitions, 3))
    for at in range(repetitions):
        lost = calibration_change(*answers(world, n, rng))
        ends = interval(lost)
        shown = bound(lost, side="low", confidence=0.95) > 0
        found[at] = shown, ends.low <= world.truth <= ends.high, value(lost)
    means: Floats = found.mean(axis=0)
    return means


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    print("| world | images | shown | held | mean estimate |\n|---|---|---|---|---|")
    for world in WORLDS:
        for n in SIZES:
            shown, held, told = shares(world, n, repetitions=asked.repetitions, rng=rng)
            print(f"| {world.name} | {n:,} | {shown:.3f} | {held:.3f} | {told:.3f} |", flush=True)


if __name__ == "__main__":
    main()
