"""shortcut/metadata: whether the model decides by an attribute that should carry no weight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np

from auditor.checks.association import (
    Association,
    aligned_minus_conflicting,
    answers_depend_on_group,
    associated,
    depends_on_group,
    units_by_label,
)
from auditor.checks.attribute_cells import cell_rows, cell_table, heat, worst_cell
from auditor.checks.labelled_rows import CLASS_SCORES, LabelledRows, labelled_rows
from auditor.checks.shortcut_grades import (
    COLUMNS,
    MARGIN,
    Grade,
    cleared,
    graded_cells,
    with_cleared,
)
from auditor.contract import (
    Attributes,
    Check,
    Evidence,
    Need,
    Predictions,
    Truth,
    Words,
)
from auditor.contract.words import EITHER_WAY
from auditor.data.dataset import MISSING_GROUP, Attribute
from auditor.findings import Cell, Measure, Result, Side, Subject, Table, Unmeasured
from auditor.scoring.comparison import count_units, too_few, worst_first
from auditor.stats import bound, rate

_WORST = (
    "Lowest of {cells} combinations: “{worst[label]}”, where {attribute} is {worst[group]}: "
    "{worst[share]:percent} ({worst[low]:percent} to {worst[high]:percent}) of {worst[n]:,}."
)
_ALPHA = 0.05
_LEAST_TOLD = 100
"""Images, of different units, by which it is told that answers do not go with an attribute."""


_CLEARED = (
    "That clears {attribute}: it is not shown to be worth anything, and shown to be worth less "
    "than {cleared_below:points} points.",
    "That clears {attribute}: no worth is shown, all of 10 points or more is ruled out, it goes "
    "with the label by {goes_with:.2f} of 1 at most, and among images of the same label scores and "
    "answers do not go with it (p = {no_p:.2g}).",
)

_WORDS: Mapping[str, Words | tuple[Words, ...]] = {
    "association": Words(
        title="How strongly {attribute} goes with the label",
        scale="amount",
        short="{attribute} goes with the label",
        sentence="How strongly {attribute} goes with the label, from 0 (not at all) to 1: "
        "{value} over {n:rows}. That is what the data offer, not what the model uses.",
    ),
    "presence-association": Words(
        title="How strongly {attribute} goes with {class} in the image",
        scale="amount",
        short="{attribute} goes with {class}",
        sentence="How strongly {attribute} goes with whether {class} is in the image, from 0 "
        "(not at all) to 1: {value} over {n:rows}. That is what the data offer, not what the "
        "model uses.",
    ),
    "accuracy-worth": Words(
        title="Accuracy that rests on {attribute}",
        span=EITHER_WAY,
        short="{attribute} decides",
        column="accuracy that rests on it",
        sentence=(
            "Accuracy where {attribute} goes with the label {this}; where they disagree "
            "{other}; among images of the same label {gap}.",
            *_CLEARED,
            _WORST,
        ),
        hundred="Of 100 images where {attribute} goes with the label it answers {here} "
        "rightly; of 100 where they disagree, {there}.",
        sides=("Goes with the label", "Disagrees with it"),
        compared="Difference, adjusted for label",
        action="train without {attribute} in the pictures, and test again",
    ),
    "found-worth": Words(
        title="Objects found that rest on {attribute}",
        span=EITHER_WAY,
        short="{attribute} decides what is found",
        column="objects found that rest on it",
        sentence=(
            "Objects found where {attribute} goes with their class {this}; where they disagree "
            "{other}; among objects of the same class {gap}.",
            _WORST,
        ),
        hundred="Of 100 objects where {attribute} goes with their class it finds {here}; of "
        "100 where they disagree, {there}.",
        sides=("Goes with the class", "Disagrees with it"),
        compared="Difference, adjusted for class",
        action="train without {attribute} in the pictures, and test again",
    ),
    "presence-worth": Words(
        title="Seeing {class} that rests on {attribute}",
        span=EITHER_WAY,
        short="{attribute} decides whether {class} is seen",
        sentence=(
            "How often it is rightly said that {class} is in the image, or is not: where "
            "{attribute} goes with it {this}; where they disagree {other}; among images alike "
            "in it {gap}.",
            _WORST,
        ),
        hundred="Of 100 images where {attribute} goes with {class} being there, or not, it is "
        "right about {here}; of 100 where they disagree, about {there}.",
        sides=("Goes with the class", "Disagrees with it"),
        compared="Difference, adjusted for class",
        action="train without {attribute} in the pictures, and test again",
    ),
}


@dataclass(frozen=True)
class Metadata(Check):
    """Whether nuisance attributes go with the label, and whether the model leans on them.

    What it measures
    ----------------
    For every attribute of role nuisance (device, overlay, photographer): `association`, how
    strongly it goes with the label in the test set (Cramér's V, corrected for chance; 0 none, 1
    complete), and `accuracy-worth`, the accuracy on images whose attribute agrees with their
    label minus that on images where the two disagree. An image agrees when its label is
    commoner in its group than elsewhere, and disagrees when it is rarer. Images of the same
    label are compared with each other, so that a class that is easy to see does not count. The
    worst cell of label and group is told, its range widened for the number of cells.
    Of a detector the same is asked of objects (`found-worth`: how many more are found of those
    whose class goes with the attribute), and of a detector and a segmenter of images, for each
    class: whether it is in the image (`presence-association`), and how often the model rightly
    says so, or not (`presence-worth`).

    Why it matters
    --------------
    If serious cases were photographed with one phone, a model can be right by reading the
    phone. It scores as well as an honest one wherever phone and case go together, and fails on
    the few images where they part: those few are what this check looks at.

    How it can mislead
    ------------------
    It only observes. The stronger the shortcut in the test set, the fewer images disagree and
    the less this check can show; with fewer than 20 it says so and gives no number, which is no
    sign that all is well. `shortcut/toggle` does not lose power that way. A group whose photos
    are harder costs accuracy too; that cancels out where the group is the rare one for one label
    and the common one for another, not where it is rare for all. Dependence of scores on the
    attribute given the label (`dependence_p`) is no shortcut by itself: models are sensitive to
    blur and tint that they never saw go with a label.
    """

    id: ClassVar[str] = "shortcut/metadata"
    topic: ClassVar[str] = "whether circumstances decide"
    needs: ClassVar[tuple[Need, ...]] = (
        Predictions(),
        CLASS_SCORES,
        Truth(),
        Attributes(roles=("nuisance",)),
    )
    cannot_see: ClassVar[str] = (
        "What is no attribute of the manifest, and a shortcut so strong that hardly any image "
        "shows attribute and label apart."
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Geirhos et al. (2020), arXiv:2004.07780 (shortcut learning)",
        "Bergsma (2013), doi:10.1016/j.jkss.2012.10.002 (corrected Cramér's V)",
        "Mantel & Haenszel (1959), doi:10.1093/jnci/22.4.719 (weights of the labels)",
    )

    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = with_cleared(
        _WORDS, {"accuracy-worth": "{attribute} cleared"}
    )

    least_conflicting: Annotated[
        int,
        "With fewer images (or objects) than this whose attribute and label disagree, nothing is "
        "measured.",
    ] = 20
    least_association: Annotated[
        float, "From so strong an association on the table of grades says that the data offer it."
    ] = 0.2
    most_classes: Annotated[
        int, "Classes whose presence in images is looked at, the best balanced."
    ] = 10

    def run(self, evidence: Evidence) -> Iterator[Result]:
        rng = evidence.rng
        probed = {name for s in evidence.spec.shortcuts for name in s.carried_by or {}}
        graded: list[tuple[Cell, ...]] = []
        cells: dict[str, list[tuple[Cell, ...]]] = {}
        for labelled in labelled_rows(evidence, most=self.most_classes):
            for attribute in labelled.dataset.attributes_of("nuisance"):
                known = labelled.take(labelled.groups(attribute.name) != MISSING_GROUP)
                keys = {"attribute": attribute.name, **labelled.keys}
                subject = Subject.about(keys, split="test")
                nothing = _nothing_to_associate(known, attribute, subject)
                if nothing is not None:
                    yield nothing
                    continue
                found = associated(
                    known.labels, known.groups(attribute.name), unit=known.units, rng=rng
                )
                yield _association(found, known, subject)
                worth = self._worth(found, known, subject, rng=rng)
                if isinstance(worth, Measure) and attribute.name not in probed:
                    facts = self._cleared(found, worth, known, rng=rng)
                    worth = replace(worth, facts={**worth.facts, **facts})
                yield worth
                graded.append(self._graded(found, worth, known, attribute))
                cells.setdefault(known.kind, []).extend(cell_rows(found, known, attribute))
                if labelled.about == "class":
                    yield heat(found, known, attribute)
        if graded:
            yield _grades(graded)
            yield from (cell_table(kind, rows) for kind, rows in cells.items())

    def _worth(
        self, found: Association, known: LabelledRows, subject: Subject, *, rng: np.random.Generator
    ) -> Measure | Unmeasured:
        """Accuracy where attribute and label agree minus where they disagree."""
        comparable = found.comparable
        aligned, conflicting = found.aligned & comparable, found.conflicting & comparable
        if conflicting.sum() < self.least_conflicting:
            return _too_few_conflicting(
                int(conflicting.sum()), self.least_conflicting, known, subject
            )
        few = too_few(
            known.worth_name,
            subject,
            sides={
                "the part where attribute and label agree": count_units(aligned, known.units),
                "the part where they disagree": count_units(conflicting, known.units),
            },
            noun=known.noun,
        )
        if few is not None:
            return few
        return _measured(found, known, subject, aligned=aligned, conflicting=conflicting, rng=rng)

    def _cleared(
        self, found: Association, worth: Measure, known: LabelledRows, *, rng: np.random.Generator
    ) -> Mapping[str, Any]:
        """The facts of what is shown not to be used: too little is worth, or nothing offers it.

        Worth alone tells of what goes with the label here. What else the model makes of an
        attribute shows in its scores and answers, and is asked of them. Of objects, and of classes
        in images, nothing is cleared: it may be used for one class.
        """
        if worth.name != "accuracy-worth":
            return {}
        low, high = (bound(worth.estimate, side=side) for side in ("low", "high"))
        p = worth.facts["dependence_p"]
        if not (-2 * MARGIN < low <= 0 <= high < 2 * MARGIN and p > _ALPHA):
            return {}
        if units_by_label(found.labels, unit=known.units) < _LEAST_TOLD:
            return {}
        if known.answers is not None:
            p = min(p, answers_depend_on_group(known.answers, found, unit=known.units, rng=rng))
        if p <= _ALPHA:
            return {}
        most = bound(found.strength, side="high")
        offers = most >= self.least_association
        offered = {} if offers else {"cleared": True, "goes_with": most, "no_p": p}
        return cleared(worth.estimate, margin=MARGIN) or offered

    def _graded(
        self, found: Association, worth: Measure | Unmeasured, known: LabelledRows,
        attribute: Attribute,
    ) -> tuple[Cell, ...]:  # fmt: skip
        row = graded_cells(
            attribute.name,
            known.keys.get("class", f"all {known.of}s"),
            opportunity=found.strength,
            reliance=worth.estimate if isinstance(worth, Measure) else None,
            margin=MARGIN,
            least=self.least_association,
        )
        return row if isinstance(worth, Measure) else (*row[:-1], str(Grade.INCONCLUSIVE))


def _measured(
    found: Association,
    known: LabelledRows,
    subject: Subject,
    *,
    aligned: np.ndarray,
    conflicting: np.ndarray,
    rng: np.random.Generator,
) -> Measure:
    worth = aligned_minus_conflicting(
        known.success, found.labels, aligned=aligned, conflicting=conflicting, unit=known.units
    )
    both = aligned | conflicting
    return Measure(
        name=known.worth_name,
        subject=subject,
        estimate=worth,
        scale="difference",
        neutral=0.0,
        better="lower",
        n=int(both.sum()),
        n_units=None if known.units is None else count_units(both, known.units),
        sides=(_side(known, aligned), _side(known, conflicting)),
        examples=worst_first(
            known.image_ids,
            badness=known.confidence,
            among=conflicting & ~known.success,
        ),
        facts={
            "n_conflicting": int(conflicting.sum()),
            "dependence_p": depends_on_group(known.score, found, unit=known.units, rng=rng),
            **worst_cell(found, known),
        },
        of=known.of,
    )


def _side(known: LabelledRows, keep: np.ndarray) -> Side:
    units = known.units
    found = rate(known.success[keep], unit=None if units is None else units[keep])
    return Side(found, int(keep.sum()))


def _nothing_to_associate(
    known: LabelledRows, attribute: Attribute, subject: Subject
) -> Unmeasured | None:
    groups = set(known.groups(attribute.name).tolist())
    labels = set(known.labels.tolist())
    if len(groups) >= 2 and len(labels) >= 2:
        everyone = np.ones(len(known), dtype=bool)
        sides = {"the labelled test data": count_units(everyone, known.units)}
        return too_few(known.worth_name, subject, sides=sides, noun=known.noun)
    what = "group" if len(groups) < 2 else "label"
    rows = "Labelled test images" if known.of == "image" else "Test objects"
    return Unmeasured(
        name=known.worth_name,
        subject=subject,
        reason=f"{rows} with a value of {attribute.name} have fewer than two "
        f"{what}s: nothing can go together.",
        remedy=f"Collect test images of at least two {what}s.",
    )


def _too_few_conflicting(
    found: int, least: int, known: LabelledRows, subject: Subject
) -> Unmeasured:
    name = subject.get("attribute")
    rows = f"test {known.of}s"
    return Unmeasured(
        name=known.worth_name,
        subject=subject,
        reason=f"Only {found} {rows} show a label that is rare for their {name}; with fewer "
        f"than {least} it cannot be seen whether the model leans on {name}.",
        remedy=f"Ask for images where {name} and the label disagree, at least {least - found} "
        "more, or probe the artefact itself under `shortcuts`.",
    )


def _association(found: Association, known: LabelledRows, subject: Subject) -> Measure:
    n, units = len(known), known.units
    return Measure(
        name="association" if known.about == "class" else "presence-association",
        subject=subject,
        estimate=found.strength,
        scale="amount",
        least=0.0,
        better="lower",
        n=n,
        n_units=None if units is None else count_units(np.ones(n, dtype=bool), units),
        facts={
            "p": found.p,
            "n_aligned": int(found.aligned.sum()),
            "n_conflicting": int(found.conflicting.sum()),
        },
        of=known.of,
    )


def _grades(rows: list[tuple[Cell, ...]]) -> Table:
    return Table(
        id="shortcut/metadata:grades",
        title="Nuisance attributes: whether the data offer them, and whether the model uses them",
        columns=COLUMNS,
        rows=tuple(rows),
    )
