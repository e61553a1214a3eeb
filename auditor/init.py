"""`auditor init`: look at a model and its data, and write what was found as an audit.yaml."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from auditor.data.annotated_looking import look_at_annotated
from auditor.data.attribute_guesses import FoundAttribute
from auditor.data.class_choice import choose_classes
from auditor.data.column_guesses import NONE_GIVEN, FoundColumns, GivenColumns
from auditor.data.image_places import Given
from auditor.data.looking import FoundData, FoundSplit, look_at_data
from auditor.data.model_classes import load_classes
from auditor.errors import DataError, ModelError, SpecError
from auditor.init_annotated import (
    annotated_classes,
    annotation_lines,
    class_notes,
    head_lines,
    object_attribute_lines,
)
from auditor.init_model import (
    architecture_lines,
    input_lines,
    output_lines,
    seen_with_images,
    stated_classes,
)
from auditor.models.contained import look_at
from auditor.models.guess import GuessedModel
from auditor.opening import write_whole
from auditor.remote.urls import shown_url
from auditor.spec import SUBJECT_KEYS, AuditSpec
from auditor.spec.bounds import path_problem
from auditor.spec.declarations import basis_key
from auditor.spec.yaml_checked import validate
from auditor.spec.yaml_source import load

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")


def write_spec(
    model: Path,
    data: Path,
    *,
    out: Path,
    images: Path | None = None,
    columns: GivenColumns = NONE_GIVEN,
    train: Path | None = None,
    deployment: Path | None = None,
    output_name: str | None = None,
    force: bool = False,
) -> list[str]:
    """Write `out`; returns lines that say what was found and what to check by hand.

    Raises SpecError when `out` exists and `force` is False, DataError and ModelError for paths
    that hold no data or no model.
    """
    _require_places((model, data, out, images, train, deployment), out=out, force=force)
    given = Given(images, columns)
    found, guessed = _looked(
        model, data, given, train=train, deployment=deployment, output_name=output_name
    )
    text = _spec_text(model, guessed, found, folder=out.parent)
    spec = validate(load(text, name=out.name), AuditSpec).model_copy(update={"folder": out.parent})
    seen = seen_with_images(guessed, spec)
    try:
        write_whole(out, _spec_text(model, seen, found, folder=out.parent).encode())
    except OSError as error:
        raise SpecError(
            f"--out {out} cannot be written ({error.strerror}). Give another."
        ) from error
    return _told(seen, found, model, out)


def _require_places(paths: Iterable[Path | None], *, out: Path, force: bool) -> None:
    """Raise SpecError for a path that can be none, and where `out` may not be written."""
    for path in filter(None, paths):
        problem = path_problem(str(path)) or _url_problem(path)
        if problem:
            raise SpecError(f"{problem}.")
    if out.exists() and not force:
        raise SpecError(f"{out} exists already. Give another --out, or --force to overwrite it.")
    if out.is_dir() or not out.parent.is_dir():
        raise SpecError(
            f"--out {out} is a folder, or lies in none that exists. Give a file in a folder that "
            "exists, such as audit.yaml."
        )


def _url_problem(path: Path) -> str:
    """Why a path that was a URL is not looked at; "" for any other. Paths have lost a slash."""
    scheme = _SCHEME.match(str(path))
    if scheme is None or path.exists():
        return ""
    url = shown_url(f"{scheme[1]}://{str(path)[scheme.end() :]}")
    return (
        f"`auditor init` takes files on this disk, but {url} is a URL. Copy the model and some "
        "of the data here, run it on them, and write the URLs into audit.yaml in place of the "
        "paths: `auditor run` reads them there (README, Data elsewhere)"
    )


def _told(seen: GuessedModel, found: FoundData, model: Path, out: Path) -> list[str]:
    """What was found, and what to check by hand."""
    sensitive = _sensitive(found)
    return [
        f"Wrote {out}.",
        f"Model: {seen.reason}",
        f"Data: {_data_sentence(found)}",
        *found.notes,
        *(class_notes(_class_names(seen, found, model), found) if seen.head else ()),
        "Check the lines marked `guess`; `auditor run` obeys the file and guesses nothing.",
        *(
            [f"Sensitive (guess): {', '.join(sensitive)}. `auditor run` reads them once the basis "
             "of each is declared; the last lines of the file say how."]
            if sensitive
            else []
        ),
        f"Next:  auditor plan {out}",
    ]  # fmt: skip


def _looked(
    model: Path,
    data: Path,
    given: Given,
    *,
    train: Path | None,
    deployment: Path | None,
    output_name: str | None,
) -> tuple[FoundData, GuessedModel]:
    """What data and model are; a detector's or segmenter's data need no labels."""
    found, refused = None, None
    try:
        found = look_at_data(data, given=given, train=train, deployment=deployment)
    except DataError as error:
        refused = error
    n_classes = None if found is None else len(found.classes)
    try:
        guessed = look_at(model, n_classes=n_classes, output_name=output_name)
    except ModelError:
        if refused is not None:
            raise refused from None
        raise
    if guessed.task != "classification":
        maps = guessed.task == "segmentation"
        found = look_at_annotated(data, maps=maps, given=given, train=train, deployment=deployment)
        annotations = found.splits["test"].annotations
        n_classes = len(annotations.labels) if annotations else None
        if n_classes and not guessed.classes:
            # What shapes leave open, the number of classes may settle.
            guessed = look_at(model, n_classes=n_classes, output_name=output_name)
        return found, guessed
    if found is None:
        assert refused is not None
        raise refused
    return found, guessed


def _sensitive(found: FoundData) -> list[str]:
    annotations = found.splits["test"].annotations
    every = (*found.attributes, *(annotations.objects if annotations else ()))
    return [a.column for a in every if a.role == "sensitive"]


def _data_sentence(found: FoundData) -> str:
    splits = ", ".join(found.splits)
    columns = found.columns
    annotations = found.splits["test"].annotations
    if annotations is not None:
        source = found.splits["test"].manifest or found.splits["test"].images
        named = {"coco": "a COCO file", "voc": "Pascal VOC files", "yolo": "YOLO files",
                 "maps": "class maps"}[annotations.kind]  # fmt: skip
        return f"{source}, annotated by {named} ({annotations.place}); splits: {splits}."
    if columns is None:
        return f"folders of images by class ({len(found.classes)} classes), splits: {splits}."
    unit = f"unit {columns.unit}" if columns.unit else "no unit column found"
    groups = ", ".join(a.column for a in found.attributes) or "none found"
    label = " ... ".join([columns.label[0], columns.label[-1]]) if isinstance(
        columns.label, tuple) else columns.label  # fmt: skip
    return (
        f"{found.splits['test'].manifest}, images in column {columns.image}, labels in "
        f"{label} ({len(found.classes)} classes), {unit}, attributes: {groups}; splits: {splits}."
    )


def _spec_text(model: Path, guessed: GuessedModel, found: FoundData, *, folder: Path) -> str:
    """The audit.yaml, commented where a line is a guess."""
    lines = [
        "# Written by `auditor init`; check every line marked `guess`.",
        f"audit: {{title: {_quoted(f'Audit of {model.name}')}, seed: 7}}",
        "model:",
        f"  path: {_quoted(_relative(model, folder))}",
        *architecture_lines(guessed),
        f"  task: {guessed.task}",
        _class_line(guessed, found, folder)
        if guessed.head is None
        else _annotated_class_line(guessed, found, model, folder),
        *input_lines(guessed),
        *(
            output_lines(guessed, _quoted(guessed.output_name or ""))
            if guessed.head is None
            else head_lines(guessed)
        ),
        "  embedding: auto",
        "data:",
        *_data_lines(found, folder),
        *_annotated_lines(guessed, found, model, folder),
        "# claims:       # numbers that the model's team states; each is tested",
        "#   - {measure: accuracy, at_least: 0.9, source: where it is stated}",
        "# consequences: {adverse: [the class whose answer harms people]}",
        "# target: {name: where it will run, this_machine: true, said_by: who says so, threads: 1, "
        "latency: {p99_ms: 200}}",
        "policy: default",
        *_basis_lines(_sensitive(found)),
    ]
    return "\n".join(lines) + "\n"


def _class_line(guessed: GuessedModel, found: FoundData, folder: Path) -> str:
    stated = stated_classes(guessed, found.classes, of_data=found.named_classes)
    if stated:
        source = " ".join(guessed.classes_from.split())
        return f"  classes: [{_listed(stated)}]   # as {source} has them"
    outputs = guessed.n_outputs
    if outputs is not None:
        outputs -= guessed.background is not None
    test = found.splits["test"]
    places = [test.manifest.parent if test.manifest else None, test.images]
    chosen = choose_classes(
        found.classes,
        outputs,
        beside=tuple(p for place in places if place for p in (place, place.parent)),
        of_model=guessed.classes,
        of_data=found.named_classes,
    )
    if chosen.count is not None:
        return f"  classes: {{count: {chosen.count}}}"
    if chosen.file is not None:
        return f"  classes: {_quoted(_relative(chosen.file, folder))}"
    note = "" if chosen.certain else "   # guess: sorted; the model may have another order"
    return f"  classes: [{_listed(chosen.names)}]{note}"


def _annotated_class_line(
    guessed: GuessedModel, found: FoundData, model: Path, folder: Path
) -> str:
    classes = annotated_classes(guessed, found, model)
    if isinstance(classes, Path):
        return f"  classes: {_quoted(_relative(classes, folder))}"
    source = (
        f"as {' '.join(guessed.classes_from.split())} has them"
        if guessed.classes
        else "guess: the data's; the model may have others, or another order"
    )
    return f"  classes: [{_listed(classes)}]   # {source}"


def _annotated_lines(
    guessed: GuessedModel, found: FoundData, model: Path, folder: Path
) -> list[str]:
    if guessed.head is None:
        return []
    return annotation_lines(
        found, _class_names(guessed, found, model), _quoted, lambda path: _relative(path, folder)
    )


def _class_names(guessed: GuessedModel, found: FoundData, model: Path) -> list[str]:
    classes = annotated_classes(guessed, found, model)
    return list(load_classes(str(classes), Path(), least=1)) if isinstance(
        classes, Path) else classes  # fmt: skip


def _data_lines(found: FoundData, folder: Path) -> list[str]:
    lines = [f"  {name}: {_split_text(split, folder)}" for name, split in found.splits.items()]
    if found.columns is not None:
        lines += ["  columns:", *(f"    {line}" for line in _column_lines(found.columns))]
    attributes = [_attribute_text(attribute) for attribute in found.attributes]
    if found.splits["test"].annotations is not None:
        names = [attribute.column for attribute in found.attributes]
        attributes += object_attribute_lines(found, _quoted, names)
    if attributes:
        lines += [
            "  # smallest_cell: 10   # pool groups of fewer units, so that none can be told",
            "  attributes:   # guess: roles; sensitive | condition | nuisance",
        ]
        lines += [f"    {line}" for line in attributes]
    return lines


def _basis_lines(sensitive: list[str]) -> list[str]:
    """What the user declares before attributes of people are read."""
    if not sensitive:
        return []
    return [
        "# Attributes of the role sensitive are read once somebody has declared on what basis.",
        "# Write declarations.yaml beside this file, in your own words, and name it in the last",
        "# line; or give those that are not about people another role, or take them out.",
        "#   declarations:",
        *(
            f"#     - {{key: {_quoted(basis_key(name))}, statement: why these values may be used, "
            "owner: {name: who answers for it}, date: YYYY-MM-DD}"
            for name in sensitive
        ),
        "# declarations: declarations.yaml",
    ]


def _split_text(split: FoundSplit, folder: Path) -> str:
    parts = []
    if split.manifest is not None:
        parts.append(f"manifest: {_quoted(_relative(split.manifest, folder))}")
    if split.images is not None:
        parts.append(f"images: {_quoted(_relative(split.images, folder))}")
    if split.annotations is not None:
        parts.append(f"annotations: {_quoted(_relative(split.annotations.place, folder))}")
    if split.where:
        named = (f"{_quoted(name)}: [{_listed(v)}]" for name, v in split.where.items())
        parts.append(f"where: {{{', '.join(named)}}}")
    return f"{{{', '.join(parts)}}}"


def _column_lines(columns: FoundColumns) -> list[str]:
    lines = [f"image: {_quoted(columns.image)}"]
    if isinstance(columns.label, tuple):
        lines.append(f"label: [{_listed(columns.label)}]")
    elif columns.label is not None:
        lines.append(f"label: {_quoted(columns.label)}")
    if columns.unit:
        note = "   # guess: sampled independently" if columns.guessed_unit else ""
        lines.append(f"unit: {_quoted(columns.unit)}{note}")
    if columns.annotator:
        lines.append(f"annotator: {_quoted(columns.annotator)}")
    if columns.ratings:
        named = ", ".join(f"{_quoted(name)}: {_quoted(name)}" for name in columns.ratings)
        lines.append(f"ratings: {{{named}}}   # guess: annotator: column with their labels")
    if columns.gold:
        lines.append(f"gold: {_quoted(columns.gold)}   # guess: an expert's labels")
    return lines


def _attribute_text(found: FoundAttribute) -> str:
    name, parts = found.column, [f"role: {found.role}"]
    if name in SUBJECT_KEYS:
        name, parts = f"my-{name}", [f"column: {name}", *parts]
    if found.largest is not None:
        parts.append(f"largest: {found.largest}")
        note = f"   # guess: of {found.n_values:,} values; the rest are `other`"
        return f"{_quoted(name)}: {{{', '.join(parts)}}}{note}"
    if found.bins is None:
        return f"{_quoted(name)}: {{{', '.join(parts)}}}"
    edges = ", ".join(f"{edge:.12g}" for edge in found.bins)
    note = f"   # guess: bins of {found.n_values:,} values"
    return f"{_quoted(name)}: {{{', '.join(parts)}, bins: [{edges}]}}{note}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, names))


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _quoted(text: str) -> str:
    """Text as a YAML scalar that reads back as it is."""
    plain = text.replace("-", "").replace("_", "").replace("/", "").replace(".", "")
    if plain.isascii() and plain.isalpha() and text[0].isalpha() and plain.lower() not in _WORDS:
        return text
    written = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf"))
    return written.rstrip("\n")


_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"}
