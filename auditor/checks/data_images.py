"""data/images: images that cannot be read, and images of another kind than the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from auditor.checks.data_shares import LEAST, image_share, too_few
from auditor.contract import Check, Evidence, Need, Scan, Words
from auditor.contract.words import FROM_0
from auditor.data.dataset import Dataset
from auditor.data.deep_pixels import unused_bits
from auditor.findings import Column, Measure, Result, Subject, Table, Unmeasured
from auditor.spec import SPLITS
from auditor.stats import Exact

NEEDS: dict[str, Need] = {split: Scan(split=split, optional=split != "test") for split in SPLITS}

KINDS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "sixteen-bit": lambda scan: scan["bits"] > 8,
    "cmyk": lambda scan: scan["mode"] == "CMYK",
    "alpha": lambda scan: scan["has_alpha"].astype(bool),
    "exif-rotated": lambda scan: scan["exif_rotated"].astype(bool),
    "animated": lambda scan: scan["frames"] > 1,
    "other-colours": lambda scan: _minority_colours(scan),
}
"""Kinds of image that pipelines read differently, each a mask over a scan's rows."""

_GREY_MODES = ("L", "LA", "La", "1", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True)
class Images(Check):
    """Images that cannot be read, and images of another kind than the rest.

    What it measures
    ----------------
    The share of images that cannot be decoded whole (empty, truncated, damaged, not an image,
    more pixels than allowed), and the share of odd ones, by kind: more than 8 bits a channel,
    CMYK, an alpha channel, turned only by an EXIF tag, several frames, and grey among colour
    images (or the reverse, whichever is rarer). An odd image is used; how it was read is fixed:
    16-bit grey scaled to 8 bits, alpha dropped, EXIF turned, the first frame taken. For each depth
    of file, how many of its bits no image uses: 12 bits in a file of 16 are read as nearly black.
    With `model.input.range` the spec says what white is, and this is not asked.

    Why it matters
    --------------
    Images that fail are often of one device or one site. Odd ones are read differently by other
    libraries, so that the model meets other pixels in production than in this audit.

    How it can mislead
    ------------------
    An image that decodes may still show nothing. A kind that all images share is counted for all
    of them; it is a fault only if the deployed pipeline reads it otherwise. Photos that are all
    dark leave bits unused, too; `model.input.range` then says that they are as they should be.
    """

    id: ClassVar[str] = "data/images"
    topic: ClassVar[str] = "unreadable and unusual images"
    needs: ClassVar[tuple[Need, ...]] = tuple(NEEDS.values())
    words: ClassVar = {
        "unreadable-share": Words(
            title="Images that cannot be read, {split} data",
            short="unreadable images",
            sentence="{count} of {n} {split} images cannot be read.",
            action="fix the unreadable images",
        ),
        "odd-share": (
            Words(
                title="Unusual images, {split} data: {kind}",
                short="unusual images ({kind})",
                sentence="{count} of {n} {split} images are of the kind {kind}.",
                action="see that the deployed pipeline reads such images alike",
            ),
            Words(
                title="Unusual images, {split} data",
                short="unusual images",
                sentence="{count} of {n} {split} images are of an odd kind.",
                action="see that the deployed pipeline reads such images alike",
            ),
        ),
        "unused-bits": Words(
            title="Bits that no pixel uses, {split} data ({kind})",
            short="unused bits of the pixels",
            sentence="In {n} {split} images of {kind} the largest value is {highest:g}: {point} "
            "never used.",
            span=FROM_0,
            action="say which stored value is white (`model.input.range`, as 4095 for 12 bits)",
        ),
    }
    sources: ClassVar[tuple[str, ...]] = (
        "Parmar, Zhang & Zhu 2022, On Aliased Resizing and Surprising Subtleties in GAN "
        "Evaluation, arXiv:2104.11222",
    )

    def run(self, evidence: Evidence) -> Iterator[Result]:
        for split, need in NEEDS.items():
            if evidence.has(need):
                scan = evidence.scan(split, part="as-given")
                dataset = evidence.dataset(split, part="as-given")
                yield from _shares(scan, dataset, split)
                if evidence.spec.model.input.range is None:
                    yield from _unused(scan, split)
                yield _formats(scan, split)
                if not scan["readable"].all():
                    yield _unreadable(scan, dataset)


def _shares(scan: pd.DataFrame, dataset: Dataset, split: str) -> Iterator[Result]:
    unreadable = ~scan["readable"].to_numpy(dtype=bool)
    whole = Subject(split=split)
    yield image_share("unreadable-share", unreadable, dataset=dataset, subject=whole)
    kept, readable = dataset.take(~unreadable), scan[~unreadable]
    masks = {kind: is_kind(readable).to_numpy(dtype=bool) for kind, is_kind in KINDS.items()}
    odd = np.logical_or.reduce(list(masks.values()))
    yield image_share("odd-share", odd, dataset=kept, subject=whole)
    for kind, mask in masks.items():
        about = Subject.of(split=split, kind=kind)
        yield image_share("odd-share", mask, dataset=kept, subject=about)


def _unused(scan: pd.DataFrame, split: str) -> Iterator[Measure | Unmeasured]:
    """Of the images of each depth, the bits that the largest value of all of them leaves unused."""
    stored = scan[scan["readable"].astype(bool) & scan["highest"].notna() & (scan["bits"] >= 8)]
    for bits in sorted({int(bits) for bits in stored["bits"]}):
        same = stored[stored["bits"] == bits]
        about = Subject.of(split=split, kind=f"{bits} bits a channel")
        if len(same) < LEAST:
            yield too_few("unused-bits", about, n=len(same), what="images")
            continue
        highest = float(same["highest"].max())
        unused = unused_bits(highest, bits=bits)
        yield Measure(
            name="unused-bits",
            subject=about,
            estimate=Exact(float(unused)),
            scale="amount",
            unit="bits",
            least=0.0,
            better="lower",
            n=len(same),
            facts={"highest": highest},
        )


def _minority_colours(scan: pd.DataFrame) -> pd.Series:
    grey = scan["mode"].isin(_GREY_MODES)
    return grey if grey.mean() <= 0.5 else ~grey


def _formats(scan: pd.DataFrame, split: str) -> Table:
    readable = scan[scan["readable"].astype(bool)]
    kinds = readable.groupby(["format", "mode", "bits"], as_index=False).agg(
        images=("readable", "size"), width=("width", "median"), height=("height", "median")
    )
    kinds = kinds.sort_values(["images", "format", "mode"], ascending=[False, True, True])
    return Table(
        id=f"data-images-formats-{split}",
        title=f"Kinds of {split} image",
        columns=(
            Column("format"),
            Column("mode"),
            Column("depth", "bits"),
            Column("images"),
            Column("median width", "pixels"),
            Column("median height", "pixels"),
        ),
        rows=tuple(tuple(row) for row in kinds.astype(object).to_numpy().tolist()),
    )


def _unreadable(scan: pd.DataFrame, dataset: Dataset) -> Table:
    split, failing = dataset.split, ~scan["readable"].to_numpy(dtype=bool)
    reasons = scan["error"][failing].astype(str)
    return Table(
        id=f"data-images-unreadable-{split}",
        title=f"{split.capitalize()} images that cannot be read",
        columns=(Column("image"), Column("reason")),
        rows=tuple(zip(dataset.image_ids[failing], reasons, strict=True)),
    )
