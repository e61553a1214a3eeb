"""data/duplicates: photographs that are in the data more than once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from auditor.checks.data_shares import image_share
from auditor.contract import Check, Evidence, Need, Scan, Words
from auditor.data.dataset import Dataset
from auditor.data.soundness import PAIR_COLUMNS, RoleSoundness
from auditor.findings import Column, Measure, Result, Subject, Table, Unmeasured
from auditor.spec import SPLITS

NEEDS: dict[str, Need] = {split: Scan(split=split, optional=split != "test") for split in SPLITS}


@dataclass(frozen=True)
class Duplicates(Check):
    """Photographs that are in the data more than once.

    What it measures
    ----------------
    The share of images of which an earlier image of the same split is the same photograph: an
    equal file, equal pixels, or nearly equal 16 x 16 grey thumbnails (a copy that was resized,
    recompressed or mildly brightened). Duplicates are set apart; the first of them stays. How
    many of them carry another label than their twin is told too: one of the two labels is wrong.

    Why it matters
    --------------
    A photograph that is there ten times counts ten times, and makes every interval too narrow.

    How it can mislead
    ------------------
    Cropped, mirrored or turned copies are not found, and one in ten copies at a third of the
    size with strong compression is missed. Frames of a fixed camera that show an unchanged scene
    count as duplicates, also where only frames in between link two that differ. Images without
    contrast are compared by file and pixels only.
    """

    id: ClassVar[str] = "data/duplicates"
    topic: ClassVar[str] = "copies among the images"
    needs: ClassVar[tuple[Need, ...]] = tuple(NEEDS.values())
    words: ClassVar = {
        "duplicate-share": Words(
            title="Copies among the {split} images",
            short="duplicated images",
            sentence="{count} of {n} {split} images repeat an earlier one; {label_conflicts} of "
            "them carry another label than it.",
            action="test again without the copies",
        )
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
                yield _measure(dataset, found)
                if len(found.duplicates):
                    yield _pairs(found.duplicates, split)


def _measure(dataset: Dataset, found: RoleSoundness) -> Measure | Unmeasured:
    conflicts = _label_conflicts(found.duplicates)
    return image_share(
        "duplicate-share",
        found.duplicate[found.readable],
        dataset=dataset.take(found.readable),
        subject=Subject(split=dataset.split),
        facts={"label_conflicts": conflicts},
    )


def _label_conflicts(pairs: pd.DataFrame) -> int:
    both = pairs[(pairs["label"] != "") & (pairs["twin_label"] != "")]
    return int((both["label"] != both["twin_label"]).sum())


def _pairs(pairs: pd.DataFrame, split: str) -> Table:
    values = pairs[list(PAIR_COLUMNS)].astype(object).to_numpy().tolist()
    return Table(
        id=f"data-duplicates-{split}",
        title=f"{split.capitalize()} images that repeat an earlier one",
        columns=(
            Column("image"),
            Column("repeats"),
            Column("kind"),
            Column("difference", "grey levels"),
            Column("label"),
            Column("label of the earlier"),
        ),
        rows=tuple(tuple(row) for row in values),
    )
