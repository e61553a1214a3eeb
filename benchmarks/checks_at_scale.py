"""CPU time and peak memory of each check on evidence made of arrays: no images, no model.

    python benchmarks/checks_at_scale.py [--rows 36000] [--only bias/] [--embedding 512]

`--rows` are the test images; train and deployment get a third of that each. Every check runs once,
in a process of its own that shares the evidence, as the engine runs it (results encoded as for the
record, linear algebra on one thread). The peak is that of the whole process: interpreter, evidence
and what the check itself takes. The embedding is a memory map, as the engine hands it out; its
pages that are in memory count.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import platform
import resource
import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from auditor.contract import Available, Check, LabelledSplits, Need, check_classes
from auditor.data.dataset import MISSING_GROUP, Attribute, Dataset
from auditor.data.scan import PROPERTY_NAMES
from auditor.data.soundness import RoleSoundness, Soundness
from auditor.findings import Measure, ModelFacts, Result, RowKind, TensorFacts
from auditor.record.codec import encode
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.quantities import Quantity
from auditor.scoring.rows import Rows
from auditor.scoring.tasks import classification
from auditor.scoring.tasks.scoring import Scoring
from auditor.spec import AuditSpec

CLASSES = ("compliant", "minor", "serious")
ATTRIBUTES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "room_type": ("sensitive", ("single", "double", "family", "accessible")),
    "building": ("condition", ("hall-1930s", "tower-1970s", "new")),
    "time_of_day": ("condition", ("day", "evening")),
    "phone": ("condition", ("p1", "p2", "p3", "p4", "p5")),
    "floor": ("condition", ("1-4", "4-7", "7-9")),
    "source": ("nuisance", ("app", "tablet")),
}
NEED_IMAGES = (
    "data/duplicates", "data/leakage", "data/left-out", "data/manifest", "deployment/", "model/",
    "performance/boxes", "shortcut/attribution", "shortcut/toggle",
)  # fmt: skip
"""How ids begin of checks of files, of the model itself, of near-duplicates, of boxes."""
IMAGES_A_UNIT = 6
BLOCK = 20_000
SPEC = {
    "audit": {"title": "Rooms made of arrays", "seed": 7},
    "model": {"path": "model.onnx", "classes": CLASSES, "ordinal": True, "input": {"size": (8, 8)}},
    "data": {"test": {"images": "images"}},
    "claims": ({"measure": "accuracy", "at_least": 0.9, "source": "the team's report"},),
    "consequences": {
        "adverse": ("serious",),
        "borne_by": {"serious": "the student", "compliant": "everyone in the building"},
        "costs": {
            "unit": "EUR",
            "matrix": {
                "compliant": {"minor": 60.0, "serious": 4000.0},
                "minor": {"compliant": 150.0, "serious": 3000.0},
                "serious": {"compliant": 9000.0, "minor": 6000.0},
            },
        },
    },
}


@dataclass(frozen=True)
class ArrayEvidence:
    """The `Evidence` of every check, from arrays; splits have no images set apart."""

    given: Mapping[str, Outcomes]
    rows: Mapping[str, Rows]
    scans: Mapping[str, pd.DataFrame]
    embeddings: np.ndarray
    check_id: str = ""

    @cached_property
    def spec(self) -> AuditSpec:
        return AuditSpec.model_validate(SPEC)

    @property
    def model(self) -> ModelFacts:
        return ModelFacts(
            task="classification",
            format="onnx",
            digest="1" * 64,
            file_bytes=1_000_000,
            inputs=(TensorFacts("x", (None, 3, 8, 8), "tensor(float)"),),
            outputs=(TensorFacts("y", (None, len(CLASSES)), "tensor(float)"),),
            classes=CLASSES,
            n_parameters=1000,
            flops=10_000,
            opset=20,
            differentiable=False,
            embedding="features",
        )

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng([self.spec.audit.seed, zlib.crc32(self.check_id.encode())])

    @cached_property
    def available(self) -> Available:
        datasets = {split: outcomes.dataset for split, outcomes in self.given.items()}
        return Available(self.spec, self.model, datasets)

    @property
    def kinds(self) -> tuple[RowKind, ...]:
        return ("image",)

    def has(self, need: Need) -> bool:
        return need.unmet(self.available) is None

    def labelled_splits(self) -> tuple[str, ...]:
        return LabelledSplits().splits(self.available)

    def dataset(self, split: str, *, part: str = "sound") -> Dataset:
        return self.given[split].dataset

    def scored(
        self,
        split: str = "test",
        *,
        part: str = "sound",
        of: RowKind | None = None,
        sample: int | None = None,
        **asked: Any,
    ) -> Rows:
        at = self._sampled(split, sample)
        return self.rows[split] if at is None else self.rows[split].take(at)

    def set_values(self, split: str = "test", **asked: Any) -> tuple[Quantity, ...]:
        return ()

    def fixed_answer(self, split: str = "test") -> None:
        return None

    def answers(
        self,
        split: str = "test",
        *,
        part: str = "sound",
        sample: int | None = None,
        **asked: Any,
    ) -> Outcomes:
        at = self._sampled(split, sample)
        return self.given[split] if at is None else self.given[split].take(at)

    def _sampled(self, split: str, sample: int | None) -> np.ndarray | None:
        """The images of a pass over a sample, (m,); None where that is all of them."""
        rows = len(self.given[split])
        if sample is None or sample >= rows:
            return None
        return np.sort(np.random.default_rng(0).permutation(rows)[:sample])

    def embedding(self, split: str = "test", *, part: str = "sound") -> np.ndarray:
        return self.embeddings

    def soundness(self) -> Soundness:
        found = {}
        for split, outcomes in self.given.items():
            none = np.zeros(len(outcomes), dtype=bool)
            masks = {
                f.name: pd.DataFrame() if "DataFrame" in str(f.type) else none
                for f in fields(RoleSoundness)
            }
            found[split] = RoleSoundness(**masks | {"readable": ~none})
        sizes = [len(one.readable) for one in found.values()]
        numbers = dict(zip(found, np.split(np.arange(sum(sizes)), np.cumsum(sizes)), strict=False))
        return Soundness(found, units_compared=True, photographs=numbers)

    def scan(
        self, split: str, *, part: str = "sound", columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        return self.scans[split] if columns is None else self.scans[split][list(columns)]

    def scan_of(self, split: str, image_ids: Sequence[str]) -> pd.DataFrame:
        return self.scans[split].set_index("image_id").loc[list(image_ids)].reset_index()


@dataclass(frozen=True)
class Cost:
    """CPU seconds, the peak of resident memory in GB, and how many measures it bought."""

    seconds: float
    peak: float
    measures: int


def world(rows: int, *, embedding: int, rng: np.random.Generator) -> ArrayEvidence:
    """Rooms of some photos each, whose groups differ a little in how well they are answered."""
    sizes = {"test": rows, "train": rows // 3, "deployment": rows // 3}
    scans = {split: _scan(split, n, rng) for split, n in sizes.items()}
    given = {split: _outcomes(split, scan, rng) for split, scan in scans.items()}
    rows_of = {split: _rows(outcomes) for split, outcomes in given.items()}
    return ArrayEvidence(given, rows_of, scans, _embedding(given["test"], embedding, rng))


def _outcomes(split: str, scan: pd.DataFrame, rng: np.random.Generator) -> Outcomes:
    n = len(scan)
    rooms = max(n // IMAGES_A_UNIT, 20)
    room = rng.integers(0, rooms, n)
    groups = {name: _groups(of, room, rng) for name, (_, of) in ATTRIBUTES.items()}
    truth = rng.choice(len(CLASSES), rooms, p=[0.6, 0.25, 0.15])[room]
    labels = np.where(rng.random(n) < 0.04, rng.integers(0, len(CLASSES), n), truth)
    frame = pd.DataFrame(
        {
            "image_id": scan["image_id"],
            "path": "/images/" + scan["image_id"],
            "label": labels.astype(np.int64),
            "unit": pd.Series([f"{split}-room-{r:06d}" for r in room], dtype="str"),
            "annotator": pd.Series(np.char.add("a", (room % 8).astype(str)), dtype="str"),
            "time": pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(n), unit="min"),
            "rating:ames": _second_labels(truth, rng, share=0.1),
            "rating:birk": _second_labels(truth, rng, share=0.1),
            "gold": np.where(rng.random(n) < 0.05, truth, -1),
            **{f"attribute:{name}": of for name, of in groups.items()},
        }
    )
    dataset = Dataset(
        split=split,
        table=frame,
        classes=CLASSES,
        attributes=tuple(Attribute(name, *declared) for name, declared in ATTRIBUTES.items()),
        digest="0" * 64,
        has_labels=True,
        has_units=True,
        annotators=("ames", "birk"),
        has_gold=True,
    )
    dark = scan["mean"].to_numpy() < -1.5
    hard = (groups["building"] == "hall-1930s") + 0.5 * (groups["phone"] == "p5") + 2.5 * dark
    return Outcomes(dataset, _scores(truth, hard, rng))


def _rows(outcomes: Outcomes) -> Rows:
    """Scored rows, as the engine makes them of answers and labels."""
    dataset = outcomes.dataset
    scores = classification.score(
        outcomes.probabilities, dataset.labels, Scoring(len(dataset), len(dataset.classes))
    )
    return classification.rows(dataset, scores)


def _groups(of: tuple[str, ...], room: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The group of each image, (n,) str: the room's, of one image in ten another; some missing."""
    shares = np.arange(len(of), 0, -1) / np.arange(1, len(of) + 1).sum()
    code = rng.choice(len(of), int(room.max()) + 1, p=shares)[room]
    code = np.where(rng.random(len(room)) < 0.1, rng.integers(0, len(of), len(room)), code)
    code = np.where(rng.random(len(room)) < 0.02, len(of), code)
    return np.array([*of, MISSING_GROUP], dtype=object)[code]


def _second_labels(truth: np.ndarray, rng: np.random.Generator, *, share: float) -> np.ndarray:
    seen = np.where(rng.random(len(truth)) < 0.1, rng.integers(0, len(CLASSES), len(truth)), truth)
    return np.where(rng.random(len(truth)) < share, seen, -1).astype(np.int64)


def _scores(truth: np.ndarray, hard: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    logits = rng.normal(0, 1, (len(truth), len(CLASSES)))
    logits[np.arange(len(truth)), truth] += 3 - hard
    raised = np.exp(1.5 * logits)
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def _scan(split: str, n: int, rng: np.random.Generator) -> pd.DataFrame:
    shift = 0.2 * (split == "deployment")
    properties = {name: rng.normal(shift, 1, n) for name in PROPERTY_NAMES}
    texts = {"error": "", "format": "JPEG", "mode": "RGB", "sha256": "", "pixel_sha256": ""}
    return pd.DataFrame(
        {
            "image_id": pd.Series([f"{split}/{i:07d}.jpg" for i in range(n)], dtype="str"),
            "readable": True,
            "bits": 8,
            "highest": 255.0,
            "exif_rotated": False,
            "has_alpha": False,
            "frames": 1,
            **texts,
            **properties,
        }
    )


def _embedding(outcomes: Outcomes, width: int, rng: np.random.Generator) -> np.ndarray:
    """Written block by block to a file that has no name any more."""
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        shape = (len(outcomes), width)
        found = np.lib.format.open_memmap(Path(file.name), "w+", dtype=np.float32, shape=shape)
        for at in range(0, len(outcomes), BLOCK):
            scores = outcomes.probabilities[at : at + BLOCK]
            block = rng.standard_normal((len(scores), width), dtype=np.float32)
            block[:, : len(CLASSES)] += 2 * scores
            found[at : at + BLOCK] = block
        found.flush()
        del found
        return np.load(file.name, mmap_mode="r")


def cost_of(check: Check, evidence: ArrayEvidence) -> Cost:
    """What one run costs, in a child process: its peak is then not that of an earlier check."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    # Forked, so that the evidence is there already and is not counted twice.
    child = multiprocessing.get_context("fork").Process(
        target=_measure, args=(check, evidence, theirs)
    )
    child.start()
    theirs.close()
    try:
        found: Cost = ours.recv()
    except EOFError:
        raise RuntimeError(f"{check.id} ended without a result (see above)") from None
    child.join()
    return found


def _measure(check: Check, evidence: ArrayEvidence, answer: Connection) -> None:
    start = time.process_time()
    results = run(check, evidence)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    answer.send(Cost(seconds, peak, sum(isinstance(r, Measure) for r in results)))


def run(check: Check, evidence: ArrayEvidence) -> list[Result]:
    """All results of a check; encoded too, as the engine does."""
    own = dataclasses.replace(evidence, check_id=check.id)
    results = []
    with threadpool_limits(limits=1):
        for result in check.run(own):
            encode(result)
            results.append(result)
    return results


def checks_from_arrays(only: Sequence[str]) -> list[Check]:
    """In the order of `only`, beginnings of ids."""
    known = {i: cls for i, cls in check_classes().items() if not i.startswith(NEED_IMAGES)}
    asked = dict.fromkeys(i for begin in only for i in known if i.startswith(begin))
    return [known[i]() for i in asked]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=36_000, help="test images (default 36,000)")
    parser.add_argument(
        "--only", action="append", default=[], help="checks whose id begins so, as bias/ (all)"
    )
    parser.add_argument("--embedding", type=int, default=512, help="width of the embedding")
    asked = parser.parse_args()
    checks = checks_from_arrays(asked.only or [""])
    few = world(600, embedding=32, rng=np.random.default_rng(1))
    for check in checks:
        # Imports are paid once in an audit, and here before anything is counted.
        run(check, few)
    evidence = world(asked.rows, embedding=asked.embedding, rng=np.random.default_rng(2))
    split = asked.rows // 3
    print(
        f"{asked.rows:,} test rows, {split:,} train, {split:,} deployment; {len(ATTRIBUTES)} "
        f"attributes; embedding of {asked.embedding}; Python {platform.python_version()}, "
        f"numpy {np.__version__}, pandas {version('pandas')}\n"
    )
    print("| check | CPU s | peak GB | measures |\n|---|---|---|---|")
    costs = []
    for check in checks:
        costs.append(cost_of(check, evidence))
        print(_row(check.id, costs[-1]), flush=True)
    total = Cost(
        sum(c.seconds for c in costs), max(c.peak for c in costs), sum(c.measures for c in costs)
    )
    print(_row("together (seconds added, the highest peak)", total))


def _row(name: str, cost: Cost) -> str:
    return f"| {name} | {cost.seconds:.2f} | {cost.peak:.2f} | {cost.measures:,} |"


if __name__ == "__main__":
    main()
