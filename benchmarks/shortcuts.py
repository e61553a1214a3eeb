"""How often the checks of shortcuts find a planted cue, and how often one that is not used.

    python benchmarks/shortcuts.py [--out FOLDER] [--only planted nulls few maps chest] [--seeds 4]

planted  small nets trained with a cue (corner marker, tint, blur, chequer, border), correlated 0,
         .5, .8, .9, .95 with the label: who finds it, and who names the right component first
nulls    nets trained without it, on audit images in which it goes with the label at .9: who alarms
few      planted nets on 200 audit images at .95, some five of them conflicting: who says PASS
maps     occlusion maps in batches against one window after another, and against Captum's where it
         is installed
chest    a net trained on chest X-rays, covid or not, patients apart: what it leans on. Needs the
         folder shared/data/chest-xray beside the project (or in AUDITOR_TEST_DATA)

Each net's results are kept in FOLDER (benchmarks/out/shortcuts), so that a run that was stopped
goes on. Beside each check stand the rules of deepchecks and cleanlab (`shortcut_rivals.py`).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from shortcut_rivals import cleanlab_spurious, deepchecks_correlation, deepchecks_weak
from shortcut_worlds import (
    CUES,
    MARKED,
    SIDE,
    FrameEvidence,
    Net,
    dataset_of,
    kept_net,
    pictures,
    presence,
    spec_of,
    trained,
    with_cue,
)
from threadpoolctl import threadpool_limits

from auditor.contract import Check, check_classes
from auditor.findings import Measure, Result, Unmeasured
from auditor.judging.judge import judge
from auditor.judging.policy_file import load_policy
from auditor.record import CheckResults
from auditor.stats import bound, value, wilson

MARGIN, AUDITED, FIRST_SEED = 0.05, 500, 100
RHOS = (0.0, 0.5, 0.8, 0.9, 0.95)
COMPONENT = {"tint": "colour", "blur": "sharpness", "texture": "sharpness", "border": "border"}
"""Which component of a picture holds a cue; a marker is in a corner of the seed's."""
GLANCE = {"marker": "corners", "tint": "colour", "blur": "sharpness", "texture": "sharpness",
          "border": "border"}  # fmt: skip
"""What of a picture tells a cue at a glance (shortcut/trivial-features)."""


@dataclasses.dataclass(frozen=True)
class World:
    """A net, the images that it is audited on, and how much it really leans on the cue."""

    cue: str
    seed: int
    net: Net
    frames: np.ndarray
    labels: np.ndarray
    present: np.ndarray
    rho: float
    reliance: float

    @property
    def evidence(self) -> FrameEvidence:
        planted = np.where(self.present, "with", "without")
        return self._with({"planted": planted})

    @property
    def apart(self) -> FrameEvidence:
        """The same with an attribute that is in no pixel, and with sources.

        `unseen` goes with the label as the cue does. At `site` c the cue always tells the label, at
        a and b, half of whose images conflict, it never does; `dealt` is a site at random.
        """
        rng = np.random.default_rng([self.seed, *self.cue.encode(), 0x517E])
        unseen = self.present.copy()
        for label in (0, 1):
            unseen[self.labels == label] = rng.permutation(self.present[self.labels == label])
        agrees = self.present == (self.labels == 1)
        honest = ~agrees
        honest[rng.permutation(np.flatnonzero(agrees))[: int(honest.sum())]] = True
        n = len(self.labels)
        return self._with(
            {
                "planted": np.where(self.present, "with", "without"),
                "unseen": np.where(unseen, "with", "without"),
                "site": np.where(honest, rng.choice(["a", "b"], n), "c"),
                "dealt": rng.choice(["x", "y", "z"], n),
            },
            sources=("site", "dealt"),
        )

    def _with(
        self, attributes: Mapping[str, np.ndarray], *, sources: Sequence[str] = ()
    ) -> FrameEvidence:
        spec = spec_of(self.seed, shortcuts=(declared(self.cue, self.seed),))
        data = dataset_of(self.labels, attributes, sources=sources)
        return FrameEvidence(spec, self.frames, data, self.net)


def corner(seed: int) -> tuple[int, int]:
    return MARKED[np.random.default_rng([seed, 0xC0E]).integers(4)]


def component(cue: str, seed: int) -> str:
    """What donor-swap should name first."""
    if cue != "marker":
        return COMPONENT[cue]
    y, x = corner(seed)
    return f"{'upper' if y < 9 else 'lower'} {'left' if x < 9 else 'right'} corner"


def declared(cue: str, seed: int) -> dict[str, Any]:
    """The cue as a user would name it under `shortcuts`."""
    if cue != "marker":
        return {"name": cue, "transform": COMPONENT[cue]}
    y, x = corner(seed)
    region = tuple(v / SIDE for v in (x - 1, y - 1, x + 5, y + 5))
    return {"name": cue, "region": region}


def world(
    cue: str, seed: int, *, rho: float, audited_rho: float, kept: Path, n: int = AUDITED
) -> World:
    """Trained on some 1,300 images with the cue at `rho`, audited on `n` others at `audited_rho`.

    The net's weights are kept in the file `kept`, and taken from there where it has some.
    """
    rng = np.random.default_rng([FIRST_SEED + seed, *cue.encode(), int(100 * rho)])
    frames, labels = pictures(rng)
    train, test = np.arange(AUDITED, len(frames)), np.arange(n)
    shown = with_cue(frames[train], cue, presence(labels[train], rho, rng), seed)
    net = kept_net(kept, lambda: trained(shown, labels[train], seed=seed))
    true, present = labels[test], presence(labels[test], audited_rho, rng)
    seen = [
        net(with_cue(frames[test], cue, true == which, seed)).argmax(axis=1) == true
        for which in (1, 0)
    ]
    reliance = float(seen[0].mean() - seen[1].mean())
    shot = with_cue(frames[test], cue, present, seed)
    return World(cue, seed, net, shot, true, present, rho, reliance)


# What is asked of each world


def results_of(check_id: str, evidence: FrameEvidence) -> list[Result]:
    cls = check_classes()[check_id]
    check: Check = cls()
    return list(check.run(dataclasses.replace(evidence, check_id=check_id)))  # type: ignore[arg-type]


def verdict(check_id: str, found: Sequence[Result], limit_id: str) -> str:
    """What a limit of the built-in policy makes of the results."""
    limits = [x for x in load_policy("default").policy.limits if x.id == limit_id]
    results = CheckResults(
        check_id,
        tuple(r for r in found if isinstance(r, Measure)),
        tuple(r for r in found if isinstance(r, Unmeasured)),
    )
    roles = {"planted": "nuisance"}
    made = judge([results], limits=limits, as_of=date(2026, 1, 1), attributes=roles)
    return made.limit_results[0].verdict.name


def above(measure: Measure) -> bool:
    return bound(measure.estimate, side="low") > MARGIN


def toggle(w: World, evidence: FrameEvidence) -> dict[str, Any]:
    """Whether the cue, named by the user, is shown to be worth more than five points."""
    found = results_of("shortcut/toggle", evidence)
    worth = [m for m in found if isinstance(m, Measure)
             and m.name in ("accuracy-worth", "declared-worth")
             and m.subject.get("artefact") == w.cue]  # fmt: skip
    return {
        "toggle": any(map(above, worth)),
        "toggle_value": value(worth[0].estimate) if worth else None,
        "toggle_verdict": verdict("shortcut/toggle", found, "shortcut-artefact"),
    }


def donor_swap(w: World, evidence: FrameEvidence) -> dict[str, Any]:
    """Whether the component that holds the cue is shown, and whether it comes first."""
    found = results_of("shortcut/donor-swap", evidence)
    worth = [m for m in found if isinstance(m, Measure) and m.name == "accuracy-worth"]
    by_name = {str(m.subject.get("component")): m for m in worth}
    chief = max(worth, key=lambda m: value(m.estimate))
    told = [m for m in worth if m.facts.get("carries_most")]
    return {
        "swap": above(by_name[component(w.cue, w.seed)]),
        "swap_first": (told[0] if told else chief).subject.get("component"),
        "swap_cells": verdict("shortcut/donor-swap", found, "shortcut-corner") == "FAIL",
        "swap_worths": {name: round(value(m.estimate), 3) for name, m in by_name.items()},
    }


def metadata(w: World, evidence: FrameEvidence) -> dict[str, Any]:
    """The verdict on the cue's presence as a column of the manifest."""
    found = results_of("shortcut/metadata", evidence)
    worth = [m for m in found if isinstance(m, Measure) and m.name == "accuracy-worth"]
    return {
        "metadata": any(map(above, worth)),
        "metadata_verdict": verdict("shortcut/metadata", found, "shortcut-attribute"),
        "conflicting": int((w.present != (w.labels == 1)).sum()),
    }


def glance(w: World, evidence: FrameEvidence) -> dict[str, Any]:
    """Whether the cue's kind is said to tell the label, and answers to go with it."""
    found = results_of("shortcut/trivial-features", evidence)
    of_cue = {m.name: m for m in found if isinstance(m, Measure)
              and m.subject.get("cue") == GLANCE[w.cue]}  # fmt: skip
    used = of_cue.get("accuracy-worth")
    return {
        "glance": bool(of_cue["label-auc"].facts["offered"]),
        "glance_used": None if used is None else above(used),
    }


def decodability(w: World, evidence: FrameEvidence) -> dict[str, Any]:
    """Whether the cue is said to be readable, and an attribute that is in no pixel."""
    found = results_of("shortcut/decodability", w.apart)
    read = {m.subject.get("attribute"): bool(m.facts["readable"])
            for m in found if isinstance(m, Measure)}  # fmt: skip
    return {"readable": read["planted"], "unseen_readable": read["unseen"]}


def left_out(w: World, evidence: FrameEvidence) -> dict[str, Any]:
    """Whether the source where the cue tells the label is told, and any that was dealt."""
    found = results_of("shortcut/leave-one-source-out", w.apart)
    lost = [m for m in found if isinstance(m, Measure)]
    cued = [above(m) for m in lost if m.subject.get("site") == "c"]
    return {
        "source": cued[0] if cued and w.rho else None,
        "dealt_source": any(above(m) for m in lost if m.subject.get("dealt") is not None),
    }


def rivals(w: World, evidence: FrameEvidence) -> dict[str, Any]:
    right = evidence.answers().correct
    return {
        "accuracy": float(right.mean()),
        "deepchecks_correlation": bool(deepchecks_correlation(w.frames, w.labels)),
        "deepchecks_weak": bool(deepchecks_weak(right, w.present, w.labels)),
        "cleanlab": bool(cleanlab_spurious(w.frames, w.labels)),
        "reliance": w.reliance,
    }


ASKED: Mapping[str, Callable[[World, FrameEvidence], dict[str, Any]]] = {
    "toggle": toggle, "swap": donor_swap, "metadata": metadata, "accuracy": rivals,
    "glance": glance, "readable": decodability, "source": left_out,
}  # fmt: skip
"""By the first key of what each gives."""


@dataclasses.dataclass
class Kept:
    """Results by the name of the net, a JSON line each time one is completed."""

    file: Path

    def __post_init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        if self.file.exists():
            for line in self.file.read_text().splitlines():
                row = json.loads(line)
                self.rows.setdefault(row["name"], {}).update(row)

    def complete(self, name: str, make: Callable[[Path], World], **about: Any) -> dict[str, Any]:
        """The row of a net; what it lacks is asked, and the net is trained anew for it."""
        row = self.rows.setdefault(name, {"name": name, **about})
        missing = [key for key in ASKED if key not in row]
        if missing:
            began = time.process_time()
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with threadpool_limits(1):
                w = make(self.file.parent / f"{name.replace(' ', '-')}.pt")
                evidence = w.evidence
                for key in missing:
                    row.update(ASKED[key](w, evidence))
            row["seconds"] = round(row.get("seconds", 0) + time.process_time() - began, 2)
            with self.file.open("a") as out:
                out.write(json.dumps(row) + "\n")
        return row


# Tables


def share(rows: Sequence[Mapping[str, Any]], holds: Callable[[Mapping[str, Any]], bool]) -> str:
    """A share with its 95% interval and what it is of; a dash where nothing was asked."""
    said = [r for r in rows if holds(r) is not None]
    if not said:
        return "-"
    x = sum(bool(holds(r)) for r in said)
    ends = wilson(x, len(said))
    return f"{x / len(said):.2f} [{ends.low:.2f}, {ends.high:.2f}] of {len(said)}".replace(
        "0.", "."
    )


def is_first(row: Mapping[str, Any]) -> bool | None:
    return None if "swap_first" not in row else row["swap_first"] == row["component"]


def got(key: str) -> Callable[[Mapping[str, Any]], bool | None]:
    return lambda row: row.get(key)


LINES: Mapping[str, Callable[[Mapping[str, Any]], bool | None]] = {
    "toggle: worth above 5 points": got("toggle"),
    "donor-swap: matching component above 5 points": got("swap"),
    "donor-swap: right component first": is_first,
    "donor-swap: a corner fails the policy": got("swap_cells"),
    "metadata: fails the policy": lambda r: (
        None if "metadata_verdict" not in r else r["metadata_verdict"] == "FAIL"
    ),
    "trivial-features: the data offer it": got("glance"),
    "trivial-features: answers go with it": got("glance_used"),
    "decodability: the cue can be read": got("readable"),
    "decodability: an attribute in no pixel can be read": got("unseen_readable"),
    "leave-one-source-out: the source of the cue": got("source"),
    "leave-one-source-out: any of three dealt sources": got("dealt_source"),
    "deepchecks: property predicts the label (PPS .8)": got("deepchecks_correlation"),
    "deepchecks: weak segment (80% of average)": got("deepchecks_weak"),
    "cleanlab: spurious correlation (score .3)": got("cleanlab"),
}


def table(columns: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    columns = {name: rows for name, rows in columns.items() if rows}
    print("| | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name, holds in LINES.items():
        print(f"| {name} | " + " | ".join(share(rows, holds) for rows in columns.values()) + " |")
    for key, called in (("accuracy", "accuracy of the net"), ("reliance", "really leans, points")):
        means = [np.mean([r[key] for r in rows if key in r]) for rows in columns.values()]
        print(f"| {called} | " + " | ".join(f"{m:.2f}" for m in means) + " |")


def planted(kept: Kept, seeds: int, rhos: Sequence[float]) -> None:
    found: dict[str, list[dict[str, Any]]] = {f"{rho:g}": [] for rho in rhos}
    for seed in range(seeds):
        for rho in rhos:
            for cue in CUES:
                made = kept.complete(
                    f"planted {cue} {rho:g} {seed}",
                    lambda at, c=cue, s=seed, r=rho: world(c, s, rho=r, audited_rho=r, kept=at),
                    cue=cue, seed=seed, rho=rho, component=component(cue, seed),
                )  # fmt: skip
                found[f"{rho:g}"].append(made)
    print("\nPlanted cues, by their correlation with the label\n")
    table(found)
    print("\nThe same at .8 and up, by cue\n")
    strong = [r for rho, rows in found.items() if float(rho) >= 0.8 for r in rows]
    table({cue: [r for r in strong if r["cue"] == cue] for cue in CUES})


def nulls(kept: Kept, seeds: int) -> None:
    rows = [
        kept.complete(
            f"null {cue} {seed}",
            lambda at, c=cue, s=seed: world(c, s, rho=0.0, audited_rho=0.9, kept=at),
            cue=cue, seed=seed, component=component(cue, seed),
        )
        for seed in range(50, 50 + 3 * seeds)
        for cue in CUES
    ]  # fmt: skip
    print("\nHard nulls: the cue goes with the label at .9, the net was trained without it\n")
    table({"all": rows} | {cue: [r for r in rows if r["cue"] == cue] for cue in CUES})


def few(kept: Kept, seeds: int) -> None:
    rows = [
        kept.complete(
            f"few {cue} {seed}",
            lambda at, c=cue, s=seed: world(
                c, s, rho=0.95, audited_rho=0.95, n=200, kept=at
            ),
            cue=cue, seed=seed, component=component(cue, seed),
        )
        for seed in range(20, 20 + max(1, seeds // 2))
        for cue in CUES
    ]  # fmt: skip
    print("\n200 audit images at .95\n")
    table({"all": rows})
    print("\nThe metadata check there, where few images conflict\n")
    print("| conflicting images | nets | PASS | FAIL | not decided |\n|---|---|---|---|---|")
    for name, low, high in (("fewer than 20", 0, 20), ("20 and more", 20, 999)):
        here = [r for r in rows if low <= r["conflicting"] < high]
        said = [r["metadata_verdict"] for r in here]
        open_ = sum(v in ("INCONCLUSIVE", "NOT_RUN") for v in said)
        print(f"| {name} | {len(here)} | {said.count('PASS')} | {said.count('FAIL')} | {open_} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/shortcuts"))
    parser.add_argument("--only", nargs="*", default=["planted", "nulls", "few", "maps", "chest"])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--rhos", type=float, nargs="*", default=list(RHOS))
    asked = parser.parse_args()
    kept = Kept(asked.out / "nets.jsonl")
    for part in asked.only:
        run_part(part, kept, asked)
    seconds = sum(r.get("seconds", 0) for r in kept.rows.values())
    print(f"\n{len(kept.rows)} nets, {seconds / 60:.1f} CPU-minutes in all")


def run_part(part: str, kept: Kept, asked: argparse.Namespace) -> None:
    if part == "maps":
        from shortcut_maps import compare_maps

        compare_maps()
    elif part == "chest":
        from shortcut_chest import lean_of_chest

        lean_of_chest()
    elif part == "planted":
        planted(kept, asked.seeds, asked.rhos)
    else:
        {"nulls": nulls, "few": few}[part](kept, asked.seeds)


if __name__ == "__main__":
    main()
