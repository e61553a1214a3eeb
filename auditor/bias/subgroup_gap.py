"""bias/subgroup-gap: whether any group is answered worse than the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from auditor.comparing.against_rest import AgainstRest
from auditor.comparing.by_group import ByGroup, by_group, displayed, told
from auditor.comparing.groups import groupings, nothing_to_compare
from auditor.contract import Attributes, Check, Evidence, LabelledSplits, Need, Words
from auditor.contract.quantity_words import NAMINGS, group_words
from auditor.contract.words import ANY, EITHER_WAY
from auditor.findings import Measured, Question, Result
from auditor.scoring.quantities import Quantity, amount, flag, headline, recall
from auditor.scoring.rows import Rows

_TITLES = {name: naming.title for name, naming in NAMINGS.items()}


@dataclass(frozen=True)
class SubgroupGap(Check):
    """Accuracy, log-loss, and recall of each class, of every group against all other images.

    What it measures
    ----------------
    For every group of every declared attribute: accuracy of its images minus accuracy of all
    images of the other groups, in the test data and in labelled deployment data, and the same
    for the share of each class that is found (recall) and for log-loss, which also counts how
    sure the model was. Images without a value
    of the attribute are counted, and are in neither side. Intervals and tests take units (rooms,
    persons) into account, not images. Each gap is given once more among images of the same group
    of every other attribute of role condition (Mantel-Haenszel), and the sentence says where a
    condition explains the gap, hides one, or leaves it as it is.

    Why it matters
    --------------
    An accuracy over everyone is the accuracy of the majority. A model that errs twice as often
    for one group of tenants shows nothing of it in the total when that group is small.

    How it can mislead
    ------------------
    A gap is not its cause: a group may have harder photos, other classes, or worse labels (an
    inspector who errs more often about one group makes a fair model look unfair, and the
    reverse). Groups that were not declared are not compared. A small group shows large gaps by
    luck, so the interval counts, not the point; that no gap was shown for a small group does not
    mean that there is none. Attributes of role nuisance are compared too: their gaps speak of
    devices and overlays, not of people. That a condition explains a gap does not excuse it:
    people who live in old buildings bear the errors made there. A condition that was not
    recorded explains nothing here, and one that goes with the group everywhere cannot be told
    apart from it. A few answers that are wrong and sure carry most of a log-loss.
    """

    id: ClassVar[str] = "bias/subgroup-gap"
    topic: ClassVar[str] = "accuracy per group"
    question: ClassVar[Question | None] = Question.MEASURED
    needs: ClassVar[tuple[Need, ...]] = (LabelledSplits(), Attributes())
    sources: ClassVar[tuple[str, ...]] = (
        "Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
        "Rao & Scott (1992), doi:10.2307/2532311",
        "Mantel & Haenszel (1959), doi:10.1093/jnci/22.4.719 (adjusted gaps)",
        "Sato (1989), doi:10.2307/2531784; Yan & Su (2010), doi:10.1198/sbr.2009.0049",
        "Barocas, Guo, Kamar et al. (2021), doi:10.1145/3461702.3462610 (disaggregation)",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "accuracy": Words(
            title="Accuracy for {group}{in_where}, against all others",
            span=EITHER_WAY,
            short="{group}: right answers",
            sentence="Accuracy{in_where}, {group}: {this}; all others {other}; {gap}.",
            hundred="Of 100 images of {group} it answers {here} rightly; of 100 others, {there}.",
            column="right answers",
            action="fix and test again for {group}",
            harm="fewer right answers",
            metric="accuracy",
        ),
        "log-loss": Words(
            title="Log-loss for {group}{in_where}, against all others",
            span=ANY,
            short="{group}: sure of wrong answers",
            sentence="Log-loss{in_where} (how sure it was of wrong answers; lower is better), "
            "{group}: {this}; all others {other}; {gap}.",
            harm="surer of wrong answers",
        ),
        "recall": Words(
            title="Share of “{class}” found for {group}{in_where}, against all others",
            span=EITHER_WAY,
            short="{group}: “{class}” found",
            sentence="Share of {class} that is found{in_where}, {group}: {this}; all others "
            "{other}; {gap}.",
            hundred="Of 100 “{class}” {rows} of {group} it finds {here}; of 100 others, {there}.",
            column="“{class}” found",
            action="fix and test again for {group}",
            among="“{class}” {rows}",
            harm="fewer “{class}” found",
            metric="recall",
        ),
        **group_words(),
    }

    most_classes: Annotated[
        int, "Recall is compared for every class up to this many classes, else for adverse ones."
    ] = 10

    def run(self, evidence: Evidence) -> Iterator[Result]:
        adverse = evidence.spec.consequences.adverse
        found: list[ByGroup] = []
        for split in evidence.labelled_splits():
            for of in evidence.kinds:
                rows = evidence.scored(split, of=of)
                # Recall is of what should be found.
                classes = self._classes(rows, adverse) if of == evidence.kinds[0] else ()
                finer, coarser = groupings(rows), groupings(rows, by_label=True)
                if not finer:
                    continue
                every, recalls = _quantities(finer[0].rows), _recalls(coarser[0].rows, classes)
                for grouping, by_label in zip(finer, coarser, strict=True):
                    nothing = [nothing_to_compare(grouping, name=each.name) for each in every]
                    if any(nothing):
                        yield from filter(None, nothing)
                        continue
                    found += [by_group(each, grouping, _difference) for each in every]
                    if by_label.single is None:
                        found += [by_group(each, by_label, _difference) for each in recalls]
            found += self._of_sets(evidence, split, adverse)
        yield from told(found, always=adverse)
        chief = {evidence.scored(split).headline for split in evidence.labelled_splits()}
        pictured = [one for one in found if one.compared.quantity.name in chief]
        title = _TITLES.get(next(iter(chief)), "Accuracy")
        yield from displayed(self.id, found, title=title, pictured=pictured)

    def _classes(self, rows: Rows, adverse: tuple[str, ...]) -> tuple[str, ...]:
        return rows.classes if len(rows.classes) <= self.most_classes else adverse

    def _of_sets(
        self, evidence: Evidence, split: str, adverse: tuple[str, ...]
    ) -> Iterator[ByGroup]:
        """The chief one of the values that a whole set has, and those of classes."""
        values = evidence.set_values(split)
        if not values:
            return
        rows = evidence.scored(split, of="image")
        classes = self._classes(rows, adverse)
        chosen = [values[0], *(q for q in values if q.keys.get("class") in classes)]
        for grouping in groupings(rows):
            if grouping.single is None and len(grouping):
                yield from (by_group(quantity, grouping, _difference) for quantity in chosen)


def _quantities(rows: Rows) -> list[Quantity]:
    """The headline, amounts and faults."""
    amounts, faults = (amount(rows, n) for n in rows.amounts), (flag(rows, n) for n in rows.flags)
    return [headline(rows), *amounts, *faults]


def _recalls(rows: Rows, classes: tuple[str, ...]) -> list[Quantity]:
    return [recall(rows, label) for label in classes]


def _difference(compared: AgainstRest, group: str) -> Iterator[Measured]:
    yield compared.difference(group)
