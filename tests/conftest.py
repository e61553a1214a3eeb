"""Worlds for checks: evidence made of arrays, so that a check is tested as a pure function."""

from __future__ import annotations

import dataclasses
import os
import sys
import types
import zlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import auditor.models  # noqa: F401 - first: it turns onnxruntime's telemetry off
from auditor import cli
from auditor.data.dataset import Attribute, Dataset
from auditor.data.views import AS_SHOT
from auditor.findings import Measure, ModelFacts, TensorFacts, Unmeasured
from auditor.judging.judged_record import make_record
from auditor.judging.policy import Owner, Policy
from auditor.judging.policy_file import PolicyFile
from auditor.record import CheckText, PlanSummary
from auditor.record.provenance import collect_provenance
from auditor.reports.limits_section import first_words
from auditor.reports.telling import Telling
from auditor.scoring.detection_errors import OperatingPoint
from auditor.scoring.outcomes import Outcomes
from auditor.scoring.tasks import classification, detection, segmentation, task_of
from auditor.scoring.tasks.scoring import Scoring
from auditor.spec import SUBJECT_KEYS, AuditSpec
from auditor.spec.spec_file import SpecFile

MINIMAL_SPEC = {
    "audit": {"title": "A world", "seed": 7},
    "model": {"path": "model.onnx", "classes": ("a", "b"), "input": {"size": (8, 8)}},
    "data": {"test": {"images": "images"}},
}


def pytest_collection_modifyitems(items):
    """The slowest modules go first, so that no core waits at the end for the last of them."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def make_spec(**changes) -> AuditSpec:
    """A small valid spec; `changes` replace top-level sections."""
    return AuditSpec.model_validate(MINIMAL_SPEC | changes)


def make_dataset(
    labels,
    *,
    split: str = "test",
    classes: tuple[str, ...] = ("a", "b"),
    units=None,
    attributes: dict[str, tuple[str, list[str]]] | None = None,
    extra: dict[str, object] | None = None,
    prefix: str = "",
    annotator=None,
    ratings: dict[str, object] | None = None,
    gold=None,
) -> Dataset:
    """A dataset of rows without files; `attributes` maps name -> (split, group of each image).

    `annotator` names who gave each label; `ratings` maps a name to class indices, -1 for none,
    and `gold` holds the expert's.
    """
    n = len(labels)
    frame = pd.DataFrame(
        {
            "image_id": [f"{prefix or split}/{i:05d}.png" for i in range(n)],
            "path": [f"/nowhere/{i:05d}.png" for i in range(n)],
            "label": np.asarray(labels, dtype=np.int64),
            "unit": [str(u) for u in units] if units is not None else [""] * n,
            "annotator": [""] * n if annotator is None else [str(a) for a in annotator],
            "time": pd.Series([pd.NaT] * n, dtype="datetime64[ns]"),
        }
    )
    for name, given in (ratings or {}).items():
        frame[f"rating:{name}"] = np.asarray(given, dtype=np.int64)
    if gold is not None:
        frame["gold"] = np.asarray(gold, dtype=np.int64)
    declared = []
    for name, (attribute_role, groups) in (attributes or {}).items():
        frame[f"attribute:{name}"] = [str(g) for g in groups]
        found = tuple(sorted({str(g) for g in groups} - {""}))
        declared.append(Attribute(name=name, role=attribute_role, groups=found))
    for column, values in (extra or {}).items():
        frame[column] = values
    return Dataset(
        split=split,
        table=frame,
        classes=classes,
        attributes=tuple(declared),
        digest="0" * 64,
        has_labels=bool((frame["label"] >= 0).any()),
        has_units=units is not None,
        annotators=tuple(ratings or ()),
        has_gold=gold is not None and bool((frame["gold"] >= 0).any()),
    )


def make_facts(**changes) -> ModelFacts:
    facts = ModelFacts(
        task="classification",
        format="onnx",
        digest="1" * 64,
        file_bytes=1_000_000,
        inputs=(TensorFacts("x", (None, 3, 8, 8), "tensor(float)"),),
        outputs=(TensorFacts("y", (None, 2), "tensor(float)"),),
        classes=("a", "b"),
        n_parameters=1000,
        flops=10_000,
        opset=20,
        differentiable=False,
        embedding="features",
    )
    return dataclasses.replace(facts, **changes)


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def make_policy(limits) -> Policy:
    return Policy(id="tried", version="1", owner=Owner(name="a tester"), limits=tuple(limits))


def probabilities_for(answers, *, n_classes: int = 2, confidence=0.9) -> np.ndarray:
    """Probabilities whose argmax is `answers`, with the given confidence (scalar or (n,))."""
    answers = np.asarray(answers)
    confidence = np.broadcast_to(np.asarray(confidence, dtype=float), answers.shape)
    rest = (1 - confidence) / (n_classes - 1)
    table = np.repeat(rest[:, None], n_classes, axis=1)
    table[np.arange(len(answers)), answers] = confidence
    return table.astype(np.float32)


@dataclasses.dataclass
class FakeEvidence:
    """Evidence from values. Keys of `passes`: (split, view name, variant, input, part).

    `add` fills them; a part that was not added falls back to the other part.
    """

    spec: AuditSpec = dataclasses.field(default_factory=make_spec)
    model: ModelFacts = dataclasses.field(default_factory=make_facts)
    passes: dict = dataclasses.field(default_factory=dict)
    datasets: dict = dataclasses.field(default_factory=dict)
    scans: dict = dataclasses.field(default_factory=dict)
    embeddings: dict = dataclasses.field(default_factory=dict)
    frame_stacks: dict = dataclasses.field(default_factory=dict)
    predictors: dict = dataclasses.field(default_factory=dict)
    paths: dict = dataclasses.field(default_factory=dict)
    manifest_reports: dict = dataclasses.field(default_factory=dict)
    sound: object = None
    unmet: tuple = ()
    check_id: str = "test/check"

    def add(
        self,
        dataset,
        probabilities=None,
        *,
        view=AS_SHOT,
        variant="as-given",
        input=None,
        part="sound",
    ):
        self.datasets[dataset.split, part] = dataset
        if probabilities is not None:
            key = (dataset.split, view.name, variant, input, part)
            self.passes[key] = Outcomes(dataset, np.asarray(probabilities))
        return self

    @property
    def rng(self):
        return np.random.default_rng([self.spec.audit.seed, zlib.crc32(self.check_id.encode())])

    def has(self, need) -> bool:
        from auditor.contract import Available

        if need in self.unmet:
            return False
        splits = {split: d for (split, _), d in self.datasets.items()}
        return need.unmet(Available(self.spec, self.model, splits)) is None

    def dataset(self, split, *, part="sound"):
        return self._part(self.datasets, (split,), part)

    def labelled_splits(self):
        from auditor.contract import Available, LabelledSplits

        splits = {split: d for (split, _), d in self.datasets.items()}
        found = LabelledSplits().splits(Available(self.spec, self.model, splits))
        return tuple(split for split in found if (split, AS_SHOT.name, "as-given", None, "sound")
                     in self.passes)  # fmt: skip

    @property
    def _task(self):
        # Class scores may stand behind a model that is said to give none.
        scored = any(isinstance(found, tuple) for found in self.passes.values())
        return task_of(self.model.task) if scored else classification

    @property
    def kinds(self):
        return self._task.KINDS

    def scored(self, split="test", *, of=None, **wanted):
        task = self._task
        dataset, scores = self._scores(split, wanted)
        return task.rows(dataset, scores, of=of if of in task.KINDS else task.KINDS[0])

    def set_values(self, split="test", **wanted):
        dataset, scores = self._scores(split, wanted)
        known = self.scored(split, of="image", **wanted).known
        kept = scores[known].reset_index(drop=True)
        return self._task.set_values(kept, dataset.classes)

    def fixed_answer(self, split="test"):
        return self._task.fixed_answer(*self._scores(split, {}))

    def ranked(self, split="test"):
        dataset, scores = self._scores(split, {})
        scores = scores[scores["known"]].reset_index(drop=True)
        return detection.ranked_answers(scores, n_classes=len(dataset.classes))

    def _scores(self, split, wanted):
        """The images of a pass and what their rows are made of."""
        found = self.answers(split, **wanted)
        if isinstance(found, tuple):
            return found
        labels, how = found.labels, Scoring(len(found), len(found.classes))
        return found.dataset, classification.score(found.probabilities, labels, how)

    def add_found(
        self, dataset, answers, *, view=AS_SHOT, variant="as-given", input=None, output=(),
        confidence=0.5,
    ):  # fmt: skip
        """A pass of a detector: `answers` to the images of a dataset whose truth is boxes."""
        how = Scoring(len(dataset), len(dataset.classes), OperatingPoint(confidence))
        scores = detection.score(answers, dataset.truth, how)
        return self._add_scores(dataset, scores, view, variant, output or input)

    def add_maps(self, dataset, answers, truth, *, view=AS_SHOT, variant="as-given", input=None):
        """A pass of a segmenter: class maps `answers`, and those that are true (None: unknown)."""
        held = types.SimpleNamespace(maps=lambda: iter(truth))
        how = Scoring(len(dataset), len(dataset.classes))
        scores = segmentation.score(answers, held, how)
        return self._add_scores(dataset, scores, view, variant, input)

    def _add_scores(self, dataset, scores, view, variant, input):
        self.datasets[dataset.split, "sound"] = dataset
        key = (dataset.split, view.name, variant, input, "sound")
        self.passes[key] = (dataset, scores)
        return self

    def answers(
        self,
        split="test",
        *,
        view=AS_SHOT,
        variant="as-given",
        input=None,
        output=(),
        sample=None,
        part="sound",
    ):
        return self._part(self.passes, (split, view.name, variant, output or input), part)

    def embedding(self, split="test", *, part="sound"):
        return self.embeddings[split]

    def scan(self, split, *, part="sound", columns=None):
        scan = self._part(self.scans, (split,), part)
        return scan if columns is None else scan[list(columns)]

    def scan_of(self, split, image_ids):
        return self.scan(split).set_index("image_id").loc[list(image_ids)].reset_index()

    def manifest_report(self, split):
        return self.manifest_reports[split]

    def soundness(self):
        return self.sound or self._without_copies()

    def _without_copies(self):
        kept = {split: d for (split, part), d in self.datasets.items() if part == "sound"}
        numbers = iter(range(10**9))
        photographs = {s: np.array([next(numbers) for _ in range(len(d))]) for s, d in kept.items()}
        keep = lambda split: np.ones(len(kept[split]), dtype=bool)  # noqa: E731
        none = (
            "unreadable",
            "duplicate",
            "conflicting_label",
            "seen_image",
            "seen_unit",
            "in_test",
        )
        counts = {s: {"images": len(d), "sound": len(d), **dict.fromkeys(none, 0)}
                  for s, d in kept.items()}  # fmt: skip
        return types.SimpleNamespace(photographs=photographs, keep=keep, summary=lambda: counts)

    def frames(self, split, *, sample):
        return self.frame_stacks[split][:sample]

    def frame_ids(self, split, *, sample):
        return tuple(self.dataset(split).image_ids[: len(self.frame_stacks[split][:sample])])

    def predictor(self, variant="as-given"):
        return self.predictors[variant]

    def model_path(self, variant="as-given"):
        return self.paths[variant]

    @staticmethod
    def _part(values, key, part):
        other = "as-given" if part == "sound" else "sound"
        return values[(*key, part)] if (*key, part) in values else values[(*key, other)]


@dataclasses.dataclass(frozen=True, eq=False)
class Nearly:
    """Equal to what is of the same kind and has, at any depth, the same floats but for rounding.

    Two sums of the same numbers in another order, or by another processor's instructions, differ
    in the last digits.
    """

    expected: object

    def __eq__(self, found):
        return _near(found, self.expected)

    def __repr__(self):
        return f"nearly {self.expected!r}"


def _near(found, expected) -> bool:
    if isinstance(expected, float | np.floating):
        return found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    if dataclasses.is_dataclass(expected):
        return type(found) is type(expected) and _near(vars(found), vars(expected))
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            _near(found[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(_near, found, expected))
    return found == expected


@dataclasses.dataclass(frozen=True)
class Worlds:
    """What tests of checks build their worlds from (the fixture ``worlds``)."""

    spec = staticmethod(make_spec)
    dataset = staticmethod(make_dataset)
    facts = staticmethod(make_facts)
    probabilities = staticmethod(probabilities_for)
    evidence = FakeEvidence
    nearly = Nearly

    @staticmethod
    def measures(check, evidence) -> dict[str, Measure]:
        """Run a check; its measures by ``name:subject``."""
        found = [r for r in check.run(evidence) if isinstance(r, Measure)]
        named = {f"{m.name}:{m.subject}": m for m in found}
        assert len(named) == len(found), "two measures share a name and a subject"
        return named

    @staticmethod
    def record(*results, limits=(), spec=None, datasets=(), not_run=(), questions=None):
        """A judged record of results; `questions` maps checks to the question they answer."""
        spec = spec or make_spec()
        known = {}
        asked = {r.check: getattr(known.get(r.check), "question", None) for r in results}
        asked |= questions or {}
        return make_record(
            spec=SpecFile(spec, "audit.yaml", "", "0"),
            policy=PolicyFile(make_policy(limits), "policy.yaml", "", "0"),
            provenance=collect_provenance(seed=0, started=NOON, finished=NOON),
            model=make_facts(),
            datasets=tuple(datasets),
            plan=PlanSummary(tuple(asked), tuple(not_run)),
            passes=(),
            results=results,
            check_texts=tuple(
                CheckText(check, "", (), {}, (), question) for check, question in asked.items()
            ),
        )

    @staticmethod
    def unfilled(check, results) -> list[str]:
        """Results without words of their check (its class), and what those lack or say wrongly."""
        found = []
        for result in (r for r in results if isinstance(r, Measure | Unmeasured)):
            keys = {key for key, _ in result.subject.keys} - SUBJECT_KEYS
            telling = Telling({check.id: check}, attributes=frozenset(keys))
            words = telling.words(check.id, result)
            found += [] if words.title else [f"{result.name} has no words"]
            texts = [words.short, words.action]
            if isinstance(result, Measure):
                texts += [words.sentence, words.harm, words.headline, words.answer]
                told = first_words(f"{check.id}:{result.name}", telling).told_scale
                if told != result.scale:
                    found.append(f"{result.name} is a {result.scale}, by its words a {told}")
            found += [str(t) for t in texts if t and not telling.filled(t, result)]
        return found

    @staticmethod
    def sentence(check, measure) -> str:
        """What a report says of a measure of a check (its class); groups are of any attribute."""
        keys = {key for key, _ in measure.subject.keys} - SUBJECT_KEYS
        return Telling({check.id: check}, attributes=frozenset(keys)).sentence(check.id, measure)


@pytest.fixture(scope="session")
def worlds() -> Worlds:
    return Worlds()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real public images and models; skips with a reason when it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("AUDITOR_TEST_DATA", beside))
    if not (folder / "models").is_dir():
        pytest.skip("real test data not found: set AUDITOR_TEST_DATA to its folder")
    return folder


@pytest.fixture
def command(monkeypatch, capsys):
    """Run `auditor` as the shell does, in this process; returns (exit code, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["auditor", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run
