"""The model's part of the audit spec: how it is fed, what its outputs mean, what it may take."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from auditor.spec.bounds import MOST_CLASSES, MOST_SIDE, DataPlace
from auditor.spec.heads import HEADS, AnyHead, HeadSpec
from auditor.spec.spec_part import Fraction, Positive, SpecPart

Task = Literal["classification", "detection", "segmentation", "instance-segmentation"]
OutputKind = Literal["logits", "probabilities", "sigmoid"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]


class InputSpec(SpecPart):
    """How an image becomes the model's input.

    Pixels are decoded to RGB, resized to `size` (height, width), reordered to `channels`,
    divided by `scale`, then ``(x - mean) / std`` in the order of `channels`. With dtype
    uint8 the pixels go in as they are.

    `range` is the stored value that means white, where it is not the largest that the file can
    hold (12 bits in a file of 16: 4095); images that cannot hold it are read as they are.
    `exif` says whether the orientation that a camera noted is applied. `antialias` false reads
    four pixels at each point, however much an image shrinks, as `cv2.resize` does by default.
    """

    size: tuple[int, int]
    resize: Literal["stretch", "letterbox", "shortest"] = "stretch"
    shortest: int | None = Field(default=None, ge=1, le=MOST_SIDE)
    crop: Literal["center"] = "center"
    pad: int = Field(default=0, ge=0, le=255)
    align: Literal["center", "top-left"] = "center"
    interpolation: Interpolation = "bilinear"
    antialias: bool = True
    range: float | None = Field(default=None, gt=0)
    exif: Literal["apply", "ignore"] = "apply"
    scale: float = Field(default=255.0, gt=0)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    channels: Literal["rgb", "bgr", "grey"] = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"
    dtype: Literal["float32", "float16", "float64", "uint8"] = "float32"

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if not 1 <= min(self.size) <= max(self.size) <= MOST_SIDE:
            raise ValueError(
                f"size is {list(self.size)}; give [height, width], both from 1 to {MOST_SIDE:,}"
            )
        if self.resize == "shortest" and self.shortest is None:
            raise ValueError(
                "resize: shortest needs the length of the shortest side, as in `shortest: 256`"
            )
        if not self.antialias and self.interpolation != "bilinear":
            raise ValueError(
                f"antialias: false goes with interpolation: bilinear alone, not with "
                f"{self.interpolation}; drop one of the two"
            )
        wanted = 1 if self.channels == "grey" else 3
        for key in ("mean", "std"):
            found = len(getattr(self, key))
            if found not in (1, wanted):
                raise ValueError(
                    f"{key} has {found} numbers; channels: {self.channels} takes {wanted}"
                )
        if any(s <= 0 for s in self.std):
            raise ValueError(f"std is {list(self.std)}; every entry must be above 0")
        return self


class OutputSpec(SpecPart):
    """What a classifier's output means; `background` is the index of a leading class to drop."""

    kind: OutputKind = "logits"
    background: int | None = None


class OperatingPointSpec(SpecPart):
    """From which score a detector's box counts in use, and from which overlap (IoU) it is right.

    Average precision looks at boxes of lower scores, too (`lowest_score` of the head).
    """

    confidence: Fraction = 0.5
    overlap: Annotated[float, Field(ge=0.1, le=1)] = 0.5


class ClassCount(SpecPart):
    count: int = Field(ge=1, le=MOST_CLASSES)

    @field_validator("count", mode="before")
    @classmethod
    def _whole(cls, given: object) -> object:
        # YAML's 1e9 is no integer, and whoever wrote it wants to hear of the bound.
        return int(given) if isinstance(given, float) and given.is_integer() else given


class RunLimits(SpecPart):
    """What the process that the model runs in may take before it is ended.

    `memory_gb` of its own memory: 4, and six times the model's file, where it is None. `seconds`
    for loading the model, and for each batch of 8 images.
    """

    memory_gb: Positive | None = None
    seconds: Positive = 60.0


class ModelSpec(SpecPart):
    path: DataPlace
    architecture: str | None = None
    task: Task = "classification"
    classes: tuple[str, ...] | DataPlace | ClassCount
    ordinal: bool = False
    """Whether the classes are grades, listed from the mildest to the most severe."""
    input: InputSpec
    output: Annotated[OutputSpec | AnyHead, Field(discriminator="kind")] = OutputSpec()
    """What the outputs mean: `OutputSpec` of a classifier, a head of `auditor.spec.heads` else."""
    operating_point: OperatingPointSpec | None = None
    """Of a detector; of other models there is none."""
    output_name: str | None = None
    """Which of several outputs holds the class scores: a name, or a position as "1"."""
    weights: str | None = None
    """Which weights of a checkpoint: a key in it (``ema``), or a prefix of their names."""
    embedding: str | None = "auto"
    reference: DataPlace | None = None
    """A second file of the same model (the ONNX export's PyTorch original, or the reverse)."""
    device: str = "cpu"
    limits: RunLimits = RunLimits()

    @field_validator("output", mode="before")
    @classmethod
    def _named(cls, given: object) -> object:
        return {"kind": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _output_serves_the_task(self) -> Self:
        kind, served = self.output.kind, self.head.serves if self.head else "classification"
        if served != self.task:
            fitting = [name for name, head in HEADS.items() if head.serves == self.task]
            known = fitting or ["logits", "probabilities", "sigmoid"]
            raise ValueError(
                f"output: {kind} is of a model for {served}, and task is {self.task}; set task: "
                f"{served}, or name as output one of {', '.join(known)}"
            )
        if self.operating_point is not None and not self.gives_boxes:
            raise ValueError(
                f"operating_point is of boxes with scores, and a model for {self.task} gives none; "
                "drop it"
            )
        return self

    @property
    def gives_boxes(self) -> bool:
        return self.task in ("detection", "instance-segmentation")

    @property
    def head(self) -> HeadSpec | None:
        """How outputs of a detector or segmenter are read; None of a classifier."""
        return None if isinstance(self.output, OutputSpec) else self.output

    @property
    def output_spec(self) -> OutputSpec:
        """How a classifier's output is read."""
        assert isinstance(self.output, OutputSpec)
        return self.output

    @property
    def point(self) -> OperatingPointSpec:
        """The operating point, as stated or by default."""
        return self.operating_point or OperatingPointSpec()
