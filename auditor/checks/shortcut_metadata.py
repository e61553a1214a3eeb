"""shortcut/metadata: whether the model decides by an attribute that should carry no weight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from auditor.checks.association import (
    Association,
    aligned_minus_conflicting,
    associated,
    depends_on_group,
)
from auditor.contract import Attributes, Check, ClassScores, Evidence, Need, Truth, Words
from auditor.contract.words import EITHER_WAY
from auditor.data.dataset import MISSING_GROUP, Attribute
from auditor.findings import (
    Axis,
    Cell,
    Column,
    Figure,
    Measure,
    Result,
    Side,
    Subject,
    Table,
    Unmeasured,
)
from auditor.scoring.comparison import count_units, too_few, worst_first
from auditor.scoring.outcomes import Outcomes
from auditor.stats import rate, value


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
    label are compared with each other, so that a class that is easy to see does not count.

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
        ClassScores(),
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

    words: ClassVar = {
        "association": Words(
            title="How strongly {attribute} goes with the label",
            short="{attribute} goes with the label",
            sentence="How strongly {attribute} goes with the label, from 0 (not at all) to 1: "
            "{value} over {n} images.",
        ),
        "accuracy-worth": Words(
            title="Accuracy that rests on {attribute}",
            span=EITHER_WAY,
            short="{attribute} decides",
            sentence="Accuracy where {attribute} goes with the label {this}; where they disagree "
            "{other}; among images of the same label {gap}.",
            hundred="Of 100 images whose {attribute} goes with the label it answers {here} "
            "rightly; of 100 where they disagree, {there}.",
            sides=("Goes with the label", "Disagrees with it"),
            action="train without {attribute} in the pictures, and test again",
        ),
    }

    least_conflicting: Annotated[
        int, "With fewer images than this whose attribute and label disagree, nothing is measured."
    ] = 20

    def run(self, evidence: Evidence) -> Iterator[Result]:
        outcomes = evidence.answers().by_label().with_labels()
        rng = evidence.rng
        rows: list[tuple[Cell, ...]] = []
        for attribute in outcomes.dataset.attributes_of("nuisance"):
            known = outcomes.take(outcomes.groups(attribute.name) != MISSING_GROUP)
            subject = Subject.of(split="test", attribute=attribute.name)
            nothing = _nothing_to_associate(known, attribute, subject)
            if nothing is not None:
                yield nothing
                continue
            found = associated(
                known.labels, known.groups(attribute.name), unit=known.units, rng=rng
            )
            yield _association(found, known, subject)
            yield self._worth(found, known, subject, rng=rng)
            rows += _rows(found, known, attribute)
            yield _heat(found, known, attribute)
        if rows:
            yield _table(rows)

    def _worth(
        self, found: Association, outcomes: Outcomes, subject: Subject, *, rng: np.random.Generator
    ) -> Measure | Unmeasured:
        """Accuracy where attribute and label agree minus where they disagree."""
        comparable = found.comparable
        aligned, conflicting = found.aligned & comparable, found.conflicting & comparable
        if conflicting.sum() < self.least_conflicting:
            return _too_few_conflicting(int(conflicting.sum()), self.least_conflicting, subject)
        few = too_few(
            "accuracy-worth",
            subject,
            sides={
                "the part where attribute and label agree": count_units(aligned, outcomes.units),
                "the part where they disagree": count_units(conflicting, outcomes.units),
            },
            noun="images" if outcomes.units is None else "units",
        )
        if few is not None:
            return few
        return _measured(
            found, outcomes, subject, aligned=aligned, conflicting=conflicting, rng=rng
        )


def _measured(
    found: Association,
    outcomes: Outcomes,
    subject: Subject,
    *,
    aligned: np.ndarray,
    conflicting: np.ndarray,
    rng: np.random.Generator,
) -> Measure:
    worth = aligned_minus_conflicting(
        outcomes.correct, found.labels, aligned=aligned, conflicting=conflicting,
        unit=outcomes.units,
    )  # fmt: skip
    return Measure(
        name="accuracy-worth",
        subject=subject,
        estimate=worth,
        scale="difference",
        neutral=0.0,
        better="lower",
        n=int((aligned | conflicting).sum()),
        n_units=None
        if outcomes.units is None
        else count_units(aligned | conflicting, outcomes.units),
        sides=(_side(outcomes, aligned), _side(outcomes, conflicting)),
        examples=worst_first(
            outcomes.image_ids,
            badness=outcomes.confidence,
            among=conflicting & ~outcomes.correct,
        ),
        facts={
            "n_conflicting": int(conflicting.sum()),
            "dependence_p": depends_on_group(
                outcomes.true_probability, found, unit=outcomes.units, rng=rng
            ),
        },
    )


def _side(outcomes: Outcomes, keep: np.ndarray) -> Side:
    units = outcomes.units
    found = rate(outcomes.correct[keep], unit=None if units is None else units[keep])
    return Side(found, int(keep.sum()))


def _nothing_to_associate(
    outcomes: Outcomes, attribute: Attribute, subject: Subject
) -> Unmeasured | None:
    groups = set(outcomes.groups(attribute.name).tolist())
    labels = set(outcomes.labels.tolist())
    if len(groups) >= 2 and len(labels) >= 2:
        everyone = np.ones(len(outcomes), dtype=bool)
        noun = "images" if outcomes.units is None else "units"
        sides = {"the labelled test data": count_units(everyone, outcomes.units)}
        return too_few("accuracy-worth", subject, sides=sides, noun=noun)
    what = "group" if len(groups) < 2 else "label"
    return Unmeasured(
        name="accuracy-worth",
        subject=subject,
        reason=f"Labelled test images with a value of {attribute.name} have fewer than two "
        f"{what}s: nothing can go together.",
        remedy=f"Collect test images of at least two {what}s.",
    )


def _too_few_conflicting(found: int, least: int, subject: Subject) -> Unmeasured:
    name = subject.get("attribute")
    return Unmeasured(
        name="accuracy-worth",
        subject=subject,
        reason=f"Only {found} test images show a label that is rare for their {name}; with fewer "
        f"than {least} it cannot be seen whether the model leans on {name}.",
        remedy=f"Ask for images where {name} and the label disagree, at least {least - found} "
        "more, or probe the artefact itself under `shortcuts`.",
    )


def _association(found: Association, outcomes: Outcomes, subject: Subject) -> Measure:
    n, units = len(outcomes), outcomes.units
    return Measure(
        name="association",
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
    )


def _rows(found: Association, outcomes: Outcomes, attribute: Attribute) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for g, group in enumerate(found.group_names):
        for c, label in enumerate(found.label_names):
            inside = (found.groups == g) & (found.labels == c)
            n = int(inside.sum())
            right = float(outcomes.correct[inside].mean()) if n else None
            expected = float(found.expected[g, c])
            name = "other classes" if label < 0 else outcomes.classes[label]
            rows.append((attribute.name, group, name, n, expected, right))
    return rows


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    return Table(
        id="shortcut/metadata:cells",
        title="Images and accuracy by nuisance attribute and label",
        columns=(Column("attribute"), Column("group"), Column("label"), Column("images"),
                 Column("images if unrelated"), Column("accuracy", "share")),
        rows=tuple(rows),
    )  # fmt: skip


def _heat(found: Association, outcomes: Outcomes, attribute: Attribute) -> Figure:
    """Share of each group's images by label: equal rows mean no association."""
    rows: list[dict[str, Cell]] = []
    for g, group in enumerate(found.group_names):
        of_group = found.groups == g
        for c, label in enumerate(found.label_names):
            n = int((of_group & (found.labels == c)).sum())
            name = "other classes" if label < 0 else outcomes.classes[label]
            share = n / int(of_group.sum())
            rows.append({"row": group, "column": name, "value": share, "text": str(n)})
    return Figure(
        id=f"shortcut/metadata:{attribute.name}",
        kind="heat",
        title=f"Labels by {attribute.name}",
        caption=f"Share of the images of each {attribute.name} with each label; numbers are "
        "images. Rows that are alike mean that the two do not go together.",
        alt=f"Cramér's V of {attribute.name} and label: {value(found.strength):.2f}.",
        x=Axis("label"),
        y=Axis(attribute.name),
        rows=tuple(rows),
    )
