"""deployment/portability: which runtimes list the model's operators, and what file they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from auditor.contract import Available, Check, Evidence, Need, Unmet, Words
from auditor.contract.words import FROM_0
from auditor.findings import Column, Measure, Result, Subject, Table, TensorFacts
from auditor.models.operator_lists import OperatorList, operator_lists
from auditor.stats import Exact


@dataclass(frozen=True)
class OnnxFile(Need):
    """A model that is an ONNX file, whose operators have names that lists are made of."""

    def unmet(self, available: Available) -> Unmet | None:
        if available.model.format == "onnx":
            return None
        return Unmet(
            reason="Published lists name ONNX operators; this is a PyTorch model.",
            remedy="Export the model to ONNX and audit that file, with the original under "
            "`model.reference`.",
        )


@dataclass(frozen=True)
class Portability(Check):
    """Which published operator lists the model's operators are on, its opset, its free sizes.

    What it measures
    ----------------
    The kinds of operators in the ONNX file, and which of them stand on lists that makers of
    runtimes for phones and small machines have published (ONNX Runtime Mobile, Android NNAPI,
    Apple Core ML, NVIDIA TensorRT): each list with its source and date. Whether the file's opset
    is one that the list speaks of; how many axes of inputs and outputs have no fixed size; and
    the file format that would be needed there. All of it is information: nothing is run.

    Why it matters
    --------------
    A model that runs on a server may hold an operator that a phone's runtime lacks. Then it does
    not load, or a part of it runs on the slow processor, and that is found out late.

    How it can mislead
    ------------------
    A list is no promise. It was made for one release on one day, and holds under conditions (2-D
    only, constant weights, some types) that are not looked at here. An operator that is not listed
    may run all the same, may be turned into others by a converter, or fall back to the processor.
    Only a run on the device shows that the model runs there, and how it answers.
    """

    id: ClassVar[str] = "deployment/portability"
    topic: ClassVar[str] = "operators that other runtimes list"
    needs: ClassVar[tuple[Need, ...]] = (OnnxFile(),)
    words: ClassVar = {
        "operators-listed": Words(
            title="Kinds of operators that are listed: {target}",
            short="operators listed ({target})",
            sentence=(
                "{listed} of {of} kinds of operators are on the list of {name} ({source}; {date}).",
                "Not listed: {missing}.",
                "Opset {outside} is none of those that the list speaks of.",
                "A list is no promise that it runs. The file needed there: {format}.",
            ),
        ),
        "free-axes": Words(
            title="Axes of inputs and outputs without a fixed size",
            span=FROM_0,
            short="free axes",
            sentence=(
                "{point} of its inputs and outputs have no fixed size.",
                "Free: {free}; some runtimes take fixed sizes alone.",
            ),
        ),
    }

    def run(self, evidence: Evidence) -> Iterator[Result]:
        operators, opset = evidence.model.operators, evidence.model.opset or 0
        for target in operator_lists():
            yield _listed(target, operators, opset)
        tensors = (*evidence.model.inputs, *evidence.model.outputs)
        free = [f"{t.name}[{i}]" for t in tensors for i in _free(t)]
        yield Measure(
            name="free-axes",
            subject=Subject(),
            estimate=Exact(len(free)),
            scale="amount",
            unit="axes",
            least=0.0,
            better="none",
            n=1,
            facts={"free": ", ".join(free)},
        )
        yield _table(operators)


def _free(tensor: TensorFacts) -> list[int]:
    return [i for i, size in enumerate(tensor.shape) if size is None]


def _listed(target: OperatorList, operators: Mapping[str, int], opset: int) -> Measure:
    missing = target.missing(operators)
    of = len(operators)
    return Measure(
        name="operators-listed",
        subject=Subject.of(target=target.id),
        estimate=Exact((of - len(missing)) / of),
        scale="share",
        better="none",
        n=of,
        facts={
            "listed": of - len(missing),
            "of": of,
            "name": target.name,
            "source": target.source,
            "date": target.date,
            "missing": ", ".join(name.removeprefix("ai.onnx:") for name in missing),
            "outside": None if target.speaks_of(opset) else opset,
            "format": target.format,
        },
    )


def _table(operators: Mapping[str, int]) -> Table:
    lists = operator_lists()
    missing = {target.id: set(target.missing(operators)) for target in lists}
    return Table(
        id="deployment/portability:operators",
        title="Operators of the model, and the lists that they are on",
        columns=(Column("operator"), Column("times"), *(Column(t.name) for t in lists)),
        rows=tuple(
            (
                name.removeprefix("ai.onnx:"),
                count,
                *("not listed" if name in missing[t.id] else "listed" for t in lists),
            )
            for name, count in operators.items()
        ),
    )
