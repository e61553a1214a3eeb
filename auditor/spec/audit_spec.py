"""The audit spec: what is audited, with what data, against which claims.

Plain frozen values; `read_spec` in `spec_file.py` makes them from `audit.yaml`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from auditor.remote.urls import is_url
from auditor.remote.whole_files import Copies
from auditor.spec.bounds import (
    MOST_ATTRIBUTES,
    MOST_CLAIMS,
    DataPlace,
    FilePath,
)
from auditor.spec.consequences_spec import ConsequencesSpec
from auditor.spec.cue_conflict_spec import CueConflictSpec
from auditor.spec.handing_on import PrivacySpec, ReportSpec
from auditor.spec.model_spec import InputSpec, ModelSpec
from auditor.spec.shortcut_spec import ShortcutSpec
from auditor.spec.spec_part import Fraction, SpecPart
from auditor.spec.target import TargetSpec
from auditor.spec.variants import Variants, require_named_forms

SPLITS = ("test", "train", "deployment")
"""Dataset splits, in the order in which they are read and printed."""

SUBJECT_KEYS = frozenset(
    {
        "annotator",
        "artefact",
        "at",
        "attribute",
        "by",
        "calibrator",
        "category",
        "claim",
        "class",
        "component",
        "corruption",
        "cue",
        "fill",
        "input",
        "method",
        "moved",
        "operating",
        "part",
        "placed",
        "score",
        "severity",
        "target",
        "without",
    }
)
"""Keys of subjects of findings that an attribute's name must not be mistaken for."""

Split = Literal["test", "train", "deployment"]


class UnitColumn(SpecPart):
    """The column of units, and what one and several of them are called (``room``, ``rooms``)."""

    column: str
    name: str | None = None
    plural: str | None = None


class ColumnsSpec(SpecPart):
    """Which manifest columns hold what; None where the manifest has no such column.

    `annotator` says who gave `label`. `ratings` maps a name of an annotator to the column of that
    annotator's own labels, `gold` is the column of an expert's; in both an empty cell means that
    this hand did not label the image.
    """

    image: str = "image"
    label: str | Annotated[tuple[str, ...], Field(min_length=2)] | None = "label"
    """A column of labels; or one-hot columns, each called as its class and 1 where that is it."""
    unit: str | UnitColumn | None = None
    time: str | None = None
    annotation: str | None = None
    """The file of each image's class map, in the folder `annotations`; by its name where None."""
    annotator: str | None = None
    ratings: dict[str, str] = Field(default_factory=dict)
    gold: str | None = None

    @property
    def unit_column(self) -> UnitColumn | None:
        """The column of units with their names, as far as they are stated."""
        return UnitColumn(column=self.unit) if isinstance(self.unit, str) else self.unit

    @model_validator(mode="after")
    def _annotators_differ(self) -> Self:
        by_column: dict[str, str] = {}
        for name, column in self.ratings.items():
            if column in by_column:
                raise ValueError(
                    f"ratings: {by_column[column]!r} and {name!r} both have the column {column!r}; "
                    "give every annotator a column of their own"
                )
            by_column[column] = name
        labels = self.label if isinstance(self.label, tuple) else (self.label,)
        if self.gold is not None and self.gold in (*by_column, *labels):
            other = f"ratings.{by_column[self.gold]}" if self.gold in by_column else "label"
            raise ValueError(
                f"gold and {other} are the same column {self.gold!r}; name a column of labels that "
                "an expert gave without seeing those, or drop gold"
            )
        return self


class DatasetSpec(SpecPart):
    """A manifest with its image folder, or a folder of images by class.

    Without `images` the names in a manifest are relative to its own folder. Both may be URLs, as
    annotations may; a manifest may be a folder of Parquet files, `images` tar shards. `where` takes
    the rows of a manifest that have in each of its columns the value, or one of the values, given.
    """

    manifest: DataPlace | None = None
    images: DataPlace | None = None
    where: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    columns: ColumnsSpec | None = None
    annotations: DataPlace | None = None
    annotations_by: dict[str, DataPlace] = Field(default_factory=dict)
    """Annotator -> what that annotator drew of the same images, as `annotations`, of some or all;
    an image that the file does not list, or that has no file of its own, was not looked at."""
    annotations_gold: DataPlace | None = None
    """What an expert drew of the same images, without seeing the annotations."""

    @property
    def second_annotations(self) -> dict[str, str]:
        """Where else annotations lie, by the key of the spec that names them."""
        found = {f"annotations_by.{name}": place for name, place in self.annotations_by.items()}
        gold = self.annotations_gold
        return found | ({} if gold is None else {"annotations_gold": gold})

    @model_validator(mode="after")
    def _drawn_apart(self) -> Self:
        first: dict[str, str] = {}
        for key, place in self.second_annotations.items():
            if first.setdefault(place, key) != key:
                raise ValueError(
                    f"{first[place]} and {key} are the same {place!r}; give every annotator, and "
                    "the expert, a folder or file of their own"
                )
        return self

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.manifest is None and self.images is None:
            raise ValueError(
                "neither manifest nor images is given; name a manifest with one row an image, or a "
                "folder with one subfolder a class"
            )
        if self.where and self.manifest is None:
            raise ValueError("where takes rows of a manifest; name it, or drop where")
        return self


class AttributeSpec(SpecPart):
    """An attribute: a manifest column that groups images.

    `population` is the declared share of each group where the model will run (sums to 1);
    numbers are cut at `bins` edges (a bin is named ``4-7`` and holds its lower edge, the last one
    its upper edge too; reports say "4 to below 7"), or into `quantiles` groups (fewer where equal
    values, which stay together, leave some without images); of text the `largest` groups of the
    test data keep their names, and the others are together ``other``. `source` says that the groups
    are where images come from (sites, devices, inspectors), of which new ones will come.
    """

    role: Literal["sensitive", "condition", "nuisance"]
    of: Literal["image", "object"] = "image"
    column: str | None = None
    population: dict[str, Fraction] | None = None
    bins: tuple[float, ...] | None = None
    quantiles: int | None = Field(default=None, ge=2, le=20)
    largest: int | None = Field(default=None, ge=1, le=100)
    values: tuple[str, ...] | None = None
    special_category: bool = False
    source: bool = False

    @model_validator(mode="after")
    def _bins_fit(self) -> Self:
        if self.source and (self.role == "sensitive" or self.of == "object"):
            raise ValueError(
                "source is true, but only an attribute of images and of role condition or nuisance "
                "is a source; change the role, or drop source"
            )
        ways = [w for w in ("bins", "quantiles", "largest") if getattr(self, w) is not None]
        if len(ways) > 1:
            raise ValueError(f"both {ways[0]} and {ways[1]} are given; keep one")
        if self.bins is not None and list(self.bins) != sorted(set(self.bins)):
            raise ValueError(f"bins {list(self.bins)} must be rising, without repeats")
        if self.population is not None and abs(sum(self.population.values()) - 1) > 0.01:
            total = sum(self.population.values())
            raise ValueError(f"population shares sum to {total:.3f}; they must sum to 1")
        return self


class ImageLimits(SpecPart):
    """How much of the data may be unusable before the audit stops."""

    unreadable_share: Fraction = 0.05
    duplicate_share: Fraction = 0.2
    """Share of a split's images that may be set apart as near-duplicates."""
    max_pixels: int = Field(default=100_000_000, ge=1)


class DuplicatesSpec(SpecPart):
    """What becomes of images that are copies but not to the pixel. Exact copies are set apart."""

    near: Literal["report", "set-apart", "off"] = "report"


class DicomSpec(SpecPart):
    """How DICOM files are read: the window (center, width) in units of the rescaled values.

    ``file`` takes the first window that each file states. `model.input.range` is not of them.
    """

    window: tuple[float, float] | Literal["file"]

    @model_validator(mode="after")
    def _window_has_width(self) -> Self:
        if isinstance(self.window, tuple) and not self.window[1] >= 1:
            raise ValueError(
                f"window {list(self.window)} is [center, width]; its width is 1 or more"
            )
        return self


class DataClassesSpec(SpecPart):
    """How the data's classes, and the model's, become those of the audit.

    `map` gives a name, of the data or of the model, another one, or null: what is annotated or
    answered so is left out, and counted. `names` says what each number in a class map, or in
    YOLO's files, is called (a mapping, or a JSON file of one); without it the numbers are
    positions in `model.classes`. Pixels of a number in `void` do not count.
    """

    map: dict[str, str | None] = Field(default_factory=dict)
    names: dict[int, str] | DataPlace | None = None
    void: tuple[int, ...] = (255,)


class UnitAcceptsSpec(SpecPart):
    """When a unit is accepted (a dish goes out): it holds all of some classes, none of others."""

    all_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        both = sorted(set(self.all_of) & set(self.none_of))
        if both:
            raise ValueError(f"{both[0]!r} is in all_of and in none_of; keep one")
        if not self.all_of and not self.none_of:
            raise ValueError("every unit would be accepted; name classes in all_of or none_of")
        return self


class DataSpec(SpecPart):
    test: DatasetSpec
    train: DatasetSpec | None = None
    deployment: DatasetSpec | None = None
    cue_conflict: CueConflictSpec | None = None
    """Images whose shape is of one class and whose texture of another (`shortcut/texture`)."""
    columns: ColumnsSpec = ColumnsSpec()
    unit_rule: Literal["mean", "majority", "worst"] = "mean"
    unit_accepts: UnitAcceptsSpec | None = None
    """Go or no-go, by what a unit holds; `performance/unit-decision` tells wrong ones."""
    attributes: dict[str, AttributeSpec] = Field(default_factory=dict, max_length=MOST_ATTRIBUTES)
    limits: ImageLimits = ImageLimits()
    duplicates: DuplicatesSpec = DuplicatesSpec()
    dicom: DicomSpec | None = None
    classes: DataClassesSpec = DataClassesSpec()
    boxes_in: Literal["displayed", "stored"] | None = None
    """Whether annotations were drawn on images as displayed or as stored; asked where they
    differ (EXIF orientation)."""
    unannotated: Literal["empty", "unlabelled"] | None = None
    """What an image without annotation is: one that holds nothing, or one nobody looked at."""
    missing_share: Fraction = 0.05
    """Share of rows that may lack an attribute's value before `data/manifest` reports it."""
    smallest_cell: int | None = Field(default=None, ge=2)
    """Units that a group must hold, in all and by label, to be told apart; smaller ones are pooled
    with the next smallest before anything is measured. None: no group is pooled."""

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        taken = sorted(SUBJECT_KEYS & set(self.attributes))
        if taken:
            raise ValueError(
                f"attribute {taken[0]!r} has a name that findings use for something else; give it "
                f"another name and keep the column: `my-{taken[0]}: {{column: {taken[0]}, ...}}`"
            )
        return self

    def split(self, split: str) -> DatasetSpec | None:
        found: DatasetSpec | None = getattr(self, split)
        return found

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(split for split in SPLITS if self.split(split) is not None)


class ClaimSpec(SpecPart):
    """A number the model's team states, which the audit tests.

    `measure` is ``accuracy``, ``recall``, ``precision`` (with ``label``), or any measure id such
    as ``deployment/latency:p99``.
    """

    measure: str
    at_least: float | None = None
    at_most: float | None = None
    label: str | None = None
    split: Split = "test"
    source: str

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("a claim has exactly one of at_least and at_most")
        return self


class AuditSection(SpecPart):
    title: str
    system: dict[str, Any] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0)


class AuditSpec(SpecPart):
    """A whole `audit.yaml`. Paths are relative to `folder`, the folder the file lies in."""

    audit: AuditSection
    model: ModelSpec
    data: DataSpec
    claims: Annotated[tuple[ClaimSpec, ...], Field(max_length=MOST_CLAIMS)] = ()
    consequences: ConsequencesSpec = ConsequencesSpec()
    shortcuts: Annotated[tuple[ShortcutSpec, ...], Field(max_length=MOST_CLAIMS)] = ()
    target: TargetSpec | None = None
    variants: Variants = Field(default_factory=dict)
    """Other forms of the model, by name: what would ship in its place, or how it would run."""
    policy: FilePath = "default"
    declarations: FilePath | None = None
    privacy: PrivacySpec = PrivacySpec()
    report: ReportSpec = ReportSpec()
    display: dict[str, str] = Field(default_factory=dict)
    """What readers are shown in place of a name of an attribute, a group or a class."""
    checks: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Parameters of checks, by check id."""
    folder: Path = Field(default=Path(), exclude=True)
    _copies: Copies = PrivateAttr(default_factory=Copies)

    @model_validator(mode="after")
    def _forms_are_others(self) -> Self:
        require_named_forms(self.variants)
        return self

    def input_of(self, variant: str) -> InputSpec:
        """How images become the input of a form of the model."""
        found = self.variants.get(variant)
        return self.model.input if found is None or found.input is None else found.input

    def resolve(self, path: str) -> Path:
        """A path of the spec as one that can be opened: of a model's URL that of its copy.

        Raises the error that was met when the copy was made (`with_copies`).
        """
        return self._copies.path(path) if is_url(path) else self.folder / path

    def with_copies(self, copies: Copies) -> Self:
        """The spec with copies on this disk of the models that it names by URL."""
        found = self.model_copy()
        found._copies = copies
        return found

    @property
    def copies(self) -> Copies:
        return self._copies
