"""Other ways to feed a model, or to order its classes: which rows each of them answers rightly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.checks.input_candidates import best_assignment, class_orders
from auditor.scoring.presence import OneHot, Presence
from auditor.scoring.rows import Rows


@dataclass(frozen=True)
class Trial:
    """Another way: which rows it answers rightly, (n,), and how likely by luck, (n,)."""

    key: str
    name: str
    right: np.ndarray
    by_luck: np.ndarray | float
    facts: dict[str, Any]
    answered: np.ndarray | None = None
    """Of an order of classes, the class that it answers."""


def trial_of(key: str, name: str, rows: Rows, facts: dict[str, Any]) -> Trial:
    """A way `name` to feed the model, or to read it, that gave these rows."""
    return Trial(key, name, rows.right, _by_luck(rows.presence), facts)


def _by_luck(presence: Presence) -> np.ndarray | float:
    """How often each row's class is answered; 0 where rows may hold none or several classes."""
    return _frequency(presence.truth, presence.answers) if type(presence) is OneHot else 0.0


def _frequency(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    counts = np.bincount(answers, minlength=int(labels.max(initial=0)) + 1)
    return np.asarray(counts[labels] / len(labels))


def orders_of(declared: Rows, listed: Sequence[str], rng: np.random.Generator) -> list[Trial]:
    """Orders of classes, where each row is of one class and called one, or none."""
    if not isinstance(declared.presence, OneHot):
        return []
    said, classes = declared.presence.answers, declared.presence.classes
    tried = [
        _order(order.name, order.meaning, _meant(order.meaning, said), declared)
        for order in class_orders(classes, listed=listed)
    ]
    return [*tried, *_assigned(declared, tried, rng)]


def _meant(meaning: np.ndarray, said: np.ndarray) -> np.ndarray:
    """The class that each answer stands for; -1 where there is none."""
    return np.where(said >= 0, meaning[said], -1)


def _order(name: str, meaning: np.ndarray, answered: np.ndarray, at: Rows) -> Trial:
    assert isinstance(at.presence, OneHot)
    classes, truth, said = at.presence.classes, at.presence.truth, at.presence.answers
    moved = [f"{classes[i]!r} stands for {classes[m]!r}" for i, m in enumerate(meaning) if i != m]
    told = ", ".join(moved[:4]) + (f" and {len(moved) - 4} more" if len(moved) > 4 else "")
    facts = {"classes": [classes[i] for i in meaning[:10]], "way": f"classes {name} ({told})"}
    # An object that shares its box with another of its class is not found by any order.
    right = (answered == truth) & (at.right | (said != truth))
    luck = _frequency(truth, answered) if type(at.presence) is OneHot else 0.0
    return Trial("classes", name, right, luck, facts, answered)


def _assigned(declared: Rows, known: Sequence[Trial], rng: np.random.Generator) -> Iterator[Trial]:
    """The best assignment of outputs to classes, each half answered by that of the other."""
    assert isinstance(declared.presence, OneHot)
    n, at = len(declared), declared.presence
    units = np.arange(n) if declared.units is None else np.asarray(declared.units)
    names, place = np.unique(units, return_inverse=True)
    half = rng.permutation(len(names))[place] % 2 == 0

    def fitted(among: np.ndarray) -> np.ndarray:
        among = among & (at.answers >= 0)
        return best_assignment(at.answers[among], at.truth[among], len(at.classes))

    meaning = fitted(np.ones(n, dtype=bool))
    whole = _meant(meaning, at.answers)
    tried = (at.answers, *(k.answered for k in known if k.answered is not None))
    if any(np.array_equal(whole, t) for t in tried):
        return
    ways = [_meant(fitted(side), at.answers) for side in (~half, half)]
    yield _order("best-assignment", meaning, np.where(half, *ways), declared)
