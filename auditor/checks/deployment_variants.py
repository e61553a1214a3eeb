"""deployment/variants: whether other forms of the model are still the model that was tested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from auditor.comparing.forms import Form, form_results
from auditor.contract import (
    Attributes,
    Available,
    Check,
    Confidences,
    Evidence,
    LabelledSplits,
    LiveModel,
    Need,
    NotMeasurableError,
    Pass,
    Predictions,
    Unmet,
    Words,
)
from auditor.contract.form_words import form_words
from auditor.contract.words import FROM_0
from auditor.errors import ModelError
from auditor.findings import Cell, Column, Measure, Measured, Result, Subject, Table, Unmeasured
from auditor.models.contained import layers_apart
from auditor.models.form_facts import LayerApart, OneForm
from auditor.models.identity import machine_facts
from auditor.spec import COMPRESSED, AuditSpec, RuntimeSpec
from auditor.stats import Exact

MOST_LAYERS = 200
"""Layers that the table of a form lists."""


def forms_of(spec: AuditSpec) -> tuple[str, ...]:
    """Forms that the spec names, but the compressed ones, which another check measures."""
    return tuple(name for name in spec.variants if name not in COMPRESSED)


@dataclass(frozen=True)
class NamedForms(LabelledSplits):
    """Answers of every form that the spec names, on every labelled split."""

    def unmet(self, available: Available) -> Unmet | None:
        if not forms_of(available.spec):
            return Unmet(
                reason="The spec names no other form of the model.",
                remedy="Name what would ship in the model's place (a pruned or exported file, the "
                "next release), or how it would run, under `variants`.",
            )
        return super().unmet(available)

    def passes(self, available: Available) -> tuple[Pass, ...]:
        names = forms_of(available.spec)
        return (
            *super().passes(available),
            *(Pass(s, variant=name) for s in self.splits(available) for name in names),
        )

    def frame_splits(self, available: Available) -> tuple[str, ...]:
        # Forms answer after the first sweep, from frames that it has kept.
        return self.splits(available)


GROUPS = Attributes(optional=True)
SURE = Confidences(optional=True)


@dataclass(frozen=True)
class Variants(Check):
    """What other forms of the model lose against the audited one, for whom, and where they part.

    What it measures
    ----------------
    Each form under `variants` in the spec: another file (pruned, distilled, exported, a new
    release), or the same one run by another execution provider, with other threads or another
    level of graph optimisation. It answers the same images as the model as given, on every
    labelled split: accuracy (objects found) as given minus that of the form, over all rows and
    within every group, by the rows that only one of the two has right (McNemar); by how much more
    a group loses than all others; average precision or IoU lost; answers that change, and that
    change from right to wrong; the change of the calibration error; the images most affected.

    A form is told to lose less than a margin where the whole 95% interval says so: `margin` in
    the spec makes that a limit.

    Where answers differ and both forms are ONNX files fed alike, the outputs of their layers are
    laid side by side on a few of the images that changed: the first layer is named in which they
    differ by more than a share of what images change there. Layers are the same where their
    output tensors have one name, else by their order among the weighted layers.

    Why it matters
    --------------
    What ships is often not the file that was tested. Two models with one accuracy can be wrong
    for other people, and an export or another provider can change answers without anyone having
    changed the model.

    How it can mislead
    ------------------
    No loss shown is not no loss: the interval says how much may hide. A form that only some
    machines run otherwise (another processor, another provider) is measured on this one alone.
    The first layer to part is where it shows, not always what causes it; with every layer's
    output kept, the runtime merges fewer of them, so that a difference made by merging can
    vanish. Layers named alike by two exporters need not be the same ones. An image of a segmenter
    counts as right from a mean overlap (IoU) of 0.5 on: a form may draw worse and lose no image.
    """

    id: ClassVar[str] = "deployment/variants"
    topic: ClassVar[str] = "what other forms of the model lose"
    needs: ClassVar[tuple[Need, ...]] = (NamedForms(), Predictions(), LiveModel(), GROUPS, SURE)
    sources: ClassVar[tuple[str, ...]] = (
        "Yan et al. (2021), arXiv:2011.09161 (negative flips)",
        "Hooker, Courville, Clark, Dauphin & Frome (2019), arXiv:1911.05248 (pruning)",
        "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B",
        "Qin et al. (2018), arXiv:1811.06555 (the noise of layers)",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        **form_words(),
        "layers-alike": Words(
            title="Layers before the {variant} form parts from the model as given",
            span=FROM_0,
            short="layers alike in the {variant} form",
            sentence=(
                "{layer} ({op}) is the first of {of} layers, matched by {matched}, whose outputs "
                "part from those of the model as given: by {noise:percent} of what images change "
                "in them; {point} before it agree.",
                "{none:if}With each layer's output kept, none of {of} layers parts from the model "
                "as given: what differs arises where the runtime merges layers, or in last digits.",
            ),
        ),
        "size-ratio": Words(
            title="Size of the {variant} form against the model as given",
            span=FROM_0,
            scale="ratio",
            short="size of {variant} form",
            sentence="The file of the {variant} form takes {megabytes:,.2f} MB, {point} the "
            "{megabytes_as_given:,.2f} MB of the model as given.",
        ),
    }

    parts_from: Annotated[
        float, "Share of what images change in a layer's output from which two outputs part."
    ] = 0.01
    layer_images: Annotated[int, "Images whose layers are laid side by side."] = 8
    searched: Annotated[int, "Images among which those that change are looked for."] = 256

    def run(self, evidence: Evidence) -> Iterator[Result]:
        for name in forms_of(evidence.spec):
            try:
                yield from self._form(evidence, name)
            except NotMeasurableError as error:
                subject = Subject(variant=name)
                yield Unmeasured("accuracy-lost", subject, error.reason, error.remedy)
        yield _table(evidence)

    def _form(self, evidence: Evidence, name: str) -> Iterator[Result]:
        found = evidence.predictor(name).facts
        facts = machine_facts(found.format)
        layers: list[Result] = []
        for split in evidence.labelled_splits():
            form = Form.of(
                evidence, name, split, check=self.id, by_group=evidence.has(GROUPS),
                sure=evidence.has(SURE), facts=facts,
            )  # fmt: skip
            if split == "test":
                layers = list(self._parting(evidence, form))
                form = _told(form, layers)
            yield from form_results(form)
        yield from layers
        yield _size_ratio(name, found.file_bytes, evidence.model.file_bytes)

    def _parting(self, evidence: Evidence, form: Form) -> Iterator[Result]:
        """Where the layers of the two forms part, if any answer changed."""
        if not form.pair.changed.any():
            return
        unlike = _unlike(evidence, form.name)
        subject = Subject(variant=form.name)
        if unlike is not None:
            yield Unmeasured("layers-alike", subject, *unlike)
            return
        spec = evidence.spec
        stated = spec.variants[form.name].runtime or RuntimeSpec()
        try:
            layers = layers_apart(
                OneForm(evidence.model_path(), spec.model.input),
                OneForm(evidence.model_path(form.name), spec.model.input, stated),
                self._frames(evidence, form),
                limits=spec.model.limits,
            )
        except ModelError as error:
            remedy = "Export both forms again, with one input and their layers' names."
            yield Unmeasured("layers-alike", subject, f"Layers could not be run: {error}", remedy)
            return
        if not layers:
            yield Unmeasured(
                "layers-alike", subject,
                "The two files share no layer: neither names of tensors nor the order of their "
                "weighted layers match.",
                "Export both with one exporter to have their layers compared.",
            )  # fmt: skip
            return
        yield self._first(layers, subject)
        yield _layer_table(layers, form.name)

    def _frames(self, evidence: Evidence, form: Form) -> np.ndarray:
        """Frames of images that changed, as many as are asked for; others make them up."""
        frames = evidence.frames("test", sample=self.searched)
        ids = np.asarray(evidence.frame_ids("test", sample=self.searched), dtype=object)
        changed = set(form.pair.first.image_ids[form.pair.changed])
        first = np.array([image not in changed for image in ids], dtype=bool)
        order = np.argsort(first, kind="stable")[: self.layer_images]
        return np.asarray(frames[order])

    def _first(self, layers: tuple[LayerApart, ...], subject: Subject) -> Measure:
        at = next((i for i, layer in enumerate(layers) if layer.noise > self.parts_from), None)
        facts: dict[str, Any] = {
            "of": len(layers),
            "matched": "name" if layers[0].kept else "order",
            "none": at is None,
        }
        if at is not None:
            here = layers[at]
            facts |= {"layer": here.name, "op": here.op, "noise": here.noise}
        return Measure(
            name="layers-alike",
            subject=subject,
            estimate=Exact(len(layers) if at is None else at),
            scale="amount",
            unit="layers",
            least=0.0,
            better="none",
            n=self.layer_images,
            facts=facts,
        )


def _told(form: Form, layers: list[Result]) -> Form:
    """With the layer at which the forms part among what is told of the loss."""
    found = next((r for r in layers if isinstance(r, Measure) and "layer" in r.facts), None)
    if found is None:
        return form
    return Form(**(vars(form) | {"facts": {**form.facts, "layer": found.facts["layer"]}}))


def _unlike(evidence: Evidence, name: str) -> tuple[str, str] | None:
    """Why the layers of two forms cannot be laid side by side, and what to do."""
    formats = {evidence.model.format, evidence.predictor(name).facts.format}
    if formats != {"onnx"}:
        return (
            "Layers are compared of ONNX files alone; one of the two forms is a PyTorch file.",
            "Export both to ONNX to have their layers compared.",
        )
    if evidence.spec.input_of(name) != evidence.spec.model.input:
        return (
            "The two forms are fed otherwise, so that their layers see other numbers.",
            "Nothing to do: their answers are compared.",
        )
    return None


def _size_ratio(name: str, size: int, given: int) -> Measured:
    return Measure(
        name="size-ratio",
        subject=Subject(variant=name),
        estimate=Exact(size / given),
        scale="ratio",
        better="lower",
        n=1,
        facts={"megabytes": size / 1e6, "megabytes_as_given": given / 1e6},
    )


def _layer_table(layers: tuple[LayerApart, ...], name: str) -> Table:
    columns = (Column("layer"), Column("operator"), Column("difference", "share"))
    return Table(
        id=f"deployment/variants:layers+{name}",
        title=f"How far the outputs of each layer of the form {name} lie from those as given, as a "
        "share of what images change in them",
        columns=columns,
        rows=tuple((layer.name, layer.op, layer.noise) for layer in layers[:MOST_LAYERS]),
    )


def _table(evidence: Evidence) -> Table:
    """What the forms are made of, side by side."""
    lines: list[tuple[Cell, ...]] = [_line("as given", "", evidence.model)]
    for name in forms_of(evidence.spec):
        try:
            found = evidence.predictor(name).facts
        except NotMeasurableError:
            continue
        lines.append(_line(name, evidence.spec.variants[name].made_by, found))
    columns = (Column("form"), Column("made by"), Column("file", "MB"), Column("weights"),
               Column("weights that are 0", "share"), Column("FLOPs"))  # fmt: skip
    return Table("deployment/variants:forms", "The forms of the model", columns, tuple(lines))


def _line(name: str, made_by: str, facts: Any) -> tuple[Cell, ...]:
    return (name, made_by, facts.file_bytes / 1e6, facts.n_parameters, facts.zero_share,
            facts.flops)  # fmt: skip
