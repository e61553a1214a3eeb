"""shortcut/attribution: which parts of a picture answers hang on, and if maps can be read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from auditor.checks.attribution_maps import (
    Looked,
    Maps,
    collected,
    rank_correlation,
    shares_of,
)
from auditor.checks.attribution_shown import map_figures, part_table
from auditor.checks.attribution_targets import objects_in, target_of
from auditor.checks.occlusion import (
    Fill,
    answered,
    border_of,
    filled,
    gradient_map,
    occlusion_map,
)
from auditor.contract import Check, Evidence, Gradients, LiveModel, Need, Words
from auditor.contract.words import EITHER_WAY
from auditor.data.views import Region
from auditor.errors import ModelError
from auditor.findings import Measure, Measured, Result, Side, Subject, Unmeasured
from auditor.models.contained import randomised_form
from auditor.models.load import load_model, model_classes
from auditor.models.predictor import Predictor
from auditor.own_folder import own_folder
from auditor.scoring.comparison import count_units, too_few
from auditor.stats import Exact, mean
from auditor.stats.codes import codes_of

_GRADIENTS = Gradients(optional=True)
OCCLUSION, GRADIENT = "occlusion", "integrated gradients"


@dataclass(frozen=True)
class Attribution(Check):
    """Which parts of a picture its answer hangs on: object, border, a declared artefact.

    What it measures
    ----------------
    A sample of test images, cut into a grid. Each part is hidden in turn, by more than one fill
    (the image's mean colour, the image blurred), and the change of the score of what was answered
    is that part's attribution: a classifier's log odds of the class that it answers; a detector's
    score of its surest box, as far as it still stands there; of a segmenter the share of a
    region's pixels that keep their class. `share-on` is the share of all attribution that lies on
    the annotated objects, on the border, and on the region of each declared artefact, beside the
    share of the picture that this part takes. Where the model gives gradients, integrated
    gradients from the same fills are read in the same way. `agreement-with-random` compares
    each map with that of the same network with its weights exchanged at random (rank correlation).

    Why it matters
    --------------
    A finding that accuracy rests on something asks where in the picture that is. A map shows where
    to look, and often shows something that nobody had thought of: a hospital's mark, a caption.

    How it can mislead
    ------------------
    It explains and decides nothing. A map shows what an answer hangs on where it is *placed*: of
    tint, blur and texture, which are everywhere, it shows nothing, and of a net that leans on them
    it looks innocent. Hidden parts are new to the model, so that an edge of a fill can matter more
    than what it hides: read what both fills say. What two parts tell each alone is not missed when
    one of them is hidden. A map that hardly differs from that of the network with exchanged
    weights shows the picture and not what was learned. One picture of a map has convinced many; a
    share over images has an interval.
    """

    id: ClassVar[str] = "shortcut/attribution"
    topic: ClassVar[str] = "where in the picture answers come from"
    needs: ClassVar[tuple[Need, ...]] = (LiveModel(), _GRADIENTS)
    cannot_see: ClassVar[str] = (
        "A shortcut that is spread over the picture (tint, blur, texture) has no place on a map."
    )
    sources: ClassVar[tuple[str, ...]] = (
        "Zeiler & Fergus (2014), doi:10.1007/978-3-319-10590-1_53 (occlusion)",
        "Sundararajan, Taly & Yan (2017), arXiv:1703.01365 (integrated gradients)",
        "Adebayo et al. (2018), arXiv:1810.03292 (sanity check by random weights)",
        "Adebayo et al. (2022), arXiv:2212.04629 (maps miss unknown shortcuts)",
    )
    words: ClassVar[Mapping[str, Words | tuple[Words, ...]]] = {
        "share-on": (
            Words(
                title="Share of the attribution on {artefact} ({method}, fill: {fill})",
                short="attribution on {artefact}",
                sentence="{value} of what the answers to {n} images hang on lies on the region of "
                "{artefact}, which is {area:percent} of the picture ({method}, fill: {fill}).",
                action="look at the maps, and probe the artefact with `shortcut/toggle`",
            ),
            Words(
                title="Share of the attribution on the {part} ({method}, fill: {fill})",
                short="attribution on the {part}",
                sentence="{value} of what the answers to {n} images hang on lies on the {part}, "
                "which is {area:percent} of the picture ({method}, fill: {fill}).",
                action="look at the maps, and probe what they show with `shortcut/toggle`",
            ),
        ),
        "agreement-with-random": Words(
            title="Agreement of maps with those of random weights ({method}, fill: {fill})",
            span=EITHER_WAY,
            short="maps agree with those of random weights",
            sentence="Maps of the model and of the same network with its weights exchanged at "
            "random go together by {value} (rank correlation, {n} images; 0: not at all, 1: they "
            "are the same and show nothing that was learned; {method}, fill: {fill}).",
            action="trust no map of this kind for this model",
        ),
    }

    sample: Annotated[int, "Test images whose answers are explained, taken by unit."] = 24
    grid: Annotated[int, "Parts a side that a picture is cut into."] = 8
    fills: Annotated[tuple[Fill, ...], "What hidden parts are filled with."] = ("mean", "blurred")
    steps: Annotated[int, "Frames between fill and picture for integrated gradients."] = 16

    def run(self, evidence: Evidence) -> Iterator[Result]:
        looked = self._looked(evidence)
        model = evidence.predictor()
        own = list(self._all_maps(evidence, model, looked))
        chance, why = self._at_random(evidence, looked)
        for maps in own:
            yield from _shares(maps, looked)
        yield from _sanity(own, chance, why, looked)
        both = (("the model", own), ("random weights", chance))
        yield from part_table(both, looked)
        yield from map_figures(both)

    def _looked(self, evidence: Evidence) -> Looked:
        frames = evidence.frames("test", sample=self.sample)
        ids = evidence.frame_ids("test", sample=self.sample)
        dataset = evidence.dataset("test")
        taken = dataset.take(dataset.image_ids.places_of(ids))
        size, n = frames.shape[1:3], len(frames)
        parts: dict[tuple[str, str], list[NDArray[np.bool_] | None]] = {
            ("part", "border"): [border_of(size, self.grid)] * n
        }
        objects = objects_in(taken, evidence.spec.model.input)
        if any(one is not None for one in objects):
            parts["part", "object"] = objects
        for shortcut in evidence.spec.shortcuts:
            if shortcut.region is None:
                continue
            region = np.zeros(size, dtype=bool)
            region[Region(*shortcut.region).within(frames[0])] = True
            parts["artefact", shortcut.name] = [region] * n
        units = None if taken.units is None else codes_of(taken.units)
        return Looked(frames, units, parts)

    def _all_maps(self, evidence: Evidence, model: Predictor, looked: Looked) -> Iterator[Maps]:
        for fill in self.fills:
            yield self._occluded(evidence, model, looked, fill)
        if evidence.has(_GRADIENTS) and evidence.model.task == "classification":
            for fill in self.fills:
                yield self._by_gradients(evidence, model, looked, fill)

    def _occluded(self, evidence: Evidence, model: Predictor, looked: Looked, fill: Fill) -> Maps:
        confidence = evidence.spec.model.point.confidence

        def map_of(frame: NDArray[np.uint8]) -> NDArray[np.float64] | None:
            shot = model.predict(frame[None])
            target = target_of(shot, confidence=confidence, grid=self.grid)
            if target is None:
                return None
            return occlusion_map(
                model, frame, filled(frame, fill), grid=self.grid, score=target.scores,
                before=target.before,
            )  # fmt: skip

        # A model answers as many calls at once as there are cores.
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            maps = list(pool.map(map_of, looked.frames))
        made = {at: one for at, one in enumerate(maps) if one is not None}
        return collected(OCCLUSION, fill, made, self.grid, len(maps) - len(made))

    def _by_gradients(
        self, evidence: Evidence, model: Predictor, looked: Looked, fill: Fill
    ) -> Maps:
        labels = answered(model, looked.frames).probabilities.argmax(axis=1)
        made = {
            at: gradient_map(
                model, frame, filled(frame, fill), grid=self.grid, label=int(labels[at]),
                input=evidence.spec.model.input, steps=self.steps,
            )
            for at, frame in enumerate(looked.frames)
        }  # fmt: skip
        return collected(GRADIENT, fill, made, self.grid, 0)

    def _at_random(self, evidence: Evidence, looked: Looked) -> tuple[list[Maps], str]:
        """Maps of the network with exchanged weights, or why there are none."""
        spec = evidence.spec
        if evidence.model.task != "classification":
            return [], "Of a network with exchanged weights no box or region can be followed."
        try:
            made = randomised_form(evidence.model_path(), model=spec.model, seed=spec.audit.seed)
            if not made:
                return [], f"The weights of a {evidence.model.format} file cannot be exchanged."
            with own_folder("auditor-random-") as folder:
                file = folder / "randomised"
                file.write_bytes(made)
                model = load_model(
                    spec, classes=model_classes(spec), trust_code=evidence.model.trusted_code,
                    path=file,
                )  # fmt: skip
                return list(self._all_maps(evidence, model, looked)), ""
        except ModelError as error:
            return [], f"The network with exchanged weights could not be asked: {error}"


def _about(maps: Maps, **keys: str) -> Subject:
    return Subject.of(split="test", method=maps.method, fill=maps.fill, **keys)


def _shares(maps: Maps, looked: Looked) -> Iterator[Measured]:
    for (key, name), places in looked.parts.items():
        subject = _about(maps, **{key: name})
        found = shares_of(maps, places)
        yield _measured("share-on", subject, found.values, found.at, looked, maps,
                        span=(0.0, 1.0), area=found.area)  # fmt: skip


def _measured(
    name: str,
    subject: Subject,
    values: NDArray[np.float64],
    at: NDArray[np.int64],
    looked: Looked,
    maps: Maps,
    *,
    span: tuple[float, float],
    area: float | None = None,
) -> Measured:
    unit = None if looked.units is None else looked.units[at]
    known = np.ones(len(at), dtype=bool)
    if len(at) < 1 and maps.flat:
        return Unmeasured(
            name,
            subject,
            f"The maps are flat: hiding any part of {maps.flat} images changes no score.",
            "Explain images that the model is less sure of, or larger parts (`grid`).",
        )
    sides = {"the images with a map that is not flat": count_units(known, unit)}
    few = too_few(name, subject, sides=sides, noun="images" if unit is None else "units")
    if few is not None:
        return few
    share = span[0] >= 0
    estimate = mean(values, unit=unit, span=span)
    return Measure(
        name=name,
        subject=subject,
        estimate=estimate,
        scale="share" if share else "amount",
        better="none" if share else "lower",
        least=None if share else -1.0,
        n=len(values),
        n_units=None if unit is None else count_units(known, unit),
        sides=None if area is None else (Side(estimate, len(values)), Side(Exact(area))),
        facts={"flat": maps.flat, "unanswered": maps.unanswered}
        | ({} if area is None else {"area": area}),
    )


def _sanity(own: list[Maps], chance: list[Maps], why: str, looked: Looked) -> Iterator[Measured]:
    if not chance:
        remedy = "Read the maps with care, or audit the ONNX file or the weights."
        yield Unmeasured("agreement-with-random", Subject(split="test"), why, remedy)
        return
    for mine, other in zip(own, chance, strict=True):
        at = np.intersect1d(mine.at, other.at)
        first, second = (m.maps[np.searchsorted(m.at, at)] for m in (mine, other))
        values = np.array([rank_correlation(a, b) for a, b in zip(first, second, strict=True)])
        flat = other if len(other.at) < len(mine.at) else mine
        yield _measured("agreement-with-random", _about(mine), values, at, looked, flat,
                        span=(-1.0, 1.0))  # fmt: skip
