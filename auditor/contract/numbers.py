"""Numbers as a reader sees them: one way to print a share, a difference, a ratio, an amount."""

from __future__ import annotations

import math
from collections.abc import Sequence

from auditor.findings import Measure, Scale, Side
from auditor.stats import ENDLESS, Exact, value

NO_END = "no end"


def percent(share: float, *, finely: bool = False) -> str:
    """A share in per cent without its sign, with a decimal where it is within 1% of an end.

    `finely` has a decimal up to 10%: of two shares whose ratio is told.

    Examples
    --------
    >>> percent(0.1273), percent(0.004), percent(-0.0001), percent(0.024, finely=True)
    ('13', '0.4', '0', '2.4')
    """
    shown = 100 * share
    near_end = 0.05 <= abs(shown) < (9.95 if finely else 0.95) or 99.05 < shown <= 99.95
    return minus(f"{shown:.1f}" if near_end else f"{shown:.0f}")


def points(share: float) -> str:
    """A difference of shares in percentage points, with a decimal below 2.

    Examples
    --------
    >>> points(-0.123), points(0.0123)
    ('−12', '1.2')
    """
    shown = 100 * share
    return minus(f"{shown:.1f}" if 0.05 <= abs(shown) < 1.95 else f"{shown:.0f}")


def times(ratio: float) -> str:
    """A ratio: two decimals below 1, one below 10, none above.

    Examples
    --------
    >>> times(0.214), times(3.21), times(17.4), times(math.inf)
    ('0.21', '3.2', '17', 'no end')
    """
    if ratio >= ENDLESS:
        return NO_END
    return f"{ratio:.2f}" if ratio < 0.995 else f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:,.0f}"


def amounts(numbers: Sequence[float]) -> tuple[str, ...]:
    """Amounts that stand together, with the same decimals: about three figures of the largest.

    Examples
    --------
    >>> amounts([480.2, 371.0, 592.9]), amounts([0.12, 0.0, 0.214]), amounts([3])
    (('480', '371', '593'), ('0.12', '0', '0.21'), ('3',))
    """
    finite = [abs(n) for n in numbers if math.isfinite(n)]
    if all(n == int(n) for n in finite):
        decimals = 0
    else:
        # 0.12 and 0.0123 and 0.00123: the leading zeros do not count as figures.
        size = math.floor(math.log10(max(finite)))
        decimals = max(0, 2 - max(size, 0)) if size > -2 else 1 - size
    return tuple(
        NO_END if math.isinf(n) else minus(f"{n:,.{decimals}f}") if n else "0" for n in numbers
    )


def minus(text: str) -> str:
    """A number's text with a real minus sign; never a signed zero."""
    if text.startswith("-"):
        return text[1:] if not text.strip("-0.,") else f"−{text[1:]}"
    return text


def numbered(n: int, noun: str) -> str:
    """A count with its noun, which is given in the singular.

    Examples
    --------
    >>> numbered(1, "file"), numbered(1200, "file")
    ('1 file', '1,200 files')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def number_texts(numbers: Sequence[float], scale: Scale) -> tuple[str, ...]:
    """Numbers of one scale that stand together, without a unit.

    Examples
    --------
    >>> number_texts([1.51, 1.46, 1.54], "ratio"), number_texts([1.5, 1.5, 1.5], "ratio")
    (('1.51', '1.46', '1.54'), ('1.5', '1.5', '1.5'))
    """
    if scale == "amount":
        return amounts(numbers)
    one = {"share": percent, "difference": points, "ratio": times}[scale]
    texts = tuple(NO_END if math.isinf(n) else one(n) for n in numbers)
    # A range that is printed as one number would look like none.
    alike = scale == "ratio" and len(set(texts)) == 1 < len(set(numbers))
    return tuple(f"{n:.2f}" for n in numbers) if alike else texts


def with_unit(text: str, scale: Scale, unit: str = "") -> str:
    """A printed number with what it counts: ``78%``, ``12 points``, ``3.2 times``, ``5 ms``.

    Examples
    --------
    >>> with_unit("1", "amount", "layers"), with_unit("1", "amount", "ms")
    ('1 layer', '1 ms')
    """
    if scale == "share":
        return f"{text}%"
    if scale == "difference":
        return f"{text} point{'' if text in ('1', '−1') else 's'}"
    return f"{text} times" if scale == "ratio" else f"{text} {_of_one(unit, text)}".rstrip()


def _of_one(unit: str, text: str) -> str:
    """A unit beside its number: ``layers``, and one ``layer``; ``ms`` and ``EUR`` stay."""
    word, space, rest = unit.partition(" ")
    if text not in ("1", "−1") or len(word) < 4 or not word.endswith("s") or word.endswith("xes"):
        return unit
    return f"{word.removesuffix('s')}{space}{rest}"


def number_text(number: float, measure: Measure) -> str:
    """A number on a measure's scale, with its unit."""
    (text,) = number_texts([number], measure.scale)
    return with_unit(text, measure.scale, measure.unit)


def value_text(measure: Measure, *, exact: bool = False) -> str:
    """The value with its 95% range, as ``78% [75, 81]`` or ``−12 points [−17, −7]``.

    With `exact` the range is left out: the measure counts all that there is.
    """
    point = value(measure.estimate)
    if exact or isinstance(measure.estimate, Exact):
        return number_text(point, measure)
    ends = measure.interval
    if math.isinf(point):
        return f"never among the others [at least {times(ends.low)} times]"
    text, low, high = number_texts([point, ends.low, ends.high], measure.scale)
    return f"{with_unit(text, measure.scale, measure.unit)} [{low}, {high}]"


def side_text(side: Side, *, finely: bool = False) -> str:
    """One side of a comparison, as ``13% [8, 20] of 110``; a stated one has no range.

    `finely` as of `percent`; the ends of the range stay as they are.
    """
    point, of = value(side.estimate), "" if side.n is None else f" of {side.n:,}"
    stated = side.n is None or isinstance(side.estimate, Exact)
    numbers = [point] if stated else [point, side.interval.low, side.interval.high]
    text, *ends = number_texts(numbers, side.scale)
    if finely and side.scale == "share":
        text = percent(point, finely=True)
    said = with_unit(text, side.scale, side.unit)
    if stated:
        return f"{said}{of}"
    low, high = ends
    return f"{said} [{low}, {high}]{of}"


def gap_text(
    number: float,
    low: float,
    high: float,
    measure: Measure,
    *,
    words: tuple[str, str] = ("lower", "higher"),
) -> str:
    """A comparison from this side's view, as ``12 points lower [4, 21]``.

    Of a ratio ``3.2 times as often [1.7, 6.0]``. `words` are those for below and above.
    """
    scale = measure.scale
    if scale == "ratio":
        amount = measure.sides is not None and measure.sides[0].scale == "amount"
        as_ = "as much" if amount else "as often"
        if math.isinf(number):
            return f"never seen among the others; at least {times(low)} times {as_}"
        text, first, last = number_texts([number, low, high], scale)
        return f"{text} times {as_} [{first}, {last}]"
    return _apart([number, low, high], scale, unit=measure.unit, words=words)


def points_apart(number: float, low: float, high: float, *, words: Sequence[str]) -> str:
    """A difference of shares that is no measure's own, as ``12 points more often [4, 21]``.

    `words` are those for below and above; of three the middle one stands for nothing.
    """
    if len(words) == 3 and points(number) == "0":
        return words[1]
    return _apart([number, low, high], "difference", words=(words[0], words[-1]))


def _apart(
    numbers: Sequence[float], scale: Scale, *, unit: str = "", words: tuple[str, str]
) -> str:
    number, low, high = numbers
    above = number > 0
    text, first, last = number_texts(
        [number, low, high] if above else [-number, -high, -low], scale
    )
    amount = with_unit(text, scale, unit if scale == "amount" else "")
    return f"{amount} {words[above]} [{first}, {last}]"
