"""data/leakage: test images that training has, or whose rooms or persons it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.checks.data_shares import EXAMPLES, LEAST, SEEN, image_share, too_few
from auditor.contract import Check, Evidence, Need, Scan, Words
from auditor.data.dataset import Dataset
from auditor.data.soundness import RoleSoundness, Soundness
from auditor.findings import Column, Measure, Result, Subject, Table, Unmeasured
from auditor.stats import rate

TEST = Subject(split="test")


@dataclass(frozen=True)
class Leakage(Check):
    """Test images that training has too, or of whose units it has images.

    What it measures
    ----------------
    Shares of the test images: of which training has the same photograph (equal file, equal
    pixels, or a changed copy: see `data/duplicates`), of whose unit (room, person,
    video) training has images, and either. Equal images are counted, all of them
    (`equal-image-share`); changed copies are searched for. Also the share of test units that
    training has.
    Seen images are set apart, copies that are not equal to the pixel only where
    `data.duplicates` says so: other checks run on what is left.

    Why it matters
    --------------
    A model recognises what it was trained on. Its accuracy there says little of its accuracy on
    a room, a person or a video that it meets for the first time.

    How it can mislead
    ------------------
    Units are compared by their names, which must mean the same in both manifests: if both number
    their rooms from 1, unrelated rooms count as seen. Some changed copies are
    not found (`data/duplicates` says which; with `near: off` none is), and training data that
    were not given cannot be searched. What is counted here was
    *available* to training; that the model learned it by heart is not shown.
    """

    id: ClassVar[str] = "data/leakage"
    topic: ClassVar[str] = "whether test images were seen in training"
    needs: ClassVar[tuple[Need, ...]] = (Scan(split="test"), Scan(split="train"))
    words: ClassVar = {
        "seen-share": Words(
            title="Test images that, or whose {unit_noun}, were seen in training",
            short=SEEN[0],
            sentence="{count} of {n} test images were found to have been seen in training, or "
            "their {unit_noun} was. Known as changed copies alone: {near}; a search looks for such "
            "copies, and can miss some.",
            action=SEEN[1],
        ),
        "seen-image-share": Words(
            title="Test images that are also training images",
            short="test images in training",
            sentence="{count} of {n} test images were found among the training images: "
            "{equal:are/is} equal to the pixel, {near:are/is} known by a search for changed "
            "copies.",
            action=SEEN[1],
        ),
        "equal-image-share": Words(
            title="Test images that equal a training image",
            short="test images equal to training images",
            sentence="{count} of {n} test images equal a training image to the pixel: of these "
            "all are counted.",
            action=SEEN[1],
        ),
        "seen-unit-share": Words(
            title="Share of {units_noun} of the test data that are also in training",
            short="{units_noun} in training",
            sentence="{count} of {n:units} of the test data have images in training.",
            action=SEEN[1],
        ),
    }
    sources: ClassVar[tuple[str, ...]] = (
        "Barz & Denzler 2020, Do We Train on Test Data? Purging CIFAR of Near-Duplicates, "
        "doi:10.3390/jimaging6060041",
        "Kapoor & Narayanan 2023, Leakage and the reproducibility crisis in "
        "machine-learning-based science, doi:10.1016/j.patter.2023.100804",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        soundness = evidence.soundness()
        found = soundness.splits["test"]
        dataset = evidence.dataset("test", part="as-given")
        readable = dataset.take(found.readable)
        equal = found.seen_image & ~found.seen_near
        near = found.seen_near
        for name, mask, searched, changed in (
            ("seen-share", found.leaked, True, near & ~found.seen_unit),
            ("seen-image-share", found.seen_image, True, near),
            ("equal-image-share", equal, False, near & False),
        ):
            yield image_share(
                name,
                mask[found.readable],
                dataset=readable,
                subject=TEST,
                searched=searched,
                facts={"equal": int(equal.sum()), "near": int(changed.sum())},
            )
        yield _units(dataset, found, soundness)
        if found.leaked.any():
            yield _table(dataset, found)


def _units(dataset: Dataset, found: RoleSoundness, soundness: Soundness) -> Measure | Unmeasured:
    name = "seen-unit-share"
    if not soundness.units_compared:
        return Unmeasured(
            name,
            TEST,
            reason="The test and training manifests do not both name units.",
            remedy="Name the column of what was sampled independently (room, person, video) "
            "under `data.columns.unit`, in both manifests.",
        )
    seen_of = dict(zip(dataset.table["unit"], found.seen_unit, strict=True))
    seen_of.pop("", None)
    if len(seen_of) < LEAST:
        return too_few(name, TEST, n=len(seen_of), what="units")
    return Measure(
        name=name,
        subject=TEST,
        estimate=rate(np.fromiter(seen_of.values(), dtype=bool)),
        scale="share",
        better="lower",
        n=len(seen_of),
        n_units=len(seen_of),
        examples=tuple(str(i) for i in dataset.image_ids.take(found.seen_unit)[:EXAMPLES]),
        ranked=False,
        facts={"count": int(sum(seen_of.values()))},
    )


def _table(dataset: Dataset, found: RoleSoundness) -> Table:
    twins = {pair["image"]: pair for pair in found.seen.to_dict("records")}
    units = dataset.units
    rows = []
    for place in np.flatnonzero(found.leaked):
        image = str(dataset.image_ids[place])
        twin = twins.get(image, {"twin": None, "kind": "same unit", "distance": None})
        unit = str(units[place]) if units is not None and found.seen_unit[place] else None
        rows.append((image, twin["twin"], twin["kind"], twin["distance"], unit))
    return Table(
        id="data-leakage-seen",
        title="Test images that were seen in training",
        columns=(
            Column("test image"),
            Column("training image"),
            Column("kind"),
            Column("difference", "grey levels"),
            Column("unit in training"),
        ),
        rows=tuple(rows),
    )
