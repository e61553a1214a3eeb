"""How what annotators drew is called: words made once from a few, as of quantities."""

from __future__ import annotations

from auditor.bias.drawing_agreement import (
    ADDED,
    ALIKE,
    AREA,
    BESIDE_OTHERS,
    LEFT_OUT,
    OVERLAP,
)
from auditor.contract import Words
from auditor.contract.words import EITHER_WAY, FROM_0

_HANDS = (
    ("{annotator}", "{annotator} draws", "{annotator} drew", "{annotator}’s"),
    ("the annotations", "The annotations draw", "The annotations have", "the annotations’"),
)
"""An annotator, and the annotations as a whole: as a name, drawing, having drawn, owning."""


def _area(other: str, *, beside: str) -> tuple[Words, ...]:
    return tuple(
        Words(
            title=f"Area of “{{class}}” that {who} cover{'s' if own else ''}{{in_where}}, beside "
            f"{other}",
            span=FROM_0,
            scale="ratio",
            sides=("This annotator" if own else "The annotations", beside),
            short=f"area of “{{class}}” by {who}",
            sentence=f"{draws} “{{class}}” {{value}} as large as {other}, over {{n:rows}}"
            "{in_where}.",
            action=f"have “{{class}}” drawn again where {who} drew it, and train again",
            harm="“{class}” drawn too wide or too narrow",
        )
        for (who, draws, _, _), own in zip(_HANDS, (True, False), strict=True)
    )


def _left_out(other: str, others: str) -> tuple[Words, ...]:
    return tuple(
        Words(
            title=f"“{{class}}” left out by {who}{{in_where}}, beside {other}",
            short=f"“{{class}}” left out by {who}",
            sentence=f"{drew} nothing for {{value}} of {others} {{objects}} {{ones}} “{{class}}”"
            "{in_where}.",
            action=f"have the images of {who} looked through again for “{{class}}”",
            harm="“{class}” left out of the annotations",
        )
        for who, _, drew, _ in _HANDS
    )


_ADDED = tuple(
    Words(
        title=f"“{{class}}” of {who}{{in_where}} that the expert does not have",
        short=f"“{{class}}” added by {who}",
        sentence=f"The expert drew nothing for {{value}} of {whose} {{objects}} {{ones}} "
        "“{class}”{in_where}.",
        action=f"have “{{class}}” of {who} looked through again",
    )
    for who, _, _, whose in _HANDS
)


def _agreed(title: str, sentence: str) -> tuple[Words, Words]:
    of_class, whole = (
        Words(
            title=f"{title}{of}, {{split}} data",
            short=f"agreement of annotators{of}",
            sentence=sentence.replace("OF", of),
            action="settle what annotators draw differently, and train again",
        )
        for of in (" on “{class}”", "")
    )
    return of_class, whole


GROUPS_DRAWN = Words(
    title="Agreement of annotators’ drawings{drawn:if}{in_where}: {group}, against all others",
    span=EITHER_WAY,
    short="{group}: drawn differently",
    sentence="Two annotators’ drawings of {group} agree to {this}; of all others to {other}; "
    "{gap}.",
    column="annotators agree",
    action="settle what annotators draw differently for {group}, and train again",
)
"""Words of a group's agreement, where annotators drew."""

DRAWN_WORDS = {
    OVERLAP: _agreed(
        "Overlap (IoU) of two annotators’ class maps",
        "Two annotators’ class mapsOF overlap by {value} ({pairs} pairs of maps, {n:rows}).",
    ),
    ALIKE: _agreed(
        "Objects that two annotators draw alike",
        "Two annotators draw {value} of their objects alikeOF, of the same class and with an "
        "overlap of {from_overlap} or more ({pairs} pairs of drawings, {n:rows}).",
    ),
    AREA: _area("the expert’s", beside="The expert"),
    BESIDE_OTHERS[AREA]: _area("other annotators’", beside="Other annotators"),
    LEFT_OUT: _left_out("the expert", "the expert’s"),
    BESIDE_OTHERS[LEFT_OUT]: _left_out("other annotators", "other annotators’"),
    ADDED: _ADDED,
}
