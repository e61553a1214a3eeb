"""bias/error-rates: who is wrongly given the adverse answer, and whose case is missed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, ClassVar

from auditor.bias.equalised_odds import NAME as EQUALISED_ODDS
from auditor.bias.equalised_odds import equalised_odds, reasons_together
from auditor.comparing.against_rest import AgainstRest
from auditor.comparing.by_group import ByGroup, by_group, displayed, told
from auditor.comparing.groups import Grouping, groupings, nothing_to_compare
from auditor.contract import Attributes, Check, Declared, Evidence, LabelledSplits, Need, Words
from auditor.contract.words import EITHER_WAY, FROM_0
from auditor.findings import Measure, Measured, Question, Result, Subject, Unmeasured
from auditor.scoring.cost import adverse_classes, error_weight
from auditor.scoring.quantities import Quantity, false_negatives, false_positives
from auditor.scoring.rows import Rows
from auditor.spec import ConsequencesSpec

KINDS = ("false-positive", "false-negative")
_ERRORS = dict(zip(KINDS, (false_positives, false_negatives), strict=True))
_AtRisk = Mapping[str, Grouping]
"""The rows that could suffer an error of each of `KINDS`, by the groups of one attribute."""
NO_ADVERSE = "Name the classes whose answer harms people under `consequences.adverse`."
ADVERSE = Declared(path="consequences.adverse", remedy=NO_ADVERSE, optional=True)
_ACTION = "fix and test again for {group}; a person reviews each “{class}”"


def _wrongly_called(*, points: str = "") -> tuple[Words, ...]:
    seen = Words(
        title="“{class}” seen where there is none{holds_several:if}"
        + points + "{in_where}: {group}, against all others",
        short="{group}: “{class}” seen where there is none",
        sentence="Images without {class} in which it is seen all the same{in_where}, {group}: "
        "{this}; all others {other}; {gap}.",
        hundred="Of 100 images of {group} without “{class}”, it is seen in {here} all the same; "
        "of 100 others, in {there}.",
        column=f"“{{class}}” seen where none is{points}",
        action=_ACTION,
        among="{rows} without “{class}”",
        harm="more “{class}” seen where there is none",
        harm_rank=0,
        span=EITHER_WAY if points else FROM_0,
        ratio=not points,
    )  # fmt: skip
    answered = Words(
        title="Wrongly called “{class}”" + points
        + "{in_where}: {group}, against all others",
        short="{group}: wrongly called “{class}”",
        sentence="Wrongly called {class}{in_where}, {group}: {this}; all others {other}; {gap}.",
        hundred="Of 100 {rows} of {group} that are not “{class}”, {here:are/is} wrongly called so; "
        "of 100 others, {there}.",
        column=f"wrongly called “{{class}}”{points}",
        action=_ACTION,
        among="{rows} that are not “{class}”",
        harm="wrongly called “{class}”",
        harm_rank=0,
        span=EITHER_WAY if points else FROM_0,
        ratio=not points,
    )  # fmt: skip
    rare = Words("Wrong calls{in_where}: {group}, against all others", "{group}: wrong calls")
    return seen, answered, rare


def _missed(*, points: str = "") -> tuple[Words, ...]:
    answered = Words(
        title="“{class}” missed" + points
        + "{in_where}: {group}, against all others",
        short="{group}: “{class}” missed",
        sentence="Missed cases of {class}{in_where}, {group}: {this}; all others {other}; {gap}.",
        hundred="Of 100 “{class}” {rows} of {group}, {here:are/is} missed; of 100 others, {there}.",
        column=f"“{{class}}” missed{points}",
        action=_ACTION,
        among="“{class}” {rows}",
        harm="“{class}” missed",
        harm_rank=0,
        span=EITHER_WAY if points else FROM_0,
        ratio=not points,
    )  # fmt: skip
    objects = replace(
        answered,
        sentence="Missed objects of {class}{in_where}, {group}: {this}; all others {other}; {gap}.",
        hundred="Of 100 “{class}” objects of {group}, {here:are/is} missed; of 100 others, "
        "{there}.",
        action="fix and test again for {group}",
        harm="more “{class}” objects missed",
        of="object",
    )
    images = replace(
        answered,
        title=answered.title + "{holds_several:if}",
        sentence="Images with {class} in which it is missed{in_where}, {group}: {this}; all others "
        "{other}; {gap}.",
        hundred="Of 100 images of {group} with “{class}”, it is missed in {here}; of 100 others, "
        "in {there}.",
        action="fix and test again for {group}",
        among="{rows} with “{class}”",
        harm="“{class}” missed in more images",
    )
    rare = Words("Missed cases{in_where}: {group}, against all others", "{group}: missed cases")
    return objects, images, answered, rare


@dataclass(frozen=True)
class ErrorRates(Check):
    """How often each group is wrongly given an answer, or its cases missed, against all others.

    What it measures
    ----------------
    For every class and every group two rates: the share of its images that are *not* of that
    class and are called so (false-positive), and the share of its images of that class that are
    called something else (false-negative). Each is compared with the same rate among all other
    images, in the test data and in labelled deployment data, as a difference for every class,
    and for the adverse classes of the spec as a ratio too: 1 means as often, 3 three times as
    often. With two classes the errors of one are those
    of the other, so one is reported: the adverse one, else the second. Equalised odds is the
    largest difference between any two groups of an attribute in either rate; its range holds
    however many groups there are. Of a detector, whose images may hold several classes, the
    errors are: objects of the class that are missed, and, among the images that hold none of it,
    those where it is seen; groups of objects (small, occluded) have misses only. A segmenter's are
    both of images. Each gap is given once more among images of the same group
    of every other attribute of role condition (Mantel-Haenszel), and the sentence says where a
    condition explains the gap, hides one, or leaves it as it is.

    Why it matters
    --------------
    Errors are not alike. Who is called "serious" without being so bears the measure that
    follows; accuracy counts that error like any other, and a group may bear most of it while
    its accuracy is like everyone's.

    How it can mislead
    ------------------
    Ratios of rare errors are unstable: with 5% errors in 100 images a ratio above 1.25 comes up
    by luck in more than a quarter of fair models, so the interval counts. A large ratio of two
    tiny rates may concern very few people; read the rates beside it. The truth is the label:
    where an inspector's labels are harsher on one group, so is the model, and this check cannot
    see it. Where neither side has an error there is no ratio. That a condition explains a gap
    does not excuse it: people who live in old buildings bear the errors made there. A condition
    that was not recorded explains nothing here, and one that goes with the group everywhere
    cannot be told apart from it. The largest of many differences is large by luck in small
    groups: no limit should rest on equalised odds alone.
    """

    id: ClassVar[str] = "bias/error-rates"
    topic: ClassVar[str] = "harmful errors per group"
    question: ClassVar[Question | None] = Question.MEASURED
    needs: ClassVar[tuple[Need, ...]] = (LabelledSplits(), Attributes(), ADVERSE)
    sources: ClassVar[tuple[str, ...]] = (
        "Miettinen & Nurminen (1985), doi:10.1002/sim.4780040211",
        "Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
        "Hardt, Price & Srebro (2016), arXiv:1610.02413 (equality of error rates)",
        "Mantel & Haenszel (1959), doi:10.1093/jnci/22.4.719 (adjusted gaps)",
        "Sato (1989), doi:10.2307/2531784; Greenland & Robins (1985), doi:10.2307/2530643",
        "Yan & Su (2010), doi:10.1198/sbr.2009.0049 (intervals of adjusted differences)",
    )
    words: ClassVar = {
        "false-positive-ratio": _wrongly_called(),
        "false-negative-ratio": _missed(),
        "false-positive-difference": _wrongly_called(points=", in points"),
        "false-negative-difference": _missed(points=", in points"),
        "adverse-ratios": Words(
            title="Harmful errors of groups, as ratios", short="harmful errors as ratios"
        ),
        EQUALISED_ODDS: (
            Words(
                title="Largest gap in errors between groups of {attribute}{in_where}, “{class}”",
                scale="difference",
                short="{attribute}: error gap",
                sentence=(
                    "Groups of {attribute}{in_where} are at most {value} apart",
                    "in how often they are wrongly called {wrongly_called}:",
                    "in how often {seen} is seen where there is none:",
                    "in how often {missed} is missed:",
                    "{worst} {highest:percent}, {best} {lowest:percent};",
                    "the other kind of error is no further apart.",
                ),
                action=_ACTION.replace("{group}", "all groups of {attribute}"),
                harm="errors furthest apart by {attribute}",
                harm_rank=0,
            ),
            Words("Largest gaps in errors between groups, {split} data", "error gaps"),
        ),
    }

    most_classes: Annotated[
        int, "Every class is compared up to this many classes, else the adverse ones."
    ] = 5

    def run(self, evidence: Evidence) -> Iterator[Result]:
        found: list[ByGroup] = []
        for split in evidence.labelled_splits():
            rows = evidence.scored(split)
            adverse = adverse_classes(evidence.spec.consequences, classes=rows.classes)
            reported = self._reported(rows, adverse)
            if not adverse and split == "test":
                yield from _no_adverse(reported, rows.classes)
            if reported:
                images = rows if rows.of == "image" else evidence.scored(split, of="image")
                consequences = evidence.spec.consequences
                sides = _at_risk(rows, images)
                told_apart = self._compared(sides, reported, adverse, consequences, found)
                yield from reasons_together(told_apart, always=adverse)
        yield from told(found, always=evidence.spec.consequences.adverse)
        harmful = [one for one in found if _harms(one, evidence.spec.consequences.adverse)]
        yield from displayed(
            self.id, found, title="Errors", pictured=harmful,
            caption="Share of those that could suffer an error that do",
        )  # fmt: skip

    def _reported(self, rows: Rows, adverse: tuple[str, ...]) -> tuple[str, ...]:
        """Classes whose errors are compared, adverse ones first; of two, one may stand for both."""
        classes = rows.classes
        if len(classes) == 2 and rows.presence.one_each:
            return adverse or classes[1:]
        chosen = classes if len(classes) <= self.most_classes else adverse
        return tuple(sorted(chosen, key=lambda name: name not in adverse))

    def _compared(
        self,
        sides: Iterator[_AtRisk],
        reported: tuple[str, ...],
        adverse: tuple[str, ...],
        consequences: ConsequencesSpec,
        found: list[ByGroup],
    ) -> Iterator[Measured]:
        """What has no comparison, and equalised odds; comparisons of errors go to `found`."""
        forms = ("ratio", "difference") if adverse else ("difference",)
        # The rows of an error are the same for every attribute.
        errors: dict[tuple[str, str], Quantity] = {}
        for side in sides:
            nothing = [nothing_to_compare(among, name=f"{kind}-{form}")
                       for form in forms for kind, among in side.items()]  # fmt: skip
            if any(nothing):
                yield from filter(None, nothing)
                continue
            for label in reported:
                measure = partial(_both, consequences) if label in adverse else _difference
                for kind, among in side.items():
                    if (kind, label) not in errors:
                        errors[kind, label] = _ERRORS[kind](among.rows, label)
                    found.append(by_group(errors[kind, label], among, measure))
            # Groups of objects have misses only.
            if len(side) == len(KINDS):
                alarms, misses = (side[kind] for kind in KINDS)
                other = None if alarms is misses else alarms
                yield from (equalised_odds(misses, c, alarms=other) for c in adverse or reported)


def _at_risk(rows: Rows, images: Rows) -> Iterator[_AtRisk]:
    """For each attribute the rows that could suffer each error: false alarms befall images."""
    alarms = (
        {} if images is rows else {g.attribute.name: g for g in groupings(images, by_label=True)}
    )
    for grouping in groupings(rows, by_label=True):
        name = grouping.attribute.name
        if images is rows:
            yield dict.fromkeys(KINDS, grouping)
        elif name in alarms:
            yield {KINDS[0]: alarms[name], KINDS[1]: grouping}
        else:
            yield {KINDS[1]: grouping}


def _difference(compared: AgainstRest, group: str) -> Iterator[Measured]:
    yield compared.difference(
        group, name=f"{compared.quantity.name}-difference", facts=_facts(compared)
    )


def _both(consequences: ConsequencesSpec, compared: AgainstRest, group: str) -> Iterator[Measured]:
    name, facts = f"{compared.quantity.name}-ratio", _facts(compared)
    ratio = compared.ratio(group, name=name, facts=facts)
    if isinstance(ratio, Measure):
        label = ratio.subject.get("class")
        said = {"answered" if compared.quantity.name == KINDS[0] else "true": label}
        classes = compared.grouping.rows.classes
        ratio = replace(ratio, weight=error_weight(consequences, classes=classes, **said))
    yield ratio
    yield from _difference(compared, group)


def _facts(compared: AgainstRest) -> Mapping[str, Any] | None:
    """Of rows that may hold several classes it is said otherwise."""
    return None if compared.grouping.rows.presence.one_each else {"holds_several": True}


def _harms(one: ByGroup, adverse: tuple[str, ...]) -> bool:
    return not adverse or one.compared.quantity.keys["class"] in adverse


def _no_adverse(reported: tuple[str, ...], classes: tuple[str, ...]) -> Iterator[Unmeasured]:
    subject = Subject.of(split="test")
    yield Unmeasured(
        name="adverse-ratios",
        subject=subject,
        reason="The spec names no class as adverse, so no ratio of harmful errors is given.",
        remedy=NO_ADVERSE,
    )
    for kind in KINDS if not reported else ():
        yield Unmeasured(
            name=f"{kind}-difference",
            subject=subject,
            reason=f"The spec names no class as adverse, and {len(classes)} classes are too "
            "many to compare the errors of each.",
            remedy=NO_ADVERSE,
        )
