"""Artefacts that nobody named: patches found in the test images, and put to the live model."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from auditor.checks.artefact_views import Views, declared_regions, views_in
from auditor.contract import Evidence
from auditor.data.dataset import MISSING_GROUP, Dataset
from auditor.data.donors import donor_rows
from auditor.data.recurring import Recurring, recurring_patches
from auditor.data.views import PatchInRegion, Region, View, ViewContext
from auditor.findings import Measure, RowKind, Side, Subject
from auditor.scoring.rows import Rows
from auditor.scoring.tasks import classification
from auditor.scoring.tasks.scoring import Scoring
from auditor.stats import Exact, RateDifference, rate, rate_difference

LOOKED = 600
"""Test images that are looked through for patches, at most."""

_MOST_BYTES = 400_000_000
_BATCH = 8
_MOSTLY = 0.9
"""Share of a patch's carriers in a group, and of the group that carries it, to be named by it."""


@dataclass(frozen=True)
class Looked:
    """Test images that were looked through, and the patches that recur among them."""

    dataset: Dataset
    frames: np.ndarray
    patches: tuple[Recurring, ...]

    @classmethod
    def through(cls, evidence: Evidence, *, most: int) -> Looked:
        """A sample of the test images; at most so many patches, none where one is declared."""
        height, width = evidence.spec.model.input.size
        sample = min(LOOKED, max(_MOST_BYTES // (height * width * 3), 1))
        frames = evidence.frames("test", sample=sample)
        dataset = evidence.dataset("test")
        ids = evidence.frame_ids("test", sample=sample)
        dataset = dataset.take(dataset.image_ids.places_of(ids))
        known = declared_regions(evidence.spec)
        found = recurring_patches(frames, dataset.labels, most=most + len(known))
        new = [p for p in found if not any(p.region.touches(one) for one in known)]
        return cls(dataset, frames, tuple(new[:most]))

    def count(self) -> Measure:
        """How many patches were found, in how many images."""
        n = len(self.patches)
        return Measure(
            name="patches-found",
            subject=Subject(split="test"),
            estimate=Exact(float(n)),
            scale="amount",
            least=0.0,
            better="none",
            n=len(self.dataset),
            searched=True,
            facts={"none": n == 0, "some": n > 0},
        )


@dataclass(frozen=True)
class Mined:
    """A patch that was found, with its name and what it is probed with."""

    name: str
    patch: Recurring
    views: Views
    looked: Looked

    @classmethod
    def of(cls, patch: Recurring, looked: Looked, evidence: Evidence) -> Mined:
        known = (*declared_regions(evidence.spec), *(p.region for p in looked.patches))
        picture = PatchInRegion(patch.region, _picture(patch, looked.frames))
        views = views_in(patch.region, known=known, added=picture)
        return cls(f"the patch at the {place_of(patch.region)}", patch, views, looked)

    @property
    def label(self) -> str:
        """The class that it is typical of."""
        return self.looked.dataset.classes[self.patch.label]

    @property
    def offer(self) -> RateDifference:
        """Share of the images of its class that carry it minus the share of the others."""
        dataset = self.looked.dataset
        known = dataset.labels >= 0
        units = dataset.unit_codes
        return rate_difference(
            self.patch.carriers[known],
            member=dataset.labels[known] == self.patch.label,
            unit=None if units is None else units[known],
        )

    @property
    def place(self) -> str:
        return place_of(self.patch.region)

    def recurrence(self) -> Measure:
        """How much more often the images of its class carry it than the others."""
        dataset = self.looked.dataset
        known = dataset.labels >= 0
        inside = known & (dataset.labels == self.patch.label)
        units = dataset.unit_codes
        sides = [
            Side(rate(self.patch.carriers[k], unit=None if units is None else units[k]),
                 int(k.sum()))
            for k in (inside, known & ~inside)
        ]  # fmt: skip
        name, group = self.carried_by or (None, None)
        edges = self.patch.region
        return Measure(
            name="recurrence",
            subject=Subject.about({"artefact": self.name, "class": self.label}, split="test"),
            estimate=self.offer,
            scale="difference",
            neutral=0.0,
            better="lower",
            n=int(known.sum()),
            n_units=None if units is None else len(np.unique(units[known])),
            sides=(sides[0], sides[1]),
            facts={
                "artefact_place": f"{self.place} ({edges.x0:.0%} to {edges.x1:.0%} of the width, "
                f"{edges.y0:.0%} to {edges.y1:.0%} of the height)",
                "carried_name": name,
                "carried_group": group,
                "region": [edges.x0, edges.y0, edges.x1, edges.y1],
            },
            searched=True,
        )

    @property
    def carried_by(self) -> tuple[str, str] | None:
        """The attribute and group whose images carry it, and hardly any other; None for none."""
        carriers, dataset = self.patch.carriers, self.looked.dataset
        for attribute in dataset.attributes:
            groups = dataset.groups(attribute.name)
            for group in attribute.groups:
                inside = (groups == group) & (groups != MISSING_GROUP)
                both = (inside & carriers).sum()
                if both >= _MOSTLY * carriers.sum() and both >= _MOSTLY * inside.sum():
                    return attribute.name, group
        return None


def place_of(region: Region) -> str:
    """Where a region lies in the frame, in words."""
    across, down = (region.x0 + region.x1) / 2, (region.y0 + region.y1) / 2
    words = [
        "upper" if down < 1 / 3 else "lower" if down > 2 / 3 else "",
        "left" if across < 1 / 3 else "right" if across > 2 / 3 else "",
    ]
    return " ".join(w for w in words if w) or "middle"


def _picture(patch: Recurring, frames: np.ndarray) -> bytes:
    """The patch as a PNG file: the median of its carriers, clear where they differ."""
    rows, columns = patch.region.within(frames[0])
    held = frames[patch.carriers][:, rows, columns].astype(np.float32)
    centre = np.median(held, axis=0)
    alike = np.median(np.abs(held - centre).max(axis=3), axis=0) <= _ALIKE
    pixels = np.dstack([np.rint(centre), 255 * alike]).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(out, format="PNG")
    return out.getvalue()


_ALIKE = 12
"""By how much half of the carriers may differ from a patch's pixel."""


def live_rows(evidence: Evidence, looked: Looked) -> Callable[[View, RowKind | None], Rows]:
    """Rows of the images looked through under a view, answered by the live model, once a view."""
    known: dict[str, Rows] = {}

    def answered_under(view: View) -> Rows:
        dataset, places, seen = looked.dataset, [], []
        for place, frame in _seen(looked, view, seed=evidence.spec.audit.seed):
            places.append(place)
            seen.append(frame)
        model = evidence.predictor()
        parts = [
            model.predict(np.stack(seen[start : start + _BATCH])).probabilities
            for start in range(0, len(seen), _BATCH)
        ]
        answered = dataset.take(np.array(places, dtype=np.int64))
        how = Scoring(len(answered), len(answered.classes))
        scores = classification.score(np.concatenate(parts), answered.labels, how)
        return classification.rows(answered, scores, of="image")

    def rows(view: View, of: RowKind | None) -> Rows:
        if view.name not in known:
            known[view.name] = answered_under(view)
        return known[view.name]

    return rows


def _seen(looked: Looked, view: View, *, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """Each image that the view can be had of: its place, and its frame under the view."""
    dataset, frames = looked.dataset, looked.frames
    donors = np.full(len(dataset), -1)
    if view.donor is not None:
        everyone = np.ones(len(dataset), dtype=bool)
        donors = donor_rows(dataset, view.donor, usable=everyone, seed=seed)
    for place, frame in enumerate(frames):
        if view.donor is None or donors[place] >= 0:
            donor = frames[donors[place]] if donors[place] >= 0 else None
            image, label = str(dataset.image_ids[place]), int(dataset.labels[place])
            yield place, view(frame, ViewContext(image, seed, label, donor))
