"""An audit to render: a classifier of room photos, measured by the real checks, judged for real."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np

from auditor.contract import check_classes
from auditor.contract.documentation import check_text
from auditor.findings import (
    Axis,
    Column,
    Figure,
    Measure,
    Side,
    Subject,
    Table,
    Unmeasured,
)
from auditor.judging.judged_record import make_record
from auditor.judging.policy_file import load_policy, parse_policy
from auditor.record import (
    AttributeSummary,
    CheckResults,
    DatasetSummary,
    GroupCount,
    NotPlannedCheck,
    PassFacts,
    PlanSummary,
    SetApart,
    keep_table,
)
from auditor.record.provenance import Provenance
from auditor.spec.spec_file import read_spec
from auditor.stats import Draws, Exact, PairedDifference, Rate, RateDifference

CLASSES = ("compliant", "minor", "serious")
POPULATION = {"single": 0.7, "family": 0.2, "accessible": 0.1}
HOSTILE = '<script>alert("x")</script>'
BUILDINGS = ("old", "new", "Wohnheim am Südpark, Haus 4, Flügel der ehemaligen Verwaltung",
             "Κτίριο Α", "=cmd|' /C calc'!A0", HOSTILE)  # fmt: skip

SPEC = """
audit:
  title: Room-photo classifier 1.2
  seed: 7
  system:
    intended_use: Sorting photos of student rooms for fire-safety inspection
    owner: Housing office
    out_of_scope: [rooms of other owners, "*videos*"]
model:
  path: model.onnx
  classes: [compliant, minor, serious]
  input: {size: [144, 192]}
data:
  test: {manifest: test.csv, images: images}
  train: {manifest: train.csv, images: images}
  columns: {unit: room}
  attributes:
    household: {role: sensitive, population: {single: 0.7, family: 0.2, accessible: 0.1}}
    building: {role: condition}
    phone: {role: nuisance}
claims: [{measure: accuracy, at_least: 0.85, source: "team's test report, p. 4"}]
consequences:
  adverse: [serious]
  costs: {unit: EUR, matrix: {compliant: {serious: 4000}, serious: {compliant: 50000}}}
  borne_by: {serious: tenants, compliant: the university}
  when_wrong: Fine, or out within 48 hours
target: {name: housing-office desktop, latency: {p99_ms: 200}}
"""

WAIVERS = """
waivers:
  - {id: W-1, limit: calibration, reason: being mended, compensating: a clerk looks at each,
     owner: A. Tenant, approved_by: B. Dean, issued: 2026-11-01, expires: 2026-12-31}
  - {id: W-2, limit: overfitting, reason: old, owner: A. Tenant, approved_by: B. Dean,
     issued: 2026-01-01, expires: 2026-02-01}
"""

TIMED = ("performance/overall", "performance/baseline", "performance/claims",
         "performance/per-class", "performance/unit-decision", "performance/calibration",
         "performance/abstention", "performance/consequences", "bias/subgroup-gap",
         "bias/error-rates", "shortcut/metadata")  # fmt: skip


def record(worlds, folder, *, corridors: int = 0, policy: str = "default", waivers: bool = True,
           faults: bool = True, images: int = 1000):  # fmt: skip
    """The record; `corridors` adds an attribute of so many groups, `faults` plants faults."""
    (folder / "audit.yaml").write_text(_spec_text(corridors), encoding="utf-8")
    file = read_spec(folder / "audit.yaml")
    evidence = _evidence(worlds, file.spec, corridors=corridors, faults=faults, images=images)
    classes = check_classes()
    results = [_run(classes[name], evidence) for name in TIMED]
    results += _made_up(faults)
    stated = load_policy(policy)
    if waivers:
        own = stated.text.replace("id: default", "id: housing", 1) + WAIVERS
        stated = parse_policy(own, name="default.yaml")
    ran = tuple(sorted(r.check for r in results))
    return make_record(
        spec=file,
        policy=stated,
        provenance=_provenance(),
        model=worlds.facts(classes=CLASSES),
        datasets=_summaries(evidence, corridors),
        plan=PlanSummary(
            checks=ran,
            not_run=(
                NotPlannedCheck(
                    "shift/accuracy",
                    "The spec names no deployment data.",
                    "Add `data.deployment` (a manifest and its images) to the audit spec.",
                ),
                NotPlannedCheck(
                    "shortcut/toggle",
                    "The spec does not state `shortcuts`.",
                    "State `shortcuts` in the audit spec.",
                ),
            ),
            passes=("test / as-shot / as-given",),
        ),
        passes=(PassFacts("test / as-shot / as-given", images, 12.5),),
        results=tuple(results),
        check_texts=tuple(check_text(classes[name]) for name in TIMED),
        warnings=("12 images have EXIF rotation.",),
        as_of=date(2026, 11, 22),
    )


def _spec_text(corridors: int) -> str:
    more = "    corridor: {role: condition}\n" if corridors else ""
    return SPEC.replace("    phone:", f"{more}    phone:")


def _evidence(worlds, spec, *, corridors: int, faults: bool, images: int):
    rng = np.random.default_rng(11)
    units = np.arange(images) // 2
    n_units = images // 2

    def by_unit(values):
        return np.asarray(values)[units]

    labels = by_unit(rng.choice(3, n_units, p=[0.6, 0.28, 0.12]))
    household = by_unit(rng.choice(["single", "family", "accessible"], n_units, p=[0.7, 0.2, 0.1]))
    building = by_unit(rng.choice(BUILDINGS, n_units, p=[0.3, 0.3, 0.2, 0.1, 0.085, 0.015]))
    phone = by_unit(rng.choice(["2019", "2024"], n_units))
    attributes = {
        "household": ("sensitive", household),
        "building": ("condition", building),
        "phone": ("nuisance", phone),
    }
    if corridors:
        attributes["corridor"] = ("condition", [f"corridor {u % corridors}" for u in units])
    seen = units < (n_units // 4 if faults else 0)
    right = np.where(seen, 1.0, np.where(household == "accessible", 0.6, 0.82))
    if not faults:
        right = np.full(images, 0.97)
    correct = rng.random(images) < right
    answers = np.where(correct, labels, np.where(labels == 2, 0, 2))
    sure = (0.6 if faults else 0.9) + (0.39 if faults else 0.09) * rng.random(images)
    evidence = worlds.evidence(spec=spec, model=worlds.facts(classes=CLASSES))
    for part, keep in (("as-given", np.ones(images, bool)), ("sound", ~seen)):
        given = {name: (split, np.asarray(g)[keep]) for name, (split, g) in attributes.items()}
        dataset = worlds.dataset(
            labels[keep], classes=CLASSES, units=units[keep], attributes=given, prefix="room"
        )
        table = worlds.probabilities(answers[keep], n_classes=3, confidence=sure[keep])
        evidence.add(dataset, table, part=part)
    return evidence


def _run(cls, evidence) -> CheckResults:
    evidence.check_id = cls.id
    found = list(cls().run(evidence))
    return CheckResults(
        check=cls.id,
        measures=tuple(r for r in found if isinstance(r, Measure)),
        unmeasured=tuple(r for r in found if isinstance(r, Unmeasured)),
        figures=tuple(r for r in found if isinstance(r, Figure)),
        tables=tuple(keep_table(r, digest="ab" * 32) for r in found if isinstance(r, Table)),
    )


def _made_up(faults: bool) -> list[CheckResults]:
    """Results of checks that need files: leakage, images, times, the eight-bit version."""
    seen = 250 if faults else 0
    leakage = Measure(
        "seen-share", Subject(split="test"), Rate(seen, 1000), "share", "lower",
        n=1000, n_units=500, examples=("room/00001.png",) if faults else (),
        facts={"count": seen},
    )  # fmt: skip
    unreadable = Measure(
        "unreadable-share", Subject(split="test"), Rate(1, 1000), "share", "lower", n=1000,
        facts={"count": 1},
    )  # fmt: skip
    slow = Draws(231.0 if faults else 120.0, tuple(np.linspace(100, 140, 49) + 100 * faults))
    latency = Measure(
        "p99", Subject(), slow, "amount", "lower", unit="ms", least=0.0, n=700, volatile=True,
        facts={"processor": "A processor", "threads": 2},
    )  # fmt: skip
    overfit = Measure(
        "accuracy-gap", Subject(split="test"), RateDifference(900, 1000, 870, 1000),
        "difference", "lower", n=1000, n_units=500, neutral=0.0,
        sides=(Side(Rate(900, 1000), 1000), Side(Rate(870, 1000), 1000)),
    )  # fmt: skip
    int8 = [
        _lost(2, 9, 550, n=750),
        _lost(0, 4, 100, n=150, household="family"),
        Measure("size-ratio", Subject(variant="int8"), Exact(0.26), "ratio", "lower", n=1,
                facts={"megabytes": 0.26, "megabytes_as_given": 1.0}),
    ]  # fmt: skip
    bars = Figure(
        "shift/predictions:share", "bars", "Answers by data", "Share of each answer.",
        "Answers serious: test 12%, deployment 20%.", Axis("share of answers", "share"),
        Axis("class"),
        tuple({"label": c, "value": v, "low": v - 0.02, "high": v + 0.02, "series": s}
              for s, shares in (("test", (0.6, 0.28, 0.12)), ("deployment", (0.5, 0.3, 0.2)))
              for c, v in zip(CLASSES, shares, strict=True)),
    )  # fmt: skip
    rows = tuple((f"room/{i:05d}.png", f"train/{i:05d}.png", "same unit") for i in range(1500))
    pairs = Table("data/leakage:pairs", "Test images seen in training",
                  (Column("image"), Column("twin"), Column("kind")), rows)  # fmt: skip
    crashed = Unmeasured(
        "check", Subject(), "The check crashed: ValueError: no trees.", "Report it to us."
    )
    return [
        CheckResults("data/leakage", (leakage,), tables=(keep_table(pairs, digest="cd" * 32),)),
        CheckResults("data/images", (unreadable,)),
        CheckResults("deployment/latency", (latency,)),
        CheckResults("deployment/quantization", tuple(int8)),
        CheckResults("performance/overfitting", (overfit,)),
        CheckResults("shift/predictions", figures=(bars,)),
        CheckResults("shift/properties", unmeasured=(crashed,), traceback="Traceback: no trees"),
    ]


def _lost(mended: int, broken: int, right: int, *, n: int, **group: str) -> Measure:
    """Accuracy that the eight-bit version loses: `broken` answers turn wrong, `mended` right."""
    kept = right - broken + mended
    return Measure(
        "accuracy-lost", Subject.about(group, variant="int8", split="test"),
        PairedDifference(broken, mended, n), "difference", "lower", n=n, neutral=0.0,
        sides=(Side(Rate(kept, n), n), Side(Rate(right, n), n)),
    )  # fmt: skip


def _summaries(evidence, corridors: int) -> tuple[DatasetSummary, ...]:
    given, sound = evidence.dataset("test", part="as-given"), evidence.dataset("test")
    attributes = tuple(
        AttributeSummary(
            name=a.name,
            role=a.role,
            groups=tuple(
                GroupCount(g, int((given.groups(a.name) == g).sum()),
                           int((sound.groups(a.name) == g).sum()))
                for g in a.groups
            ),
            population=POPULATION if a.name == "household" else None,
        )
        for a in given.attributes
    )  # fmt: skip
    labels = tuple(
        GroupCount(c, int((given.labels == i).sum()), int((sound.labels == i).sum()))
        for i, c in enumerate(CLASSES)
    )
    test = DatasetSummary("test", len(given), len(sound), len(given) // 2, True, labels, attributes,
                          (SetApart("seen_image", len(given) - len(sound)),), "0" * 64)  # fmt: skip
    few = AttributeSummary("household", "sensitive",
                           (GroupCount("single", 900, 900), GroupCount("family", 80, 80),
                            GroupCount("accessible", 20, 20)),
                           population=POPULATION)  # fmt: skip
    train = DatasetSummary("train", 1000, 1000, 500, True, labels, (few,), (), "2" * 64)
    return (test, train)


def _provenance() -> Provenance:
    return Provenance(
        auditor_version="0.1.0",
        seed=7,
        started=datetime(2026, 11, 22, 9, 30, tzinfo=UTC).isoformat(timespec="seconds"),
        duration_s=81.25,
        python="3.11.9",
        packages={"numpy": "2.4.0", "torch": "2.13.0", "onnxruntime": "1.32.0"},
        packages_digest="3" * 64,
        os="Linux 6 x86_64",
        cpu="A processor",
        cores=2,
        memory_bytes=8_000_000_000,
        inputs={"model": "1" * 64, "data.test": "0" * 64},
    )
