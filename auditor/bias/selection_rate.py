"""bias/selection-rate: whether some groups are given the adverse answer more often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from auditor.comparing.against_rest import AgainstRest
from auditor.comparing.by_group import ByGroup, by_group, displayed, told
from auditor.comparing.groups import groupings, nothing_to_compare
from auditor.contract import Attributes, Check, Declared, Evidence, Need, Predictions, Words
from auditor.contract.words import EITHER_WAY, FROM_0
from auditor.findings import Measure, Measured, Question, Result
from auditor.scoring.comparison import MIN_UNITS, count_units
from auditor.scoring.cost import adverse_classes
from auditor.scoring.quantities import calls

_DEPLOYED: tuple[Need, ...] = (
    Predictions(split="deployment", optional=True),
    Attributes(split="deployment", optional=True),
)
DIFFERENCE, RATIO = NAMES = ("selection-difference", "selection-ratio")
FOUR_FIFTHS = 0.8
_CALLED = "Called {class}{in_where}, {group}: {this}; all others {other}; {gap}."
_RULE = "The four-fifths rule, which takes no account of chance,"
_SPARED = "{spared:percent} are spared, {most_spared:percent} of the group spared most."
_HUNDRED = (
    "Of 100 images of {group}, {here:are/is} called “{class}”, rightly or not; of 100 others, "
    "{there}."
)


@dataclass(frozen=True)
class SelectionRate(Check):
    """How often each group is given an adverse answer, against all other images.

    What it measures
    ----------------
    For every adverse class of the spec and every group: the share of its images that the model
    calls so, minus that share among all other images (`selection-difference`, demographic
    parity) and divided by it (`selection-ratio`). It asks what is answered, not whether it is
    right, so no labels are needed: images of deployment are compared too where the spec has
    them. Intervals and tests take units (rooms, persons) into account. Beside each stands what
    the four-fifths rule says of the bare shares: the group's share that is spared the answer,
    over the largest such share of any group, and whether it is below 0.8. Each gap is given
    once more among images of the same group of every other attribute of role condition
    (Mantel-Haenszel).

    Why it matters
    --------------
    Whoever is given the adverse answer bears what follows, right or wrong. Equal shares are
    what the law of some countries asks for, and what can be watched when nobody knows the
    truth yet.

    How it can mislead
    ------------------
    Groups may truly differ: equal shares are then wrong for someone, and unequal ones may be
    right. Read it with the error rates. The reverse holds too: two groups called alike may be
    wronged unlike. The four-fifths rule looks at shares alone, so chance decides it: with
    five groups of 300 images, a tenth of which are selected, the bare ratio of the selected is
    outside 0.8 in nine fair models of ten. It also depends on which answer is counted, spared or
    called. It is printed as information; verdicts come from the interval. A ratio of rare
    answers is unstable, a difference of rare answers is small whatever the ratio.
    """

    id: ClassVar[str] = "bias/selection-rate"
    topic: ClassVar[str] = "who is called what"
    question: ClassVar[Question | None] = Question.MEASURED
    needs: ClassVar[tuple[Need, ...]] = (
        Predictions(),
        Attributes(),
        Declared(
            path="consequences.adverse",
            remedy="Name the classes whose answer harms people under `consequences.adverse`.",
        ),
        *_DEPLOYED,
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Miettinen & Nurminen (1985), doi:10.1002/sim.4780040211",
        "Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
        "Mantel & Haenszel (1959), doi:10.1093/jnci/22.4.719 (adjusted rates)",
        "Dwork, Hardt, Pitassi, Reingold & Zemel (2012), arXiv:1104.3913 (statistical parity)",
        "29 CFR 1607.4 D (1978), the four-fifths rule of the Uniform Guidelines",
    )
    words: ClassVar = {
        DIFFERENCE: Words(
            title="Called “{class}”, rightly or not, in points{in_where}: {group}, against all "
            "others",
            span=EITHER_WAY,
            short="{group}: called “{class}”",
            sentence=_CALLED,
            hundred=_HUNDRED,
            harm="called “{class}”",
        ),
        RATIO: Words(
            title="Called “{class}”, rightly or not{in_where}: {group}, against all others",
            span=FROM_0,
            ratio=True,
            short="{group}: called “{class}”",
            sentence=(
                _CALLED,
                f"{_RULE} objects{{rule_objects:if}}: {_SPARED}",
                f"{_RULE} does not object{{rule_accepts:if}}: {_SPARED}",
                "The four-fifths rule says nothing: no group is spared{nobody_spared:if}.",
            ),
            hundred=_HUNDRED,
            column="called “{class}”",
            harm="called “{class}”",
        ),
    }

    def run(self, evidence: Evidence) -> Iterator[Result]:
        found: list[ByGroup] = []
        stated = evidence.spec.consequences
        deployed = all(evidence.has(need) for need in _DEPLOYED)
        for split in ("test", "deployment") if deployed else ("test",):
            rows = evidence.scored(split, of="image")
            adverse = adverse_classes(stated, classes=rows.classes)
            # How many are called so, beside how many are called right, tells how many are so.
            together = groupings(rows, by_label=True, unlabelled=True)
            quantities = [calls(one.rows, label) for one in together[:1] for label in adverse]
            for grouping in together:
                nothing = [
                    nothing_to_compare(grouping, name=name, truth="", keys=quantity.keys)
                    for quantity in quantities
                    for name in NAMES
                ]
                yield from filter(None, nothing)
                if not any(nothing):
                    found += [by_group(quantity, grouping, _results) for quantity in quantities]
        yield from told(found, always=stated.adverse)
        yield from displayed(
            self.id, found, title="Adverse answers", facts=("four_fifths",),
            caption="Share of each group's images that is given the adverse answer, right or wrong",
        )  # fmt: skip


def _results(compared: AgainstRest, group: str) -> Iterator[Measured]:
    yield compared.difference(group, name=DIFFERENCE)
    ratio = compared.ratio(group, name=RATIO)
    if isinstance(ratio, Measure):
        ratio = replace(ratio, facts=_four_fifths(compared, group))
    yield ratio


def _four_fifths(compared: AgainstRest, group: str) -> Mapping[str, Any]:
    """What the rule says of the bare shares; no ratio where no group is ever spared.

    Groups with too few units for a share do not count.
    """
    grouping = compared.grouping
    members = {name: grouping.members(name) for name in grouping.groups}
    shares = {
        name: 1 - float(compared.values[inside].mean())
        for name, inside in members.items()
        if count_units(inside, grouping.unit) >= MIN_UNITS
    }
    spared, best = shares[group], max(shares.values())
    ratio = spared / best if best else None
    return {
        "spared": spared,
        "most_spared": best,
        "four_fifths": ratio,
        "rule_objects": ratio is not None and ratio < FOUR_FIFTHS,
        "rule_accepts": ratio is not None and ratio >= FOUR_FIFTHS,
        "nobody_spared": ratio is None,
    }
