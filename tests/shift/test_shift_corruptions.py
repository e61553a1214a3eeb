"""shift/corruptions on planted worlds: what is lost, where it breaks, who loses more."""

import dataclasses

import found_worlds
import numpy as np
import pytest

from auditor.contract import Available
from auditor.data.corruptions import KINDS
from auditor.data.views import UnderCondition
from auditor.engine.plan import make_plan
from auditor.engine.plan_lines import _told_passes
from auditor.errors import SpecError
from auditor.findings import Figure, Table, Unmeasured
from auditor.judging.policy_file import load_policy
from auditor.record import CheckResults
from auditor.shift.corruption_tables import FAMILIES
from auditor.shift.corruptions import ALEXNET, Corruptions
from auditor.stats import interval, p_value, value

LIMIT = 0.05
CHECK = Corruptions(kinds=("low-light", "jpeg", "fog"))
CONDITIONS = {"name": "a camera", "conditions": {"brightness": (40, 220), "jpeg": 60}}


def world(worlds, *, seed, lost=None, old=None, n=600, photos=1, check=CHECK, spec=None):
    """Nine of ten right as shot; `lost` maps (kind, severity) to the share of answers broken.

    `old` maps it for old buildings, a quarter of all. As many of the rest flicker either way.
    """
    rng = np.random.default_rng(seed)
    rooms = np.repeat(np.arange(n // photos), photos)
    labels = rng.integers(0, 2, n)
    building = np.where(rooms % 4 == 0, "old", "new")
    right = (rng.random(n // photos) < 0.9)[rooms]
    dataset = worlds.dataset(
        labels, units=rooms if photos > 1 else None,
        attributes={"building": ("condition", list(building))},
    )  # fmt: skip
    evidence = worlds.evidence(spec=spec or worlds.spec())
    evidence.add(dataset, worlds.probabilities(np.where(right, labels, 1 - labels)))
    target = evidence.spec.target
    places = [UnderCondition(*place) for place in (target.conditions.places() if target else ())]
    for view in (*check.views, *places):
        key = (view.kind, view.severity) if view in check.views else (view.condition, view.at)
        broken = np.full(n, (lost or {}).get(key, 0.0))
        broken[building == "old"] = (old or lost or {}).get(key, 0.0)
        still = right & ~(rng.random(n // photos)[rooms] < broken)
        evidence.add(dataset, worlds.probabilities(np.where(still, labels, 1 - labels)), view=view)
    return evidence


DARK = {("low-light", 1): 0.02, ("low-light", 3): 0.2, ("low-light", 5): 0.5}


def exceeds(measure, limit=LIMIT):
    return p_value(measure.estimate, limit=limit, exceeds="above") <= 0.05


def named(kind, severity):
    return f"lost:corruption={kind.replace('-', '%20')},severity={severity}@test"


@pytest.mark.parametrize("photos", [1, 4])
@pytest.mark.parametrize("seed", range(4))
def test_a_model_that_fails_in_the_dark_is_shown_to(worlds, seed, photos):
    found = worlds.measures(CHECK, world(worlds, seed=seed, lost=DARK, photos=photos))
    assert exceeds(found[named("low-light", 5)])
    assert exceeds(found[named("low-light", 3)])
    assert not exceeds(found[named("low-light", 1)])
    assert not exceeds(found[named("jpeg", 5)])
    (left,) = [m for m in found.values() if m.name == "retention"]
    assert value(left.estimate) == pytest.approx(1 - 0.24 / 3, abs=0.04)


@pytest.mark.parametrize("seed", range(4))
def test_a_model_that_nothing_harms_loses_nothing(worlds, seed):
    found = worlds.measures(CHECK, world(worlds, seed=seed))
    losses = [m for m in found.values() if m.name == "lost"]
    assert len(losses) == 9
    for measure in losses:
        assert value(measure.estimate) == pytest.approx(0)
        assert not exceeds(measure)
        # Nothing lost among 600 is no proof that nothing ever is.
        assert interval(measure.estimate).high > 0
    assert not any("corruption" in str(m.subject) for m in found.values() if m.name == "lost-more")


def test_the_loss_is_that_of_the_same_images(worlds):
    evidence = world(worlds, seed=3, lost=DARK)
    view = CHECK.views[2]
    shot, dark = evidence.answers(), evidence.answers(view=view)
    measure = worlds.measures(CHECK, evidence)[named("low-light", 5)]
    assert value(measure.estimate) == pytest.approx(shot.correct.mean() - dark.correct.mean())
    assert value(measure.sides[0].estimate) == pytest.approx(shot.correct.mean())
    assert value(measure.sides[1].estimate) == pytest.approx(dark.correct.mean())
    assert set(measure.examples) <= set(shot.image_ids[shot.correct & ~dark.correct])
    said = worlds.sentence(Corruptions, measure)
    assert said.startswith("Accuracy: as shot 9")
    assert "under low light of severity 5" in said


def test_a_sample_is_compared_with_itself_as_shot(worlds):
    evidence = world(worlds, seed=1, lost=DARK)
    for view in CHECK.views:
        fewer = evidence.answers(view=view).take(np.arange(100, 300))
        evidence.add(fewer.dataset, fewer.probabilities, view=view)
    evidence.add(world(worlds, seed=1).dataset("test"))
    assert worlds.measures(CHECK, evidence)[named("low-light", 5)].n == 200


@pytest.mark.parametrize("seed", range(4))
def test_a_group_that_loses_more_in_the_dark_is_named(worlds, seed):
    old = {("low-light", 1): 0.1, ("low-light", 3): 0.6, ("low-light", 5): 0.8}
    evidence = world(worlds, seed=seed, lost=DARK, old=old, n=1200)
    found = worlds.measures(CHECK, evidence)
    measure = found["lost-more:building=old,corruption=low%20light@test"]
    assert exceeds(measure)
    assert value(measure.sides[0].estimate) > value(measure.sides[1].estimate) + 0.1
    assert "Shown among 6 comparisons" in worlds.sentence(Corruptions, measure)
    assert "lost-more:building=old,corruption=jpeg@test" not in found
    assert exceeds(found["lost-more:building=old@test"], 0)


def test_groups_that_lose_alike_are_rarely_said_to_differ(worlds):
    said = 0
    for seed in range(20):
        found = worlds.measures(CHECK, world(worlds, seed=seed, lost=DARK, n=300))
        said += any("corruption" in dict(m.subject.keys) for m in found.values()
                    if m.name == "lost-more")  # fmt: skip
    # At most 5% of 20; more than 4 has probability 0.3%.
    assert said <= 4


def results(check, evidence, kind):
    return {r.id: r for r in check.run(evidence) if isinstance(r, kind)}


def test_where_it_breaks_lies_on_a_line_between_severities(worlds):
    evidence = world(worlds, seed=2, lost=DARK)
    table = results(CHECK, evidence, Table)["shift/corruptions:kinds"]
    lines = {row[0]: dict(zip([c.name for c in table.columns], row, strict=True))
             for row in table.rows}  # fmt: skip
    found = worlds.measures(CHECK, evidence)
    one, three = (value(found[named("low-light", s)].estimate) for s in (1, 3))
    wanted = 1 + 2 * (0.05 - one) / (three - one)
    assert lines["low light"]["5 points lost from severity"] == pytest.approx(wanted)
    assert lines["low light"]["shown from severity"] == 3
    assert lines["jpeg"]["5 points lost from severity"] is None
    assert lines["jpeg"]["left of what there was"] == pytest.approx(1)


def test_curves_begin_as_shot_and_hold_every_kind(worlds):
    evidence = world(worlds, seed=2, lost=DARK)
    pictures = results(CHECK, evidence, Figure)
    assert set(pictures) == {
        f"shift/corruptions:{f}" for f in ("noise", "light-and-colour", "files")
    }
    rows = [r for r in pictures["shift/corruptions:noise"].rows if r["series"] == "low light"]
    assert [r["x"] for r in rows] == [0, 1, 3, 5]
    assert rows[0]["y"] == pytest.approx(evidence.answers().correct.mean())
    assert all(r["low"] <= r["y"] <= r["high"] for r in rows)
    shown = {kind for kinds in FAMILIES.values() for kind in kinds}
    assert shown == {kind.replace("-", " ") for kind in KINDS}


def test_declared_conditions_are_judged_at_every_place_in_their_range(worlds):
    spec = worlds.spec(target=CONDITIONS)
    evidence = world(worlds, seed=5, lost={("brightness", 40.0): 0.4}, spec=spec)
    found = worlds.measures(CHECK, evidence)
    ids = {k: m for k, m in found.items() if m.name == "lost-in-range"}
    levels = {dict(m.subject.keys)["at"] for m in ids.values()
              if dict(m.subject.keys)["operating"] == "brightness"}  # fmt: skip
    assert levels == {"40", "85", "130", "175", "220"}
    assert exceeds(ids["lost-in-range:at=40,operating=brightness@test"])
    assert not exceeds(ids["lost-in-range:at=220,operating=brightness@test"])
    assert sum("jpeg" in key for key in ids) == 3
    assert "at brightness 40" in worlds.sentence(
        Corruptions, ids["lost-in-range:at=40,operating=brightness@test"]
    )


@pytest.mark.parametrize(("policy", "bound"), [("default", 0.05), ("strict", 0.02)])
def test_only_declared_conditions_block(policy, bound):
    limits = {limit.id: limit for limit in load_policy(policy).policy.limits}
    assert limits["operating-conditions"].severity == "blocking"
    assert limits["operating-conditions"].at_most == pytest.approx(bound)
    assert limits["mild-corruptions"].severity == "advisory"


def test_a_failed_condition_fails_the_audit(worlds):
    spec = worlds.spec(target=CONDITIONS)
    limits = [x for x in load_policy("default").policy.limits if x.id == "operating-conditions"]
    verdicts = {}
    for name, lost in (("fails", {("jpeg", 60.0): 0.4}), ("holds", {})):
        evidence = world(worlds, seed=5, lost=lost, spec=spec)
        measures = tuple(worlds.measures(CHECK, evidence).values())
        record = worlds.record(CheckResults(Corruptions.id, measures), limits=limits, spec=spec)
        verdicts[name] = record.verdict.value
    assert verdicts == {"fails": "FAIL", "holds": "PASS"}


def test_the_error_over_a_baselines_is_its_mean_over_kinds(worlds):
    five = dataclasses.replace(CHECK, severities=(1, 2, 3, 4, 5), baseline="alexnet")
    evidence = world(worlds, seed=1, lost=DARK | {("jpeg", 5): 0.3}, check=five)
    found = worlds.measures(five, evidence)
    (measure,) = [m for m in found.values() if m.name == "mean-corruption-error"]
    wrong = {v: 1 - evidence.answers(view=v).correct.mean() for v in five.views}
    errors = {
        kind: np.mean([e for v, e in wrong.items() if v.kind == kind]) for kind in ("jpeg", "fog")
    }
    wanted = np.mean([errors[kind] / ALEXNET[kind] for kind in errors])
    assert value(measure.estimate) == pytest.approx(wanted)
    assert "that of AlexNet" in worlds.sentence(Corruptions, measure)
    stated = dataclasses.replace(CHECK, baseline={"fog": 0.2})
    (measure,) = [m for m in worlds.measures(stated, evidence).values()
                  if m.name == "mean-corruption-error"]  # fmt: skip
    assert value(measure.estimate) == pytest.approx(
        np.mean([1 - evidence.answers(view=v).correct.mean() for v in CHECK.views
                 if v.kind == "fog"]) / 0.2)  # fmt: skip


def test_detectors_and_segmenters_lose_of_their_own(worlds):
    check = Corruptions(kinds=("fog",), severities=(5,))
    (view,) = check.views
    detector = found_worlds.detector(worlds, seed=1)
    blind = found_worlds.detector(worlds, seed=1, missed={"day": 0.5, "night": 0.5})
    detector.passes["test", view.name, "as-given", None, "sound"] = next(
        iter(blind.passes.values())
    )
    found = worlds.measures(check, detector)[named("fog", 5)]
    assert found.of == "object"
    assert exceeds(found)
    assert worlds.sentence(Corruptions, found).startswith("Objects found: as shot ")
    segmenter = found_worlds.segmenter(worlds, seed=1)
    blind = found_worlds.segmenter(worlds, seed=1, missed={"day": 0.6, "night": 0.6})
    segmenter.passes["test", view.name, "as-given", None, "sound"] = next(
        iter(blind.passes.values())
    )
    found = worlds.measures(check, segmenter)[named("fog", 5)]
    assert exceeds(found)
    before, after = (segmenter.set_values(**at)[0].values.mean() for at in ({}, {"view": view}))
    assert value(found.estimate) == pytest.approx(before - after)
    assert worlds.sentence(Corruptions, found).startswith("Mean overlap (IoU) of the classes: ")


def test_nine_images_are_too_few(worlds):
    found = list(CHECK.run(world(worlds, seed=1, n=9)))
    assert all(isinstance(r, Unmeasured) for r in found)
    assert "9 images" in found[0].reason


def test_every_result_has_its_words(worlds):
    old = {("low-light", s): 0.9 for s in (1, 3, 5)}
    spec = worlds.spec(target=CONDITIONS)
    check = dataclasses.replace(CHECK, baseline={"fog": 0.2})
    evidence = world(worlds, seed=1, lost=DARK, old=old, n=1200, spec=spec)
    assert worlds.unfilled(Corruptions, list(check.run(evidence))) == []
    few = list(check.run(world(worlds, seed=1, n=9, spec=spec)))
    assert worlds.unfilled(Corruptions, few) == []


def planned(worlds, **checks):
    spec = worlds.spec(target=CONDITIONS, checks=checks)
    available = Available(spec, worlds.facts(), {"test": worlds.dataset([0, 1] * 300)})
    return make_plan(available, only=("shift/corruptions",))


def test_the_plan_holds_the_passes_that_the_spec_asks_for(worlds):
    passes = planned(worlds).passes
    assert sum(p.sample == 200 for p in passes) == 45
    assert sum(p.sample == 1000 for p in passes) == 8
    own = {"kinds": ["fog"], "severities": [2], "sample": 20}
    passes = planned(worlds, **{"shift/corruptions": own}).passes
    assert [p.view.name for p in passes if p.sample == 20] == ["fog severity 2"]


def test_the_plan_tells_many_views_of_a_sample_in_one_line(worlds):
    passes = planned(worlds).passes
    lines = list(_told_passes(passes, {"test": worlds.dataset([0, 1] * 300)}))
    assert "test / as-shot / as-given: 600 images" in lines
    (many,) = [line for line in lines if "other views" in line]
    assert many.endswith("and 44 other views: 9,000 images in all")
    assert sum(" at " in line for line in lines) == 8


def test_another_severity_or_kind_in_the_spec_is_refused(worlds):
    with pytest.raises(SpecError, match=r"checks.shift/corruptions.severities: found \[6\]"):
        planned(worlds, **{"shift/corruptions": {"severities": [6]}})
    with pytest.raises(SpecError, match="Input should be 'gaussian-noise'"):
        planned(worlds, **{"shift/corruptions": {"kinds": ["frog"]}})


def test_conditions_out_of_order_are_refused(worlds):
    with pytest.raises(ValueError, match=r"brightness is \[220.0, 40.0\]; give the lowest"):
        worlds.spec(target={"name": "x", "conditions": {"brightness": (220.0, 40.0)}})
