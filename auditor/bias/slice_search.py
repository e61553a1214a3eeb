"""Groups of images that are wrong more often than others: looked for on one half of the units.

A candidate is only a suspicion: the worst of many groups looks bad by luck, on the images that it
was chosen by. Membership of other images follows from what they are, never from how they were
answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.bias.slice_features import Described, Feature, Floats, Looked, margins
from auditor.scoring.comparison import MIN_UNITS, count_units
from auditor.scoring.outcomes import Outcomes
from auditor.stats import mean_difference

Seen = NDArray[np.floating[Any]]

_LEAF_SHARE = 0.02
_IMAGES_A_CLUSTER = 60
_MOST_CLUSTERS = 25
_MOST_FITTED = 20_000
"""Images that clusters are found among; every image then belongs to the nearest one."""
_MOST_IN_SLICE = 0.5
_BLOCK = 16_384
_SHARES = (0.05, 0.1, 0.2)
_LEAST_SPREAD = 0.02
"""Variance of an answer that the model is surest of, at least: of 0, one error would be all."""
_ALIKE = 0.5
"""Two candidates that share more than this of their images (Jaccard) are one."""


@dataclass(frozen=True)
class Candidate:
    """A group of images, over both halves; `rule` says it in words where it has one.

    `excess` is the mean of wrong answers beyond those of images alike, in the group minus
    outside, on the half that it was found on; `z` that over its standard error.
    """

    member: NDArray[np.bool_]
    rule: str
    excess: float
    z: float


def beyond_alike(
    wrong: NDArray[np.bool_] | Floats, of: NDArray[np.int64], *, half: NDArray[np.bool_]
) -> Floats:
    """Wrong answers (n,) minus the share of wrong answers of images alike in `of`, on `half`.

    With labels or answers as `of`: a class that is hard for everyone is no slice, nor is an
    answer that is often wrong; `performance/per-class` has them.
    """
    codes = np.unique(of, return_inverse=True)[1]
    width = int(codes.max()) + 1
    count = np.bincount(codes[half], minlength=width)
    share = np.bincount(codes[half], weights=wrong[half], minlength=width) / np.maximum(count, 1)
    excess: Floats = wrong - share[codes]
    return excess


@dataclass(frozen=True)
class Errors:
    """Wrong answers beyond what is expected of each image, (n,) each.

    `excess` is beyond images of its label and of its answer, in equal parts. `surprise` is also
    beyond images that the model is as sure of, in standard deviations: an error that it was sure
    of tells more of what it does not see than one of the many that it was unsure of.
    """

    excess: Floats
    surprise: Floats

    @classmethod
    def of(cls, looked: Looked, *, half: NDArray[np.bool_]) -> Errors:
        """What is expected is learned on `half`; without scores, an error is its own surprise."""
        wrong = ~looked.correct
        beyond = unannounced(looked, half=half) if isinstance(looked, Outcomes) else wrong
        excess, surprise = (
            np.mean([beyond_alike(values, of, half=half) for of in looked.alike], axis=0)
            for values in (wrong, beyond)
        )
        return cls(excess, surprise)


def unannounced(outcomes: Outcomes, *, half: NDArray[np.bool_]) -> Floats:
    """Errors beyond those of images on `half` that the model is as sure of, (n,).

    In standard deviations.
    """
    from sklearn.isotonic import IsotonicRegression

    margin, wrong = margins(outcomes), ~outcomes.correct
    falling = IsotonicRegression(increasing=False, out_of_bounds="clip")
    rate = falling.fit(margin[half], wrong[half]).predict(margin)
    beyond: Floats = (wrong - rate) / np.sqrt(np.maximum(rate * (1 - rate), _LEAST_SPREAD))
    return beyond


def candidates(
    errors: Errors,
    *,
    told: Described,
    seen: Seen | None,
    half: NDArray[np.bool_],
    unit: NDArray[np.int64] | None,
    depth: int,
    most: int,
    rng: np.random.Generator,
) -> tuple[Candidate, ...]:
    """The most suspicious groups, at most `most`, no two alike; the likeliest slice first.

    `errors` are read on `half` only. Where there is something `seen`, groups are the far ends of
    the directions of it along which surprising errors rise most (least squares), and k-means
    clusters, more of them than there can be slices (cf. Eyuboglu et al. 2022, arXiv:2203.14960;
    d'Eon et al. 2022, arXiv:2107.00758; here membership needs no label of a new image). Further
    ones are the nodes of a regression tree over what is `told` (every node, not only leaves: a
    short rule is a better one).

    Each kind is sorted by z, and the kinds take turns: z is read on the images that a group was
    chosen by, so a tree, which chooses among more groups, would come first for no other reason.
    Directions come before clusters and rules for what they found in worlds of known truth
    (benchmarks/slices.py).
    """
    excess, seed = errors.excess, int(rng.integers(2**31))
    rules = _tree_nodes(told, excess, half=half, depth=depth)
    kinds = [rules]
    if seen is not None:
        kinds = [
            *(_far_ends(score, half) for score in _along(seen, errors.surprise, half=half)),
            rules,
            _clusters(seen, half=half, seed=seed),
        ]
    turns: list[tuple[int, Candidate]] = []
    for kind in kinds:
        scored = [_scored(member, rule, excess, half, unit) for member, rule in kind]
        found = sorted((c for c in scored if c is not None), key=lambda c: -c.z)
        turns += enumerate(found)
    return _distinct([c for _, c in sorted(turns, key=lambda turn: turn[0])], half, most)


def _scored(
    member: NDArray[np.bool_],
    rule: str,
    excess: Floats,
    half: NDArray[np.bool_],
    unit: NDArray[np.int64] | None,
) -> Candidate | None:
    inside, owner = member[half], None if unit is None else unit[half]
    if inside.mean() > _MOST_IN_SLICE:
        return None
    if min(count_units(inside, owner), count_units(~inside, owner)) < MIN_UNITS:
        return None
    gap = mean_difference(excess[half], member=inside, unit=owner)
    z = gap.value / gap.se if gap.se > 0 else 0.0
    return Candidate(member, rule, gap.value, z) if z > 1 else None


def _distinct(found: list[Candidate], half: NDArray[np.bool_], most: int) -> tuple[Candidate, ...]:
    kept: list[Candidate] = []
    for one in found:
        if len(kept) == most:
            break
        if all(_overlap(one.member[half], other.member[half]) <= _ALIKE for other in kept):
            kept.append(one)
    return tuple(kept)


def _overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def _tree_nodes(
    told: Described, excess: Floats, *, half: NDArray[np.bool_], depth: int
) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """Every node below the root of a regression tree of the excess, with its rule."""
    from sklearn.tree import DecisionTreeRegressor

    if not told.features:
        return
    leaf = max(2 * MIN_UNITS, round(_LEAF_SHARE * int(half.sum())))
    tree = DecisionTreeRegressor(max_depth=depth, min_samples_leaf=leaf, random_state=0)
    tree.fit(told.values(among=half), excess[half])
    leaf_of = tree.apply(told.values(of=set(tree.tree_.feature.tolist())))
    conditions, within = _conditions(tree.tree_), _within(tree.tree_)
    for node in range(1, tree.tree_.node_count):
        yield within[node][leaf_of], _rule(conditions[node], told.features)


def _within(tree: object) -> NDArray[np.bool_]:
    """Whether a node (second axis) is another one (first axis) or below it, (nodes, nodes)."""
    left, right = (getattr(tree, name) for name in ("children_left", "children_right"))
    found = np.eye(len(left), dtype=bool)
    # Nodes are numbered before those below them.
    for node in reversed(range(len(left))):
        if left[node] >= 0:
            found[node] |= found[left[node]] | found[right[node]]
    return found


@dataclass(frozen=True)
class _Condition:
    """One step of a path: a column at most `at`, or above it."""

    column: int
    at: float
    above: bool


def _conditions(tree: object) -> dict[int, tuple[_Condition, ...]]:
    """The path to every node of a scikit-learn tree."""
    left, right, feature, threshold = (
        getattr(tree, name) for name in ("children_left", "children_right", "feature", "threshold")
    )
    paths: dict[int, tuple[_Condition, ...]] = {0: ()}
    for node in range(len(left)):
        if left[node] < 0:
            continue
        step = (int(feature[node]), float(threshold[node]))
        paths[int(left[node])] = (*paths[node], _Condition(*step, above=False))
        paths[int(right[node])] = (*paths[node], _Condition(*step, above=True))
    return paths


def _figures(number: float) -> str:
    """Three figures of a number, never with an exponent.

    Examples
    --------
    >>> _figures(3012.4), _figures(61.27), _figures(0.1234)
    ('3,010', '61.3', '0.123')
    """
    shown = float(f"{number:.3g}")
    return f"{shown:,.0f}" if abs(shown) >= 100 else f"{shown:g}"


def _rule(path: tuple[_Condition, ...], features: tuple[Feature, ...]) -> str:
    """A path in words, such as ``brightness at most 61 and old (building)``."""
    parts: dict[tuple[int, bool], str] = {}
    for step in path:
        feature = features[step.column]
        if feature.group is None:
            words = f"{feature.name} {'above' if step.above else 'at most'} {_figures(step.at)}"
        else:
            group = feature.group if step.above else feature.other or f"not {feature.group}"
            words = f"{group} ({feature.name})"
        # The later of two bounds on one side is the narrower one.
        parts[step.column, step.above] = words
    return " and ".join(parts.values())


def _clusters(
    seen: Seen, *, half: NDArray[np.bool_], seed: int
) -> Iterator[tuple[NDArray[np.bool_], str]]:
    from sklearn.cluster import KMeans

    count = min(_MOST_CLUSTERS, int(half.sum()) // _IMAGES_A_CLUSTER)
    if count < 2:
        return
    fitted = np.flatnonzero(half)
    if len(fitted) > _MOST_FITTED:
        fitted = np.random.default_rng(seed).choice(fitted, _MOST_FITTED, replace=False)
    means = KMeans(count, n_init=2, random_state=seed).fit(seen[fitted])
    of = means.predict(seen)
    for cluster in range(count):
        yield of == cluster, ""


def _along(seen: Seen, surprise: Floats, *, half: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """How far each image lies along the directions in which the surprise rises most, (n,) each.

    Components do not correlate on `half`. Scaled to one variance each (the second), their slopes
    together are the least squares; as they are (the first), what varies little says little: noise
    has it that most of 64 slopes are nothing, and a slice is more often apart where images differ.
    """
    own = seen[half]
    centre, variance = own.mean(axis=0), own.var(axis=0)
    own -= centre
    rising, slopes = surprise[half] - surprise[half].mean(), np.zeros(seen.shape[1])
    # In blocks: as float64, in which they are summed, all would take twice what is seen.
    for start in range(0, len(own), _BLOCK):
        block = slice(start, start + _BLOCK)
        slopes += own[block].T @ rising[block]
    del own
    plain, scaled = np.empty(len(seen)), np.empty(len(seen))
    for start in range(0, len(seen), _BLOCK):
        block = slice(start, start + _BLOCK)
        centred = (seen[block] - centre).astype(np.float64)
        plain[block], scaled[block] = centred @ slopes, centred @ (slopes / variance)
    return plain, scaled


def _far_ends(score: Floats, half: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.bool_], str]]:
    for share in _SHARES:
        yield score > np.quantile(score[half], 1 - share), ""
