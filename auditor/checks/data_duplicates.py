"""data/duplicates: photographs that are in the data more than once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from auditor.checks.data_shares import TWO_LABELS, image_share
from auditor.contract import Check, Evidence, Need, Scan, Words
from auditor.data.dataset import Dataset
from auditor.data.near_duplicates import KIND_NAMES, NEAR
from auditor.data.soundness import PAIR_COLUMNS, RoleSoundness, of_two_labels
from auditor.findings import Column, Measure, Result, Subject, Table, Unmeasured
from auditor.spec import SPLITS

NEEDS: dict[str, Need] = {split: Scan(split=split, optional=split != "test") for split in SPLITS}


@dataclass(frozen=True)
class Duplicates(Check):
    """Photographs that are in the data more than once.

    What it measures
    ----------------
    The share of images of which an earlier image of the same split is the same photograph: an
    equal file, equal pixels, or a copy that was resized, recompressed, brightened, cropped by up
    to a tenth, mirrored, turned by quarters, or had a border or something over a part of it
    added. Candidates are found on thumbnails and confirmed on the pixels, in colour, once
    aligned: copies differ by noise or in one place, other shots in structure or in the noise of
    their sensor. Equal images are set apart; the first of them stays, and none where their
    labels differ (`conflict-share`): one of the labels is wrong. Copies that are not equal to the
    pixel are told, and set apart only where `data.duplicates` says `{near: set-apart}`, and not
    within one unit or where other units have another label. `shared-share` counts deployment
    images that are test images too; equal ones are set apart from the deployment data.

    Why it matters
    --------------
    A photograph that is there ten times counts ten times, and makes every interval too narrow.
    With two labels it has no truth. Deployment data that are the test data show no difference.

    How it can mislead
    ------------------
    Equal images are counted; changed copies are searched for, and some are missed. Of shots by a
    fixed camera only copies that kept the grain of the picture are told from other
    shots, and crops and overlays are not searched. Among more than 20,000 images,
    all splits together, crops, borders, overlays and greyed ones are not searched at all; among
    more than 100,000, look-alikes are sought in random trees, which miss one in some hundred of
    those that look least alike. At most
    1,000 pairs are compared on pixels (300 of fixed cameras), the most alike first; of how many
    images not all look-alikes were compared is `partly-compared-share`. A pair of shots without
    grain, of a scene in which nothing moved, counts as copies. Images without contrast are
    compared by file and pixels only.
    """

    id: ClassVar[str] = "data/duplicates"
    topic: ClassVar[str] = "copies among the images"
    needs: ClassVar[tuple[Need, ...]] = tuple(NEEDS.values())
    words: ClassVar = {
        "duplicate-share": Words(
            title="Copies among the {split} images",
            short="duplicated images",
            sentence="{count} of {n} {split} images repeat an earlier one; of "
            "{label_conflicts} of them there are copies with another label. {kept:are/is} known by "
            "search alone, as changed copies: it can miss some. These were kept.",
            action="test again without the copies",
        ),
        "conflict-share": Words(
            title="{split} images that are there with two labels",
            short=TWO_LABELS[0],
            sentence="{count} of {n} {split} images are there with two labels; they were set "
            "apart.",
            action=TWO_LABELS[1],
        ),
        "partly-compared-share": Words(
            title="{split} images that look like more images than were compared",
            short="images not compared with all look-alikes",
            sentence="{count} of {n} {split} images look like more images than were compared "
            "pixel by pixel: changed copies among them may not have been found.",
            action="look for copies among the images that look alike",
        ),
        "shared-share": Words(
            title="Deployment images that are also test images",
            short="deployment images in the test data",
            sentence="{count} of {n} deployment images were found to be test images too, {near} "
            "of them as changed copies: they cannot show how it will do elsewhere.",
            action="give images from where it will run",
        ),
    }
    sources: ClassVar[tuple[str, ...]] = (
        "Barz & Denzler 2020, Do We Train on Test Data? Purging CIFAR of Near-Duplicates, "
        "doi:10.3390/jimaging6060041",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        for split, need in NEEDS.items():
            if evidence.has(need):
                dataset = evidence.dataset(split, part="as-given")
                found = evidence.soundness().splits[split]
                yield from _measures(dataset, found, evidence.soundness().photographs[split])
                if len(found.duplicates):
                    yield _pairs(found.duplicates, split)
                if len(found.shared):
                    yield _pairs(found.shared, "shared")


def _measures(
    dataset: Dataset, found: RoleSoundness, photographs: np.ndarray
) -> Iterator[Measure | Unmeasured]:
    readable = dataset.take(found.readable)
    conflicts = int((found.repeated & of_two_labels(dataset.labels, photographs)).sum())
    kept = int(found.repeat_reported.sum())
    shares: dict[str, tuple[np.ndarray, dict[str, int]]] = {
        "duplicate-share": (found.repeated, {"label_conflicts": conflicts, "kept": kept})
    }
    if found.partly_compared.any():
        shares["partly-compared-share"] = (found.partly_compared, {})
    if dataset.has_labels:
        shares["conflict-share"] = (found.conflicting, {})
    if dataset.split == "deployment":
        near = int((found.shared["kind"] == KIND_NAMES[NEAR]).sum())
        shares["shared-share"] = (found.in_test, {"near": near})
    for name, (mask, facts) in shares.items():
        yield image_share(
            name,
            mask[found.readable],
            dataset=readable,
            subject=Subject(split=dataset.split),
            searched=name in ("duplicate-share", "shared-share"),
            facts=facts,
        )


def _pairs(pairs: pd.DataFrame, split: str) -> Table:
    stays = np.where(pairs["reported"], "kept", "set apart")
    values = pairs[list(PAIR_COLUMNS[:-1])].assign(stays=stays).astype(object).to_numpy().tolist()
    return Table(
        id=f"data-duplicates-{split}",
        title="Deployment images that are also test images"
        if split == "shared"
        else f"{split.capitalize()} images that repeat an earlier one",
        columns=(
            Column("image"),
            Column("repeats"),
            Column("kind"),
            Column("difference", "grey levels"),
            Column("label"),
            Column("label of the earlier"),
            Column("what became of it"),
        ),
        rows=tuple(tuple(row) for row in values),
    )
