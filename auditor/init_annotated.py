"""What `auditor init` writes of a detector's or a segmenter's output, classes and annotations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from auditor.data.annotation_search import FoundAnnotations, listed_names
from auditor.data.looking import FoundData
from auditor.errors import DataError
from auditor.models.guess import GuessedModel

Quote = Callable[[str], str]


def head_lines(guessed: GuessedModel) -> list[str]:
    """`model.output`, a line a parameter where some are guesses, and the operating point."""
    told: dict[str, Any] = json.loads(guessed.head or "{}")
    if told.keys() == {"kind"} and set(guessed.head_guesses) <= {"kind"}:
        lines = [f"  output: {told['kind']}" + ("   # guess" if guessed.head_guesses else "")]
    else:
        told |= {name: _usual(told["kind"], name) for name in guessed.head_guesses
                 if name not in told}  # fmt: skip
        lines = ["  output:"]
        for name, value in told.items():
            note = "   # guess" if name in guessed.head_guesses else ""
            lines.append(f"    {name}: {json.dumps(value)}{note}")
    if guessed.task != "segmentation":
        lines.append("  operating_point: {confidence: 0.5, overlap: 0.5}   # guess: as in use")
    return lines


def _usual(kind: str, name: str) -> Any:
    from auditor.spec.heads import HEADS

    return HEADS[kind].model_fields[name].default


def annotated_classes(guessed: GuessedModel, found: FoundData, model: Path) -> list[str] | Path:
    """The model's classes in its order: as it states them, as a file lists them, or the data's.

    Raises DataError where none of these can be.
    """
    if guessed.classes and guessed.n_outputs in (None, len(guessed.classes)):
        return list(guessed.classes)
    test = found.splits["test"]
    annotations = _annotations(found)
    places = [annotations.place, test.images, test.manifest]
    folders = [f for p in places if p is not None for f in (p, p.parent, p.parent.parent)]
    listed = listed_names([*folders, model.parent], guessed.n_outputs)
    if listed is not None:
        return listed
    count = guessed.n_outputs
    if annotations.labels and count in (None, len(annotations.labels)):
        return list(annotations.labels)
    if annotations.kind == "maps" and not annotations.labels and count is not None:
        return [f"class {i}" for i in range(count)]
    shown = ", ".join(annotations.labels[:5]) or "none by name"
    told = "an unknown number of classes" if count is None else _counted(count)
    raise DataError(
        f"The model answers {told} and the "
        f"data annotate {len(annotations.labels)} ({shown}): which is which cannot be told. Write "
        "the names of the model's classes, in its order, one a line, in classes.txt beside the "
        "data or the model, and run init again."
    )


def _counted(count: int) -> str:
    return f"{count} class{'es' if count != 1 else ''}"


def class_notes(classes: Iterable[str], found: FoundData) -> list[str]:
    """What to tell where the data's names are not the model's."""
    labels, known = _annotations(found).labels, set(classes)
    other = [name for name in labels if name not in known]
    if not other:
        return []
    return [
        f"{len(other)} of {len(labels)} classes of the data are none of the model's "
        f"({', '.join(other[:4])}): say which are the same under `data.classes.map`, as in "
        f"{{{other[0]}: a class of the model}}; null leaves one out."
    ]


def annotation_lines(
    found: FoundData, classes: list[str], quoted: Quote, relative: Callable[[Path], str]
) -> list[str]:
    """The lines of `data` that say how annotations are read."""
    annotations = _annotations(found)
    parts = []
    numbers = dict(annotations.numbers)
    if set(numbers.values()) == {""}:
        numbers = dict(zip(numbers, classes, strict=False))
    if annotations.names_file is not None:
        parts.append(f"names: {quoted(relative(annotations.names_file))}")
    elif numbers and list(numbers.items()) != list(enumerate(classes)):
        parts.append(f"names: {{{', '.join(f'{n}: {quoted(v)}' for n, v in numbers.items())}}}")
    if annotations.kind == "maps" and tuple(annotations.void) != (255,):
        parts.append(f"void: {list(annotations.void)}")
    lines = [f"  classes: {{{', '.join(parts)}}}"] if parts else []
    every = [s.annotations for s in found.splits.values() if s.annotations is not None]
    silent = {each.unannotated for each in every} - {None}
    if silent:
        value = "unlabelled" if "unlabelled" in silent else "empty"
        lines.append(f"  unannotated: {value}   # guess: empty | unlabelled")
    turned = {each.boxes_in for each in every} - {None}
    if turned:
        value = "stored" if "stored" in turned else "displayed"
        lines.append(f"  boxes_in: {value}   # guess: displayed | stored")
    return lines


def object_attribute_lines(found: FoundData, quoted: Quote, taken: Iterable[str]) -> list[str]:
    """Attributes of objects: their size, and what the annotations say of them."""
    annotations = _annotations(found)
    if annotations.kind == "maps":
        return []
    used = set(taken)
    lines = [] if "size" in used else ["size: {role: condition, of: object}"]
    for one in annotations.objects:
        if one.column in {*used, "size"}:
            continue
        bins = "" if one.bins is None else f", bins: [{', '.join(f'{b:.12g}' for b in one.bins)}]"
        lines.append(f"{quoted(one.column)}: {{role: {one.role}, of: object{bins}}}   # guess")
    return lines


def _annotations(found: FoundData) -> FoundAnnotations:
    annotations = found.splits["test"].annotations
    assert annotations is not None
    return annotations
