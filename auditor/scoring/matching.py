"""Which answer found which object, by COCO's rules, for all images and thresholds at once.

Within an image and class the surest answer chooses first: of the objects that it overlaps enough
and that no surer answer took, the one it overlaps most; objects that do not count (crowds, other
sizes) only where none is left that does, and a crowd may be taken by many (Lin et al. 2014,
arXiv:1405.0312, and its reference code). Since all objects prefer the surest answer, that is the
one stable matching, which proposals in parallel reach in a few rounds (Gale & Shapley 1962,
doi:10.1080/00029890.1962.11989827).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.data.boxes import Boxes, Detections
from auditor.scoring.overlaps import Pairs

Ints = NDArray[np.int64]

IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""COCO's: .5 to .95."""

MOST_ANSWERS = 100
"""Answers of an image and class that count, the surest; COCO's."""


@dataclass(frozen=True)
class Matched:
    """`object` (answers, thresholds): the place of the object that each answer took, -1 without.

    `ignored` says which answers do not count, since what they took does not.
    """

    object: Ints
    ignored: NDArray[np.bool_]

    @property
    def right(self) -> NDArray[np.bool_]:
        return (self.object >= 0) & ~self.ignored


def ranked(answers: Detections, *, most: int = MOST_ANSWERS) -> Detections:
    """The `most` surest answers of each image and class, by image, class, and falling score.

    Of equal scores the earlier comes first. `match` asks for this order.
    """
    order = np.lexsort((-answers.scores, answers.classes, answers.image))
    image, label = answers.image[order], answers.classes[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (image[1:] != image[:-1]) | (label[1:] != label[:-1])
    first = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    return answers.take(order[np.arange(len(order)) - first < most])


def match(
    pairs: Pairs, *, n_answers: int, truth: Boxes, ignored: np.ndarray,
    thresholds: tuple[float, ...] = IOU_THRESHOLDS,
) -> Matched:  # fmt: skip
    """Match `ranked` answers to objects at each overlap of `thresholds`.

    `pairs` are those of one image and class with at least the least threshold; `ignored`
    (objects,) bool says which objects do not count, crowds among them.
    """
    width = len(thresholds)
    # Best first: what counts, then the larger overlap, then (as COCO has it) the later object.
    order = np.lexsort((-pairs.object, -pairs.iou, ignored[pairs.object], pairs.answer))
    best_first = pairs.take(order)
    limits = np.minimum(np.array(thresholds), 1 - 1e-10)
    pair, level = np.nonzero(best_first.iou[:, None] >= limits)
    proposer = best_first.answer[pair] * width + level
    target = best_first.object[pair] * width + level
    by_proposer = np.argsort(proposer, kind="stable")
    proposer, target = proposer[by_proposer], target[by_proposer]
    shared = np.repeat(truth.crowd, width)
    taken = _propose(proposer, target, n_answers * width, shared)
    found = np.where(taken >= 0, taken // width, -1).reshape(n_answers, width)
    return Matched(found, (found >= 0) & np.append(ignored, False)[found])


def _propose(proposer: Ints, target: Ints, n_proposers: int, shared: np.ndarray) -> Ints:
    """What each proposer gets, (n_proposers,), -1 for nothing.

    Each asks the targets of its rows in their order; a target keeps the proposer with the least
    number, unless it may be `shared`.
    """
    got = np.full(n_proposers, -1, dtype=np.int64)
    who, at = np.unique(proposer, return_index=True)
    end = np.append(at[1:], len(proposer))
    holder = np.full(len(shared), n_proposers, dtype=np.int64)
    while len(who):
        wanted = target[at]
        np.minimum.at(holder, wanted, np.where(shared[wanted], n_proposers, who))
        held = (holder[wanted] == who) | shared[wanted]
        got[who] = np.where(held, wanted, -1)
        if held.all():
            break
        # Those who hold may yet be put out by a surer one that was refused elsewhere.
        at = at + ~held
        left = at < end
        who, at, end = who[left], at[left], end[left]
    return got
