"""deployment/quantization on planted worlds: who loses, flips, size, speed, FP16, export."""

import dataclasses
import platform
import re
import types
from importlib.metadata import version

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from auditor.checks import deployment_quantization
from auditor.checks.deployment_quantization import (
    GROUPS,
    HALF,
    CompressedPasses,
    HalfPasses,
    Quantization,
)
from auditor.contract import Available, NotMeasurableError
from auditor.errors import ModelError
from auditor.findings import Table, Unmeasured
from auditor.models.latency import BenchResult, Machine, ModelTimings
from auditor.stats import Normal, interval, p_value, value

GROUP_LIMIT, LIMIT, SIZE_LIMIT = 0.03, 0.01, 0.3
"""The default policy's bounds."""


def exceeds(measure, limit):
    return p_value(measure.estimate, limit=limit, exceeds="above") <= 0.05


def timings(wall, cpu=None):
    wall = np.asarray(wall, dtype=float)
    return ModelTimings(100.0, 9.0, 35, True, "a" * 64, wall, wall if cpu is None else cpu)


def timed(slow, fast, *, switches=0):
    machine = Machine("A processor", 2, "Linux x86_64", "onnxruntime 1", None)
    return BenchResult((slow, fast), switches, 0.0, 97.0, machine)


@pytest.fixture(autouse=True)
def calm_bench(monkeypatch):
    """Timings as planted: INT8 twice as fast, without contention, unless a test plants others."""
    rng = np.random.default_rng(0)
    noise = [rng.lognormal(sigma=0.03, size=300) for _ in range(2)]
    planted = {"result": timed(timings(20 * noise[0]), timings(10 * noise[1])), "asked": []}

    def answer(request, *, attempts):
        planted["asked"].append(request)
        if isinstance(planted["result"], Exception):
            raise planted["result"]
        return planted["result"]

    monkeypatch.setattr(deployment_quantization, "calmest_bench", answer)
    return planted


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file of 1,000 bytes as given, and a valid ONNX file in place of its INT8 form."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "model.onnx").write_bytes(bytes(1000))
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "same",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    onnx.save(helper.make_model(graph), folder / "int8.onnx")
    int8 = folder / "int8.onnx"
    return {"as-given": folder / "model.onnx", "int8": int8, "fp16": int8}


def equipped(evidence, worlds, files):
    """With the forms' own facts, and an FP16 form that answers as the model as given."""
    for name, path in files.items():
        facts = worlds.facts(file_bytes=path.stat().st_size)
        evidence.predictors[name] = types.SimpleNamespace(facts=facts)
    for split, view, variant, input, part in list(evidence.passes):
        if variant == "as-given":
            found = evidence.passes[split, view, variant, input, part]
            evidence.passes[split, view, "fp16", input, part] = found
    return evidence


def of_int8(found):
    return {name: measure for name, measure in found.items() if measure.subject.variant == "int8"}


def table_of(results, name):
    """The table of that name about the INT8 form on the test data."""
    wanted = f"deployment/quantization:{name}+int8"
    (table,) = [r for r in results if isinstance(r, Table) and r.id == wanted]
    return table


def in_int8(results):
    return [r for r in results if isinstance(r, Unmeasured) and r.subject.variant == "int8"]


def world(worlds, files, *, seed, lost_by=0.0, n=6000, units=None, attributes=True, spec=None):
    """Two classes; INT8 breaks and mends 2% each, and breaks `lost_by` more of the old buildings.

    A quarter of the images are of old buildings.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    correct = rng.random(n) < 0.9
    building = np.where(np.arange(n) % 4 == 0, "old", "new")
    flips = rng.random(n) < 0.02
    old = np.flatnonzero((building == "old") & correct & ~flips)
    flips[rng.permutation(old)[: round(lost_by * (building == "old").sum())]] = True
    # As many are mended as are broken by chance: of the wrong, nine times the share.
    flips |= ~correct & (rng.random(n) < 0.16)
    answers = np.where(correct, labels, 1 - labels)
    dataset = worlds.dataset(
        labels,
        units=units,
        attributes={"building": ("condition", list(building))} if attributes else None,
    )
    evidence = worlds.evidence(
        spec=spec or worlds.spec(), model=worlds.facts(file_bytes=1000), paths=files
    )
    evidence.add(dataset, worlds.probabilities(answers))
    evidence.add(
        dataset, worlds.probabilities(np.where(flips, 1 - answers, answers)), variant="int8"
    )
    return equipped(evidence, worlds, files)


@pytest.mark.parametrize("seed", range(6))
def test_a_group_that_loses_five_points_more_exceeds_the_limit(worlds, files, seed):
    evidence = world(worlds, files, seed=seed, lost_by=0.05, n=12_000)
    found = worlds.measures(Quantization(), evidence)
    assert exceeds(found["accuracy-lost:building=old@test+int8"], GROUP_LIMIT)
    assert not exceeds(found["accuracy-lost:building=new@test+int8"], GROUP_LIMIT)


@pytest.mark.parametrize("seed", range(6))
def test_a_form_that_loses_nothing_exceeds_no_limit(worlds, files, seed):
    found = worlds.measures(Quantization(), world(worlds, files, seed=seed))
    lost = {k: m for k, m in of_int8(found).items() if m.name == "accuracy-lost"}
    assert set(lost) == {
        "accuracy-lost:@test+int8",
        "accuracy-lost:building=old@test+int8",
        "accuracy-lost:building=new@test+int8",
    }
    for key, measure in lost.items():
        assert not exceeds(measure, GROUP_LIMIT if "building" in key else LIMIT)


def test_a_loss_over_all_images_exceeds_the_limit(worlds, files):
    evidence = world(worlds, files, seed=3, lost_by=0.12)
    assert exceeds(worlds.measures(Quantization(), evidence)["accuracy-lost:@test+int8"], LIMIT)


def test_the_loss_is_as_given_minus_int8_on_the_same_images(worlds, files):
    evidence = world(worlds, files, seed=4, lost_by=0.05)
    given, int8 = evidence.answers(), evidence.answers(variant="int8")
    found = worlds.measures(Quantization(), evidence)
    for key, keep in {
        "accuracy-lost:@test+int8": np.ones(6000, dtype=bool),
        "accuracy-lost:building=old@test+int8": given.groups("building") == "old",
    }.items():
        measure = found[key]
        broken = (given.correct & ~int8.correct)[keep]
        mended = (~given.correct & int8.correct)[keep]
        assert value(measure.estimate) == pytest.approx((broken.sum() - mended.sum()) / keep.sum())
        assert measure.n == keep.sum()
        assert measure.facts["right_only_as_given"] == broken.sum()
        assert value(measure.sides[0].estimate) == pytest.approx(int8.correct[keep].mean())
        assert value(measure.sides[1].estimate) == pytest.approx(given.correct[keep].mean())
        ids = set(given.image_ids[keep][broken])
        assert len(measure.examples) == 12
        assert set(measure.examples) <= ids
    lost = found["accuracy-lost:@test+int8"]
    assert re.search(r"; [\d.]+ points lost \[", worlds.sentence(Quantization, lost))
    gained = dataclasses.replace(lost, estimate=Normal(-0.012, 0.002))
    assert "; 1.2 points gained [0.8, 1.6]." in worlds.sentence(Quantization, gained)


def test_mcnemar_is_that_of_scipy(worlds, files):
    from scipy.stats import binomtest

    found = worlds.measures(Quantization(), world(worlds, files, seed=5, lost_by=0.02))
    details = found["accuracy-lost:@test+int8"].facts
    broken, mended = details["right_only_as_given"], details["right_only_here"]
    reference = binomtest(broken, broken + mended).pvalue
    assert details["mcnemar_p"] == pytest.approx(reference)


def test_units_widen_the_interval_and_are_counted(worlds, files):
    alone = world(worlds, files, seed=6, lost_by=0.05)
    rooms = world(worlds, files, seed=6, lost_by=0.05, units=np.arange(6000) // 300)
    key = "accuracy-lost:building=old@test+int8"
    free = worlds.measures(Quantization(), alone)[key]
    clustered = worlds.measures(Quantization(), rooms)[key]
    assert (free.n_units, clustered.n_units) == (None, 20)
    assert clustered.estimate.df == 19
    assert value(clustered.estimate) == pytest.approx(value(free.estimate))

    def width(measure):
        ends = interval(measure.estimate)
        return ends.high - ends.low

    assert width(clustered) > width(free)


def test_flips_are_the_answers_that_change_and_the_harmful_ones(worlds, files):
    evidence = world(worlds, files, seed=7, lost_by=0.05)
    given, int8 = evidence.answers(), evidence.answers(variant="int8")
    found = worlds.measures(Quantization(), evidence)
    changed = (given.predicted != int8.predicted).mean()
    assert value(found["flip-rate:@test+int8"].estimate) == pytest.approx(changed)
    harmful = found["flip-rate:kind=harmful@test+int8"]
    assert value(harmful.estimate) == pytest.approx((given.correct & ~int8.correct).mean())


def test_a_group_of_nine_is_said_to_be_too_small(worlds, files):
    labels = np.zeros(200, dtype=int)
    groups = ["rare"] * 9 + ["common"] * 181 + [""] * 10
    dataset = worlds.dataset(labels, attributes={"phone": ("nuisance", groups)})
    evidence = worlds.evidence(model=worlds.facts(file_bytes=1000), paths=files)
    evidence.add(dataset, worlds.probabilities(labels))
    evidence.add(dataset, worlds.probabilities(labels), variant="int8")
    found = list(Quantization().run(equipped(evidence, worlds, files)))
    refused = in_int8(found)
    assert {(r.name, str(r.subject)) for r in refused} == {
        ("accuracy-lost", "phone=rare@test+int8"),
        ("gap-change", "phone=rare@test+int8"),
        ("gap-change", "phone=common@test+int8"),
    }
    (own,) = [r for r in refused if r.name == "accuracy-lost"]
    assert "9 images of rare (phone)" in own.reason
    table = table_of(found, "groups")
    assert [row[2:4] for row in table.rows] == [("common", 181), ("rare", 9)]
    assert table.rows[1][5:] == (None,) * 10


def test_the_table_has_a_row_a_group_with_its_loss(worlds, files):
    evidence = world(worlds, files, seed=8, lost_by=0.05)
    results = list(Quantization().run(evidence))
    table = table_of(results, "groups")
    assert len(table.columns) == len(table.rows[0])
    lost = {row[2]: row[7] for row in table.rows}
    assert lost["old"] > 0.03 > lost["new"]


def test_without_attributes_there_are_no_groups(worlds, files):
    evidence = world(worlds, files, seed=9, attributes=False)
    results = list(Quantization().run(evidence))
    assert not [r for r in results if isinstance(r, Table) and "groups" in r.id]
    assert GROUPS.optional


def test_images_without_a_label_are_left_out(worlds, files):
    labels = np.array([0, 1] * 50 + [-1] * 40)
    answers = np.where(labels < 0, 0, labels)
    dataset = worlds.dataset(labels)
    evidence = worlds.evidence(model=worlds.facts(file_bytes=1000), paths=files)
    evidence.add(dataset, worlds.probabilities(answers))
    evidence.add(dataset, worlds.probabilities(1 - answers), variant="int8")
    found = worlds.measures(Quantization(), equipped(evidence, worlds, files))
    assert found["accuracy-lost:@test+int8"].n == 100
    assert value(found["accuracy-lost:@test+int8"].estimate) == 1


def test_the_size_ratio_is_of_the_files(worlds, files):
    found = worlds.measures(Quantization(), world(worlds, files, seed=1))
    ratio = files["int8"].stat().st_size / 1000
    assert value(found["size-ratio:+int8"].estimate) == pytest.approx(ratio)
    assert exceeds(found["size-ratio:+int8"], SIZE_LIMIT) == (ratio > SIZE_LIMIT)


def test_the_speed_is_a_volatile_ratio_with_a_spread(worlds, files, calm_bench):
    target = {"name": "a tablet", "threads": 3}
    evidence = world(worlds, files, seed=1, spec=worlds.spec(target=target))
    found = worlds.measures(Quantization(), evidence)
    for name in ("speed-ratio", "processor-ratio"):
        ratio = found[f"{name}:+int8"]
        assert ratio.volatile
        assert interval(ratio.estimate).low < 2 < interval(ratio.estimate).high
    request, of_fp16 = calm_bench["asked"]
    assert of_fp16.models[1].path == files["fp16"]
    assert [m.path for m in request.models] == [files["as-given"], files["int8"]]
    assert (request.threads, request.runs, request.block) == (3, 300, 10)


def test_a_contended_machine_leaves_only_processor_time(worlds, files, calm_bench):
    slow, fast = np.full(300, 20.0), np.full(300, 10.0)
    calm_bench["result"] = timed(timings(slow), timings(fast), switches=400)
    results = list(Quantization().run(world(worlds, files, seed=1)))
    (refused,) = in_int8(results)
    assert refused.name == "speed-ratio"
    assert "contended" in refused.reason
    assert "processor-ratio" in {getattr(r, "name", None) for r in results}


def test_few_blocks_have_no_spread(worlds, files, calm_bench):
    calm_bench["result"] = timed(timings(np.full(90, 20.0)), timings(np.full(90, 10.0)))
    results = list(Quantization().run(world(worlds, files, seed=1)))
    (refused,) = in_int8(results)
    assert "9 pairs of blocks" in refused.reason


def test_forms_that_cannot_be_timed_keep_the_other_measures(worlds, files, calm_bench):
    calm_bench["result"] = ModelError("found an error (no memory)")
    results = list(Quantization().run(world(worlds, files, seed=1)))
    (refused,) = in_int8(results)
    assert (refused.name, "no memory" in refused.reason) == ("speed-ratio", True)
    assert "accuracy-lost" in {getattr(r, "name", None) for r in results}


def available(worlds, *, spec=None, **facts):
    datasets = {"test": worlds.dataset([0, 1])}
    return Available(spec or worlds.spec(), worlds.facts(**facts), datasets)


def test_forms_are_asked_for_only_where_they_can_be_made(worlds):
    assert CompressedPasses().unmet(available(worlds)) is None
    assert CompressedPasses().unmet(available(worlds, format="torch")) is None
    assert "already" in CompressedPasses().unmet(available(worlds, quantised=True)).reason
    named = worlds.spec(variants={"int8": {"path": "team.onnx"}})
    assert CompressedPasses().unmet(available(worlds, spec=named, quantised=True)) is None
    given = available(worlds)
    assert [(p.split, p.variant) for p in CompressedPasses().passes(given)] == [
        ("test", "as-given"),
        ("test", "int8"),
    ]
    assert {p.sample for p in HALF.passes(given)} == {1000}
    fed = {"size": (8, 8), "dtype": "float16"}
    model = {"path": "model.onnx", "classes": ("a", "b"), "input": fed}
    halved = available(worlds, spec=worlds.spec(model=model))
    assert "half precision already" in HalfPasses().unmet(halved).reason


def test_slower_here_is_said(worlds, files, calm_bench):
    slow, fast = np.full(300, 10.0), np.full(300, 20.0)
    calm_bench["result"] = timed(timings(slow), timings(fast))
    found = worlds.measures(Quantization(), world(worlds, files, seed=1))
    ratio = found["processor-ratio:+int8"]
    assert "The int8 form is slower here." in worlds.sentence(Quantization, ratio)
    assert exceeds_below(ratio, 1)


def exceeds_below(measure, limit):
    return p_value(measure.estimate, limit=limit, exceeds="below") <= 0.05


def test_the_sentence_names_runtime_and_processor(worlds, files):
    lost = worlds.measures(Quantization(), world(worlds, files, seed=1))["accuracy-lost:@test+int8"]
    said = worlds.sentence(Quantization, lost)
    assert f"onnxruntime {version('onnxruntime')}" in said
    assert platform.machine() in said


@pytest.mark.parametrize("seed", range(4))
def test_what_a_group_loses_beyond_the_others(worlds, files, seed):
    evidence = world(worlds, files, seed=seed, lost_by=0.05, n=12_000)
    found = worlds.measures(Quantization(), evidence)
    change = found["gap-change:building=old@test+int8"]
    pair = [found[f"accuracy-lost:building={b}@test+int8"] for b in ("old", "new")]
    assert value(change.estimate) == pytest.approx(
        value(pair[0].estimate) - value(pair[1].estimate), abs=1e-9
    )
    assert interval(change.estimate).low > 0.02
    assert interval(found["gap-change:building=new@test+int8"].estimate).high < -0.02


def test_the_images_most_affected_are_those_that_turned_wrong(worlds, files):
    evidence = world(worlds, files, seed=2, lost_by=0.05)
    given, int8 = evidence.answers(), evidence.answers(variant="int8")
    table = table_of(list(Quantization().run(evidence)), "images")
    broken = set(given.image_ids[given.correct & ~int8.correct])
    assert len(table.rows) == 50
    assert {row[0] for row in table.rows} <= broken
    assert {row[1:3] for row in table.rows} == {(1, 0)}


def test_a_form_that_is_surer_than_before_loses_calibration(worlds, files):
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 4000)
    answers = np.where(rng.random(4000) < 0.8, labels, 1 - labels)
    dataset = worlds.dataset(labels)
    evidence = worlds.evidence(model=worlds.facts(file_bytes=1000), paths=files)
    evidence.add(dataset, worlds.probabilities(answers, confidence=0.8))
    evidence.add(dataset, worlds.probabilities(answers, confidence=0.95), variant="int8")
    found = worlds.measures(Quantization(), equipped(evidence, worlds, files))
    lost = found["calibration-lost:@test+int8"]
    assert value(lost.estimate) == pytest.approx(0.15, abs=0.02)
    assert interval(lost.estimate).low > 0.1
    same = found["calibration-lost:@test+fp16"]
    assert value(same.estimate) == pytest.approx(0)


def test_an_fp16_form_that_could_not_be_had_leaves_the_rest(worlds, files):
    evidence = world(worlds, files, seed=1)
    scored = evidence.scored

    def without(split="test", **asked):
        if asked.get("variant") == "fp16":
            raise NotMeasurableError("No kernels of 16 bits.", remedy="Name the file.")
        return scored(split, **asked)

    evidence.scored = without
    results = list(Quantization().run(evidence))
    (refused,) = [r for r in results if isinstance(r, Unmeasured)]
    assert (refused.subject.variant, refused.reason) == ("fp16", "No kernels of 16 bits.")
    assert "size-ratio" in {r.name for r in results if not isinstance(r, Table)}


def test_every_word_has_its_fields(worlds, files):
    results = list(Quantization().run(world(worlds, files, seed=3, lost_by=0.05)))
    assert not worlds.unfilled(Quantization, results)
