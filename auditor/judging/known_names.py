"""Classes, groups, splits and keys that a policy or a spec names: each must be one of the audit's.

A name that is none would match nothing, so that what was said of it passes in silence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote

from auditor.judging.bounds import measure_spans
from auditor.judging.policy import Limit, limits_of
from auditor.judging.policy_file import PolicyFile
from auditor.record import AuditRecord
from auditor.spec import AS_GIVEN, COMPRESSED, SUBJECT_KEYS, AuditSpec
from auditor.spec.spec_file import SpecFile, class_problems
from auditor.spec.yaml_source import Path, Problem, did_you_mean, load, problems_error

OTHER_KEYS = frozenset({"kind"})
"""Keys of subjects that an attribute's name may share."""


@dataclass(frozen=True)
class KnownNames:
    """What names may be: `classes`, the groups by attribute, and what else readers are shown.

    `seen` are the groups that some image has; `groups` also has those that are declared.
    """

    spec: AuditSpec
    classes: tuple[str, ...]
    groups: Mapping[str, Collection[str]]
    seen: Mapping[str, Collection[str]]
    others: Collection[str] = ()

    @classmethod
    def of_record(cls, record: AuditRecord, spec: AuditSpec) -> Self:
        """The names of an audit that was run; small groups that it pooled have theirs, too."""
        groups: dict[str, set[str]] = {}
        for attribute in (a for dataset in record.datasets for a in dataset.attributes):
            own = groups.setdefault(attribute.name, set())
            own |= {group.name for group in attribute.groups}
            own |= {name for pooled in attribute.pooled.values() for name in pooled}
        return cls(spec, record.model.classes, groups, groups)

    def values(self, key: str) -> Collection[str] | None:
        """The values that a subject may have under a key; None where any is possible."""
        if key in self.groups:
            return self.groups[key]
        stated: dict[str, Iterable[str]] = {
            "class": self.classes,
            "attribute": self.spec.data.attributes,
            "artefact": [shortcut.name for shortcut in self.spec.shortcuts],
            "claim": map(str, range(1, len(self.spec.claims) + 1)),
            "part": ("sound", "as-given"),
        }
        return list(stated[key]) if key in stated else None

    def fault(self, key: str, said: str) -> str:
        """What is wrong with ``key: said`` of a subject, for a reader; empty where nothing is."""
        keys = {*SUBJECT_KEYS, *OTHER_KEYS, *self.spec.data.attributes}
        if key not in keys:
            return f"there is no key {key!r} of measures.{did_you_mean(key, sorted(keys))}"
        values = self.values(key)
        if said in ("*", "-") or values is None or said in values:
            return ""
        # A group that `smallest_cell` pools has the names of all its members in its own.
        if self.spec.data.smallest_cell and any(value in said for value in values):
            return ""
        what = "value" if key in SUBJECT_KEYS - {"class", "attribute"} else "group of"
        what = "" if key in ("class", "attribute") else f"{what} "
        return f"there is no {what}{key} {said!r}.{did_you_mean(said, values)}"


def require_known_names(policy: PolicyFile, names: KnownNames, file: SpecFile | None) -> None:
    """Raise SpecError, with lines, for names in a policy or a spec that are none of the audit's.

    `file` is None where the spec is that of a record, which has been looked at.
    """
    if file is not None:
        problems = list(_spec_problems(names))
        if problems:
            raise problems_error(load(file.text, name=file.name), problems)
    # What the policy extends follows in its text, as a document of its own.
    source = load(policy.text.partition("\n---\n# ")[0], name=policy.name)
    stated = source.data.get("limits") or []
    places = {limit.get("id"): i for i, limit in enumerate(stated) if isinstance(limit, dict)}
    problems = []
    for limit in policy.policy.limits:
        inherited: Path = ("extends",)
        at: Path = ("limits", places[limit.id]) if limit.id in places else inherited
        # A built-in policy, or one that is extended, may speak of forms that this audit has not.
        fault = _form_fault(limit, names) if limit.id in places else ""
        if fault:
            problems.append(Problem((*at, "where", "variant"), fault))
        for key, said in limit.where.keys.items():
            fault = names.fault(key, said)
            if fault:
                problems.append(Problem((*at, "where", "keys", key), fault))
    problems += _waiver_problems(policy, names)
    if problems:
        raise problems_error(source, problems)


def _form_fault(limit: Limit, names: KnownNames) -> str:
    """What is wrong with the form of the model that a limit is on; empty where nothing is."""
    said, forms = limit.where.variant, [AS_GIVEN, *COMPRESSED, *names.spec.variants]
    if said is None or said in forms:
        return ""
    hint = did_you_mean(said, forms)
    # A limit that holds where it applies may be on a form of another release; a slip is near one.
    if limit.requirement == "if-applicable" and "Did you mean" not in hint:
        return ""
    return f"there is no form {said!r} of the model.{hint}"


def _waiver_problems(policy: PolicyFile, names: KnownNames) -> Iterator[Problem]:
    required = (f"attribute:{name}" for name in policy.policy.required_attributes)
    ids = [*(limit.id for limit in limits_of(names.spec, policy.policy)), *required]
    for i, waiver in enumerate(policy.policy.waivers):
        if waiver.limit and ":" in waiver.limit and waiver.limit not in ids:
            text = f"there is no limit {waiver.limit!r}.{did_you_mean(waiver.limit, ids)}"
            yield Problem(("waivers", i, "limit"), text)
        fault = _finding_fault(waiver.finding, names) if waiver.finding else ""
        if fault:
            yield Problem(("waivers", i, "finding"), fault)


def _finding_fault(identifier: str, names: KnownNames) -> str:
    """What is wrong with the id of a finding (see `finding_id`), for a reader."""
    body = identifier.partition("#")[0].partition("+")[0]
    body, _, split = body.partition("@")
    check, _, rest = body.partition(":")
    measure, _, keys = rest.partition(":")
    if f"{check}:{measure}" not in measure_spans():
        hint = did_you_mean(f"{check}:{measure}", measure_spans())
        return f"there is no measure '{check}:{measure}'.{hint}"
    if split and split not in names.spec.data.splits:
        return f"there are no {split!r} data.{did_you_mean(split, names.spec.data.splits)}"
    pairs = (pair.partition("=") for pair in keys.split(",") if pair)
    faults = (names.fault(unquote(key), unquote(said)) for key, _, said in pairs)
    return next(filter(None, faults), "")


def _spec_problems(names: KnownNames) -> Iterator[Problem]:
    spec = names.spec
    yield from class_problems(spec, names.classes)
    yield from _population_problems(names)
    for i, shortcut in enumerate(spec.shortcuts):
        for name, group in (shortcut.carried_by or {}).items():
            fault = names.fault(name, group)
            if fault:
                yield Problem(("shortcuts", i, "carried_by", name), fault)
    shown = set(_shown(names))
    # Groups of objects are in the annotations, or are bins of what they hold: none is known here.
    of_objects = {name for name, a in spec.data.attributes.items() if a.of == "object"}
    for name in spec.display:
        if name not in shown and not ("=" in name and name.partition("=")[0] in of_objects):
            text = f"there is no attribute, group or class {name!r}.{did_you_mean(name, shown)}"
            yield Problem(("display", name), text)
    yield from _display_problems("attribute", spec.data.attributes, spec.display)
    yield from _display_problems("class", names.classes, spec.display)
    for attribute, groups in names.groups.items():
        yield from _display_problems(attribute, groups, spec.display)


def _display_problems(
    key: str, known: Iterable[str], display: Mapping[str, str]
) -> Iterator[Problem]:
    """Names that readers would take for another of their kind, exchanged with it or one with it."""
    own = {_read(name): name for name in sorted(known)}
    said: dict[str, str] = {}
    for name in own.values():
        stated = f"{key}={name}" if display.get(f"{key}={name}") else name
        if stated not in display:
            continue
        shown = _read(display[stated])
        other = own.get(shown, name)
        other = said.setdefault(shown, name) if other == name else other
        if other != name:
            text = f"found {display[stated]!r}, by which readers know {other!r}; give it another."
            yield Problem(("display", stated), text)


def _read(name: str) -> str:
    return " ".join(name.split()).casefold()


def _population_problems(names: KnownNames) -> Iterator[Problem]:
    for name, attribute in names.spec.data.attributes.items():
        seen = [group for group in names.seen.get(name, ()) if group]
        shares = attribute.population or {}
        without = [group for group in seen if group not in shares]
        for group in shares:
            # A group that no image shows may be one; not beside another that has no share.
            if seen and without and group not in seen:
                text = f"no image is of the group {group!r}, and {without[0]!r} has no share."
                text += did_you_mean(group, without)
                yield Problem(("data", "attributes", name, "population", group), text)


def _shown(names: KnownNames) -> Iterator[str]:
    yield from (*names.classes, *names.others, *names.groups)
    yield from (shortcut.name for shortcut in names.spec.shortcuts)
    for stated in map(names.spec.data.split, names.spec.data.splits):
        yield from ((stated and stated.columns) or names.spec.data.columns).ratings
        yield from () if stated is None else stated.annotations_by
    for attribute, groups in names.groups.items():
        yield from groups
        yield from (f"{attribute}={group}" for group in groups)
    yield from (f"class={name}" for name in names.classes)
