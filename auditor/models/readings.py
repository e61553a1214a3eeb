"""From a model's raw outputs to predictions: class scores, or the answers of a head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from auditor.errors import ModelError
from auditor.models.answers import Answer, ClassMap, Detections
from auditor.models.heads import own
from auditor.models.heads.registry import one_image_a_time, read_answers
from auditor.models.heads.tensors import Raw
from auditor.models.outputs import OutputReading
from auditor.models.predictor import Prediction
from auditor.models.trusted_code import (
    code_digest,
    code_errors,
    importable,
    imported,
    require_trust,
)
from auditor.spec import HeadSpec, OutputKeys
from auditor.spec.heads import OwnHead
from auditor.spec.spec_file import audited_classes


class Reading(Protocol):
    """How raw outputs become predictions, fixed when the model is loaded."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs that are asked of the model; () for all."""
        ...

    @property
    def step(self) -> int | None:
        """How many images the outputs are read of at once; None for any number."""
        ...

    @property
    def n_scores(self) -> int:
        """Class scores of each frame: 0 where answers are of another kind."""
        ...

    def read(
        self, raw: Raw, *, n: int, size: tuple[int, int], tried: OutputKeys | None = None
    ) -> Prediction:
        """The prediction for `n` frames of `size` (height, width); raises ModelError.

        `tried`: keys of a head that are read otherwise than the spec says, () where the frames
        alone were fed otherwise. Outputs that cannot be read so are nothing found, or NaN for a
        classifier's: what is only tried must not end the audit of what is declared.
        """
        ...

    def key(self) -> Any:
        """What predictions depend on, as JSON has it."""
        ...


@dataclass(frozen=True)
class ClassReading:
    """A classifier's: the output that holds a score a class."""

    output: str
    reading: OutputReading
    step: int | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.output,)

    @property
    def n_scores(self) -> int:
        return self.reading.n_classes

    def read(
        self, raw: Raw, *, n: int, size: tuple[int, int], tried: OutputKeys | None = None
    ) -> Prediction:
        try:
            return Prediction(self.reading.read(raw[self.output], n=n))
        except ModelError:
            if tried is None:
                raise
            return Prediction(np.full((n, self.n_scores), np.nan, dtype=np.float32))

    def key(self) -> Any:
        return [self.output, asdict(self.reading)]


@dataclass(frozen=True)
class OwnDecoder:
    """A user's decoder, the classes that it is called with, and what names its code."""

    decode: own.Decode
    classes: tuple[str, ...]
    digest: str

    @classmethod
    def of(
        cls, head: HeadSpec | None, classes: tuple[str, ...], folder: Path, *, trust_code: bool
    ) -> OwnDecoder | None:
        """What the head names; None where it names none. ModelError without `trust_code`."""
        if not isinstance(head, OwnHead):
            return None
        require_trust(head.decoder, key="output.decoder", trust_code=trust_code)
        with code_errors(head.decoder, key="output.decoder"), importable(folder):
            return cls(imported(head.decoder, folder), classes, code_digest(head.decoder, folder))


@dataclass(frozen=True)
class HeadReading:
    """A detector's or segmenter's. `meaning` is the audit's class for each of the model's, or -1.

    Boxes of a class that stands for none (-1) are dropped, its pixels are of no class.
    """

    head: HeadSpec
    meaning: tuple[int, ...]
    n_scores: int = 0
    outputs: tuple[str, ...] = ()
    own: OwnDecoder | None = None

    @classmethod
    def of(
        cls,
        head: HeadSpec,
        classes: Sequence[str],
        renamed: Mapping[str, str | None],
        own: OwnDecoder | None = None,
    ) -> HeadReading:
        """For a model's `classes`, called in the audit as `renamed` says (`data.classes.map`).

        `own` is the user's decoder, where `head` names one.
        """
        place = {name: i for i, name in enumerate(audited_classes(classes, renamed))}
        called = (renamed.get(name, name) for name in classes)
        meaning = tuple(-1 if name is None else place[name] for name in called)
        return cls(head, meaning, own=own)

    @property
    def step(self) -> int | None:
        return 1 if one_image_a_time(self.head) else None

    def read(
        self, raw: Raw, *, n: int, size: tuple[int, int], tried: OutputKeys | None = None
    ) -> Prediction:
        if tried is not None:
            return self._read_otherwise(raw, n=n, size=size, output=tried)
        answers = self._answers(raw, size)
        if len(answers) != n:
            raise ModelError(
                f"The model gives answers for {len(answers)} of {n} images. Export it with a free "
                "batch, or with a batch of one."
            )
        return Prediction.answered([self._renamed(answer) for answer in answers])

    def _read_otherwise(
        self, raw: Raw, *, n: int, size: tuple[int, int], output: OutputKeys
    ) -> Prediction:
        other = replace(self, head=self.head.model_copy(update=dict(output)))
        try:
            return other.read(raw, n=n, size=size)
        except ModelError:
            return Prediction.answered([_nothing(self.head.serves, size)] * n)

    def key(self) -> Any:
        own = [] if self.own is None else [self.own.digest, self.own.classes]
        return [self.head.model_dump(mode="json"), self.meaning, *own]

    def _answers(self, raw: Raw, size: tuple[int, int]) -> list[Answer]:
        if not isinstance(self.head, OwnHead):
            return read_answers(raw, self.head, n_classes=len(self.meaning), size=size)
        assert self.own is not None
        return own.read(raw, self.head, decode=self.own.decode, classes=self.own.classes, size=size)

    def _renamed(self, answer: Answer) -> Answer:
        if self.meaning == tuple(range(len(self.meaning))):
            return answer
        table = np.array([*self.meaning, -1], dtype=np.int64)
        if isinstance(answer, ClassMap):
            return ClassMap(table[answer.classes].astype(np.int16))
        return _of_classes(answer, table[answer.classes])


def _nothing(task: str, size: tuple[int, int]) -> Answer:
    """The answer that finds nothing in a frame of `size`."""
    if task == "segmentation":
        return ClassMap(np.full(size, -1, dtype=np.int16))
    masks = () if task == "instance-segmentation" else None
    return Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64), patches=masks)


def _of_classes(found: Detections, classes: np.ndarray) -> Detections:
    kept = np.flatnonzero(classes >= 0)
    return replace(
        found,
        boxes=found.boxes[kept],
        scores=found.scores[kept],
        classes=classes[kept],
        landmarks=None if found.landmarks is None else found.landmarks[kept],
        patches=None if found.patches is None else tuple(found.patches[i] for i in kept),
    )
