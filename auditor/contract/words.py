"""Words: how a measure is called and told, declared beside the check that measures it.

Texts are templates. Fields in braces are filled from the measure: the keys of its subject
(``{class}``, ``{artefact}``; by their display names), ``{attribute}`` and ``{group}`` (``accessible
rooms (room type)``), ``{of_group}`` (``, accessible rooms (room type)`` or nothing), ``{in_group}``
(`` of accessible rooms (room type)`` or nothing), ``{split}``,
``{in_where}`` (`` in deployment data``; nothing for test data), ``{variant}``, ``{n}``,
``{n_rest}`` (of the other side), ``{units}``, every fact, and the numbers:

- ``{value}`` the value with its range, ``{point}`` without; ``{gap}`` the value as a comparison
  (``12 points lower [4, 21]``, ``3.2 times as often [1.7, 6.0]``);
- ``{right_means}`` a sentence on when an image of a segmenter counts as right; lacking for others;
- ``{this}`` and ``{other}`` the two sides (``13% [8, 20] of 110``), ``{here}`` and ``{there}`` as
  counts of a hundred.

After a colon stands how a fact is printed: ``{share:percent}``, ``{share:points}``,
``{ratio:times}``, ``{n:rows}`` (``1 image``, ``12 images``), ``{k:units}`` (``1 room``, ``12
rooms``), ``{k:fail/fails}`` (``12 fail``, ``1 fails``), ``{counted:noun}`` (``images``; ``rooms``
for ``units``), ``{fact:if}`` (nothing, but the
fact must be there), ``{gap:less often|more often}`` (a difference of shares, given as value, low
and high, in words for below and above; of three the middle one stands for nothing), else Python's
own. A fact that is absent, None, false or empty is lacking; one in a list is named by its place
(``{traits[0][share]:percent}``). A text given as several parts drops those of which a field is
lacking; a text of one part is unfit then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from auditor.findings import RowKind, Scale

Text = str | tuple[str, ...]

EITHER_WAY = (-1.0, 1.0)
"""The span of a difference of shares."""
FROM_0 = (0.0, math.inf)
"""The span of a ratio, a count, a time."""
ANY = (-math.inf, math.inf)


@dataclass(frozen=True)
class Words:
    """A measure in words; of several for one measure the first whose title is fit is used.

    `span` are the least and the greatest value that the measure can have, a share's if not
    stated: a limit that no value could break or keep is refused. `title` heads a finding, `short`
    names it in a list. `sentence` tells value, range and sizes in one or two plain sentences
    (composed where empty). `hundred` tells both sides as counts of a hundred. `sides` is what the
    two sides are called, `column` the heading in the matrix of groups (none where empty).
    `action` is what to do when a limit on it fails. `harm` says what goes wrong for a group or
    for everyone, on page one, those of the lowest `harm_rank` first. `gap` are the words of
    ``{gap}`` below and above the neutral value. `metric` is the name under which a model card
    lists the value (of this side, in comparisons). `headline` is a line on top of page one, by
    `headline_rank`; `answer` the part of the answer to the check's question when a limit on it
    fails, those of the lowest `answer_rank` first. `when` keeps the words to values above or below
    the neutral one, `of` to measures of such rows.
    `among` says of whom a share is (``{rows} that are not “{class}”``; empty: of all), `compared`
    what the value makes of the sides where it is not their plain difference or ratio.
    `ratio` says that it is one of two sides, for which a limit may state `and_difference_above`.
    `scale` and `unit` are those of the values, which a limit on them is told in where nothing was
    measured; a scale left out is the one that `span` and `ratio` say (`told_scale`).
    """

    title: str
    short: str
    sentence: Text = ""
    hundred: str = ""
    sides: tuple[str, str] = ("This group", "All others")
    gap: tuple[str, str] = ("lower", "higher")
    column: str = ""
    action: str = ""
    harm: str = ""
    harm_rank: int = 1
    metric: str = ""
    headline: str = ""
    headline_rank: int = 1
    answer: str = ""
    answer_rank: int = 1
    when: Literal["above", "below"] | None = None
    of: RowKind | None = None
    span: tuple[float, float] = (0.0, 1.0)
    ratio: bool = False
    scale: Scale | None = None
    unit: str = ""
    among: str = ""
    compared: str = ""

    @property
    def told_scale(self) -> Scale:
        """The scale of the values: the one stated, else a share of 0 to 1, a difference of shares
        of -1 to 1, a ratio of two sides, or an amount.
        """
        if self.scale is not None:
            return self.scale
        spans: dict[tuple[float, float], Scale] = {(0.0, 1.0): "share", EITHER_WAY: "difference"}
        return spans.get(self.span, "ratio" if self.ratio else "amount")


def mid_sentence(heading: str) -> str:
    """A heading as it stands within a sentence: its first letter small, abbreviations kept.

    Examples
    --------
    >>> mid_sentence("Mean overlap (IoU) of the classes"), mid_sentence("IoU of a class")
    ('mean overlap (IoU) of the classes', 'IoU of a class')
    """
    first = heading.partition(" ")[0]
    return heading if first[1:] != first[1:].lower() else f"{heading[:1].lower()}{heading[1:]}"
