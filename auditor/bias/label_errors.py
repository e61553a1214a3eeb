"""bias/label-errors: how many labels are likely wrong, and whether more of them in some group."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.bias.annotator_agreement import no_attribute
from auditor.bias.confident_learning import Doubted, doubted
from auditor.bias.label_error_rates import Marked, difference, nothing_to_compare, share
from auditor.comparing.by_group import measure_cells, side_cells
from auditor.contract import Check, ClassScores, Evidence, Manifest, Need, Truth, Words
from auditor.contract.numbers import percent
from auditor.data.dataset import Attribute, Dataset
from auditor.data.pooling import by_label
from auditor.findings import Axis, Cell, Column, Figure, Measure, Result, Subject, Table, Unmeasured
from auditor.scoring.comparison import MIN_UNITS, count_units
from auditor.scoring.outcomes import Outcomes
from auditor.spec import SPLITS
from auditor.stats import Normal, Rate, mean_difference, rate, value

_FLAGGED, _ERROR = "flagged", "label-error"


@dataclass(frozen=True)
class LabelErrors(Check):
    """How many labels are likely wrong, and whether more of them about some group.

    What it measures
    ----------------
    A test label is flagged where the model answers another class and is as sure of another as it
    is, on average, of images labelled so (confident learning): `flagged-share` over everything,
    `flagged` of each group minus all others. A model that errs flags right labels too, so every
    image has a probability of being flagged if its label were right, from the scores calibrated to
    the labels; `flagged-excess` is what a group has beyond that, minus what all others have.

    Where an expert (gold) labelled a sample: `label-error-share`, the share of its labels that the
    expert gives otherwise, `label-error` of each group minus all others, and `flag-precision`, the
    share of flags on it that are right. These need no model, and are given for train and
    deployment images too. Train images are not flagged: a model has learnt their labels, wrong
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
    needs: ClassVar[tuple[Need, ...]] = (
        ClassScores(),
        Truth(),
        Manifest(split="train", optional=True),
        Manifest(split="deployment", optional=True),
    )
    words: ClassVar = {
        "flagged-share": Words(
            title="Labels that look wrong, {split} data",
            short="suspect labels",
            sentence="Labels look wrong in {value} of {n} images. If every label were right, "
            "{if_right:percent} would look so by chance, as the calibrated scores have it.",
            action="have the listed images labelled again",
        ),
        _FLAGGED: Words(
            title="Labels that look wrong, by chance or not: {group}, against all others",
            short="{group}: suspect labels",
            sentence="Labels of {group} look wrong in {this} images, of all others in {other}; "
            "{gap}. If every label were right, {if_right:percent} and {if_right_rest:percent} "
            "would look so by chance.",
            hundred="Of 100 labels of {group}, {here} look wrong; of 100 others, {there}.",
            action="have {group} labelled again, and train again",
        ),
        "flagged-excess": Words(
            title="Labels that look wrong: {group}, against all others",
            short="{group}: suspect labels",
            sentence="Beyond what right labels would show by chance, {beyond:points} in a hundred "
            "labels of {group} look wrong, and {beyond_rest:points} of all others; {gap}.",
            hundred="Of 100 labels of {group}, {here} look wrong; of 100 others, {there}.",
            action="have {group} labelled again, and train again",
        ),
        "flag-precision": Words(
            title="Share of the suspect labels that the expert finds wrong",
            short="suspect labels that are wrong",
            sentence="Of the labels that look wrong and that the expert labelled, {value} of {n} "
            "are wrong. Of {wrong} labels that the expert gives otherwise, {found} look wrong.",
        ),
        "label-error-share": Words(
            title="Labels that the expert corrects, {split} data",
            short="wrong labels",
            sentence="Labels are not the expert's in {value} of {n} images that the expert "
            "labelled, {split} data.",
            action="have the images labelled again, and train again",
        ),
        _ERROR: Words(
            title="Labels that the expert corrects: {group}, against all others",
            short="{group}: wrong labels",
            sentence="Labels of {group} are not the expert's in {this} images that the expert "
            "labelled, of all others in {other}; {gap}.",
            hundred="Of 100 labels of {group}, the expert corrects {here}; of 100 others, {there}.",
            column="wrong labels",
            action="have {group} labelled again, and train again",
        ),
    }
    sources: ClassVar[tuple[str, ...]] = (
        "Northcutt, Jiang & Chuang (2021), doi:10.1613/jair.1.12125 (confident learning)",
        "Guo, Pleiss, Sun & Weinberger (2017), arXiv:1706.04599 (temperature)",
        "Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        outcomes = evidence.answers().with_labels()
        found = doubted(outcomes.probabilities, outcomes.labels)
        marked = _flagged(outcomes, found)
        yield _flagged_share(marked, found)
        yield from _groups(marked, found)
        if outcomes.dataset.has_gold:
            yield _precision(outcomes, found)
        yield from _gold(outcomes.dataset)
        yield _list(outcomes, found)
        for split in SPLITS[1:]:
            if evidence.has(Manifest(split=split, optional=True)):
                dataset = evidence.dataset(split)
                yield from _gold(dataset)
                if split == "train" and dataset.has_labels:
                    yield _in_sample()


def _flagged(outcomes: Outcomes, found: Doubted) -> Marked:
    return Marked(outcomes.dataset, found.flagged, -found.margin, "flagged-share", _FLAGGED)


def _in_sample() -> Unmeasured:
    return Unmeasured(
        name="flagged-share",
        subject=Subject.of(split="train"),
        reason="The model was trained on these labels: it is sure of them, also where they are "
        "wrong, so its scores flag too few.",
        remedy="Score every train image by a model trained without it (cross-validation) and audit "
        "those, or have an expert label a random sample (`data.columns.gold`).",
    )


def _flagged_share(marked: Marked, found: Doubted) -> Measure | Unmeasured:
    overall = share(marked)
    if isinstance(overall, Unmeasured):
        return overall
    facts = {"if_right": float(found.if_right.mean()), "estimated_wrong_share": found.wrong_share}
    return dataclasses.replace(overall, facts=facts)


def _groups(marked: Marked, found: Doubted) -> Iterator[Result]:
    """Flags by group, beside what right labels would show; a figure and a table."""
    if not marked.dataset.attributes:
        yield no_attribute(_FLAGGED, "test")
        return
    rows: list[tuple[Cell, ...]] = []
    for attribute in marked.dataset.attributes:
        nothing = nothing_to_compare(marked, attribute)
        if nothing is not None:
            yield nothing
            yield dataclasses.replace(nothing, name="flagged-excess")
            continue
        compared = [_group(marked, found, attribute, group) for group in attribute.groups]
        for pair in compared:
            yield from pair
        shown = [m for m, _ in compared if isinstance(m, Measure)]
        rows += [_row(m, e) for m, e in compared if isinstance(m, Measure)]
        if shown:
            yield _forest(shown, attribute)
    if rows:
        yield _table(rows)


def _group(
    marked: Marked, found: Doubted, attribute: Attribute, group: str
) -> tuple[Measure | Unmeasured, Measure | Unmeasured]:
    """A group's flags against the rest's, as seen and beyond what right labels would show."""
    seen = difference(marked, attribute, group)
    if isinstance(seen, Unmeasured):
        return seen, dataclasses.replace(seen, name="flagged-excess")
    known = marked.known(attribute)
    inside = known & (marked.dataset.groups(attribute.name) == group)
    rest = known & ~inside
    if_right = {
        "if_right": float(found.if_right[inside].mean()),
        "if_right_rest": float(found.if_right[rest].mean()),
    }
    seen = dataclasses.replace(seen, facts=if_right)
    excess = _excess(marked, found, inside=inside, known=known)
    beyond = dataclasses.replace(
        seen,
        name="flagged-excess",
        estimate=excess,
        facts={
            **if_right,
            "beyond": float(found.flagged[inside].mean()) - if_right["if_right"],
            "beyond_rest": float(found.flagged[rest].mean()) - if_right["if_right_rest"],
        },
    )
    return seen, beyond


def _excess(marked: Marked, found: Doubted, *, inside: np.ndarray, known: np.ndarray) -> Normal:
    """Flags beyond those of right labels, group minus rest.

    The standard error is at least that of the two shares of flags with one flagged and one other
    image more on either side (Agresti & Caffo 2000, doi:10.1080/00031305.2000.10474560): where
    nothing is flagged, the spread seen would claim certainty.
    """
    beyond = found.flagged - found.if_right
    unit = None if marked.unit is None else marked.unit[known]
    plain = mean_difference(beyond[known], member=inside[known], unit=unit)
    least = math.sqrt(sum(_variance(marked.rate(side)) for side in (inside, known & ~inside)))
    return Normal(plain.value, max(plain.se, least), plain.df)


def _variance(flags: Rate) -> float:
    p, n = (flags.x + 1) / (flags.n + 2), flags.n + 2
    return p * (1 - p) / n


def _gold(dataset: Dataset) -> Iterator[Result]:
    """Labels that an expert gives otherwise, overall and by group."""
    if not (dataset.has_gold and dataset.has_labels):
        return
    dataset = by_label(dataset)
    checked = dataset.take((dataset.gold >= 0) & (dataset.labels >= 0))
    wrong = checked.gold != checked.labels
    marked = Marked(
        checked, wrong, wrong.astype(float), "label-error-share", _ERROR,
        " that the expert labelled",
    )  # fmt: skip
    overall = share(marked)
    yield overall
    if isinstance(overall, Unmeasured):
        yield dataclasses.replace(overall, name=_ERROR)
        return
    if not checked.attributes:
        yield no_attribute(_ERROR, dataset.split)
    for attribute in checked.attributes:
        nothing = nothing_to_compare(marked, attribute)
        if nothing is not None:
            yield nothing
            continue
        for group in attribute.groups:
            yield difference(marked, attribute, group)


def _precision(outcomes: Outcomes, found: Doubted) -> Measure | Unmeasured:
    """The share of flags in the expert's sample that are right."""
    gold, labels, units = outcomes.dataset.gold, outcomes.labels, outcomes.units
    flagged = found.flagged & (gold >= 0)
    wrong = (gold >= 0) & (gold != labels)
    subject = Subject.of(split="test")
    n, independent = int(flagged.sum()), count_units(flagged, units)
    if independent < MIN_UNITS:
        noun = "images" if units is None else "units"
        return Unmeasured(
            name="flag-precision",
            subject=subject,
            reason=f"Of the labels that look wrong, the expert labelled {n} (from "
            f"{independent} {noun}); fewer than {MIN_UNITS} {noun} say nothing of the others.",
            remedy="Have the expert label more images drawn at random, or a random sample of the "
            "flagged ones.",
        )
    right = rate(wrong[flagged], unit=None if units is None else units[flagged])
    return Measure(
        name="flag-precision",
        subject=subject,
        estimate=right,
        scale="share",
        better="higher",
        n=n,
        n_units=None if units is None else independent,
        facts={"wrong": int(wrong.sum()), "found": int((flagged & wrong).sum())},
    )


def _list(outcomes: Outcomes, found: Doubted) -> Table:
    """Images whose label is most likely wrong, worst first."""
    order = np.flatnonzero(found.flagged)
    order = order[np.argsort(found.margin[order], kind="stable")]
    names, gold = (*outcomes.classes, None), outcomes.dataset.gold
    scores = np.asarray(outcomes.probabilities)
    return Table(
        id="bias/label-errors:images",
        title="Labels that are most likely wrong, worst first",
        columns=(Column("image"), Column("label"), Column("likely"),
                 Column("score of the label", "probability"),
                 Column("score of the likely class", "probability"), Column("expert's label")),
        rows=tuple(
            (
                str(outcomes.image_ids[i]),
                names[outcomes.labels[i]],
                names[found.suggested[i]],
                float(scores[i, outcomes.labels[i]]),
                float(scores[i, found.suggested[i]]),
                names[gold[i]],
            )
            for i in order
        ),
    )  # fmt: skip


def _row(seen: Measure, beyond: Measure | Unmeasured) -> tuple[Cell, ...]:
    attribute, group = seen.subject.keys[0]
    own: tuple[Cell, ...] = side_cells(seen.sides[0]) if seen.sides else (None, None, None)
    excess = measure_cells(beyond if isinstance(beyond, Measure) else None)
    head: tuple[Cell, ...] = (attribute, group, seen.n, seen.n_units)
    return (*head, *own, seen.facts["if_right"], *measure_cells(seen), *excess)


def _table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    names = ("attribute", "group", "images", "units", "flagged", "low", "high",
             "flagged if all were right", "difference", "difference low", "difference high",
             "excess", "excess low", "excess high")  # fmt: skip
    return Table(
        id="bias/label-errors:groups",
        title="Labels that look wrong, by group, and how many right ones would",
        columns=tuple(Column(name, "share" if name in names[4:] else "") for name in names),
        rows=tuple(rows),
    )


def _forest(shown: Sequence[Measure], attribute: Attribute) -> Figure:
    rows: list[dict[str, Cell]] = []
    for measure in shown:
        label = str(measure.subject.get(attribute.name))
        chance, side = measure.facts["if_right"], measure.sides[0] if measure.sides else None
        point, low, high = side_cells(side) if side else (None, None, None)
        rows.append(
            {"label": label, "value": point, "low": low, "high": high, "n": measure.n,
             "series": "look wrong"}
        )  # fmt: skip
        rows.append(
            {"label": label, "value": chance, "low": chance, "high": chance, "n": measure.n,
             "series": "would by chance"}
        )  # fmt: skip
    return Figure(
        id=f"bias/label-errors:{attribute.name}",
        kind="forest",
        title=f"Labels that look wrong, by {attribute.name}",
        caption="Share of labels that look wrong with 95% intervals, and the share that would if "
        f"every label were right. Groups with fewer than {MIN_UNITS} images or units are left out.",
        alt="; ".join(
            f"{m.subject.get(attribute.name)}: {percent(value(m.sides[0].estimate))}% look wrong, "
            f"{percent(m.facts['if_right'])}% would by chance"
            for m in shown
            if m.sides
        ),
        x=Axis("labels that look wrong", "share"),
        y=Axis(attribute.name),
        rows=tuple(rows),
    )
