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

from auditor.bias.slice_features import Described, Feature, Floats
from auditor.scoring.comparison import MIN_UNITS, count_units
from auditor.stats import mean_difference

Seen = NDArray[np.floating[Any]]

_LEAF_SHARE = 0.02
_IMAGES_A_CLUSTER = 60
_MOST_CLUSTERS = 25
_MOST_FITTED = 20_000
"""Images that clusters are found among; every image then belongs to the nearest one."""
_MOST_IN_SLICE = 0.5
_SHARES = (0.05, 0.1, 0.2)
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
    wrong: NDArray[np.bool_], of: NDArray[np.int64], *, half: NDArray[np.bool_]
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


def candidates(
    excess: Floats,
    *,
    told: Described,
    seen: Seen | None,
    half: NDArray[np.bool_],
    unit: NDArray[np.int64] | None,
    depth: int,
    most: int,
    rng: np.random.Generator,
) -> tuple[Candidate, ...]:
    """The most suspicious groups, at most `most`, no two alike, largest z first.

    `excess` (n,) is read on `half` only. Groups come from regression trees over what is `told`
    and over `seen` (every node, not only leaves: a short rule is a better one), and from k-means
    clusters of `seen`, more of them than there can be slices (cf. Eyuboglu et al. 2022,
    arXiv:2203.14960; d'Eon et al. 2022, arXiv:2107.00758; here membership needs no label of a
    new image), and the ends of the direction of `seen` along which the excess rises most.
    """
    seed = int(rng.integers(2**31))
    groups = list(_tree_nodes(told.values, excess, half=half, depth=depth, features=told.features))
    if seen is not None:
        groups += _tree_nodes(seen, excess, half=half, depth=depth)
        groups += _clusters(seen, half=half, seed=seed)
        groups += _along(seen, excess, half=half)
    scored = [_scored(member, rule, excess, half, unit) for member, rule in groups]
    found = sorted((c for c in scored if c is not None), key=lambda c: -c.z)
    return _distinct(found, half, most)


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
    values: Seen,
    excess: Floats,
    *,
    half: NDArray[np.bool_],
    depth: int,
    features: tuple[Feature, ...] = (),
) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """Every node below the root of a regression tree of the excess, with its rule."""
    from sklearn.tree import DecisionTreeRegressor

    if not values.shape[1]:
        return
    leaf = max(2 * MIN_UNITS, round(_LEAF_SHARE * int(half.sum())))
    tree = DecisionTreeRegressor(max_depth=depth, min_samples_leaf=leaf, random_state=0)
    tree.fit(values[half], excess[half])
    paths = tree.decision_path(values).tocsc()
    conditions = _conditions(tree.tree_)
    for node in range(1, tree.tree_.node_count):
        member = np.zeros(len(values), dtype=bool)
        member[paths[:, node].indices] = True
        yield member, _rule(conditions[node], features) if features else ""


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


def _rule(path: tuple[_Condition, ...], features: tuple[Feature, ...]) -> str:
    """A path in words, such as ``brightness at most 61 and old (building)``."""
    parts: dict[tuple[int, bool], str] = {}
    for step in path:
        feature = features[step.column]
        if feature.group is None:
            words = f"{feature.name} {'above' if step.above else 'at most'} {step.at:.3g}"
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
    fitted = seen[half]
    if len(fitted) > _MOST_FITTED:
        fitted = np.random.default_rng(seed).choice(fitted, _MOST_FITTED, replace=False)
    means = KMeans(count, n_init=2, random_state=seed).fit(fitted)
    of = means.predict(seen)
    for cluster in range(count):
        yield of == cluster, ""


def _along(
    seen: Seen, excess: Floats, *, half: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """The far ends of the direction along which the excess rises most (least squares).

    Components do not correlate on `half`, so each one's slope is its own covariance.
    """
    scaled = (seen - seen[half].mean(axis=0)) / seen[half].std(axis=0)
    score = scaled @ (scaled[half].T @ excess[half])
    for share in _SHARES:
        yield score > np.quantile(score[half], 1 - share), ""
