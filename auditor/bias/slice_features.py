"""What slices are looked for in: groups, properties of the images, and how the model sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.data.dataset import MISSING_GROUP
from auditor.data.scan import PROPERTY_NAMES
from auditor.scoring.comparison import MIN_UNITS
from auditor.scoring.outcomes import Outcomes

Floats = NDArray[np.float64]

_COMPONENTS = 16
_MOST_ROWS = 20_000
"""Images that directions of the embedding are learned from; more change little."""
_BLOCK = 10_000
_LEAST_PROBABILITY = 1e-6
_NARROW = 8
"""An embedding with fewer directions is little else than the answer."""


@dataclass(frozen=True)
class Feature:
    """Something told of every image: a group of an attribute, or a property (`group` None).

    `other` is the group of all other images, where there are just two.
    """

    name: str
    group: str | None = None
    other: str | None = None


@dataclass(frozen=True)
class Described:
    """What is told of each image: `values` (n, features) without NaN, 0 or 1 for a group."""

    features: tuple[Feature, ...]
    values: Floats


def described(outcomes: Outcomes, scan: pd.DataFrame) -> Described:
    """Groups of every attribute, and the properties of the images that vary.

    `scan` has one row an image, found by its id. Unknown properties get the median.
    """
    columns: dict[Feature, Floats] = {}
    # What is left of a group beside a slice of it may be a small cell: none is told of slices.
    for attribute in (a for a in outcomes.attributes if a.smallest is None):
        of = outcomes.groups(attribute.name)
        seen = sorted(set(of.tolist()))
        for group in attribute.groups:
            others = [g for g in seen if g not in (group, MISSING_GROUP)]
            other = others[0] if len(others) == 1 and MISSING_GROUP not in seen else None
            # Few images of a group cannot be a slice; hundreds of such groups would cost much.
            if (of == group).sum() >= MIN_UNITS:
                columns[Feature(attribute.name, group, other)] = (of == group).astype(np.float64)
    for name, values in image_properties(outcomes.image_ids, scan).items():
        columns[Feature(name)] = values
    empty: Floats = np.empty((len(outcomes), 0))
    stacked = np.column_stack(list(columns.values())) if columns else empty
    return Described(tuple(columns), stacked)


def image_properties(image_ids: np.ndarray, scan: pd.DataFrame) -> Mapping[str, Floats]:
    """Each property that varies, in the order of `image_ids`; the median where it is unknown."""
    rows = scan.set_index("image_id").loc[list(image_ids)]
    found: dict[str, Floats] = {}
    for name in PROPERTY_NAMES:
        if name not in rows:
            continue
        values = rows[name].to_numpy(dtype=np.float64)
        known = np.isfinite(values)
        if known.any() and values[known].min() < values[known].max():
            found[property_words(name)] = np.where(known, values, np.median(values[known]))
    return found


def property_words(name: str) -> str:
    """The name of a property for a reader; ``mean`` is brightness.

    Examples
    --------
    >>> property_words("mean"), property_words("red_ratio")
    ('brightness', 'red ratio')
    """
    own = {"mean": "brightness", "std": "contrast", "p1": "darkest grey", "p99": "lightest grey"}
    return own.get(name, name.replace("_", " "))


def seen_by_model(
    embedding: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    *,
    learn: np.ndarray,
    rng: np.random.Generator,
) -> Floats | None:
    """How the model sees each image beside its answer: (n, at most 16), by decreasing variance.

    `embedding` (n, d) holds penultimate activations. The directions that the answer follows
    from are taken out: along them the images that the model is unsure of lie together, which are
    wrong more often in every model, and would be found as a slice of every model. What is left
    is reduced by principal components. All directions are learned from the rows `learn`. None
    where nothing is left, or d is below 8.
    """
    if embedding.shape[1] < _NARROW:
        return None
    from sklearn.decomposition import PCA

    rows = (
        learn if len(learn) <= _MOST_ROWS else np.sort(rng.choice(learn, _MOST_ROWS, replace=False))
    )
    known = np.asarray(embedding[rows], dtype=np.float64)
    centre = known.mean(axis=0)
    taken = _answer_directions(known - centre, np.asarray(probabilities[rows], dtype=np.float64))
    left = _without(known - centre, taken)
    width = min(_COMPONENTS, left.shape[1] - taken.shape[1], len(rows) - 1)
    if width < 1 or left.std() <= 1e-6 * max(known.std(), 1e-12):
        return None
    reduce = PCA(width, svd_solver="auto", random_state=int(rng.integers(2**31))).fit(left)
    blocks = (
        reduce.transform(_without(embedding[at : at + _BLOCK].astype(np.float64) - centre, taken))
        for at in range(0, len(embedding), _BLOCK)
    )
    seen: Floats = np.concatenate(list(blocks))
    return seen


def _answer_directions(centred: Floats, probabilities: Floats) -> Floats:
    """Orthonormal directions (d, k) that tell the answer, and those that it is read from.

    Those along which log-probabilities or answers vary (their cross-covariance; without it no
    linear reading tells them, Belrose et al. 2023, arXiv:2306.03819), and the weights of a ridge
    regression of log-probabilities. At most half of all directions: with as many classes as
    directions, nothing would be left.
    """
    logs = np.log(np.maximum(probabilities, _LEAST_PROBABILITY))
    logs -= logs.mean(axis=1, keepdims=True)
    answers = np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)]
    told = [of - of.mean(axis=0) for of in (logs, answers)]
    gram, width = centred.T @ centred, centred.shape[1]
    penalty = 1e-3 * float(np.trace(gram)) / width + 1e-12
    found = [centred.T @ of for of in told]
    found.append(np.linalg.solve(gram + penalty * np.eye(width), found[0]))
    scaled = [one / max(float(np.linalg.norm(one)), 1e-12) for one in found]
    directions, strength, _ = np.linalg.svd(np.hstack(scaled), full_matrices=False)
    strong = strength > 1e-3 * max(float(strength[0]), 1e-12)
    kept: Floats = directions[:, : min(int(strong.sum()), width // 2)]
    return kept


def _without(centred: Floats, directions: Floats) -> Floats:
    left: Floats = centred - (centred @ directions) @ directions.T
    return left


def bands(values: Floats) -> tuple[tuple[str, np.ndarray], ...]:
    """A property in thirds: name of the third and a mask over the images."""
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    return (
        ("low", values <= low),
        ("middle", (values > low) & (values < high)),
        ("high", values >= high),
    )


@dataclass(frozen=True)
class Trait:
    """A mask over the images that a slice may be described by; `name` says what of."""

    name: str
    words: str
    member: NDArray[np.bool_]


def traits(outcomes: Outcomes, told: Described) -> tuple[Trait, ...]:
    """Groups, thirds of properties, labels and answers."""
    found: list[Trait] = []
    for feature, column in zip(told.features, told.values.T, strict=True):
        if feature.group is None:
            named = ((f"{feature.name} {band}", mask) for band, mask in bands(column))
            found += [Trait(feature.name, words, mask) for words, mask in named]
        else:
            words = f"{feature.group} ({feature.name})"
            found.append(Trait(feature.name, words, column > 0))
    for index, label in enumerate(outcomes.classes):
        found.append(Trait("label", f"label {label}", outcomes.labels == index))
        found.append(Trait("answer", f"answer {label}", outcomes.predicted == index))
    return tuple(found)
