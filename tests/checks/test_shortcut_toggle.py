import dataclasses
import io
import os

import numpy as np
import pytest
from PIL import Image

from auditor.checks.artefact_tables import artefact_forest
from auditor.checks.artefact_views import views_of
from auditor.checks.shortcut_toggle import Artefacts, Toggle
from auditor.contract import Available
from auditor.data.donors import donor_rows
from auditor.data.views import PatchInRegion, RegionFromDonor, ViewContext
from auditor.errors import SpecError
from auditor.findings import Figure, Table, Unmeasured
from auditor.judging.policy_file import load_policy
from auditor.record import CheckResults
from auditor.stats import p_value, value

LIMIT = 0.05
MARKER = {"name": "app marker", "region": (0.0, 0.75, 0.25, 1.0)}
RED = (255, 0, 0)
PROBE = Toggle(look_for=0)


def photographs(rng, *, n, marked_with_label, photos=1):
    """16 x 16 frames: the centre is bright for class b, the corner red where marked.

    Brightness is noisy, so that it tells the class in about nine of ten; a room's photos share
    label and marker.
    """
    rooms = np.repeat(np.arange(n // photos), photos)
    labels = rng.integers(0, 2, rooms.max() + 1)[rooms]
    agree = (rng.random(rooms.max() + 1) < marked_with_label)[rooms]
    marked = np.where(agree, labels == 1, labels == 0)
    frames = rng.integers(60, 120, (n, 16, 16, 3)).astype(np.uint8)
    bright = np.where(labels == 1, 160, 110) + rng.normal(0, 20, n)
    frames[:, 4:10, 4:10] = np.clip(bright, 0, 255)[:, None, None, None].astype(np.uint8)
    frames[marked, 12:, :4] = RED
    return rooms, labels, frames


def honest(frames):
    return (frames[:, 4:10, 4:10].mean(axis=(1, 2, 3)) > 135).astype(int)


def reads_the_marker(frames):
    red = frames[:, 12:, :4, 0].mean(axis=(1, 2)) > 200
    blue_free = frames[:, 12:, :4, 2].mean(axis=(1, 2)) < 60
    return (red & blue_free).astype(int)


def png(colour=RED, size=(4, 4)):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, format="PNG")
    return out.getvalue()


def world(
    worlds, *, seed, model, n=400, photos=1, marked_with_label=0.9, spec=None, shown=photographs
):
    """Run real views over real frames, donors dealt as the engine does."""
    rng = np.random.default_rng(seed)
    rooms, labels, frames = shown(rng, n=n, marked_with_label=marked_with_label, photos=photos)
    spec = spec or worlds.spec(shortcuts=(MARKER,))
    dataset = worlds.dataset(labels, units=rooms if photos > 1 else None)
    evidence = worlds.evidence(spec=spec).add(dataset, worlds.probabilities(model(frames)))
    for shortcut in spec.shortcuts:
        views = views_of(shortcut, spec=spec)
        for view in views.all:
            donors = np.full(n, -1)
            if view.donor is not None:
                donors = donor_rows(dataset, view.donor, usable=np.ones(n, bool), seed=seed)
            seen = [
                view(frame, ViewContext(str(i), seed, int(label), frames[d] if d >= 0 else None))
                for i, (frame, label, d) in enumerate(zip(frames, labels, donors, strict=True))
            ]
            evidence.add(dataset, worlds.probabilities(model(np.stack(seen))), view=view)
    return evidence


def exceeds(measure):
    return p_value(measure.estimate, limit=LIMIT, exceeds="above") <= 0.05


@pytest.mark.parametrize("photos", [1, 4])
@pytest.mark.parametrize("seed", range(5))
def test_a_model_that_reads_the_marker_is_shown(worlds, seed, photos):
    evidence = world(worlds, seed=seed, model=reads_the_marker, photos=photos)
    found = worlds.measures(PROBE, evidence)
    assert exceeds(found["accuracy-worth:artefact=app%20marker@test"])
    assert value(found["flip-rate:artefact=app%20marker@test"].estimate) > 0.5


@pytest.mark.parametrize("photos", [1, 4])
@pytest.mark.parametrize("seed", range(5))
def test_an_honest_model_is_not_touched_by_the_marker(worlds, seed, photos):
    evidence = world(worlds, seed=seed, model=honest, photos=photos)
    found = worlds.measures(PROBE, evidence)
    worth = found["accuracy-worth:artefact=app%20marker@test"]
    assert value(worth.estimate) == 0
    assert not exceeds(worth)
    assert value(found["flip-rate:artefact=app%20marker@test"].estimate) == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_complete_association_is_still_told(worlds, seed):
    """Where marker and label never part, only exchanging the region can tell."""
    read = world(worlds, seed=seed, model=reads_the_marker, marked_with_label=1.0)
    found = worlds.measures(PROBE, read)["accuracy-worth:artefact=app%20marker@test"]
    assert value(found.estimate) == 1
    clean = world(worlds, seed=seed, model=honest, marked_with_label=1.0)
    found = worlds.measures(PROBE, clean)["accuracy-worth:artefact=app%20marker@test"]
    assert not exceeds(found)


@pytest.mark.parametrize("seed", range(5))
def test_a_model_that_flickers_at_random_does_not_fail(worlds, seed):
    rng = np.random.default_rng(seed)

    def noisy(frames):
        return np.where(rng.random(len(frames)) < 0.15, 1 - honest(frames), honest(frames))

    found = worlds.measures(PROBE, world(worlds, seed=seed, model=noisy))
    assert not exceeds(found["accuracy-worth:artefact=app%20marker@test"])
    assert value(found["flip-rate:artefact=app%20marker@test"].estimate) > 0.1


@pytest.fixture
def patched_spec(worlds, tmp_path):
    (tmp_path / "marker.png").write_bytes(png())
    spec = worlds.spec(shortcuts=({**MARKER, "patch": "marker.png"},))
    return spec.model_copy(update={"folder": tmp_path})


@pytest.mark.parametrize("seed", range(5))
def test_adding_the_marker_draws_answers_to_its_class(worlds, seed, patched_spec):
    evidence = world(worlds, seed=seed, model=reads_the_marker, spec=patched_spec)
    found = worlds.measures(PROBE, evidence)
    drawn = found["answer-shift:artefact=app%20marker,class=b@test"]
    assert exceeds(drawn)
    assert value(drawn.sides[0].estimate) == 1
    assert "are answered b with app marker added" in worlds.sentence(Toggle, drawn)
    assert value(found["answer-shift:artefact=app%20marker,class=a@test"].estimate) < 0
    assert exceeds(found["accuracy-lost:artefact=app%20marker@test"])


@pytest.mark.parametrize("seed", range(5))
def test_adding_the_marker_leaves_an_honest_model_alone(worlds, seed, patched_spec):
    evidence = world(worlds, seed=seed, model=honest, spec=patched_spec)
    found = worlds.measures(PROBE, evidence)
    assert not exceeds(found["accuracy-lost:artefact=app%20marker@test"])
    assert value(found["answer-shift:artefact=app%20marker,class=b@test"].estimate) == 0


def test_images_without_a_donor_are_left_out_of_the_pairs(worlds):
    evidence = world(worlds, seed=0, model=reads_the_marker)
    view = views_of(evidence.spec.shortcuts[0], spec=evidence.spec).exchanged[1]
    fewer = evidence.answers(view=view).take(np.arange(100, 400))
    evidence.add(fewer.dataset, fewer.probabilities, view=view)
    found = worlds.measures(PROBE, evidence)["accuracy-worth:artefact=app%20marker@test"]
    assert found.n == 300


def test_value_is_same_class_minus_other_class(worlds):
    evidence = world(worlds, seed=1, model=reads_the_marker, marked_with_label=0.8)
    views = views_of(evidence.spec.shortcuts[0], spec=evidence.spec)
    found = worlds.measures(PROBE, evidence)["accuracy-worth:artefact=app%20marker@test"]
    same, other = (evidence.answers(view=v) for v in views.exchanged)
    assert value(found.estimate) == pytest.approx(same.correct.mean() - other.correct.mean())
    broken = set(same.image_ids[same.correct & ~other.correct])
    assert len(found.examples) == 12
    assert set(found.examples) <= broken


def test_who_carries_the_artefact_is_counted(worlds):
    spec = worlds.spec(shortcuts=({**MARKER, "carried_by": {"phone": "q"}},))
    evidence = world(worlds, seed=1, model=honest, spec=spec)
    for (split, part), dataset in list(evidence.datasets.items()):
        frame = dataset.frame.assign(**{"attribute:phone": np.where(dataset.labels == 1, "q", "p")})
        attribute = worlds.dataset([0], attributes={"phone": ("nuisance", ["q"])}).attributes
        carrying = dataclasses.replace(dataset, table=frame, attributes=attribute)
        for key, outcomes in list(evidence.passes.items()):
            evidence.passes[key] = outcomes.__class__(carrying, outcomes.probabilities)
        evidence.datasets[split, part] = carrying
    found = worlds.measures(PROBE, evidence)["accuracy-worth:artefact=app%20marker@test"]
    n = (evidence.answers().labels == 1).sum()
    assert found.facts["carried_by"] == {"a": f"0 of {400 - n}", "b": f"{n} of {n}"}


def test_nine_images_are_too_few(worlds):
    evidence = world(worlds, seed=1, model=honest, n=9)
    (result,) = PROBE.run(evidence)
    assert isinstance(result, Unmeasured)
    assert "9 images" in result.reason


def test_need_asks_for_both_donors_and_the_patch(worlds, patched_spec):
    available = Available(patched_spec, worlds.facts(), {"test": worlds.dataset([0, 1])})
    views = [p.view for p in Artefacts().passes(available)]
    assert [type(v) for v in views] == [RegionFromDonor] * 5 + [PatchInRegion]
    assert [v.donor for v in views] == ["same-class", *["other-class"] * 4, None]
    assert Artefacts().unmet(available) is None
    assert Artefacts().passes(available) == Artefacts().passes(available)


def test_need_is_unmet_without_artefacts(worlds):
    spec = worlds.spec(checks={Toggle.id: {"look_for": 0}})
    available = Available(spec, worlds.facts(), {"test": worlds.dataset([0, 1])})
    assert "no artefact" in Artefacts().unmet(available).reason
    looking = dataclasses.replace(available, spec=worlds.spec())
    assert Artefacts().unmet(looking) is None


def bomb() -> bytes:
    """A PNG of 5,000 x 5,000 pixels in a few kilobytes."""
    out = io.BytesIO()
    Image.new("1", (5_000, 5_000)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda p: None, "does not exist"),
        (lambda p: p.write_bytes(b"not a picture"), "not an image in a known format"),
        (lambda p: p.write_bytes(bomb()), "more than the 16,777,216 that a patch allows"),
        (os.mkfifo, "is a pipe"),
        (lambda p: p.symlink_to("/dev/zero"), "is a device"),
    ],
)
def test_a_patch_that_is_no_picture_is_an_error_the_user_can_mend(worlds, tmp_path, content, said):
    content(tmp_path / "marker.png")
    spec = worlds.spec(shortcuts=({**MARKER, "patch": "marker.png"},))
    spec = spec.model_copy(update={"folder": tmp_path})
    with pytest.raises(SpecError, match=rf"patch of 'app marker'.*{said}.*Give a PNG"):
        views_of(spec.shortcuts[0], spec=spec)


def test_table_and_figure_name_the_artefact(worlds, patched_spec):
    results = list(PROBE.run(world(worlds, seed=1, model=honest, spec=patched_spec)))
    table, grades = [r for r in results if isinstance(r, Table)]
    assert [row[0] for row in grades.rows] == ["app marker"]
    assert grades.rows[0][-1] == "not shown"
    (figure,) = [r for r in results if isinstance(r, Figure)]
    assert [row[1] for row in table.rows] == [
        "accuracy-worth",
        "beyond-placebo",
        "flip-rate",
        "accuracy-lost",
        "answer-shift",
        "answer-shift",
    ]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert [row["label"] for row in figure.rows] == [
        "app marker, region exchanged",
        "app marker, artefact added",
    ]


def scenes(rng, *, n, marked_with_label, photos):
    """16 x 16 frames without any marker, whose borders are brighter for class b: walls, or sky."""
    labels = rng.integers(0, 2, n)
    frames = rng.integers(90, 110, (n, 16, 16, 3)).astype(np.int64)
    frames += (np.where(labels == 1, 25, 0) + rng.normal(0, 10, n)).astype(int)[:, None, None, None]
    return np.arange(n), labels, frames.clip(0, 255).astype(np.uint8)


def reads_the_borders(frames):
    around = np.ones((16, 16), dtype=bool)
    around[4:12, 4:12] = False
    return (frames[:, around].mean(axis=(1, 2)) > 112).astype(int)


CORNER, STRIP, SIDE = (0.0, 0.5, 0.5, 1.0), (0.0, 0.0, 1.0, 0.25), (0.8, 0.0, 1.0, 1.0)


def verdict(worlds, evidence, policy="default"):
    """The verdict of the limit on artefacts, and what is said of the region's worth."""
    found = worlds.measures(PROBE, evidence)
    limits = [x for x in load_policy(policy).policy.limits if x.id == "shortcut-artefact"]
    results = CheckResults(
        Toggle.id,
        tuple(found.values()),
        tuple(r for r in PROBE.run(evidence) if isinstance(r, Unmeasured)),
    )
    (result,) = worlds.record(results, limits=limits).limit_results
    worth = next(m for m in found.values() if m.name == "accuracy-worth")
    return result.verdict.name, worth, worlds.sentence(Toggle, worth)


@pytest.mark.parametrize("region", [CORNER, STRIP, SIDE])
def test_a_place_that_tells_the_class_is_no_artefact(worlds, region):
    """Without the placebo every one of these worlds would say that the artefact decides."""
    spec = worlds.spec(shortcuts=({"name": "date stamp", "region": region},))
    for seed in range(6):
        evidence = world(worlds, seed=seed, model=reads_the_borders, n=800, spec=spec, shown=scenes)
        said, worth, sentence = verdict(worlds, evidence)
        assert exceeds(worth)
        assert said != "FAIL"
        assert "date stamp carries more than such a region is not shown." in sentence


@pytest.mark.parametrize("policy", ["default", "strict"])
@pytest.mark.parametrize("seed", range(4))
def test_a_marker_is_worth_more_than_its_placebo(worlds, seed, policy):
    said, _, sentence = verdict(worlds, world(worlds, seed=seed, model=reads_the_marker), policy)
    assert said == "FAIL"
    assert "app marker carries more than such a region." in sentence


def test_the_costliest_placebo_is_compared(worlds):
    evidence = world(worlds, seed=0, model=reads_the_borders, shown=scenes)
    views = views_of(evidence.spec.shortcuts[0], spec=evidence.spec)
    right = [evidence.answers(view=v).correct.mean() for v in (views.exchanged[1], *views.placebos)]
    found = worlds.measures(PROBE, evidence)["beyond-placebo:artefact=app%20marker@test"]
    assert value(found.estimate) == pytest.approx(min(right[1:]) - right[0])


def test_without_a_like_region_it_is_not_decided(worlds):
    spec = worlds.spec(shortcuts=({"name": "frame", "region": (0.0, 0.0, 1.0, 1.0)},))
    evidence = world(worlds, seed=0, model=reads_the_borders, spec=spec, shown=scenes)
    said, _, sentence = verdict(worlds, evidence)
    assert said == "INCONCLUSIVE"
    assert sentence.endswith("what else is there is not known.")
    (reason,) = [r for r in PROBE.run(evidence) if isinstance(r, Unmeasured)]
    assert "touches that of a declared artefact" in reason.reason


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        ([(0, 0, 0.25, 0.25)], ["0.75,0,1,0.25", "0,0.75,0.25,1", "0.75,0.75,1,1"]),
        ([(0, 0, 1, 0.2)], ["0,0.8,1,1"]),
        ([(0.3, 0, 0.6, 0.2)], ["0.3,0.8,0.6,1", "0.4,0.8,0.7,1"]),
        ([(0.4, 0.4, 0.6, 0.7)], []),
        ([(0, 0, 0.25, 0.25), (0.8, 0.1, 0.9, 0.2)], ["0,0.75,0.25,1", "0.75,0.75,1,1"]),
        ([(0, 0, 0.5, 0.5)], ["0.5,0,1,0.5", "0,0.5,0.5,1", "0.5,0.5,1,1"]),
    ],
)
def test_placebos_are_mirrored_places_that_touch_no_artefact(worlds, regions, expected):
    spec = worlds.spec(
        shortcuts=tuple({"name": f"a{i}", "region": r} for i, r in enumerate(regions))
    )
    views = views_of(spec.shortcuts[0], spec=spec)
    assert [str(v.region) for v in views.placebos] == expected


@pytest.mark.parametrize("lost", ["accuracy", "the share of objects found"])
def test_the_picture_says_what_is_lost(lost):
    figure = artefact_forest([("logo", "accuracy-lost", "", 90, 0.1, 0.0, 0.2)], lost=lost)
    assert figure.x.label == f"fall in {lost}"
    assert figure.title == f"What artefacts are worth in {lost}"
    assert figure.caption.startswith(f"Points by which {lost} falls when")
