"""model/task-fit: whether the model's kind of output can support the decision made with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, cast, get_args

from auditor.contract import Available, Check, Evidence, Need, Unmet, Words
from auditor.findings import Column, Measure, Result, Subject, Table
from auditor.spec import Task
from auditor.stats import Exact

Decision = Literal["classify", "count", "locate", "measure-area"]

_SUPPORTS: Mapping[Task, frozenset[Decision]] = {
    "classification": frozenset({"classify"}),
    "detection": frozenset({"classify", "count", "locate"}),
    "segmentation": frozenset({"classify", "locate", "measure-area"}),
    "instance-segmentation": frozenset({"classify", "count", "locate", "measure-area"}),
}
_LEAST: Mapping[Decision, Task] = {
    "classify": "classification",
    "count": "detection",
    "locate": "detection",
    "measure-area": "segmentation",
}
_WHY_NOT: Mapping[tuple[Task, Decision], str] = {
    ("classification", "count"): "a label says that a thing is there, not how many there are",
    ("classification", "locate"): "a label says that a thing is there, not where",
    ("classification", "measure-area"): "a label says that a thing is there, not how large it is",
    ("detection", "measure-area"): "a box holds more than the thing; its area is not the thing's",
    ("segmentation", "count"): "things of a class that touch are one area in a class map",
}
_ASKS: Mapping[Decision, str] = {
    "classify": "what is in the image",
    "count": "how many there are",
    "locate": "where it is",
    "measure-area": "its exact shape",
}
_SECONDS: Mapping[Task, tuple[float, str]] = {
    "classification": (1.0, "a class and image"),
    "detection": (34.5, "a box"),
    "segmentation": (79.2, "an outline"),
    "instance-segmentation": (79.2, "an outline"),
}
"""Seconds of work that published collections took, and for what."""

_KEY = "audit.system.decision"


@dataclass(frozen=True)
class DecisionStated(Need):
    """The decision that is made with the model's answers, as the spec states it."""

    def unmet(self, available: Available) -> Unmet | None:
        stated = available.spec.audit.system.get("decision")
        known = get_args(Decision)
        if stated in known:
            return None
        if stated is None:
            return Unmet(
                reason=f"The spec does not state `{_KEY}`.",
                remedy=f"State what is decided with an answer: {_KEY}: one of {', '.join(known)}.",
            )
        close = difflib.get_close_matches(str(stated), known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return Unmet(
            reason=f"The spec states `{_KEY}: {stated}`, which is no decision known here.{hint}",
            remedy=f"State one of {', '.join(known)}.",
        )


@dataclass(frozen=True)
class TaskFit(Check):
    """Whether the model's kind of output can support the decision that is made with it.

    What it measures
    ----------------
    Nothing of the images: it holds the decision that the spec declares (`audit.system.decision`:
    classify, count, locate or measure-area) against what the model gives. *What* is in an image
    takes a label, *where* and *how many* boxes, an *exact shape* outlines. The value is 1 where the
    output cannot support the decision, 0 where it can. The table says what annotation exists, what
    each kind would cost for these test images by published times, and how much the model computes.

    Why it matters
    --------------
    An area read from boxes is an area of boxes, and a count read from a label is a guess, however
    accurate the model is at what it was trained for. The other way round, outlines where a label
    would do cost fifty times the work, and a larger machine.

    How it can mislead
    ------------------
    That an output can support a decision does not say that it does so well. Times to annotate
    differ by tool, image and quality by several times; these are what large public collections
    took. A decision that the spec misstates is judged as stated.
    """

    id: ClassVar[str] = "model/task-fit"
    topic: ClassVar[str] = "whether its kind of answer fits the decision"
    shown: ClassVar = "open"
    needs: ClassVar[tuple[Need, ...]] = (DecisionStated(),)
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "unsupported": (
            Words(
                title="The model's answers cannot support the decision ({decision}){why:if}",
                short="answers that cannot support the decision",
                sentence="The decision ({decision}) needs to know {asks}; a model for {task} "
                "cannot tell it: {why}.",
                action="use a model for {wanted}, or decide something else with this one",
                harm="decisions by what the model cannot tell",
            ),
            Words(
                title="The model's answers can support the decision ({decision})",
                short="answers that cannot support the decision",
                sentence=(
                    "The decision ({decision}) needs to know {asks}, which a model for {task} "
                    "can tell.",
                    "It gives more than is needed: {less} would do.",
                ),
            ),
        )
    }
    sources: ClassVar[tuple[str, ...]] = (
        "Bearman, Russakovsky, Ferrari & Fei-Fei (2016), arXiv:1506.02106 (a second a class)",
        "Su, Deng & Fei-Fei (2012), as measured in Papadopoulos et al. (2017), arXiv:1708.02750 "
        "(34.5 seconds a box)",
        "Lin, Maire, Belongie et al. (2014), arXiv:1405.0312 (22 hours for 1,000 outlines)",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        decision = cast(Decision, evidence.spec.audit.system["decision"])
        task = evidence.spec.model.task
        fits = decision in _SUPPORTS[task]
        least = _LEAST[decision]
        facts = {
            "decision": decision,
            "task": task,
            "asks": _ASKS[decision],
            "why": None if fits else _WHY_NOT[task, decision],
            "wanted": least,
            "less": f"a model for {least}" if fits and _more(task, least) else None,
        }
        yield Measure(
            name="unsupported",
            subject=Subject.of(),
            estimate=Exact(float(not fits)),
            scale="share",
            better="lower",
            n=1,
            facts=facts,
        )
        yield _table(evidence, task)


def _more(task: Task, least: Task) -> bool:
    """Whether a task gives more than `least`, at more than its cost."""
    return task != least and _SECONDS[task][0] > _SECONDS[least][0]


def _table(evidence: Evidence, task: Task) -> Table:
    model, spec = evidence.model, evidence.spec
    stated = "labels" if task == "classification" else spec.data.test.annotations
    rows = tuple(
        (
            name,
            ", ".join(d for d in get_args(Decision) if d in _SUPPORTS[name]),
            f"{seconds:g} s {of}",
            stated if name == task else None,
        )
        for name, (seconds, of) in _SECONDS.items()
    )
    flops = "unknown" if model.flops is None else f"{model.flops / 1e9:,.2f} GFLOP an image"
    return Table(
        id="model/task-fit:kinds",
        title=f"What each kind of model can decide and costs to annotate (this one: {task}, "
        f"{flops})",
        columns=(
            Column("model for"),
            Column("can support"),
            Column("published time to annotate"),
            Column("what there is"),
        ),
        rows=rows,
    )
