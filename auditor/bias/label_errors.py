"""bias/label-errors: how many labels are likely wrong, and whether more of them in some group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from auditor.bias.annotator_agreement import no_attribute
from auditor.bias.confident_learning import Doubted, doubted
from auditor.comparing.against_rest import AgainstRest
from auditor.comparing.by_group import ByGroup, by_group, displayed, told
from auditor.comparing.groups import groupings, nothing_to_compare
from auditor.contract import (
    Check,
    ClassScores,
    Evidence,
    LabelledSplits,
    Manifest,
    Need,
    Words,
)
from auditor.contract.words import EITHER_WAY
from auditor.data.dataset import Dataset
from auditor.data.pooling import by_label
from auditor.findings import Cell, Column, Measure, Measured, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, count_units, worst_first
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.quantities import Quantity
from auditor.scoring.rows import Rows
from auditor.spec import SPLITS
from auditor.stats import Normal, mean_difference, rate

SHARE, FLAGGED, EXCESS, PRECISION = "flagged-share", "flagged", "flagged-excess", "flag-precision"
ERROR_SHARE, ERROR = "label-error-share", "label-error"
CHECKED = " that the expert labelled"

_MANIFESTS = {split: Manifest(split=split, optional=True) for split in SPLITS}
_AGAIN = "have {group} labelled again, and train again"
_SUSPECT = "Of 100 labels of {group}, {here} look wrong; of 100 others, {there}."


@dataclass(frozen=True)
class LabelErrors(Check):
    """How many labels are likely wrong, and whether more of them about some group.

    What it measures
    ----------------
    A label of the test data, or of labelled deployment data, is flagged where the model answers
    another class and is as sure of another as it is, on average, of images labelled so (confident
    learning): `flagged-share` over everything, `flagged` of each group minus all others. A model
    that errs flags right labels too, so every image has a probability of being flagged if its label
    were right, from the scores calibrated to the labels; `flagged-excess` is what a group has
    beyond that, minus what all others have.

    Where an expert (gold) labelled a sample: `label-error-share`, the share of its labels that the
    expert gives otherwise, `label-error` of each group minus all others, and `flag-precision`, the
    share of flags on it that are right. The first two need no model, and are given for train
    images too. Train images are not flagged: a model has learnt their labels, wrong
    ones included, and is sure of them.

    Why it matters
    --------------
    A wrong label counts against a right answer. Where one group's labels are wrong more often, its
    accuracy is that of its labels, a model trained on them learns the errors, and no number that
    is measured against them can show it.

    How it can mislead
    ------------------
    A flag is a suspicion: have the listed images looked at again. Scores cannot tell a wrong label
    from a model that is confidently wrong; where the model serves a group worse, that group's
    labels are flagged more, and even `flagged-excess` sees it where the model is overconfident
    about that group only. Calibration takes labels that are wrong everywhere for uncertainty of
    the model, so that `flagged-share` may look like mere chance while many labels are wrong. If
    annotators err as the model does (both take hangings for damage), nothing is flagged, and
    little is where the model is sure of nothing: few flags do not say that labels are right. Only
    the expert's labels settle it, if the sample was drawn at random: one chosen because labels
    looked doubtful shows too many errors, and too high a precision.
    """

    id: ClassVar[str] = "bias/label-errors"
    topic: ClassVar[str] = "wrong labels"
    needs: ClassVar[tuple[Need, ...]] = (ClassScores(), LabelledSplits(), *_MANIFESTS.values())
    sources: ClassVar[tuple[str, ...]] = (
        "Northcutt, Jiang & Chuang (2021), doi:10.1613/jair.1.12125 (confident learning)",
        "Guo, Pleiss, Sun & Weinberger (2017), arXiv:1706.04599 (temperature)",
        "Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
    )

    words: ClassVar = {
        SHARE: Words(
            title="Labels that look wrong, {split} data",
            short="suspect labels",
            sentence="Labels look wrong in {value} of {n:rows}. If every label were right, "
            "{if_right:percent} would look so by chance, as the calibrated scores have it; by "
            "confident learning {estimated_wrong_share:percent} are wrong.",
            action="have the listed images labelled again",
        ),
        FLAGGED: (
            Words(
                title="Labels that look wrong, by chance or not{in_where}: {group}, against all "
                "others",
                span=EITHER_WAY,
                short="{group}: labels that look wrong",
                sentence="Labels of {group} look wrong{in_where} in {this} images, of all others "
                "in {other}; {gap}. If every label were right, {if_right:percent} and "
                "{if_right_rest:percent} would look so by chance.",
                hundred=_SUSPECT,
                action=_AGAIN,
            ),
            Words("Labels that look wrong by group, {split} data", "suspect labels by group"),
        ),
        EXCESS: Words(
            title="Labels that look wrong{in_where}: {group}, against all others",
            span=EITHER_WAY,
            short="{group}: suspect labels",
            sentence="Beyond what right labels would show by chance{in_where}, {beyond:points} in "
            "a hundred labels of {group} look wrong, and {beyond_rest:points} of all others; "
            "{gap}.",
            hundred=_SUSPECT,
            gap=("fewer", "more"),
            action=_AGAIN,
        ),
        PRECISION: Words(
            title="Suspect labels that the expert corrects, {split} data",
            short="suspect labels that are wrong",
            sentence="Of the labels that look wrong and that the expert labelled, {value} of {n} "
            "are wrong. Of {wrong} labels that the expert gives otherwise, {found} look wrong.",
        ),
        ERROR_SHARE: Words(
            title="Labels that the expert corrects, {split} data",
            short="wrong labels",
            sentence="Labels are not the expert’s in {value} of {n:rows} that the expert labelled.",
            action="have the images labelled again, and train again",
        ),
        ERROR: (
            Words(
                title="Labels that the expert corrects{in_where}: {group}, against all others",
                span=EITHER_WAY,
                short="{group}: wrong labels",
                sentence="Labels of {group}{in_where} are not the expert’s in {this} images that "
                "the expert labelled, of all others in {other}; {gap}.",
                hundred="Of 100 labels of {group}, the expert corrects {here}; of 100 others, "
                "{there}.",
                column="wrong labels",
                action=_AGAIN,
            ),
            Words("Labels that the expert corrects by group, {split} data", "wrong labels"),
        ),
    }

    def run(self, evidence: Evidence) -> Iterator[Result]:
        suspect: list[ByGroup] = []
        corrected: list[ByGroup] = []
        listed: list[tuple[Cell, ...]] = []
        for split in evidence.labelled_splits():
            rows, outcomes = evidence.scored(split).with_truth, evidence.answers(split)
            outcomes = outcomes.with_labels()
            found = doubted(outcomes.probabilities, outcomes.labels)
            yield _flagged_share(rows, found)
            for result in _flags(rows, found):
                if isinstance(result, Unmeasured):
                    yield result
                else:
                    suspect.append(result)
            if rows.dataset.has_gold:
                yield _precision(rows, found)
            listed += _listed(outcomes, found)
        for split, need in _MANIFESTS.items():
            if evidence.has(need):
                yield from _gold(evidence.dataset(split), corrected)
                if split == "train" and evidence.dataset(split).has_labels:
                    yield _in_sample()
        yield from told([*suspect, *corrected])
        yield from displayed(
            self.id, [*suspect, *corrected], title="Labels that look wrong", pictured=suspect,
            caption="Share of each group's labels that look wrong, and that would by chance if "
            "every label were right",
        )  # fmt: skip
        yield _table(listed)


def _share(
    name: str, rows: Rows, wrong: Quantity, facts: Mapping[str, Any] | None = None
) -> Measured:
    """The share of all labels that are `wrong`."""
    everything = np.ones(len(rows), dtype=bool)
    unit, found = rows.unit_codes, count_units(everything, rows.unit_codes)
    subject = Subject(split=rows.split)
    if found < MIN_UNITS:
        noun = "images" if unit is None else "units"
        had = f"{found} {noun.removesuffix('s') if found == 1 else noun}"
        return Unmeasured(
            name=name,
            subject=subject,
            reason=f"Only {had}{wrong.among}: fewer than {MIN_UNITS} say nothing.",
            remedy=f"Collect at least {MIN_UNITS - found} more {noun}{wrong.among}.",
        )
    badness = np.zeros(len(rows)) if wrong.badness is None else wrong.badness
    return Measure(
        name=name,
        subject=subject,
        estimate=rate(wrong.values, unit=unit),
        scale="share",
        better="lower",
        n=len(rows),
        n_units=None if unit is None else found,
        examples=worst_first(rows.image_ids, badness=badness, among=wrong.values),
        facts=facts or {},
    )


def _flag(found: Doubted) -> Quantity:
    return Quantity(
        FLAGGED, found.flagged, "lower", harmed=found.flagged, badness=-found.margin,
        title="look wrong",
    )  # fmt: skip


def _flagged_share(rows: Rows, found: Doubted) -> Measured:
    facts = {
        "if_right": float(found.if_right.mean()) if len(rows) else None,
        "estimated_wrong_share": found.wrong_share,
    }
    return _share(SHARE, rows, _flag(found), facts)


def _flags(rows: Rows, found: Doubted) -> Iterator[ByGroup | Unmeasured]:
    """Flags by group, beside what right labels would show."""
    if not rows.attributes:
        yield no_attribute(FLAGGED, rows.split)
    flags = _flag(found)
    by_chance = Quantity("by-chance", found.if_right, "lower", title="would by chance")
    for grouping in groupings(rows):
        nothing = [nothing_to_compare(grouping, name=name) for name in (FLAGGED, EXCESS)]
        if any(nothing):
            yield from filter(None, nothing)
            continue

        def both(compared: AgainstRest, group: str) -> tuple[Measured, Measured]:
            return _flags_of(compared, group, found.if_right[compared.grouping.at])

        yield by_group(flags, grouping, both)
        yield by_group(by_chance, grouping, lambda compared, group: ())


def _flags_of(compared: AgainstRest, group: str, if_right: np.ndarray) -> tuple[Measured, Measured]:
    """A group's flags against the rest's, as seen and beyond what right labels would show."""
    seen = compared.difference(group)
    if isinstance(seen, Unmeasured):
        return seen, replace(seen, name=EXCESS)
    sides = (inside := compared.grouping.members(group)), ~inside
    flagged, chance = (
        [float(of[side].mean()) for side in sides] for of in (compared.values, if_right)
    )
    beyond = replace(
        seen,
        name=EXCESS,
        estimate=_excess(compared, inside, if_right),
        adjusted=(),
        facts={"beyond": flagged[0] - chance[0], "beyond_rest": flagged[1] - chance[1]},
    )
    return replace(seen, facts={"if_right": chance[0], "if_right_rest": chance[1]}), beyond


def _excess(compared: AgainstRest, inside: np.ndarray, if_right: np.ndarray) -> Normal:
    """Flags beyond those of right labels, group minus rest."""
    beyond = compared.values - if_right
    return mean_difference(beyond, member=inside, unit=compared.grouping.unit, span=(-1.0, 1.0))


def _gold(dataset: Dataset, corrected: list[ByGroup]) -> Iterator[Measured]:
    """Labels that an expert gives otherwise, overall; groups are added to `corrected`."""
    if not (dataset.has_gold and dataset.has_labels):
        return
    dataset = by_label(dataset)
    rows = Rows.unanswered(dataset.take((dataset.gold >= 0) & (dataset.labels >= 0)))
    wrong = rows.dataset.gold != rows.dataset.labels
    quantity = Quantity(
        ERROR, wrong, "lower", among=CHECKED, harmed=wrong, badness=wrong.astype(float),
        title="corrected by the expert",
    )  # fmt: skip
    overall = _share(ERROR_SHARE, rows, quantity)
    yield overall
    if isinstance(overall, Unmeasured):
        yield replace(overall, name=ERROR)
        return
    if not rows.attributes:
        yield no_attribute(ERROR, rows.split)
    for grouping in groupings(rows):
        nothing = nothing_to_compare(grouping, name=ERROR, truth="expert-labelled ")
        if nothing is not None:
            yield nothing
        else:
            corrected.append(by_group(quantity, grouping, lambda c, group: (c.difference(group),)))


def _precision(rows: Rows, found: Doubted) -> Measured:
    """The share of flags in the expert's sample that are right."""
    gold, labels, unit = rows.dataset.gold, rows.dataset.labels, rows.unit_codes
    flagged = found.flagged & (gold >= 0)
    wrong = (gold >= 0) & (gold != labels)
    subject = Subject(split=rows.split)
    n, independent = int(flagged.sum()), count_units(flagged, unit)
    if independent < MIN_UNITS:
        noun = "images" if unit is None else "units"
        return Unmeasured(
            name=PRECISION,
            subject=subject,
            reason=f"Of the labels that look wrong, the expert labelled {n} (from "
            f"{independent} {noun}); fewer than {MIN_UNITS} {noun} say nothing of the others.",
            remedy="Have the expert label more images drawn at random, or a random sample of the "
            "flagged ones.",
        )
    return Measure(
        name=PRECISION,
        subject=subject,
        estimate=rate(wrong[flagged], unit=None if unit is None else unit[flagged]),
        scale="share",
        better="higher",
        n=n,
        n_units=None if unit is None else independent,
        facts={"wrong": int(wrong.sum()), "found": int((flagged & wrong).sum())},
    )


def _in_sample() -> Unmeasured:
    return Unmeasured(
        name=SHARE,
        subject=Subject(split="train"),
        reason="The model was trained on these labels: it is sure of them, also where they are "
        "wrong, so its scores flag too few.",
        remedy="Score every train image by a model trained without it (cross-validation) and audit "
        "those, or have an expert label a random sample (`data.columns.gold`).",
    )


def _listed(outcomes: Outcomes, found: Doubted) -> Iterator[tuple[Cell, ...]]:
    """Images whose label is most likely wrong, worst first."""
    order = np.flatnonzero(found.flagged)
    order = order[np.argsort(found.margin[order], kind="stable")]
    names = (*outcomes.classes, None)
    # Of these images alone: what an image is called would else be made of all, once an image.
    ids, labels, gold = (of[order].tolist() for of in (
        outcomes.image_ids, outcomes.labels, outcomes.dataset.gold,
    ))  # fmt: skip
    suggested = found.suggested[order].tolist()
    scores = np.asarray(outcomes.probabilities)[order]
    for image, label, likely, row, expert in zip(ids, labels, suggested, scores, gold, strict=True):
        yield (str(image), names[label], names[likely], float(row[label]), float(row[likely]),
               names[expert], outcomes.dataset.split)  # fmt: skip


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    names = ("image", "label", "likely", "score of the label", "score of the likely class",
             "expert's label", "data")  # fmt: skip
    return Table(
        id="bias/label-errors:images",
        title="Labels that are most likely wrong, worst first",
        columns=tuple(Column(n, "probability" if n.startswith("score") else "") for n in names),
        rows=tuple(rows),
    )
