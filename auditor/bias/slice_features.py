"""What slices are looked for in: groups, properties of the images, and how the model sees them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from auditor.contract import ManyRows
from auditor.data.dataset import MISSING_GROUP, Attribute, Dataset
from auditor.data.held_rows import let_go
from auditor.data.image_names import ImageNames
from auditor.data.scan import PROPERTY_NAMES
from auditor.findings import RowKind
from auditor.scoring.comparison import MIN_UNITS
from auditor.scoring.outcomes import Outcomes

Floats = NDArray[np.float64]

_COMPONENTS = 64
_MOST_ROWS = 20_000
"""Images that directions of the embedding are learned from; more change little."""
_BLOCK = 10_000
_LEAST_PROBABILITY = 1e-12
_LEAST_VARIANCE = 1e-3
_MOST_CELLS = 20_000_000
"""Numbers of the matrix that embeddings are expected from."""
_PENALTY = 2.0
"""As if this many more images of each class had the mean of all."""
_NARROW = 8
"""An embedding with fewer directions is little else than the answer."""


class Looked(Protocol):
    """Rows whose truth is known, among which failing groups are looked for.

    Images beside a classifier's scores (`Outcomes`), or what a detector or segmenter is scored by
    (`auditor.bias.slice_rows.ScoredRows`). `correct` (n,) bool, `confidence` (n,), `headline` the
    name of the share of correct ones.
    """

    @property
    def of(self) -> RowKind: ...

    @property
    def headline(self) -> str: ...

    @property
    def dataset(self) -> Dataset: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def image_ids(self) -> ImageNames: ...

    @property
    def attributes(self) -> tuple[Attribute, ...]: ...

    @property
    def correct(self) -> np.ndarray: ...

    @property
    def confidence(self) -> np.ndarray: ...

    @property
    def alike(self) -> tuple[NDArray[np.int64], ...]:
        """Codes of what rows that are alike share, (n,) each: the label, and the answer."""
        ...

    def of_class(self) -> tuple[tuple[str, str, NDArray[np.bool_]], ...]:
        """What a row may be of, beside its groups: kind, words, and a mask over the rows."""
        ...

    def take(self, keep: np.ndarray) -> Self: ...

    def __len__(self) -> int: ...


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
    """What is told of each of `n` images by its features.

    `columns` give that of each feature, (n,) without NaN, True or False for a group. They are made
    when they are asked for: all of them together take more than what they are made of.
    """

    n: int
    columns: Mapping[Feature, Callable[[], np.ndarray]]

    @property
    def features(self) -> tuple[Feature, ...]:
        return tuple(self.columns)

    def values(
        self, *, among: NDArray[np.bool_] | None = None, of: Collection[int] | None = None
    ) -> NDArray[np.float32]:
        """All columns, (m, features) as trees take them; 0 or 1 for a group.

        Of the images under the mask `among` (n,), or of all. Where columns `of` some places are
        asked for alone, the others are 0, which takes no memory until something else is written.
        """
        n = self.n if among is None else int(among.sum())
        found = np.zeros((n, len(self.columns)), dtype=np.float32, order="F")
        for place, column in enumerate(self.columns.values()):
            if of is None or place in of:
                found[:, place] = column() if among is None else column()[among]
        return found


def described(outcomes: Looked, scan: pd.DataFrame, places: np.ndarray) -> Described:
    """Groups of every attribute, and the properties of the images that vary.

    `scan` has one row an image, `places` (n,) say which are theirs. Unknown properties get the
    median.
    """
    columns: dict[Feature, Callable[[], np.ndarray]] = {}
    # What is left of a group beside a slice of it may be a small cell: none is told of slices.
    for attribute in (a for a in outcomes.attributes if a.smallest is None):
        coded = outcomes.dataset.coded_groups(attribute.name)
        of, seen = coded.places_in(attribute.groups), coded.seen
        images = np.bincount(of[of >= 0], minlength=len(attribute.groups))
        for place, group in enumerate(attribute.groups):
            others = sorted(seen - {group, MISSING_GROUP})
            other = others[0] if len(others) == 1 and MISSING_GROUP not in seen else None
            # Few images of a group cannot be a slice; hundreds of such groups would cost much.
            if images[place] >= MIN_UNITS:
                columns[Feature(attribute.name, group, other)] = partial(np.equal, of, place)
    for name, column in _image_properties(scan, places):
        columns[Feature(name)] = column
    return Described(len(outcomes), columns)


def _image_properties(
    scan: pd.DataFrame, places: np.ndarray
) -> Iterator[tuple[str, Callable[[], Floats]]]:
    """Each property that varies, of the rows `places`; the median where it is unknown."""
    assert (places >= 0).all(), "an image is in no scan"
    for name in PROPERTY_NAMES:
        if name not in scan:
            continue
        values = _of(scan[name], places)
        values = values[np.isfinite(values)]
        if len(values) and values.min() < values.max():
            median = float(np.median(values))
            yield property_words(name), partial(_filled, scan[name], places, median)


def _filled(column: pd.Series, places: NDArray[np.int64], median: float) -> Floats:
    values = _of(column, places)
    return np.where(np.isfinite(values), values, median)


def _of(column: pd.Series, places: NDArray[np.int64]) -> Floats:
    held = column.to_numpy(dtype=np.float64)
    values: Floats = held[places]
    let_go(held)
    return values


def property_words(name: str) -> str:
    """The name of a property for a reader; ``mean`` is brightness.

    Examples
    --------
    >>> property_words("mean"), property_words("red_ratio")
    ('brightness', 'red ratio')
    """
    own = {"mean": "brightness", "std": "contrast", "p1": "darkest grey", "p99": "lightest grey",
           "bytes": "file size in bytes"}  # fmt: skip
    return own.get(name, name.replace("_", " "))


def seen_by_model(
    embedding: ManyRows,
    outcomes: Outcomes,
    *,
    at: NDArray[np.int64],
    learn: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.float32] | None:
    """How the model sees each image beside its class and answer: (n, at most 64).

    `embedding` holds penultimate activations, those of `outcomes` (n images) in its rows `at`,
    which ascend. What label, answer and scores lead one to expect of them (least squares) is
    subtracted: along it the images that the model is unsure of lie together, which are wrong more
    often in every model, and would be found as a slice of every model. No direction is taken out
    whole: with ten classes 27 of them tell a class or an answer, and a slice lies along them too.
    What is left is reduced to principal components, by decreasing variance. All is learned from
    the rows `learn` of `outcomes`. None where nothing is left, or the embedding has less than 8
    directions.
    """
    if embedding.shape[1] < _NARROW:
        return None
    from sklearn.decomposition import PCA

    most = min(_MOST_ROWS, _MOST_CELLS // (5 * len(outcomes.classes)))
    rows = learn if len(learn) <= most else np.sort(rng.choice(learn, most, replace=False))
    # What is left of wide embeddings, in place: twenty thousand of them fill much memory.
    left, told = embedding[at[rows]].astype(np.float64), _expecting(outcomes, rows)
    spread, centre, middle = float(left.std()), left.mean(axis=0), told.mean(axis=0)
    left -= centre
    slopes = _slopes(told - middle, left)
    left -= (told - middle) @ slopes
    if left.std() <= 1e-6 * max(spread, 1e-12):
        return None
    width = min(_COMPONENTS, left.shape[1], len(rows) - 1)
    reduce = PCA(width, svd_solver="auto", random_state=int(rng.integers(2**31))).fit(left)
    # Where next to nothing is left, what is left is what the regression missed of the scores.
    variance = reduce.explained_variance_
    onto = reduce.components_[variance > _LEAST_VARIANCE * variance[0]].T
    seen = np.empty((len(at), onto.shape[1]), dtype=np.float32)
    step = min(most, _BLOCK)
    for start in range(0, len(at), step):
        block = slice(start, start + step)
        expected = (_expecting(outcomes, block) - middle) @ (slopes @ onto)
        seen[block] = (embedding[at[block]] - centre.astype(np.float32)) @ onto - expected
    return seen


def _expecting(outcomes: Outcomes, rows: np.ndarray | slice) -> Floats:
    """What embeddings are expected from: label, answer and scores, (rows, 5 k).

    By answer a bend in the margin over the second answer: units that a net rectifies are not
    linear in its scores, and least squares in the scores alone left the unsure images together.
    """
    logs = _logs(outcomes, rows)
    one_hot = np.eye(logs.shape[1])
    answer = one_hot[outcomes.predicted[rows]]
    margin = _over_second(logs)[:, None]
    found: Floats = np.hstack(
        [one_hot[outcomes.labels[rows]], answer, answer * margin, answer * np.exp(-margin),
         logs - logs.mean(axis=1, keepdims=True)]
    )  # fmt: skip
    return found


def margins(outcomes: Outcomes) -> Floats:
    """By how much the log-score of the answer exceeds that of the second answer, (n,)."""
    found: Floats = np.empty(len(outcomes))
    for start in range(0, len(found), _BLOCK):
        rows = slice(start, start + _BLOCK)
        found[rows] = _over_second(_logs(outcomes, rows))
    return found


def _logs(outcomes: Outcomes, rows: np.ndarray | slice) -> Floats:
    scores = outcomes.probabilities[rows].astype(np.float64)
    logs: Floats = np.log(np.maximum(scores, _LEAST_PROBABILITY))
    return logs


def _over_second(logs: Floats) -> Floats:
    second, first = np.partition(logs, -2, axis=1)[:, -2:].T
    over: Floats = first - second
    return over


def _slopes(told: Floats, seen: Floats) -> Floats:
    """Ridge regression of what is seen on what is told, both centred, (told, seen).

    With nearly as many numbers told as images it would explain all; then it holds back.
    """
    images, numbers = told.shape
    penalty = _PENALTY * max(1.0, 10 * numbers / images)
    found: Floats = np.linalg.solve(told.T @ told + penalty * np.eye(numbers), told.T @ seen)
    return found


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


def traits(
    outcomes: Looked, told: Described, *, keep: NDArray[np.bool_] | None = None
) -> tuple[Trait, ...]:
    """Groups, thirds of properties, and what the rows are of (labels; answers of a classifier).

    `outcomes` are those under the mask `keep` of the images that `told` is of; all, where None.
    """
    found: list[Trait] = []
    for feature, column in told.columns.items():
        values = column() if keep is None else column()[keep]
        if feature.group is None:
            named = ((f"{feature.name} {band}", mask) for band, mask in bands(values))
            found += [Trait(feature.name, words, mask) for words, mask in named]
        else:
            words = f"{feature.group} ({feature.name})"
            found.append(Trait(feature.name, words, values))
    found += [Trait(*of) for of in outcomes.of_class()]
    return tuple(found)
