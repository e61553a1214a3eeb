"""Policies: limits on measures, who set them and why. Checks measure; a policy judges."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, model_validator

from auditor.findings import Measure, Subject
from auditor.judging.floor import Floor, floor_of
from auditor.judging.waivers import Waiver
from auditor.spec import COMPRESSED, AuditSpec, ClaimSpec, SpecPart, Task
from auditor.spec.audit_spec import Split
from auditor.spec.yaml_checked import validate
from auditor.spec.yaml_source import load

SCHEMA = "auditor/policy/v1"

Part = TypeVar("Part", bound=SpecPart)
Severity = Literal["blocking", "advisory"]
Exceeds = Literal["above", "below"]
Of = Literal["any", "none", "sensitive", "condition", "nuisance"]


class Bound(SpecPart):
    """A measure and the one bound that it is held to; `above` and `below` are strict."""

    measure: str
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        given = [name for name in BOUNDS if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "no bound"
            raise ValueError(f"found {found}, expected exactly one of {', '.join(BOUNDS)}")
        if self.measure.count(":") < 1:
            raise ValueError(
                f"measure is {self.measure!r}; name it as check:measure, by the ids that "
                "`auditor checks` lists"
            )
        return self

    @property
    def check(self) -> str:
        return self.measure.partition(":")[0]

    @property
    def name(self) -> str:
        return self.measure.partition(":")[2]

    @property
    def kind(self) -> str:
        return next(name for name in BOUNDS if getattr(self, name) is not None)

    @property
    def value(self) -> float:
        bound: float = getattr(self, self.kind)
        return bound

    @property
    def exceeds(self) -> Exceeds:
        """On which side of the bound a value breaks it."""
        return "below" if self.kind in ("at_least", "above") else "above"

    def is_met_by(self, value: float) -> bool:
        match self.kind:
            case "at_least":
                return value >= self.value
            case "above":
                return value > self.value
            case "at_most":
                return value <= self.value
            case _:
                return value < self.value


BOUNDS = ("at_least", "at_most", "above", "below")


class Gate(Bound):
    """A bound that must be shown to be broken or kept before a limit applies.

    The gate is open where its measure, about the same attribute or artefact, is shown to meet
    the bound, and shut where it is shown not to.
    """


class Where(SpecPart):
    """Which of a check's measures a limit is about; what is not stated is not asked.

    `keys` maps a subject's key to its value, ``*`` for any value and ``-`` for no such key.
    `of` is about attributes: ``any`` and ``none``, or the role of the attribute.
    """

    split: Split | None = None
    variant: str | None = None
    """``as-given`` for the model itself, `int8`, `fp16`, or a name of the spec's `variants`."""
    of: Of | tuple[Of, ...] | None = None
    keys: dict[str, str] = Field(default_factory=dict)

    def matches(
        self, subject: Subject, *, attributes: Mapping[str, str], lenient: bool = False
    ) -> bool:
        """Whether `subject` is one of those; `attributes` maps the spec's names to roles.

        `lenient` takes what a subject does not say for a match: a reason why a check measured
        nothing is about every limit that the check could have met.
        """
        return (
            (self.split is None or subject.split in (None, self.split))
            and self._matches_variant(subject, lenient)
            and self._matches_attribute(subject, attributes, lenient)
            and all(self._matches_key(key, subject, lenient) for key in self.keys)
        )

    def _matches_variant(self, subject: Subject, lenient: bool) -> bool:
        if self.variant is None or (lenient and subject.variant is None):
            return True
        return (subject.variant or "as-given") == self.variant

    def _matches_attribute(
        self, subject: Subject, attributes: Mapping[str, str], lenient: bool
    ) -> bool:
        wanted = (self.of,) if isinstance(self.of, str) else self.of
        if wanted is None:
            return True
        found = {attributes[name] for name in attribute_names(subject, attributes)}
        if not found:
            return "none" in wanted or lenient
        return "any" in wanted or not found.isdisjoint(wanted)

    def _matches_key(self, key: str, subject: Subject, lenient: bool) -> bool:
        wanted, found = self.keys[key], subject.get(key)
        if found is None:
            return wanted == "-" or lenient
        return wanted == "*" or wanted == found


def attribute_names(subject: Subject, attributes: Mapping[str, str]) -> tuple[str, ...]:
    """The attributes that a subject is about: a key of its own, or the value of ``attribute``."""
    named = (value if key == "attribute" else key for key, value in subject.keys)
    return tuple(name for name in named if name in attributes)


class Limit(Bound):
    """A line of a policy: a bound, what it is for, and what follows when it is not met.

    `required` says whether the audit can pass without a PASS here: True (default of a blocking
    limit), False (default of an advisory one), or ``if-applicable``: only where the spec
    declares what the check needs and the check finds something to measure. `exact` takes a
    measure by its value: it counts all that there is (the images of this test set), not a sample.
    `tasks` are those whose models it is asked of (all, where empty).
    `and_difference_above` is for ratios: one beyond the bound counts only where the difference of
    its sides, in the direction of the harm, is above so much too (`auditor.judging.floor`), as a
    share: 0.02 for 2 points. It is for an error of average cost; of one for which the spec states
    k times the mean cost of a wrong answer a k-th of it is enough.
    """

    id: str
    where: Where = Where()
    and_difference_above: float | None = Field(default=None, gt=0, lt=1)
    severity: Severity = "blocking"
    required: bool | Literal["if-applicable"] | None = None
    exact: bool = False
    when: Gate | None = None
    why: str
    clauses: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()

    @property
    def requirement(self) -> bool | Literal["if-applicable"]:
        return self.severity == "blocking" if self.required is None else self.required

    def floor(self, measure: Measure) -> Floor | None:
        """What the difference of a ratio's sides must exceed for the ratio to count."""
        most = self.and_difference_above
        return floor_of(measure, most=most, ratio=self.value, exceeds=self.exceeds)


class Owner(SpecPart):
    """Who answers for the policy."""

    name: str
    role: str | None = None


class Approval(SpecPart):
    """Who approved the policy, when, and where that is written."""

    by: str
    on: str
    reference: str | None = None


class Policy(SpecPart):
    """Limits with their owner and approval; `required_attributes` must be measured by group.

    A policy that `extends` another takes over its limits, except those `without`, and its required
    attributes where it states none. A limit with the id of one of them changes what it states.
    `id`, `version` and `owner` are always its own: whoever changes limits answers for them.
    """

    id: str
    version: str
    schema_: Literal["auditor/policy/v1"] = Field(default="auditor/policy/v1", alias="schema")
    extends: str | None = None
    without: tuple[str, ...] = ()
    owner: Owner
    approved: Approval | None = None
    required_attributes: tuple[str, ...] = ()
    limits: tuple[Limit, ...]
    waivers: tuple[Waiver, ...] = ()


class SpecLimits(SpecPart):
    """Which measure a claim of each short name, and each line of a target, is a limit on."""

    claims: dict[str, str]
    latency: dict[str, str]
    size_mb: str
    variant: str
    compressed: str
    memory_mb: str
    of_variants: tuple[str, ...]


@cache
def spec_limits() -> SpecLimits:
    """The measures that the lines of a spec are limits on, from ``policies/spec_limits.yaml``."""
    return _built_in("spec_limits.yaml", SpecLimits)


def _built_in(name: str, model: type[Part]) -> Part:
    place = resources.files("auditor") / "policies" / name
    return validate(load(place.read_text(encoding="utf-8"), name=name), model)


class Conditions(SpecPart):
    """Limits that hold in every policy, which may state another bound of each."""

    limits: tuple[Limit, ...]


@cache
def conditions() -> Mapping[str, Limit]:
    """The limits that hold in every policy, by id, from ``policies/conditions.yaml``."""
    return {limit.id: limit for limit in _built_in("conditions.yaml", Conditions).limits}


def conditions_of(policy: Policy, *, ran: Collection[str]) -> tuple[Limit, ...]:
    """The conditions that a policy states nothing of, on what the checks that ran measured."""
    stated = {limit.id for limit in policy.limits}
    return tuple(c for c in conditions().values() if c.id not in stated and c.check in ran)


def limits_of(spec: AuditSpec, policy: Policy) -> tuple[Limit, ...]:
    """The policy's limits, with the claims and the target of the spec as limits before them."""
    claims = (limit for i, c in enumerate(spec.claims, start=1) for limit in _claim_limits(i, c))
    asked = (x for x in policy.limits if not x.tasks or spec.model.task in x.tasks)
    return (*claims, *_target_limits(spec), *_margin_limits(spec), *asked)


def _claim_limits(index: int, claim: ClaimSpec) -> Sequence[Limit]:
    stated: dict[str, Any] = {"at_least": claim.at_least, "at_most": claim.at_most}
    why = f"the model's team states it ({claim.source})"
    measure = spec_limits().claims.get(claim.measure)
    if measure is None:
        keys = {} if claim.label is None else {"class": claim.label}
        other = claim.measure.partition(":")[0] in spec_limits().of_variants
        variant = None if other else "as-given"
        where = Where(split=claim.split, variant=variant, of="none", keys=keys)
        return [Limit(id=f"claim:{index}", measure=claim.measure, where=where, why=why, **stated)]
    keys = {"claim": str(index)}
    return [
        Limit(
            id=f"claim:{index}",
            measure=measure,
            where=Where(keys=keys | {"part": "sound"}),
            why=why,
            **stated,
        ),
        Limit(
            id=f"claim:{index}:as-given",
            measure=measure,
            where=Where(keys=keys | {"part": "as-given"}),
            severity="advisory",
            why=f"{why}; on the data as given, with the images that were set apart",
            **stated,
        ),
    ]


def _margin_limits(spec: AuditSpec) -> Iterator[Limit]:
    """The spec's `margin` of each form that has one: not worse than as given by more than it."""
    known = spec_limits()
    for name, variant in spec.variants.items():
        if variant.margin is not None:
            yield Limit(
                id=f"variant:{name}",
                measure=known.compressed if name in COMPRESSED else known.variant,
                where=Where(variant=name, of="none"),
                at_most=variant.margin,
                why=f"the margin that the spec states for the form {name}",
            )


def _target_limits(spec: AuditSpec) -> Iterator[Limit]:
    target = spec.target
    if target is None:
        return
    known = spec_limits()
    bounds: list[tuple[str, str, float | None]] = [
        (key, known.latency[key], stated) for key, stated in sorted(target.latency.items())
    ]
    bounds += [
        ("size", known.size_mb, target.size_mb),
        ("memory", known.memory_mb, target.memory_mb),
    ]
    units = {"size": "MB", "memory": "MB", "frames_per_second": "frames a second"}
    for key, measure, stated in bounds:
        if stated is not None:
            bound: dict[str, Any] = {
                "at_least" if key == "frames_per_second" else "at_most": stated
            }
            yield Limit(
                id=f"target:{key}",
                measure=measure,
                where=Where(variant="as-given"),
                why=f"what {target.name} asks of the model, in {units.get(key, 'ms')}",
                **bound,
            )
