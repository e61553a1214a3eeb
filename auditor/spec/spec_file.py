"""Reading `audit.yaml`: shape first, then what one part says of another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import SpecError
from auditor.opening import require_file
from auditor.spec.audit_spec import AuditSpec, ClaimSpec, DataSpec
from auditor.spec.bounds import MOST_SPEC_BYTES
from auditor.spec.consequences_spec import NOTHING
from auditor.spec.model_spec import ClassCount, Task
from auditor.spec.statement_keys import misspelt
from auditor.spec.yaml_checked import validate
from auditor.spec.yaml_source import Problem, did_you_mean, load, problems_error

CLAIM_MEASURES = ("accuracy", "precision", "recall")
"""Claims that `performance/claims` tests; any other names a measure as ``check:measure``."""


@dataclass(frozen=True)
class SpecFile:
    """An audit spec with the text that it was read from.

    `name` is the file's name without its folder; `digest` is the SHA-256 of the text in UTF-8.
    """

    spec: AuditSpec
    name: str
    text: str
    digest: str


def read_spec(path: str | Path) -> SpecFile:
    """Read an `audit.yaml`; paths in it are relative to its folder.

    Raises
    ------
    SpecError
        When the file cannot be read, or says what cannot be; the message lists every problem
        with its line (at most ten).
    """
    path = Path(path)
    text = read_text(path)
    source = load(text, name=path.name)
    spec = validate(source, AuditSpec).model_copy(update={"folder": path.parent})
    problems = list(spec_problems(spec))
    if problems:
        raise problems_error(source, problems)
    return SpecFile(spec=spec, name=path.name, text=text, digest=text_digest(text))


def read_text(path: Path) -> str:
    """The text of a YAML file in UTF-8; raises SpecError when there is none."""
    require_file(
        path,
        what="a file of YAML",
        at_most=MOST_SPEC_BYTES,
        error=SpecError,
        remedy="Give the path of a YAML file; `auditor init MODEL DATA` writes an audit.yaml to "
        "begin with. Long lists go elsewhere: `classes: classes.txt`, columns of a manifest.",
    )
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path} is not UTF-8 text ({error.reason}). Save it as UTF-8.") from error
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}.") from error


def text_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def known_classes(spec: AuditSpec) -> tuple[str, ...] | None:
    """The names of the classes, None where a file outside the spec lists them."""
    classes = spec.model.classes
    if isinstance(classes, ClassCount):
        return tuple(str(i) for i in range(classes.count))
    return None if isinstance(classes, str) else classes


def audited_classes(classes: Sequence[str], renamed: Mapping[str, str | None]) -> tuple[str, ...]:
    """The audit's classes: the model's, each called as `data.classes.map` says, without repeats."""
    named = (renamed.get(name, name) for name in classes)
    return tuple(dict.fromkeys(name for name in named if name is not None))


def least_classes(task: Task) -> int:
    """How many classes a model for `task` has at least: a detector may look for one thing."""
    return 1 if task in ("detection", "instance-segmentation") else 2


def spec_problems(spec: AuditSpec) -> Iterator[Problem]:
    """What one part of a spec says that another contradicts."""
    yield from _system_problems(spec)
    yield from _annotation_problems(spec)
    classes = known_classes(spec)
    yield from () if classes is None else class_problems(spec, classes)
    yield from _claim_problems(spec)
    yield from _shortcut_problems(spec)


def _system_problems(spec: AuditSpec) -> Iterator[Problem]:
    """Statements under a name that nobody asks for, though it is like one that is."""
    for name in spec.audit.system:
        meant = misspelt(name)
        if meant:
            text = f"found {name!r}, which nobody asks for. Did you mean {meant!r}? Write that; a "
            yield Problem(
                ("audit", "system", name), f"{text}key of your own needs a name less like it."
            )


def _annotation_problems(spec: AuditSpec) -> Iterator[Problem]:
    """What is said of objects or annotations by data that have none, and the reverse."""
    task, data = spec.model.task, spec.data
    if task != "classification" and data.test.annotations is None:
        text = f"a model for {task} is measured by annotations; add `annotations:` with their file"
        yield Problem(("data", "test"), f"{text} or folder.")
    if not spec.model.gives_boxes:
        for name, attribute in data.attributes.items():
            if attribute.of == "object":
                text = f"found of: object, but {task} has no objects; drop it, or say of: image"
                yield Problem(("data", "attributes", name, "of"), f"{text}.")
    if task == "classification":
        yield from _classifier_problems(data)


def _classifier_problems(data: DataSpec) -> Iterator[Problem]:
    why = "classification has a label an image"
    for split in data.splits:
        stated = data.split(split)
        if stated is not None and stated.annotations is not None:
            yield Problem(
                ("data", split, "annotations"),
                f"found {stated.annotations!r}, but {why} and reads no annotations; name the "
                "column of labels under data.columns.label instead.",
            )
        for key in stated.second_annotations if stated is not None else ():
            text = f"{why} and reads no annotations; name columns under data.columns.ratings or"
            yield Problem(("data", split, *key.split(".", 1)), f"{text} gold instead.")
    for key in ("boxes_in", "unannotated", "classes"):
        if key in data.model_fields_set:
            yield Problem(("data", key), f"{why} and reads no annotations; drop it.")


def class_problems(spec: AuditSpec, classes: tuple[str, ...]) -> Iterator[Problem]:
    """What is said of classes that there are not; `classes` are the model's."""
    least = least_classes(spec.model.task)
    if len(classes) < least:
        text = f"found {len(classes)} class, expected at least {least}."
        yield Problem(("model", "classes"), text)
    first: dict[str, int] = {}
    for i, name in enumerate(classes):
        if first.setdefault(name, i) < i:
            text = f"found the class {name!r} again; class names must differ."
            yield Problem(("model", "classes", i), text)
    audited = audited_classes(classes, spec.data.classes.map)
    yield from _unknown(_named_classes(spec), audited)
    if spec.model.task == "classification":
        yield from _unknown(_costed_classes(spec), audited)
    else:
        yield from _unknown(_costed_classes(spec), (*audited, NOTHING))
        yield from _absence_problems(spec, audited)


def _unknown(
    named: Iterator[tuple[tuple[str | int, ...], str]], known: tuple[str, ...]
) -> Iterator[Problem]:
    for path, name in named:
        if name not in known:
            yield Problem(path, f"there is no class {name!r}.{did_you_mean(name, known)}")


def _named_classes(spec: AuditSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for i, name in enumerate(spec.consequences.adverse):
        yield ("consequences", "adverse", i), name
    for key, names in spec.data.unit_accepts or ():
        yield from ((("data", "unit_accepts", key, i), name) for i, name in enumerate(names))
    for i, claim in enumerate(spec.claims):
        if claim.label is not None:
            yield ("claims", i, "label"), claim.label


def _costed_classes(spec: AuditSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where the absence of an object may be named, too."""
    consequences = spec.consequences
    for true, row in (consequences.costs.matrix if consequences.costs else {}).items():
        yield ("consequences", "costs", "matrix", true), true
        for answered in row:
            yield ("consequences", "costs", "matrix", true, answered), answered
    for name in consequences.borne_by:
        yield ("consequences", "borne_by", name), name


def _absence_problems(spec: AuditSpec, audited: tuple[str, ...]) -> Iterator[Problem]:
    """Costs of a detector's or segmenter's errors that nothing can be measured by."""
    costs, here = spec.consequences.costs, ("consequences", "costs", "matrix")
    if costs is None:
        return
    if NOTHING in audited:
        text = f"a class is called {NOTHING!r}, which stands here for the absence of an object; "
        yield Problem(here, f"{text}give it another name under data.classes.map.")
    for true, row in costs.matrix.items():
        for answered in row:
            if true == answered == NOTHING:
                text = "that nothing is answered where nothing is is no error; drop it."
                yield Problem((*here, true, answered), text)
            elif spec.model.task == "segmentation" and NOTHING not in (true, answered):
                text = (
                    "an image of a segmenter holds several classes, and none is answered in place "
                    f"of another; state {{{true}: {{{NOTHING}: ...}}}} and {{{NOTHING}: "
                    f"{{{answered}: ...}}}}."
                )
                yield Problem((*here, true, answered), text)


def _claim_problems(spec: AuditSpec) -> Iterator[Problem]:
    for i, claim in enumerate(spec.claims):
        here = ("claims", i)
        if claim.measure not in CLAIM_MEASURES and ":" not in claim.measure:
            hint = did_you_mean(claim.measure, CLAIM_MEASURES)
            yield Problem(
                (*here, "measure"),
                f"found {claim.measure!r}, expected accuracy, recall, precision, or the id of a "
                f"measure as check:measure.{hint if 'mean' in hint else ''}",
            )
        bound = claim.at_most if claim.at_least is None else claim.at_least
        if claim.measure in CLAIM_MEASURES and bound is not None and not 0 <= bound <= 1:
            text = f"found {bound:g}, expected a share from 0 to 1; write 91% as 0.91."
            yield Problem((*here, "at_most" if claim.at_least is None else "at_least"), text)
        unfit = _unfit_claim(claim, spec)
        if unfit:
            yield Problem((*here, "measure"), unfit)
        needs_class = claim.measure in ("recall", "precision") and not spec.model.gives_boxes
        if needs_class and not unfit and claim.label is None:
            text = f"a claim on {claim.measure} needs the class that it is about; add `label: NAME`"
            yield Problem(here, f"{text}.")
        if claim.split not in spec.data.splits:
            text = (
                f"the spec names no {claim.split} data; add `data.{claim.split}` or drop the claim"
            )
            yield Problem((*here, "split"), f"{text}.")


def _unfit_claim(claim: ClaimSpec, spec: AuditSpec) -> str | None:
    """Why a claim's measure is none of the model's task; None where it is one."""
    task, measure = spec.model.task, claim.measure
    if measure not in CLAIM_MEASURES or task == "classification":
        return None
    if spec.model.gives_boxes and measure != "accuracy":
        return None
    known = "recall (objects found), precision (boxes right), or " if spec.model.gives_boxes else ""
    return (
        f"found {measure!r}, which a model for {task} does not have; claim {known}a measure by its "
        "id, as check:measure (`auditor checks` lists them)."
    )


def _shortcut_problems(spec: AuditSpec) -> Iterator[Problem]:
    names = [shortcut.name for shortcut in spec.shortcuts]
    for i, shortcut in enumerate(spec.shortcuts):
        if shortcut.name in names[:i]:
            text = f"found the shortcut {shortcut.name!r} again; names must differ."
            yield Problem(("shortcuts", i, "name"), text)
        for attribute in shortcut.carried_by or {}:
            if attribute not in spec.data.attributes:
                hint = did_you_mean(attribute, spec.data.attributes)
                yield Problem(
                    ("shortcuts", i, "carried_by", attribute),
                    f"there is no attribute {attribute!r} under data.attributes.{hint}",
                )
