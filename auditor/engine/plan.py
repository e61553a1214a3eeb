"""What will run, what will not and why, before any work."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from auditor.contract import AS_GIVEN, Available, Check, Pass, check_classes, make_check
from auditor.errors import SpecError
from auditor.record import NotPlannedCheck


@dataclass(frozen=True)
class Plan:
    """Checks in the order in which they run, and the union of the passes they need.

    `kept` are the splits whose frames are cached. Early passes run in the first sweep; late ones
    need what it found: frames that it kept, or which images are sound.
    """

    checks: tuple[Check, ...]
    not_run: tuple[NotPlannedCheck, ...]
    passes: tuple[Pass, ...]
    kept: tuple[str, ...]

    @property
    def early(self) -> tuple[Pass, ...]:
        return tuple(p for p in self.passes if not is_late(p))

    @property
    def late(self) -> tuple[Pass, ...]:
        return tuple(p for p in self.passes if is_late(p))

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(sorted({p.variant for p in self.passes} - {AS_GIVEN}))


def is_late(sweep_pass: Pass) -> bool:
    """Whether a pass needs what only a finished first sweep has.

    That is donors, calibration, or which images a sample may hold.
    """
    made = sweep_pass.variant != AS_GIVEN or sweep_pass.view.donor is not None
    return made or sweep_pass.sample is not None


def make_plan(available: Available, *, only: Sequence[str] = ()) -> Plan:
    """Plan the checks or families named in `only` (all when empty); SpecError for unknown names."""
    _check_parameters(available.spec.checks)
    checks, not_run = _sort_checks(available, _selected(only), available.spec.checks)
    needs = [need for check in checks for need in check.needs if need.unmet(available) is None]
    passes = _merged(p for need in needs for p in need.passes(available))
    splits = tuple(available.datasets)
    return Plan(
        checks=checks,
        not_run=not_run,
        passes=passes,
        kept=tuple(r for r in splits if any(r in need.frame_splits(available) for need in needs)),
    )


def _selected(only: Sequence[str]) -> dict[str, type[Check]]:
    """The checks named, by id or by family (``bias``), and those that always run."""
    classes = dict(check_classes())
    families = {name.partition("/")[0] for name in classes}
    wanted = {name.removesuffix("/") for name in only}
    unknown = sorted(wanted - set(classes) - families)
    if unknown:
        raise unknown_check(unknown[0], {*classes, *families})
    return {
        name: cls
        for name, cls in classes.items()
        if not only or cls.always or not wanted.isdisjoint({name, name.partition("/")[0]})
    }


def unknown_check(name: str, known: Iterable[str], *, where: str = "") -> SpecError:
    """The error for a check's id that is none; `where` says who named it, as ``policy.yaml: ``."""
    close = difflib.get_close_matches(name, list(known), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return SpecError(
        f"{where}There is no check {name!r}.{hint} `auditor checks` lists all that there are."
    )


def _check_parameters(parameters: Mapping[str, Mapping[str, object]]) -> None:
    """Raise SpecError for parameters of no check, or that a check does not take."""
    known = check_classes()
    for name, given in parameters.items():
        if name not in known:
            raise unknown_check(name, known, where="checks: ")
        _configured(known[name], given)


def _sort_checks(
    available: Available,
    classes: dict[str, type[Check]],
    parameters: Mapping[str, Mapping[str, object]],
) -> tuple[tuple[Check, ...], tuple[NotPlannedCheck, ...]]:
    checks: list[Check] = []
    not_run: list[NotPlannedCheck] = []
    for name, cls in sorted(
        classes.items(), key=lambda item: (item[1].at_end, item[0].startswith("deploy"), item)
    ):
        unmet = [
            found
            for need in cls.needs
            if not need.optional and (found := need.unmet(available)) is not None
        ]
        if unmet:
            not_run.append(
                NotPlannedCheck(name, unmet[0].reason, unmet[0].remedy, unmet[0].applies)
            )
        else:
            checks.append(_configured(cls, parameters.get(name, {})))
    return tuple(checks), tuple(not_run)


def _configured(cls: type[Check], parameters: Mapping[str, object]) -> Check:
    known = [field.name for field in fields(cls)]
    for name in parameters:
        if name not in known:
            raise SpecError(
                f"checks.{cls.id}: unknown parameter {name!r}. Its parameters are: "
                f"{', '.join(known) or 'none'}. `auditor explain {cls.id}` documents them."
            )
    hints = get_type_hints(cls)
    return make_check(cls, {n: _typed(cls, n, v, hints[n]) for n, v in parameters.items()})


def _typed(cls: type[Check], name: str, value: object, kind: Any) -> Any:
    try:
        return TypeAdapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise SpecError(
            f"checks.{cls.id}.{name}: found {value!r}. {error.errors()[0]['msg']}. "
            f"`auditor explain {cls.id}` documents it."
        ) from error


def _merged(passes: Iterable[Pass]) -> tuple[Pass, ...]:
    """One pass for each kind: the largest sample (all images if any wants all)."""
    merged: dict[Pass, Pass] = {}
    for wanted in passes:
        kind = replace(wanted, sample=None, embedding=False)
        known = merged.get(kind)
        if known is None:
            merged[kind] = wanted
            continue
        sizes = (known.sample, wanted.sample)
        sample = None if None in sizes else max(s for s in sizes if s is not None)
        embedding = known.embedding or wanted.embedding
        merged[kind] = replace(wanted, sample=sample, embedding=embedding)
    return tuple(sorted(merged.values(), key=str))
