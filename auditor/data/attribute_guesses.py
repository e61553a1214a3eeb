"""Which columns of a manifest group images, and how their numbers may be cut; for `init`."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from auditor.spec.bounds import MOST_ATTRIBUTES

MOST_GROUPS = 20
"""A column with more different values than this groups images only as numbers, cut into bins."""

_MOST_NUMBERS = 10
"""Different numbers that are groups as they are; more are cut into bins."""

_SMALLEST_SECOND = 10
"""Images that the second largest group must have."""

_OF_PEOPLE = {
    "sex", "gender", "age", "agegroup", "race", "ethnicity", "ethnic", "skintype", "skintone",
    "fitzpatrick", "complexion", "religion", "nationality", "citizenship", "disability", "disabled",
    "marital", "pregnant", "pregnancy", "income", "caste", "birth", "dob", "born", "birthdate",
    "birthyear", "language", "migration", "immigrant", "indigenous", "hispanic", "latino",
    "political", "veteran", "poverty", "socioeconomic", "education", "insurance",
}  # fmt: skip
"""Words in names of columns about people, or about what stands for what they are."""

_OF_PEOPLE_TOGETHER = ({"skin", "type"}, {"skin", "tone"}, {"skin", "color"}, {"skin", "colour"},
                       {"sexual", "orientation"})  # fmt: skip

_NO_AMOUNTS = {"id", "ids", "index", "idx", "nr", "no", "number", "code", "zip", "zipcode",
               "postcode", "phone", "seed", "row", "unnamed", "hash", "column"}  # fmt: skip
"""Words in names of columns whose numbers are names."""

_AGES = (0.0, 18.0, 40.0, 65.0, 120.0)


@dataclass(frozen=True)
class FoundAttribute:
    """A column that groups images; `bins` are edges that are proposed for its numbers.

    `largest` is how many of very many groups of text are large enough to be compared.
    """

    column: str
    role: Literal["sensitive", "condition"]
    bins: tuple[float, ...] | None = None
    largest: int | None = None
    n_values: int = 0


def words_of(name: str) -> set[str]:
    """The words in a column's name, in lower case.

    Examples
    --------
    >>> sorted(words_of("PatientSex (self-reported)"))
    ['patient', 'reported', 'self', 'sex']
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return set(re.findall(r"[^\W\d_]+", apart.lower()))


def attributes_in(
    frame: pd.DataFrame, labels: pd.Series, *, but: Collection[str | None]
) -> tuple[FoundAttribute, ...]:
    """The columns that group images, of text: by few values, or by numbers cut into bins."""
    free = (str(c) for c in frame.columns if c not in but)
    found = (_attribute(frame[c], labels) for c in free)
    return tuple(each for each in found if each is not None)[:MOST_ATTRIBUTES]


def _attribute(column: pd.Series, labels: pd.Series) -> FoundAttribute | None:
    values = column.dropna()
    groups, words = values.nunique(), words_of(str(column.name))
    if groups < 2:
        return None
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
    bins, largest = None, None
    if groups > _MOST_NUMBERS and np.isfinite(numbers).all():
        bins = None if words & _NO_AMOUNTS else _proposed_bins(numbers, of_age="age" in words)
        if bins is None:
            return None
    elif groups > MOST_GROUPS:
        largest = _large_groups(values)
        if largest is None:
            return None
    elif values.value_counts().iloc[1] < _SMALLEST_SECOND:
        return None
    if _renames(column, labels):
        return None
    of_people = words & _OF_PEOPLE or any(pair <= words for pair in _OF_PEOPLE_TOGETHER)
    role: Literal["sensitive", "condition"] = "sensitive" if of_people else "condition"
    return FoundAttribute(str(column.name), role, bins, largest, groups)


def _large_groups(values: pd.Series) -> int | None:
    """How many groups of text are large; None where most images are in others, as of ids."""
    counts = values.value_counts().iloc[: MOST_GROUPS - 1]
    large = counts[counts >= _SMALLEST_SECOND]
    return len(large) if len(large) >= 2 and 2 * large.sum() >= len(values) else None


def _proposed_bins(numbers: np.ndarray, *, of_age: bool) -> tuple[float, ...] | None:
    """Four bins of about as many images each, with round edges; those of age are the usual ones.

    None where the numbers count rows, or where all but a few are one number.
    """
    low, high = float(numbers.min()), float(numbers.max())
    if of_age and low >= _AGES[0] and high <= _AGES[-1]:
        return _AGES
    if len(np.unique(numbers)) == len(numbers) and (np.abs(np.diff(numbers)) == 1).all():
        return None
    quarters = np.quantile(numbers, [0.25, 0.5, 0.75])
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    ends = math.floor(low / step), math.ceil(high / step)
    steps = sorted({*ends, *(int(s) for s in np.rint(quarters / step))})
    # Steps below 1 as decimals: 3 * 0.1 is 0.30000000000000004.
    edges = tuple(float(f"{s * step:.12g}") for s in steps)
    return edges if len(edges) >= 3 else None


def _renames(values: pd.Series, labels: pd.Series) -> bool:
    """Whether a column is the labels by other names."""
    pairs = len(pd.DataFrame({"a": values, "b": labels}).drop_duplicates())
    return bool(pairs == values.nunique(dropna=False) == labels.nunique(dropna=False))
