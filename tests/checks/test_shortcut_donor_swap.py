import numpy as np
import pandas as pd
import pytest

from auditor.checks.shortcut_donor_swap import DonorSwap, ExchangedComponents
from auditor.contract import Available
from auditor.data.components import COMPONENTS
from auditor.data.donors import donor_rows
from auditor.data.views import ViewContext
from auditor.findings import Figure, Table, Unmeasured
from auditor.judging.policy_file import load_policy
from auditor.record import CheckResults
from auditor.stats import p_value, value

SIDE, CENTRE = 24, slice(7, 17)
CORNER = "accuracy-worth:component=lower%20left%20corner,placed=corner@test"


def scenes(rng, *, n, agree):
    """Noise with a centre that is bright for class b in nine of ten, and a cue that goes with b.

    `cue` (n,) is there with the label in a share `agree` of the images.
    """
    labels = rng.integers(0, 2, n)
    cue = np.where(rng.random(n) < agree, labels, 1 - labels).astype(bool)
    frames = rng.normal(110, 25, (n, SIDE, SIDE, 3))
    bright = np.where(labels == 1, 150, 100) + rng.normal(0, 20, n)
    frames[:, CENTRE, CENTRE] += (bright - 125)[:, None, None, None]
    return labels, cue, frames


def marked(frames, cue):
    frames[cue, 20:, :4] = (250, 20, 20)
    return frames


def tinted(frames, cue):
    return frames + np.where(cue, 1, -1)[:, None, None, None] * np.array([14, 0, -14])


def blurred(frames, cue):
    soft = (frames + np.roll(frames, 1, axis=1) + np.roll(frames, 1, axis=2)) / 3
    return np.where(cue[:, None, None, None], soft, frames)


def honest(frames):
    return frames[:, CENTRE, CENTRE].mean(axis=(1, 2, 3)) > 113


def reads_marker(frames):
    return (frames[:, 20:, :4, 0].mean(axis=(1, 2)) - frames[:, 20:, :4, 2].mean(axis=(1, 2))) > 100


def reads_tint(frames):
    return (frames[..., 0] - frames[..., 2]).mean(axis=(1, 2)) > 0


def reads_blur(frames):
    return np.abs(np.diff(frames, axis=1)).mean(axis=(1, 2, 3)) < 24


CUES = {
    "marker": (marked, reads_marker),
    "tint": (tinted, reads_tint),
    "blur": (blurred, reads_blur),
}
COMPONENT = {"marker": "lower left corner", "tint": "colour", "blur": "sharpness"}


def world(worlds, *, seed, cue, model, n=240, agree=0.9, units=None, check=None):
    """Run the check's own views over real frames, donors dealt as the engine does."""
    check = check or DonorSwap()
    labels, has_cue, frames = scenes(np.random.default_rng(seed), n=n, agree=agree)
    frames = np.rint(np.clip(CUES[cue][0](frames, has_cue), 0, 255)).astype(np.uint8)
    dataset = worlds.dataset(labels, units=units)
    evidence = worlds.evidence()
    evidence.scans["test", "sound"] = pd.DataFrame({"readable": np.ones(n, dtype=bool)})
    ids = dataset.image_ids
    for view in check.views:
        donors = donor_rows(dataset, view.donor, usable=np.ones(n, dtype=bool), seed=7)
        seen = [
            view(frame, ViewContext(str(ids[i]), 7, int(labels[i]), frames[donors[i]]))
            for i, frame in enumerate(frames)
        ]
        answers = model(np.stack(seen).astype(np.float64)).astype(int)
        evidence.add(dataset, worlds.probabilities(answers), view=view)
    return evidence


def found_in(worlds, evidence):
    results = list(DonorSwap().run(evidence))
    return worlds.measures(DonorSwap(), evidence), results


def chief(found):
    named = [m for m in found.values() if m.facts.get("carries_most")]
    return [m.subject.get("component") for m in named]


def verdict(worlds, found):
    limits = [x for x in load_policy("default").policy.limits if x.check == DonorSwap.id]
    results = CheckResults(DonorSwap.id, tuple(found.values()))
    (result,) = worlds.record(results, limits=limits).limit_results
    return result.verdict.name


@pytest.mark.parametrize(("cue", "seed"), [("marker", 0), ("marker", 1), ("tint", 0), ("blur", 0)])
def test_the_component_that_is_read_is_named_first(worlds, seed, cue):
    evidence = world(worlds, seed=seed, cue=cue, model=CUES[cue][1])
    found, _ = found_in(worlds, evidence)
    assert chief(found) == [COMPONENT[cue]]
    (without,) = [m for m in found.values() if m.name == "accuracy-without"]
    # The cue from any image says nothing of the class.
    assert value(without.estimate) == pytest.approx(0.5, abs=0.12)
    assert verdict(worlds, found) == ("FAIL" if cue == "marker" else "PASS")


@pytest.mark.parametrize("cue", ["marker", "blur"])
def test_a_model_that_reads_the_object_relies_on_no_other_component(worlds, cue):
    evidence = world(worlds, seed=5, cue=cue, model=honest)
    found, results = found_in(worlds, evidence)
    relied = [
        row[0] for r in results if isinstance(r, Table) for row in r.rows if row[-1] == "reliance"
    ]
    assert all(name.startswith("cell in row") for name in relied if name != "colour")
    assert p_value(found[CORNER].estimate, limit=0.05, exceeds="above") > 0.5
    assert verdict(worlds, found) == "PASS"


def test_few_donors_are_told_and_not_compared(worlds):
    found, results = found_in(worlds, world(worlds, seed=1, cue="marker", model=honest, n=12))
    assert not found
    reasons = [r.reason for r in results if isinstance(r, Unmeasured)]
    assert len(reasons) == 16 + len(COMPONENTS)
    assert "donors of" in reasons[-1]


def test_every_cell_is_looked_at_and_drawn(worlds):
    evidence = world(worlds, seed=3, cue="marker", model=reads_marker)
    found, results = found_in(worlds, evidence)
    worths = [m for m in found.values() if m.name == "accuracy-worth"]
    cells = [m.n for m in worths if m.subject.get("placed") != "whole"]
    assert len(cells) == 16
    assert sum(cells) == 7 * 240
    (figure,) = [r for r in results if isinstance(r, Figure)]
    assert len(figure.rows) == 16
    best = max(figure.rows, key=lambda row: row["value"])
    assert (best["row"], best["column"]) == ("row 4", "column 1")
    (table,) = [r for r in results if isinstance(r, Table)]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert not worlds.unfilled(DonorSwap, results)


def test_at_most_22_passes_of_600_images(worlds):
    available = Available(worlds.spec(), worlds.facts(), {"test": worlds.dataset([0, 1])})
    passes = ExchangedComponents().passes(available)
    assert len(passes) == len({p.view.name for p in passes}) == 22
    assert {p.sample for p in passes} == {600}
    spec = worlds.spec(checks={DonorSwap.id: {"sample": 90, "turns": 2}})
    fewer = ExchangedComponents().passes(Available(spec, worlds.facts(), available.datasets))
    assert (len(fewer), {p.sample for p in fewer}) == (12, {90})


def test_images_of_one_class_have_no_donor_of_another(worlds):
    available = Available(worlds.spec(), worlds.facts(), {"test": worlds.dataset([1, 1])})
    assert "of one class" in ExchangedComponents().unmet(available).reason
    detector = worlds.facts(task="detection")
    assert (
        "detection"
        in ExchangedComponents()
        .unmet(Available(worlds.spec(), detector, available.datasets))
        .reason
    )
