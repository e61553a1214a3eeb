"""Patches that nobody named: found among the frames, and put to the live model."""

import types

import numpy as np
import pytest

from auditor.checks.artefact_views import views_of
from auditor.checks.mined_artefacts import place_of
from auditor.checks.shortcut_toggle import Toggle
from auditor.data.transforms import MirroredAround
from auditor.data.views import Region, ViewContext
from auditor.findings import Table
from auditor.judging.policy_file import load_policy
from auditor.record import CheckResults
from auditor.stats import p_value, value

GREEN = (40, 190, 90)
NAME = "the%20patch%20at%20the%20lower%20left"


def photographs(rng, *, n, agree):
    """32 x 32 frames: the centre is bright for class b, the corner green where marked."""
    labels = rng.integers(0, 2, n)
    marked = np.where(rng.random(n) < agree, labels == 1, labels == 0)
    frames = rng.uniform(0, 255, (n, 8, 8, 3)).repeat(4, axis=1).repeat(4, axis=2)
    bright = np.where(labels == 1, 170, 90) + rng.normal(0, 35, n)
    frames[:, 10:22, 10:22] = bright[:, None, None, None]
    frames += rng.normal(0, 6, frames.shape)
    frames[marked, 25:30, 2:7] = GREEN
    return labels, marked, np.clip(frames, 0, 255).astype(np.uint8)


def honest(frames):
    return frames[:, 12:20, 12:20].mean(axis=(1, 2, 3)) > 130


def reads_the_patch(frames):
    corner = frames[:, 25:30, 2:7].astype(float).mean(axis=(1, 2))
    return np.abs(corner - GREEN).max(axis=1) < 25


class Live:
    """A model that is called on frames, and counts them."""

    def __init__(self, worlds, answers):
        self.answer, self.probabilities, self.seen = answers, worlds.probabilities, 0

    def predict(self, frames):
        self.seen += len(frames)
        found = self.probabilities(self.answer(frames).astype(int))
        return types.SimpleNamespace(probabilities=found)


def world(worlds, *, seed, model, agree=0.9, n=300, spec=None):
    labels, marked, frames = photographs(np.random.default_rng(seed), n=n, agree=agree)
    source = np.where(marked, "tablet", "phone")
    dataset = worlds.dataset(labels, attributes={"source": ("nuisance", list(source))})
    evidence = worlds.evidence(spec=spec or worlds.spec())
    evidence.add(dataset, worlds.probabilities(model(frames).astype(int)))
    evidence.frame_stacks["test"] = frames
    evidence.predictors["as-given"] = Live(worlds, model)
    return evidence


def verdicts(worlds, found, *ids):
    limits = [x for x in load_policy("default").policy.limits if x.id in ids]
    results = worlds.record(CheckResults(Toggle.id, tuple(found.values())), limits=limits)
    return [r.verdict.name for r in results.limit_results]


def grades(evidence):
    return [r.rows for r in Toggle().run(evidence) if isinstance(r, Table) and "grades" in r.id]


@pytest.mark.parametrize("agree", [0.9, 1.0])
@pytest.mark.parametrize("seed", range(2))
def test_a_patch_that_is_read_is_found_named_and_priced(worlds, seed, agree):
    evidence = world(worlds, seed=seed, model=reads_the_patch, agree=agree)
    found = worlds.measures(Toggle(), evidence)
    said = worlds.sentence(Toggle, found[f"recurrence:artefact={NAME},class=b@test"])
    assert "Found by looking, not named: the same pixels at the lower left (6% to 2" in said
    assert "whose source is tablet" in said
    assert verdicts(worlds, found, "shortcut-artefact", "shortcut-added") == ["FAIL", "FAIL"]
    assert value(found[f"accuracy-worth:artefact={NAME}@test"].estimate) > 0.6
    drawn = found[f"answer-shift:artefact={NAME},class=b@test"]
    assert value(drawn.sides[0].estimate) > 0.95
    ((row,),) = grades(evidence)
    assert (row[0], row[1], row[-1]) == ("the patch at the lower left", "lower left", "shortcut")


@pytest.mark.parametrize("seed", range(3))
def test_a_patch_that_is_not_read_is_an_opportunity(worlds, seed):
    """The hard null: it goes with the label in the audit's images, and the model does not care."""
    evidence = world(worlds, seed=seed, model=honest)
    found = worlds.measures(Toggle(), evidence)
    assert value(found[f"recurrence:artefact={NAME},class=b@test"].estimate) > 0.6
    assert verdicts(worlds, found, "shortcut-artefact", "shortcut-added") == ["PASS", "PASS"]
    ((row,),) = grades(evidence)
    assert row[-1] == "opportunity"


def test_at_most_six_passes_of_600_images(worlds):
    evidence = world(worlds, seed=1, model=honest)
    list(Toggle().run(evidence))
    assert 5 * 300 <= evidence.predictors["as-given"].seen <= 6 * 300


def test_where_nothing_recurs_it_says_so(worlds):
    evidence = world(worlds, seed=1, model=honest, agree=0.5)
    (found,) = Toggle().run(evidence)
    assert found.name == "patches-found"
    assert worlds.sentence(Toggle, found).startswith("Looked through 300 images: no patch recurs")
    assert not worlds.unfilled(Toggle, [found])


def test_a_declared_patch_is_not_found_again(worlds):
    spec = worlds.spec(shortcuts=({"name": "badge", "transform": "grey"},))
    evidence = world(worlds, seed=1, model=honest, spec=spec)
    (view,) = views_of(spec.shortcuts[0], spec=spec).all
    evidence.add(evidence.dataset("test"), evidence.answers().probabilities, view=view)
    found = worlds.measures(Toggle(), evidence)
    assert f"accuracy-worth:artefact={NAME}@test" in found
    assert found["accuracy-lost:artefact=badge@test"].n == 300
    region = (0.0, 0.7, 0.3, 1.0)
    spec = worlds.spec(shortcuts=({"name": "badge", "region": region},))
    evidence = world(worlds, seed=1, model=honest, spec=spec)
    for view in views_of(spec.shortcuts[0], spec=spec).all:
        evidence.add(evidence.dataset("test"), evidence.answers().probabilities, view=view)
    found = worlds.measures(Toggle(), evidence)
    assert value(found["patches-found:@test"].estimate) == pytest.approx(0)
    assert not any(NAME in name for name in found)


@pytest.mark.parametrize("reads", [True, False])
def test_a_component_that_was_declared_has_a_limit_of_its_own(worlds, reads):
    spec = worlds.spec(shortcuts=({"name": "the lamp", "transform": "colour"},))
    evidence = world(worlds, seed=2, model=honest, spec=spec)
    same, other = views_of(spec.shortcuts[0], spec=spec).all
    dataset = evidence.dataset("test")
    wrong = worlds.probabilities(1 - dataset.labels if reads else dataset.labels)
    evidence.add(dataset, worlds.probabilities(dataset.labels), view=same)
    evidence.add(dataset, wrong, view=other)
    found = worlds.measures(Toggle(look_for=0), evidence)
    worth = found["declared-worth:artefact=the%20lamp@test"]
    assert (p_value(worth.estimate, limit=0.05, exceeds="above") < 0.05) == reads
    assert "the colour of an image of the same class" in worlds.sentence(Toggle, worth)
    assert verdicts(worlds, found, "shortcut-declared") == ["FAIL" if reads else "PASS"]


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ((0.0, 0.0, 0.2, 0.2), "upper left"),
        ((0.4, 0.8, 0.6, 1.0), "lower"),
        ((0.8, 0.4, 1.0, 0.6), "right"),
        ((0.4, 0.4, 0.6, 0.6), "middle"),
    ],
)
def test_places_have_names(region, expected):
    assert place_of(Region(*region)) == expected


# Mirrored pictures

MIRRORING = {"name": "mirroring", "transform": "mirror"}
BADGE = {"name": "badge", "region": (2 / 32, 25 / 32, 7 / 32, 30 / 32)}


def leans(frames):
    return frames[:, 4:8, :16].mean(axis=(1, 2, 3)) > frames[:, 4:8, 16:].mean(axis=(1, 2, 3))


def mirrored(worlds, *, seed, model, shortcuts=(MIRRORING,), look_for=1):
    """What is measured of mirroring where class b leans to the left, and carries the patch."""
    spec = worlds.spec(shortcuts=shortcuts)
    evidence = world(worlds, seed=seed, model=model, spec=spec)
    dataset, frames = evidence.dataset("test"), evidence.frame_stacks["test"]
    frames[:, 4:8, :16] //= 2
    frames[:, 4:8, 16:] //= 2
    for side, label in ((slice(16), 1), (slice(16, 32), 0)):
        frames[dataset.labels == label, 4:8, side] += 100
    evidence.add(dataset, worlds.probabilities(model(frames).astype(int)))
    for shortcut in spec.shortcuts:
        for view in views_of(shortcut, spec=spec).all:
            seen = [view(f, ViewContext("", 0, 0, f)) for f in frames]
            answered = worlds.probabilities(model(np.stack(seen)).astype(int))
            evidence.add(dataset, answered, view=view)
    check = Toggle(look_for=look_for)
    found = worlds.measures(check, evidence)
    table = next(r for r in check.run(evidence) if isinstance(r, Table) and "grades" in r.id)
    (grade,) = [row[-1] for row in table.rows if row[0] == "mirroring"]
    return {name: m for name, m in found.items() if "artefact=mirroring" in name}, grade


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_goes_by_left_and_right_is_shown(worlds, seed):
    found, grade = mirrored(worlds, seed=seed, model=leans)
    assert value(found["accuracy-lost:artefact=mirroring@test"].estimate) > 0.9
    assert verdicts(worlds, found, "shortcut-added") == ["FAIL"]
    assert grade == "reliance"
    said = worlds.sentence(Toggle, found["accuracy-lost:artefact=mirroring@test"])
    assert "cleared" not in said


@pytest.mark.parametrize("shortcuts", [(MIRRORING,), (MIRRORING, BADGE)])
@pytest.mark.parametrize("model", [honest, reads_the_patch])
def test_mirroring_is_cleared_though_the_patch_would_move_along(worlds, model, shortcuts):
    """Found or named, the patch stays where it is: whether it is read is another question."""
    found, grade = mirrored(worlds, seed=1, model=model, shortcuts=shortcuts)
    assert verdicts(worlds, found, "shortcut-added") == ["PASS"]
    assert grade == "not shown"
    said = worlds.sentence(Toggle, found["accuracy-lost:artefact=mirroring@test"])
    assert said.endswith(
        "That clears mirroring: neither a loss nor a class answered more often is shown, both are "
        "shown to be below 5 points, and fewer than 10% of the answers to change."
    )


def test_mirroring_is_not_cleared_where_the_test_images_lean_both_ways(worlds):
    """What is lost on some images is won on others; that answers change tells."""
    spec = worlds.spec(shortcuts=(MIRRORING,))
    evidence = world(worlds, seed=1, model=honest, spec=spec, agree=0.5)
    frames = evidence.frame_stacks["test"]
    left = np.random.default_rng(5).random(len(frames)) < 0.5
    frames[left, 4:8, :16], frames[~left, 4:8, 16:] = 250, 250
    dataset = evidence.dataset("test")

    def half_by_the_side(frames):
        by_side = np.arange(len(frames)) % 2 == 0
        return np.where(by_side, leans(frames), dataset.labels).astype(int)

    evidence.add(dataset, worlds.probabilities(half_by_the_side(frames)))
    (view,) = views_of(spec.shortcuts[0], spec=spec).all
    seen = np.stack([view(f, ViewContext("", 0, 0)) for f in frames])
    evidence.add(dataset, worlds.probabilities(half_by_the_side(seen)), view=view)
    found = worlds.measures(Toggle(look_for=0, margin=0.2), evidence)
    assert "cleared" not in found["accuracy-lost:artefact=mirroring@test"].facts


def test_mirroring_is_not_cleared_where_most_of_the_picture_stays(worlds):
    half = {"name": "the left", "region": (0, 0, 0.5, 1)}
    found, _ = mirrored(worlds, seed=1, model=honest, shortcuts=(MIRRORING, half))
    assert "cleared" not in found["accuracy-lost:artefact=mirroring@test"].facts


def test_a_patch_that_nobody_knows_moves_along(worlds):
    found, _ = mirrored(worlds, seed=1, model=reads_the_patch, look_for=0)
    assert value(found["accuracy-lost:artefact=mirroring@test"].estimate) > 0.3


def test_boxes_are_mirrored_with_the_picture():
    view = MirroredAround((Region(0, 0.5, 0.25, 1),))
    frame = np.arange(4 * 8 * 3, dtype=np.uint8).reshape(4, 8, 3)
    seen = view(frame, ViewContext("", 0, 0))
    assert (seen[:2] == frame[:2, ::-1]).all()
    assert (seen[2:, :2] == frame[2:, :2]).all()
    assert (seen[2:, 6:] == frame[2:, 6:]).all()
    assert (seen[2:, 2:6] == frame[2:, 5:1:-1]).all()
    corners = view.affine((4, 8), ViewContext("", 0, 0)).boxes(np.array([[1.0, 0, 3, 2]]))
    assert corners.tolist() == [[5, 0, 7, 2]]
