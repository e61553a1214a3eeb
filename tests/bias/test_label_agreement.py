import dataclasses

import numpy as np
import pytest

from auditor.bias.label_agreement import LabelAgreement, SecondLabels
from auditor.contract import Available, Manifest
from auditor.findings import Figure, Measure, Table, Unmeasured
from auditor.reports.telling import Telling
from auditor.stats import holm, interval, p_value, rate_difference, value

LIMIT = 0.05
GRADES = ("compliant", "minor", "serious")


def spec_of(worlds, *, ordinal=True, adverse=("serious",)):
    model = worlds.spec().model.model_dump(exclude={"classes", "ordinal"})
    return worlds.spec(
        model=model | {"classes": GRADES, "ordinal": ordinal}, consequences={"adverse": adverse}
    )


def graded(rng, truth, *, noise=0.06, up=0.0):
    """Grades of one hand: a step up or down by chance, and more steps up where `up` says."""
    chance = rng.random(len(truth))
    found = truth + (chance < noise) - ((chance >= noise) & (chance < 2 * noise))
    return np.clip(found + (rng.random(len(truth)) < up), 0, 2)


def world(
    worlds,
    *,
    seed,
    severe=0.0,
    n=600,
    n_gold=250,
    images_a_unit=1,
    grades_of=None,
    split="test",
    **spec,
):
    """Two inspectors grade every room; `ames` grades dense ones up with probability `severe`."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n // images_a_unit), images_a_unit)
    rooms = int(unit[-1]) + 1
    hangings = rng.choice(["none", "some", "dense"], rooms, p=(0.4, 0.35, 0.25))[unit]
    shares = {"none": (0.5, 0.3, 0.2), "some": (0.5, 0.3, 0.2), "dense": (0.5, 0.3, 0.2)}
    shares |= grades_of or {}
    truth = np.array([rng.choice(3, p=shares[h]) for h in hangings])
    ames = graded(rng, truth, up=severe * (hangings == "dense"))
    birk = graded(rng, truth)
    by = rng.choice(["ames", "birk"], n)
    dataset = worlds.dataset(
        np.where(by == "ames", ames, birk),
        split=split,
        classes=GRADES,
        units=unit if images_a_unit > 1 else None,
        attributes={"hangings": ("condition", list(hangings))},
        annotator=by,
        ratings={"ames": ames, "birk": birk},
        gold=np.where(np.arange(n) < n_gold, truth, -1),
    )
    return worlds.evidence(spec=spec_of(worlds, **spec)).add(dataset)


def measures(worlds, evidence):
    return worlds.measures(LabelAgreement(), evidence)


def failing(found, name="severity"):
    """Subjects that a limit of 5 points fails, over the family of that name, as a policy does."""
    family = [m for m in found.values() if m.name == name]
    p = holm([p_value(m.estimate, limit=LIMIT, exceeds="above") for m in family])
    return {str(m.subject) for m, adjusted in zip(family, p, strict=True) if adjusted <= 0.05}


def with_frame(dataset, **changes):
    """The dataset with other fields."""
    return dataclasses.replace(dataset, **changes)


def test_the_severe_inspector_is_shown_and_the_other_is_not_blamed(worlds):
    shown = 0
    for seed in range(20):
        failed = failing(measures(worlds, world(worlds, seed=seed, severe=0.35)))
        shown += "annotator=ames,hangings=dense@test" in failed
        assert not any("annotator=birk" in subject for subject in failed)
        assert not any("none" in s or "some" in s for s in failed)
    assert shown >= 15


def test_fair_inspectors_fail_in_few_worlds(worlds):
    """Also where dense rooms are graded otherwise because they are otherwise."""
    other = {"dense": (0.85, 0.1, 0.05)}
    failed = [
        bool(failing(measures(worlds, world(worlds, seed=seed, grades_of=shares))))
        for seed in range(30)
        for shares in (None, other)
    ]
    assert sum(failed) <= 3


def test_the_check_compares_rooms_that_the_expert_grades_alike(worlds):
    """Inspectors who err alike everywhere; dense rooms are hardly ever truly serious."""
    found = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        dense = rng.random(800) < 0.4
        truth = np.where(dense, rng.random(800) < 0.1, rng.random(800) < 0.9) * 2
        dataset = worlds.dataset(
            graded(rng, truth, noise=0.2),
            classes=GRADES,
            attributes={"hangings": ("condition", list(np.where(dense, "dense", "none")))},
            gold=truth,
        )
        evidence = worlds.evidence(spec=spec_of(worlds)).add(dataset)
        found.append(value(measures(worlds, evidence)["severity:hangings=dense@test"].estimate))
    assert abs(np.mean(found)) < 0.03


def test_without_order_and_adverse_class_severity_has_a_remedy(worlds):
    evidence = world(worlds, seed=0, ordinal=False, adverse=())
    reasons = [r for r in LabelAgreement().run(evidence) if isinstance(r, Unmeasured)]
    assert [r.name for r in reasons] == ["severity", "relative-severity"]
    assert "consequences.adverse" in reasons[0].remedy
    assert "model.ordinal" in reasons[0].remedy


def test_unordered_classes_are_severe_by_the_adverse_one(worlds):
    """A step from compliant to minor is no severity where only serious is adverse."""
    evidence = world(worlds, seed=3, severe=0.6, ordinal=False, n_gold=600)
    found = measures(worlds, evidence)
    measure = found["severity:annotator=ames,hangings=dense@test"]
    dataset = evidence.dataset("test")
    dense = dataset.groups("hangings") == "dense"
    wrong = (dataset.rating("ames") == 2) & (dataset.gold != 2)
    assert value(measure.sides[0].estimate) == pytest.approx(wrong[dense].mean())
    assert "alpha-ordinal" not in {m.name for m in found.values()}


def test_measures_are_those_of_the_images(worlds):
    evidence = world(worlds, seed=1, severe=0.3)
    found = measures(worlds, evidence)
    dataset = evidence.dataset("test")
    ames, gold = dataset.rating("ames"), dataset.gold
    dense, known = dataset.groups("hangings") == "dense", gold >= 0
    measure = found["severity:annotator=ames,hangings=dense@test"]
    assert measure.n == (dense & known).sum()
    assert value(measure.sides[0].estimate) == pytest.approx((ames > gold)[dense & known].mean())
    assert value(measure.sides[1].estimate) == pytest.approx((ames > gold)[~dense & known].mean())
    assert measure.facts["more_lenient"] == pytest.approx((ames < gold)[dense & known].mean())
    at = [list(dataset.image_ids).index(i) for i in measure.examples]
    assert len(at) == 12
    assert (dense & known & (ames > gold))[at].all()
    steps = list((ames - gold)[at])
    assert steps == sorted(steps, reverse=True)
    assert steps[0] == 2
    agreement = found["agreement:hangings=dense@test"]
    same = ames == dataset.rating("birk")
    assert agreement.estimate == worlds.nearly(rate_difference(same, member=dense))
    assert value(agreement.sides[0].estimate) == pytest.approx(same[dense].mean())
    at = [list(dataset.image_ids).index(i) for i in agreement.examples]
    assert (dense & ~same)[at].all()
    assert value(found["raw-agreement:@test"].estimate) == pytest.approx(same.mean())


def test_agreement_is_worse_where_one_inspector_is_severe(worlds):
    shown = 0
    for seed in range(10):
        gap = measures(worlds, world(worlds, seed=seed, severe=0.35))[
            "agreement:hangings=dense@test"
        ]
        shown += p_value(gap.estimate, limit=-0.05, exceeds="below") <= 0.05
    assert shown >= 9


def test_relative_severity_mirrors_itself_and_needs_no_expert(worlds):
    evidence = world(worlds, seed=2, severe=0.4, n_gold=0)
    found = measures(worlds, evidence)
    assert not [m for m in found.values() if m.name == "severity"]
    own = found["relative-severity:annotator=ames,hangings=dense@test"]
    other = found["relative-severity:annotator=birk,hangings=dense@test"]
    assert value(own.estimate) == pytest.approx(-value(other.estimate))
    assert p_value(own.estimate, limit=LIMIT, exceeds="above") <= 0.05


def test_two_fair_annotators_do_not_differ_by_composition(worlds):
    failed = 0
    for seed in range(30):
        evidence = world(worlds, seed=seed, grades_of={"dense": (0.9, 0.05, 0.05)}, n_gold=0)
        failed += bool(failing(measures(worlds, evidence), "relative-severity"))
    assert failed <= 3


def test_label_and_gold_alone_are_enough(worlds):
    """No rating columns: who gave the label is named, and an expert graded a sample."""
    evidence = world(worlds, seed=4, severe=0.8, n_gold=600)
    dataset = evidence.dataset("test")
    frame = dataset.frame.drop(columns=["rating:ames", "rating:birk"])
    evidence.add(with_frame(dataset, table=frame, annotators=()))
    found = measures(worlds, evidence)
    assert {m.name for m in found.values()} == {"severity"}
    assert {m.subject.get("annotator") for m in found.values()} == {None, "ames", "birk"}
    failed = failing(found)
    assert "annotator=ames,hangings=dense@test" in failed
    assert "hangings=dense@test" in failed, "the labels as a whole are too severe"
    assert not any("birk" in subject for subject in failed)


def test_images_not_given_out_at_random_are_said_to_be_so(worlds):
    evidence = world(worlds, seed=4, severe=0.5, n_gold=600)
    dataset = evidence.dataset("test")
    dense = dataset.groups("hangings") == "dense"
    by = np.where(dense, "ames", dataset.frame["annotator"])
    by[np.flatnonzero(dense)[:30]] = "birk"
    frame = dataset.frame.drop(columns=["rating:ames", "rating:birk"]).assign(annotator=by)
    evidence.add(with_frame(dataset, table=frame, annotators=()))
    said = measures(worlds, evidence)["severity:annotator=ames,hangings=dense@test"]
    assert said.facts["not_at_random"]
    assert "images were not assigned at random" in worlds.sentence(LabelAgreement, said)
    even = measures(worlds, world(worlds, seed=4))["severity:annotator=ames,hangings=dense@test"]
    assert not even.facts["not_at_random"]
    assert "at random" not in worlds.sentence(LabelAgreement, even)


def test_the_sentence_can_be_repeated(worlds):
    n = 100
    gold = np.zeros(2 * n, int)
    ames = np.concatenate([np.arange(n) < 30, np.arange(n) < 10]).astype(int)
    dataset = worlds.dataset(
        gold,
        classes=GRADES,
        attributes={"hangings": ("condition", ["dense"] * n + ["none"] * n)},
        ratings={"ames": ames},
        gold=gold,
    )
    evidence = worlds.evidence(spec=spec_of(worlds)).add(dataset)
    found = measures(worlds, evidence)
    severe = found["severity:annotator=ames,hangings=dense@test"]
    assert worlds.sentence(LabelAgreement, severe) == (
        "The labels of ames are more severe than the expert’s for dense (hangings) in 30% "
        "[22, 40] of 100 images, for all others in 10% [6, 17] of 100, among images that the "
        "expert labels alike; more lenient there in 0%, elsewhere in 0%; on balance 20 points more "
        "severe [9, 31]."
    )
    mirrored = found["severity:annotator=ames,hangings=none@test"]
    sentence = worlds.sentence(LabelAgreement, mirrored)
    assert "on balance 20 points less severe [9, 31]" in sentence


def test_units_are_what_counts(worlds):
    evidence = world(worlds, seed=1, severe=0.3, images_a_unit=4)
    found = measures(worlds, evidence)
    dataset = evidence.dataset("test")
    same = dataset.rating("ames") == dataset.rating("birk")
    dense = dataset.groups("hangings") == "dense"
    gap = found["agreement:hangings=dense@test"]
    by_unit = rate_difference(same, member=dense, unit=dataset.units)
    assert gap.estimate == worlds.nearly(by_unit)
    assert gap.n_units == len(set(dataset.units[dense]))
    severe = found["severity:annotator=ames,hangings=dense@test"]
    assert severe.n_units == len(set(dataset.units[dense & (dataset.gold >= 0)]))
    alone = with_frame(dataset, has_units=False)
    by_image = measures(worlds, worlds.evidence(spec=evidence.spec).add(alone))
    same_value = by_image["severity:annotator=ames,hangings=dense@test"].estimate
    assert severe.estimate.value == pytest.approx(same_value.value)
    assert severe.estimate.df < same_value.df / 2


def test_units_of_alike_photos_widen_the_checks_severity(worlds):
    rooms = np.repeat(np.arange(60), 5)
    dense = rooms % 3 == 0
    gold = np.zeros(300, int)
    ames = (np.random.default_rng(0).random(60) < 0.3)[rooms].astype(int)
    shape = {
        "classes": GRADES,
        "attributes": {"hangings": ("condition", list(np.where(dense, "dense", "none")))},
        "ratings": {"ames": ames},
        "gold": gold,
    }
    widths = []
    for units in (rooms, None):
        evidence = worlds.evidence(spec=spec_of(worlds)).add(
            worlds.dataset(gold, units=units, **shape)
        )
        found = measures(worlds, evidence)["severity:annotator=ames,hangings=dense@test"]
        ends = interval(found.estimate)
        widths.append(ends.high - ends.low)
    assert widths[0] > 1.7 * widths[1]


def test_a_label_is_compared_with_the_other_hand_and_not_with_itself(worlds):
    """`label` is ames's or birk's as the manifest says; birk has a column of his own."""
    evidence = world(worlds, seed=1, n_gold=0)
    dataset = evidence.dataset("test")
    frame = dataset.frame.drop(columns=["rating:ames"])
    evidence.add(with_frame(dataset, table=frame, annotators=("birk",)))
    found = measures(worlds, evidence)
    by_ames = frame["annotator"].to_numpy() == "ames"
    dense = dataset.groups("hangings") == "dense"
    for name in ("ames", "birk"):
        measure = found[f"relative-severity:annotator={name},hangings=dense@test"]
        assert measure.n == measure.sides[0].n == (dense & by_ames).sum()
    assert found["raw-agreement:@test"].n == by_ames.sum()


def test_three_annotators_count_by_pairs_of_an_image(worlds):
    evidence = world(worlds, seed=1)
    dataset = evidence.dataset("test")
    frame = dataset.frame.assign(**{"rating:cole": dataset.rating("birk")})
    evidence.add(with_frame(dataset, table=frame, annotators=("ames", "birk", "cole")))
    found = measures(worlds, evidence)
    overall = found["raw-agreement:@test"]
    ames_alone = (dataset.rating("ames") == dataset.rating("birk")).mean()
    assert value(overall.estimate) == pytest.approx((2 * ames_alone + 1) / 3)
    assert overall.facts["pairs"] == 1800
    assert overall.n == 600
    assert overall.estimate.n < 1000, "three pairs of one image are not three images"
    assert "1,800 pairs of labels (600 images)" in worlds.sentence(LabelAgreement, overall)
    relative = found["relative-severity:annotator=ames,hangings=dense@test"]
    assert relative.sides[0].n == 2 * relative.n
    dense = found["agreement:hangings=dense@test"]
    assert dense.sides[0].n == 3 * dense.n
    assert dense.estimate.n < 2 * dense.n
    assert dense.n_units is None


def test_few_double_labels_have_a_reason_and_a_remedy(worlds):
    evidence = world(worlds, seed=0, n_gold=9)
    dataset = evidence.dataset("test")
    second = np.where(np.arange(600) < 8, dataset.rating("birk"), -1)
    frame = dataset.frame.assign(**{"rating:birk": second, "annotator": ""})
    evidence.add(with_frame(dataset, table=frame))
    results = list(LabelAgreement().run(evidence))
    assert not any(isinstance(r, Measure) for r in results)
    reasons = {r.name: r for r in results}
    assert set(reasons) == {
        "raw-agreement", "agreement", "alpha", "alpha-ordinal", "severity", "relative-severity",
    }  # fmt: skip
    assert reasons["agreement"].reason.startswith("Only 8 images of the test data have labels")
    assert "at least 2 more images" in reasons["agreement"].remedy
    assert "the labels" in reasons["severity"].reason


def test_a_group_with_few_double_labels_has_a_reason(worlds):
    evidence = world(worlds, seed=0, n_gold=600)
    dataset = evidence.dataset("test")
    dense = np.flatnonzero(dataset.groups("hangings") == "dense")
    frame = dataset.frame.copy()
    frame.loc[dense[9:], ["rating:birk", "gold"]] = -1
    frame["annotator"] = ""
    evidence.add(with_frame(dataset, table=frame))
    reasons = {
        f"{r.name}:{r.subject}": r
        for r in LabelAgreement().run(evidence)
        if isinstance(r, Unmeasured)
    }
    about = reasons["agreement:hangings=dense@test"]
    assert "9 images of dense (hangings) with labels from two annotators" in about.reason
    assert "alpha:hangings=dense@test" in reasons
    severe = reasons["severity:annotator=ames,hangings=dense@test"]
    assert "9 images of dense (hangings) also labelled by the expert" in severe.reason


def test_annotators_with_little_share_one_reason(worlds):
    evidence = world(worlds, seed=0, n_gold=600)
    dataset = evidence.dataset("test")
    by = dataset.frame["annotator"].to_numpy(dtype=object).copy()
    by[:20] = [f"guest{i // 5}" for i in range(20)]
    frame = dataset.frame.drop(columns=["rating:ames", "rating:birk"]).assign(annotator=by)
    evidence.add(with_frame(dataset, table=frame, annotators=()))
    (reason,) = [r for r in LabelAgreement().run(evidence) if isinstance(r, Unmeasured)]
    assert str(reason.subject) == "annotator=others@test"
    assert "guest0, guest1, guest2, guest3" in reason.reason


def test_without_attributes_groups_are_not_compared_and_that_is_said(worlds):
    evidence = world(worlds, seed=0)
    dataset = evidence.dataset("test")
    evidence.add(with_frame(dataset, attributes=()))
    results = list(LabelAgreement().run(evidence))
    assert {r.name for r in results if isinstance(r, Measure)} == {
        "raw-agreement", "alpha", "alpha-ordinal",
    }  # fmt: skip
    assert {r.name for r in results if isinstance(r, Unmeasured)} == {
        "agreement", "severity", "relative-severity",
    }  # fmt: skip


def test_every_split_is_measured_for_itself(worlds):
    evidence = world(worlds, seed=0)
    evidence.add(world(worlds, seed=1, severe=0.5, split="train").dataset("train"))
    found = measures(worlds, evidence)
    assert {m.subject.split for m in found.values()} == {"test", "train"}
    assert failing(found) == {"annotator=ames,hangings=dense@train"}


def test_one_hand_alone_is_an_unmet_need(worlds):
    alone = worlds.dataset([0, 1] * 20, annotator=["ames"] * 40)
    unmet = SecondLabels().unmet(Available(worlds.spec(), worlds.facts(), {"test": alone}))
    assert "`data.columns.ratings`" in unmet.remedy
    assert "`data.columns.gold`" in unmet.remedy
    same_hand = worlds.dataset([0, 1] * 20, annotator=["ames"] * 40, ratings={"ames": [0, 1] * 20})
    available = Available(worlds.spec(), worlds.facts(), {"test": same_hand})
    assert SecondLabels().unmet(available) is not None
    twice = worlds.dataset([0, 1] * 20, annotator=["birk"] * 40, ratings={"ames": [0, 1] * 20})
    available = Available(worlds.spec(), worlds.facts(), {"test": twice})
    assert SecondLabels().unmet(available) is None
    assert Manifest(split="train", optional=True) in LabelAgreement.needs


def test_tables_and_figures_hold_every_group(worlds):
    results = list(LabelAgreement().run(world(worlds, seed=0)))
    tables = {r.id: r for r in results if isinstance(r, Table)}
    figures = {r.id: r for r in results if isinstance(r, Figure)}
    adjusted = {f"bias/label-agreement{part}:adjusted" for part in ("", ":severity")}
    assert set(tables) - adjusted == {
        "bias/label-agreement:groups", "bias/label-agreement:severity:groups",
    }  # fmt: skip
    assert len(tables["bias/label-agreement:groups"].rows) == 3
    assert len(tables["bias/label-agreement:severity:groups"].rows) == 15
    for table in tables.values():
        assert all(len(row) == len(table.columns) for row in table.rows)
    names = [column.name for column in tables["bias/label-agreement:groups"].columns]
    assert {"agreement", "alpha low", "alpha-ordinal high"} <= {*names}
    severity = figures["bias/label-agreement:severity:hangings"]
    assert {row["series"] for row in severity.rows} == {
        f"{who}, more severe than {beside}"
        for who, beside in (
            ("all labels", "the expert"), ("ames", "the expert"), ("birk", "the expert"),
            ("ames", "the other annotators"), ("birk", "the other annotators"),
        )
    }  # fmt: skip
    assert "nearer to serious than to compliant" in severity.caption
    assert all(row["low"] <= row["value"] <= row["high"] for row in severity.rows)
    agreement = figures["bias/label-agreement:hangings"]
    assert [row["label"] for row in agreement.rows] == ["all images", "dense", "none", "some"]


def test_every_measure_has_a_title_and_a_sentence(worlds):
    evidence = world(worlds, seed=0, severe=0.3)
    told = Telling({LabelAgreement.id: LabelAgreement}, attributes=frozenset({"hangings"}))
    for measure in measures(worlds, evidence).values():
        texts = (told.title(LabelAgreement.id, measure), told.sentence(LabelAgreement.id, measure))
        assert not any("annotators and" in text or "{" in text for text in texts)
        assert told.words(LabelAgreement.id, measure).title
        assert LabelAgreement.topic not in texts[0].lower()
