"""Whether a bound asks anything: some value of its measure must keep it, and some break it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cache

from auditor.contract import Words, check_classes
from auditor.findings import Better, Meant
from auditor.judging.policy import Bound, Limit
from auditor.spec.yaml_source import did_you_mean

Span = tuple[float, float]

_BEYOND = 1e15
"""No measure without an end comes near it: milliseconds, euros, operations an image."""


_GOOD_SIDE: Mapping[Better, tuple[str, ...]] = {
    "higher": ("at_most", "below"),
    "lower": ("at_least", "above"),
    "none": (),
}
"""The bounds that only a good value can break, by which values are better."""


def meant_bound(limit: Limit, better: Better, others: Iterable[Limit]) -> Meant | None:
    """The bound that was meant, where only good values break that of `limit`; None for others.

    Accuracy lost of at least -5 points is kept however much is lost: at most 5 was meant. `others`
    are the further limits that the same finding meets: beside one that bounds the harm and holds
    as hard, the bound keeps a ratio near 1 and is meant.
    """
    good = _GOOD_SIDE[better]
    if limit.kind not in good or any(o.kind not in good and _is_as_hard(o, limit) for o in others):
        return None
    return "at_least" if better == "higher" else "at_most"


def _is_as_hard(other: Limit, limit: Limit) -> bool:
    """Whether an excess over `other` has at least the consequences of one over `limit`."""
    if other.when is not None:
        return False
    blocks = other.severity == "blocking" or limit.severity == "advisory"
    return blocks and (other.requirement is not False or limit.requirement is False)


@cache
def _words() -> Mapping[str, Words]:
    """The first words of every measure, by ``check:measure``."""
    return {
        f"{name}:{measure}": words[0] if isinstance(words, tuple) else words
        for name, cls in check_classes().items()
        for measure, words in cls.words.items()
    }


@cache
def measure_spans() -> Mapping[str, Span]:
    """The least and the greatest value of every measure, by ``check:measure``, from its words."""
    return {name: words.span for name, words in _words().items()}


def floor_fault_of(limit: Limit) -> str:
    """What is wrong with a limit's `and_difference_above`, for a reader; empty where nothing is."""
    words = _words().get(limit.measure)
    if limit.and_difference_above is None or words is None or words.ratio:
        return ""
    known = ", ".join(sorted(name for name, one in _words().items() if one.ratio))
    return (
        f"found one for {limit.measure}, which is no ratio of two sides. Leave it out, or state it "
        f"for one of {known}."
    )


def fault_of(bound: Bound) -> str:
    """What is wrong with a bound, for a reader; empty where nothing is."""
    spans = measure_spans()
    if bound.measure not in spans:
        hint = did_you_mean(bound.measure, spans) or " `auditor explain CHECK` names them."
        return f"there is no measure {bound.measure!r}.{hint}"
    low, high = spans[bound.measure]
    least, most = max(low, -_BEYOND), min(high, _BEYOND)
    ends = [bound.is_met_by(least), bound.is_met_by(most)]
    if any(ends) and not all(ends):
        return ""
    said = "no value breaks it" if all(ends) else "no value meets it"
    return (
        f"found {bound.kind} {bound.value:g}, but {bound.measure} lies {_between(low, high)}: "
        f"{said}.{_percent(bound)}"
    )


def _between(low: float, high: float) -> str:
    if math.isinf(high):
        return f"from {low:g} on, below {_BEYOND:g}" if math.isfinite(low) else "nowhere near it"
    return f"between {low:g} and {high:g}"


def _percent(bound: Bound) -> str:
    words, value = _words()[bound.measure], bound.value
    if words.span[1] != 1 or not 1 <= abs(value) <= 100:
        return " State a bound within."
    one = "point is" if abs(value) == 1 else "points are"
    meant = f" {one}" if words.told_scale == "difference" else "% is"
    return f" If {value:g}{meant} meant, write {value / 100:g}."
