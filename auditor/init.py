"""`auditor init`: look at a model and its data, and write what was found as an audit.yaml."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from auditor.errors import DataError, SpecError
from auditor.models.contained import look_at
from auditor.models.guess import GuessedModel

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
IMAGE_COLUMNS = ("image", "file", "path", "filename", "file_name", "image_path", "img")
LABEL_COLUMNS = ("label", "class", "target", "category", "y")
UNIT_COLUMNS = ("unit", "room", "patient_id", "patient", "person", "subject", "video", "sheet",
                "sequence", "site_id", "group_id")  # fmt: skip
ANNOTATOR_COLUMNS = ("annotator", "inspector", "rater", "grader", "labeller", "labeler",
                     "annotated_by", "labelled_by", "labeled_by")  # fmt: skip
GOLD_COLUMNS = ("gold", "gold_label", "expert", "expert_label", "expert_grade", "adjudicated")
MOST_GROUPS = 20
"""A column with more different values than this is not taken for an attribute."""


@dataclass(frozen=True)
class FoundData:
    """What a data path turned out to be; columns are None for a folder of images by class."""

    manifest: Path | None
    images: Path
    classes: tuple[str, ...]
    integer_labels: bool
    image_column: str | None = None
    label_column: str | None = None
    unit_column: str | None = None
    annotator_column: str | None = None
    gold_column: str | None = None
    rating_columns: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


def write_spec(
    model: Path, data: Path, *, out: Path, images: Path | None = None, force: bool = False
) -> list[str]:
    """Write `out`; returns lines that say what was found and what to check by hand.

    Raises SpecError when `out` exists and `force` is False, DataError and ModelError for paths
    that hold no data or no model.
    """
    if out.exists() and not force:
        raise SpecError(f"{out} exists already. Give another --out, or --force to overwrite it.")
    if out.is_dir() or not out.parent.is_dir():
        raise SpecError(
            f"--out {out} is a folder, or lies in none that exists. Give a file in a folder that "
            "exists, such as audit.yaml."
        )
    guessed = look_at(model)
    found = look_at_data(data, images=images)
    out.write_text(_spec_text(model, guessed, found, folder=out.parent), encoding="utf-8")
    return [
        f"Wrote {out}.",
        f"Model: {guessed.reason}",
        f"Data: {_data_sentence(found)}",
        "Check the lines marked `guess`; `auditor run` obeys the file and guesses nothing.",
        f"Next:  auditor plan {out}",
    ]


def look_at_data(data: Path, *, images: Path | None = None) -> FoundData:
    """Find out what `data` is: a manifest, or a folder with one subfolder a class."""
    if data.is_dir():
        return _look_at_folder(data)
    if data.suffix.lower() not in (".csv", ".parquet"):
        raise DataError(
            f"{data} is neither a folder nor a .csv or .parquet manifest. Give the folder that "
            "holds one subfolder of images a class, or a manifest."
        )
    if not data.is_file():
        raise DataError(f"{data} does not exist. Give a manifest or a folder of images.")
    return _look_at_manifest(data, images)


def _look_at_folder(folder: Path) -> FoundData:
    classes = tuple(
        sorted(
            sub.name
            for sub in folder.iterdir()
            if sub.is_dir() and any(f.suffix.lower() in IMAGE_SUFFIXES for f in sub.rglob("*"))
        )
    )
    if len(classes) < 2:
        raise DataError(
            f"{folder} has {len(classes)} subfolders with images; one subfolder a class was "
            "expected, at least two. Or give a manifest (.csv) with image and label columns."
        )
    return FoundData(manifest=None, images=folder, classes=classes, integer_labels=False)


def _look_at_manifest(path: Path, images: Path | None) -> FoundData:
    read = pd.read_parquet if path.suffix.lower() == ".parquet" else pd.read_csv
    table = read(path).astype(str)
    image_column = _column(table, IMAGE_COLUMNS) or _column_of_files(table)
    if image_column is None:
        raise DataError(
            f"{path}: no column names images (columns: {', '.join(table.columns)}). Name one of "
            f"them {IMAGE_COLUMNS[0]!r}, holding paths relative to the image folder."
        )
    label_column = _column(table, LABEL_COLUMNS)
    if label_column is None:
        raise DataError(
            f"{path}: no column holds labels (columns: {', '.join(table.columns)}). Name one of "
            f"them {LABEL_COLUMNS[0]!r}."
        )
    labels = table[label_column]
    integers = bool(labels.str.fullmatch(r"\d+").all())
    classes = tuple(sorted(labels.unique()))
    unit, annotator = _column(table, UNIT_COLUMNS), _column(table, ANNOTATOR_COLUMNS)
    gold = _column(table, GOLD_COLUMNS)
    if gold is not None and not _holds_classes(table[gold], classes):
        gold = None
    taken = {image_column, label_column, unit, annotator, gold}
    # Numbers from 0 may be anything; names of classes in another column are somebody's labels.
    ratings = tuple(
        str(column)
        for column in table.columns
        if column not in taken and not integers and _holds_classes(table[column], classes)
    )
    return FoundData(
        manifest=path,
        images=_image_folder(path, table[image_column], images),
        classes=classes,
        integer_labels=integers,
        image_column=image_column,
        label_column=label_column,
        unit_column=unit,
        annotator_column=annotator,
        gold_column=gold,
        rating_columns=ratings,
        attributes=_attributes(table, taken={*taken, *ratings}),
    )


def _holds_classes(column: pd.Series, classes: tuple[str, ...]) -> bool:
    """Whether a column holds nothing but classes, two of them or more."""
    seen = set(column.replace("nan", pd.NA).dropna().unique())
    return len(seen) >= 2 and seen <= set(classes)


def _column(table: pd.DataFrame, names: Sequence[str]) -> str | None:
    known = {str(column).lower(): str(column) for column in table.columns}
    return next((known[name] for name in names if name in known), None)


def _column_of_files(table: pd.DataFrame) -> str | None:
    pattern = r"(?i).*\.(?:" + "|".join(s[1:] for s in sorted(IMAGE_SUFFIXES)) + ")"
    for column in table.columns:
        if table[column].str.fullmatch(pattern).all():
            return str(column)
    return None


def _image_folder(manifest: Path, files: pd.Series, images: Path | None) -> Path:
    for folder in (images, manifest.parent, manifest.parent / "images"):
        if folder is not None and (folder / files.iloc[0]).is_file():
            return folder
    raise DataError(
        f"{manifest} names {files.iloc[0]!r}, which lies neither beside it nor in an images "
        "folder beside it. Say where the images are with --images FOLDER."
    )


def _attributes(table: pd.DataFrame, *, taken: set[str | None]) -> tuple[str, ...]:
    found = []
    for column in table.columns:
        values = table[column].replace("nan", pd.NA).dropna()
        groups = values.nunique()
        numeric = pd.to_numeric(values, errors="coerce").notna().all()
        few = 2 <= groups <= MOST_GROUPS and not (numeric and groups > 5)
        if column not in taken and few and values.value_counts().iloc[1] >= 10:
            found.append(str(column))
    return tuple(found)


def _data_sentence(found: FoundData) -> str:
    if found.manifest is None:
        return f"a folder of images by class ({len(found.classes)} classes)."
    unit = f"unit {found.unit_column}" if found.unit_column else "no unit column found"
    groups = ", ".join(found.attributes) or "none found"
    return (
        f"{found.manifest.name}, images in column {found.image_column}, labels in "
        f"{found.label_column} ({len(found.classes)} classes), {unit}, attributes: {groups}."
    )


def _spec_text(model: Path, guessed: GuessedModel, found: FoundData, *, folder: Path) -> str:
    """The audit.yaml, commented where a line is a guess."""
    lines = [
        "# Written by `auditor init`; check every line marked `guess`.",
        f"audit: {{title: {_quoted(f'Audit of {model.name}')}, seed: 7}}",
        "model:",
        f"  path: {_quoted(_relative(model, folder))}",
        *_architecture_lines(guessed),
        "  task: classification",
        *_class_lines(guessed, found),
        *_input_lines(guessed),
        _output_line(guessed),
        "  embedding: auto",
        "data:",
        *_data_lines(found, folder),
        "# claims:       # numbers that the model's team states; each is tested",
        "#   - {measure: accuracy, at_least: 0.9, source: where it is stated}",
        "# consequences: {adverse: [the class whose answer harms people]}",
        "# target: {name: where it will run, threads: 1, latency: {p99_ms: 200}}",
        "policy: default",
    ]
    return "\n".join(lines) + "\n"


def _architecture_lines(guessed: GuessedModel) -> list[str]:
    if guessed.format not in ("torch-weights", "safetensors"):
        return []
    return ["  architecture: resnet18   # guess: a torchvision name, or module:function"]


def _class_lines(guessed: GuessedModel, found: FoundData) -> list[str]:
    outputs = None
    if guessed.n_outputs is not None:
        outputs = guessed.n_outputs - (guessed.background is not None)
        outputs = max(outputs, 2)
    if found.integer_labels:
        count = outputs or int(found.classes[-1]) + 1
        return [f"  classes: {{count: {count}}}"]
    names = ", ".join(_quoted(name) for name in found.classes)
    note = "guess: alphabetical order; the model may have another"
    if outputs not in (None, len(found.classes)):
        note = f"guess: the model has {outputs} outputs, the data {len(found.classes)} labels"
    return [f"  classes: [{names}]   # {note}"]


def _input_lines(guessed: GuessedModel) -> list[str]:
    entries: dict[str, object] = {
        "size": list(guessed.size),
        "resize": "stretch",
        "interpolation": "bilinear",
        "channels": guessed.channels,
        "layout": guessed.layout,
        "dtype": guessed.dtype,
    }
    unseen = {*guessed.guesses, "resize", "interpolation"}
    if guessed.dtype != "uint8":
        entries |= {"scale": guessed.scale, "mean": list(guessed.mean), "std": list(guessed.std)}
    lines = ["  input:"]
    for name, value in entries.items():
        lines.append(f"    {name}: {value}" + ("   # guess" if name in unseen else ""))
    return [*lines, "    # `model/preprocessing` says whether another preprocessing fits better"]


def _output_line(guessed: GuessedModel) -> str:
    if guessed.background is None:
        return f"  output: {guessed.output}"
    return f"  output: {{kind: {guessed.output}, background: {guessed.background}}}   # guess"


def _data_lines(found: FoundData, folder: Path) -> list[str]:
    images = _quoted(_relative(found.images, folder))
    if found.manifest is None:
        return [f"  test: {{images: {images}}}   # a folder with one subfolder a class"]
    manifest = _quoted(_relative(found.manifest, folder))
    columns = f"image: {found.image_column}, label: {found.label_column}"
    if found.unit_column:
        columns += f", unit: {found.unit_column}"
    if found.annotator_column:
        columns += f", annotator: {found.annotator_column}"
    lines = [f"  test: {{manifest: {manifest}, images: {images}}}", *_column_lines(found, columns)]
    if found.attributes:
        lines += [
            "  # smallest_cell: 10   # pool groups of fewer units, so that none can be told",
            "  attributes:   # guess: roles; sensitive | condition | nuisance",
            "    # a sensitive one needs a basis: the key basis-NAME in the file of `declarations`",
        ]
        lines += [f"    {_quoted(name)}: {{role: condition}}" for name in found.attributes]
    return lines


def _column_lines(found: FoundData, columns: str) -> list[str]:
    if not (found.gold_column or found.rating_columns):
        return [f"  columns: {{{columns}}}"]
    lines = ["  columns:", *(f"    {part}" for part in columns.split(", "))]
    if found.rating_columns:
        named = ", ".join(f"{_quoted(name)}: {_quoted(name)}" for name in found.rating_columns)
        lines.append(f"    ratings: {{{named}}}   # guess: annotator: column with their labels")
    if found.gold_column:
        lines.append(f"    gold: {_quoted(found.gold_column)}   # guess: an expert's labels")
    return lines


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _quoted(text: str) -> str:
    """Text as a YAML scalar that reads back as it is."""
    plain = text.replace("-", "").replace("_", "").replace("/", "").replace(".", "")
    if plain.isascii() and plain.isalpha() and text[0].isalpha() and plain.lower() not in _WORDS:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"}
