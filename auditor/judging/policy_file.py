"""Reading a policy: a built-in one or a file, alone or extending another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor.clauses.table import shipped_clauses
from auditor.errors import SpecError
from auditor.judging.bounds import fault_of, floor_fault_of
from auditor.judging.names import same_name
from auditor.judging.policy import BOUNDS, Bound, Policy, conditions, limits_of
from auditor.judging.weakened import weakened
from auditor.record.history import LimitChange
from auditor.spec.spec_file import SpecFile, read_text, text_digest
from auditor.spec.yaml_checked import validate
from auditor.spec.yaml_source import Problem, Source, did_you_mean, load, problems_error

BUILT_IN = ("default", "strict")
_BUILT_IN_FOLDER = Path(__file__).parents[1] / "policies"
_NAME = re.compile(r"[\w .,+/-]{1,60}")
_RESERVED = ("claim:", "target:", "attribute:")


@dataclass(frozen=True)
class PolicyFile:
    """A policy with the text that it was read from; `digest` is the SHA-256 of that text.

    The text of a policy that extends another is followed by that one's, and `policy` has the
    limits of both. `files` are those that it was read from, the extended ones last. `weakened` says
    what it asks less of than a policy that it extends; `bases` are those, the nearest first.
    """

    policy: Policy
    name: str
    text: str
    digest: str
    files: tuple[Path, ...] = field(default=(), compare=False)
    weakened: tuple[LimitChange, ...] = ()
    bases: tuple[Policy, ...] = field(default=(), compare=False)


def load_policy(name: str, *, folder: Path = Path()) -> PolicyFile:
    """A built-in policy by name, or a YAML file by its path relative to `folder`.

    Raises SpecError for an unknown name, and listing what is wrong in a file.
    """
    path = _place(name, folder)
    return _parse(read_text(path), path=path, above=())


def _place(name: str, folder: Path) -> Path:
    if name in BUILT_IN:
        return _BUILT_IN_FOLDER / f"{name}.yaml"
    path = folder / name
    if not path.suffix and not path.exists():
        raise SpecError(
            f"There is no policy {name!r}. Expected {' or '.join(BUILT_IN)}, or the path of a "
            f"policy file.{did_you_mean(name, BUILT_IN)}"
        )
    return path


def parse_policy(text: str, *, name: str) -> PolicyFile:
    """A policy from its YAML text; raises SpecError that lists what is wrong, line by line."""
    return _parse(text, path=Path(name), above=())


def _parse(text: str, *, path: Path, above: tuple[Path, ...]) -> PolicyFile:
    name = path.stem if path.parent == _BUILT_IN_FOLDER else path.name
    source = load(text, name=name)
    base = _base(source, path.parent, above=(*above, path.resolve()))
    if base is not None and (missing := list(_own_missing(source.data, base))):
        raise problems_error(source, missing)
    policy = validate(_filled_in(source, base), Policy)
    problems = [
        *_removal_problems(policy, base), *_id_problems(policy, base), *_bound_problems(policy),
        *_clause_problems(policy), *_name_problems(policy, path),
    ]  # fmt: skip
    if problems:
        raise problems_error(source, problems)
    if base is None:
        return PolicyFile(policy, name, text, text_digest(text), (path,))
    policy, bases = _extended(policy, base.policy), (base.policy, *base.bases)
    text = f"{text.rstrip()}\n---\n# {base.name}\n{base.text}"
    less, files = weakened(policy, bases), (path, *base.files)
    return PolicyFile(policy, name, text, text_digest(text), files, less, bases)


def _base(source: Source, folder: Path, *, above: tuple[Path, ...]) -> PolicyFile | None:
    """The policy that another extends; raises SpecError where there is none, or a circle."""
    name = source.data.get("extends") if isinstance(source.data, dict) else None
    if not isinstance(name, str):
        return None
    try:
        path = _place(name, folder)
        text = read_text(path)
    except SpecError as error:
        raise problems_error(source, [Problem(("extends",), str(error))]) from error
    if path.resolve() in above:
        said = f"found {name!r}, which extends this policy in turn; extend another, or none."
        raise problems_error(source, [Problem(("extends",), said)])
    return _parse(text, path=path, above=above)


_OWN = {
    "id": "a verdict names the policy that it was reached by",
    "version": "a verdict names the policy that it was reached by",
    "owner": "whoever changes limits answers for them",
}
"""What no policy takes over from the one that it extends, and why."""


def _own_missing(stated: Mapping[str, Any], base: PolicyFile) -> Iterator[Problem]:
    for key, why in _OWN.items():
        if key not in stated:
            text = f"{key!r} is missing; add it. That of {base.name} is not taken over: {why}."
            yield Problem((key,), text, within=True)


def _filled_in(source: Source, base: PolicyFile | None) -> Source:
    """`source` with what its limits leave to those of the same id in `base`, or to a condition."""
    limits = source.data.get("limits") if isinstance(source.data, dict) else None
    if base is not None and limits is None:
        limits = source.data["limits"] = []
    if not isinstance(limits, list):
        return source
    above = {**conditions(), **{x.id: x for x in base.policy.limits}} if base else conditions()
    known = {name: x.model_dump(mode="json", exclude_unset=True) for name, x in above.items()}
    problems = []
    for i, stated in enumerate(limits):
        identifier = stated.get("id") if isinstance(stated, dict) else None
        if not isinstance(identifier, str):
            continue
        problem = _restating_problem(stated, known, base)
        if problem:
            at = () if identifier in known else ("id",)
            problems.append(Problem(("limits", i, *at), problem))
        elif identifier in known:
            kept = BOUNDS if stated.keys().isdisjoint(BOUNDS) else ()
            taken = {k: v for k, v in known[identifier].items() if k in kept or k not in BOUNDS}
            limits[i] = taken | stated
    if problems:
        raise problems_error(source, problems)
    return source


def _restating_problem(
    stated: Mapping[str, Any], known: Mapping[str, Any], base: PolicyFile | None
) -> str:
    """What is wrong with a limit that restates one of the `known`, or fails to; "" for nothing."""
    identifier = stated["id"]
    if identifier in conditions() and set(stated) != {"id", "at_most", "why"}:
        return f"{identifier!r} holds in every policy; state `at_most` and `why` of it alone."
    if identifier in known and len(stated) == 1 and base:
        return f"found an id alone; state what differs from {base.name}, or drop the line."
    if identifier not in known and "measure" not in stated and base:
        hint = did_you_mean(identifier, known)
        return (
            f"there is no limit {identifier!r} in {base.name}, and a new one has a measure.{hint}"
        )
    return ""


def _extended(policy: Policy, base: Policy) -> Policy:
    own = {limit.id: limit for limit in policy.limits}
    kept = [own.pop(x.id, x) for x in base.limits if x.id not in policy.without]
    stated = "required_attributes" in policy.model_fields_set
    required = policy.required_attributes if stated else base.required_attributes
    changes = {"limits": (*kept, *own.values()), "required_attributes": required}
    return policy.model_copy(update=changes)


def _removal_problems(policy: Policy, base: PolicyFile | None) -> Iterator[Problem]:
    ids = [limit.id for limit in base.policy.limits] if base else []
    for i, name in enumerate(policy.without):
        if base is None:
            yield Problem(("without",), "this policy extends none; say which it `extends`.")
            return
        if name not in ids:
            text = f"there is no limit {name!r} in {base.name}.{did_you_mean(name, ids)}"
            yield Problem(("without", i), text)
        elif any(limit.id == name for limit in policy.limits):
            text = f"found {name!r}, which `limits` states; keep one of the two."
            yield Problem(("without", i), text)


def _bound_problems(policy: Policy) -> Iterator[Problem]:
    for i, limit in enumerate(policy.limits):
        stated: list[tuple[tuple[str, ...], Bound]] = [((), limit)]
        stated += [(("when",), limit.when)] if limit.when else []
        for at, bound in stated:
            fault = fault_of(bound)
            key = bound.kind if fault.startswith("found") else "measure"
            if fault:
                yield Problem(("limits", i, *at, key), fault)
        if fault := floor_fault_of(limit):
            yield Problem(("limits", i, "and_difference_above"), fault)


def _clause_problems(policy: Policy) -> Iterator[Problem]:
    """Clauses of an instrument that is known here, and that it does not have."""
    if not any(limit.clauses for limit in policy.limits):
        return
    table = shipped_clauses()
    known = [clause.id for clause in table.clauses]
    instruments = {instrument.id for instrument in table.instruments}
    for i, limit in enumerate(policy.limits):
        for j, name in enumerate(limit.clauses):
            if name.partition("/")[0] in instruments and name not in known:
                text = f"there is no clause {name!r}.{did_you_mean(name, known)}"
                yield Problem(("limits", i, "clauses", j), text)


def require_sensible_claims(file: SpecFile, policy: Policy) -> None:
    """Raise SpecError for a claim or a target that names no measure, or that asks nothing."""
    problems = []
    for limit in limits_of(file.spec, policy):
        kind, _, name = limit.id.partition(":")
        index = name.partition(":")[0]
        fault = fault_of(limit)
        if fault and kind == "claim":
            key = limit.kind if fault.startswith("found") else "measure"
            problems.append(Problem(("claims", int(index) - 1, key), fault))
        elif fault and kind == "target":
            problems.append(Problem(("target", "latency", name), fault))
    if problems:
        source = load(file.text, name=file.name)
        raise problems_error(source, dict.fromkeys(problems))


def _name_problems(policy: Policy, path: Path) -> Iterator[Problem]:
    """Names by which readers of a report would take a policy, or its verdict, for another."""
    for key in ("id", "version"):
        stated = getattr(policy, key)
        if not _NAME.fullmatch(stated):
            text = (
                f"found {stated!r}; write it in letters, digits, spaces and . , _ + / -, up to 60."
            )
            yield Problem((key,), text)
    if path.parent != _BUILT_IN_FOLDER and any(same_name(policy.id, name) for name in BUILT_IN):
        text = f"found {policy.id!r}, the id of a built-in policy; give this one an id of its own."
        yield Problem(("id",), text)


def _id_problems(policy: Policy, base: PolicyFile | None) -> Iterator[Problem]:
    ids = [limit.id for limit in policy.limits]
    for i, limit in enumerate(policy.limits):
        if limit.id in ids[:i]:
            yield Problem(("limits", i, "id"), f"found the limit {limit.id!r} again; ids differ.")
        if limit.id.startswith(_RESERVED):
            text = f"found {limit.id!r}; ids that begin with {', '.join(_RESERVED)} are the spec's."
            yield Problem(("limits", i, "id"), text)
    if base is not None:
        ids = [limit.id for limit in _extended(policy, base.policy).limits]
    for i, waiver in enumerate(policy.waivers):
        if waiver.id in [earlier.id for earlier in policy.waivers[:i]]:
            text = f"found the waiver {waiver.id!r} again; ids differ."
            yield Problem(("waivers", i, "id"), text)
        named = waiver.limit
        known = (*ids, *conditions())
        if named and named not in known and not named.startswith(_RESERVED):
            text = f"there is no limit {named!r}.{did_you_mean(named, known)}"
            yield Problem(("waivers", i, "limit"), text)
