"""deployment/quantization on planted worlds: who loses, flips, size, speed."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from auditor.checks import deployment_quantization
from auditor.checks.deployment_quantization import GROUPS, Int8Predictions, Quantization
from auditor.contract import Available
from auditor.errors import ModelError
from auditor.findings import Table, Unmeasured
from auditor.models.latency import BenchResult, Machine, ModelTimings
from auditor.stats import interval, p_value, value

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
    return {"as-given": folder / "model.onnx", "int8": folder / "int8.onnx"}


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
    return evidence


@pytest.mark.parametrize("seed", range(6))
def test_a_group_that_loses_five_points_more_exceeds_the_limit(worlds, files, seed):
    evidence = world(worlds, files, seed=seed, lost_by=0.05, n=12_000)
    found = worlds.measures(Quantization(), evidence)
    assert exceeds(found["accuracy-lost:building=old@test+int8"], GROUP_LIMIT)
    assert not exceeds(found["accuracy-lost:building=new@test+int8"], GROUP_LIMIT)


@pytest.mark.parametrize("seed", range(6))
def test_a_form_that_loses_nothing_exceeds_no_limit(worlds, files, seed):
    found = worlds.measures(Quantization(), world(worlds, files, seed=seed))
    lost = {k: m for k, m in found.items() if m.name == "accuracy-lost"}
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
    assert "points lost" in worlds.sentence(Quantization, lost)


def test_mcnemar_is_that_of_scipy(worlds, files):
    from scipy.stats import binomtest

    found = worlds.measures(Quantization(), world(worlds, files, seed=5, lost_by=0.02))
    details = found["accuracy-lost:@test+int8"].facts
    broken, mended = details["right_only_as_given"], details["right_only_int8"]
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
    found = list(Quantization().run(evidence))
    (refused,) = [r for r in found if isinstance(r, Unmeasured)]
    assert str(refused.subject) == "phone=rare@test+int8"
    assert "rare (phone) has 9 images" in refused.reason
    (table,) = [r for r in found if isinstance(r, Table)]
    assert [row[2:4] for row in table.rows] == [("common", 181), ("rare", 9)]
    assert table.rows[1][5:] == (None,) * 7


def test_the_table_has_a_row_a_group_with_its_loss(worlds, files):
    evidence = world(worlds, files, seed=8, lost_by=0.05)
    results = list(Quantization().run(evidence))
    (table,) = [r for r in results if isinstance(r, Table)]
    assert len(table.columns) == len(table.rows[0])
    lost = {row[2]: row[7] for row in table.rows}
    assert lost["old"] > 0.03 > lost["new"]


def test_without_attributes_there_are_no_groups(worlds, files):
    evidence = world(worlds, files, seed=9, attributes=False)
    results = list(Quantization().run(evidence))
    assert not [r for r in results if isinstance(r, Table)]
    assert GROUPS.optional


def test_images_without_a_label_are_left_out(worlds, files):
    labels = np.array([0, 1] * 50 + [-1] * 40)
    answers = np.where(labels < 0, 0, labels)
    dataset = worlds.dataset(labels)
    evidence = worlds.evidence(model=worlds.facts(file_bytes=1000), paths=files)
    evidence.add(dataset, worlds.probabilities(answers))
    evidence.add(dataset, worlds.probabilities(1 - answers), variant="int8")
    found = worlds.measures(Quantization(), evidence)
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
    (request,) = calm_bench["asked"]
    assert [m.path for m in request.models] == [files["as-given"], files["int8"]]
    assert (request.threads, request.runs, request.block) == (3, 300, 10)


def test_a_contended_machine_leaves_only_processor_time(worlds, files, calm_bench):
    slow, fast = np.full(300, 20.0), np.full(300, 10.0)
    calm_bench["result"] = timed(timings(slow), timings(fast), switches=400)
    results = list(Quantization().run(world(worlds, files, seed=1)))
    (refused,) = [r for r in results if isinstance(r, Unmeasured)]
    assert refused.name == "speed-ratio"
    assert "contended" in refused.reason
    assert "processor-ratio" in {getattr(r, "name", None) for r in results}


def test_few_blocks_have_no_spread(worlds, files, calm_bench):
    calm_bench["result"] = timed(timings(np.full(90, 20.0)), timings(np.full(90, 10.0)))
    results = list(Quantization().run(world(worlds, files, seed=1)))
    (refused,) = [r for r in results if isinstance(r, Unmeasured)]
    assert "9 pairs of blocks" in refused.reason


def test_forms_that_cannot_be_timed_keep_the_other_measures(worlds, files, calm_bench):
    calm_bench["result"] = ModelError("found an error (no memory)")
    results = list(Quantization().run(world(worlds, files, seed=1)))
    (refused,) = [r for r in results if isinstance(r, Unmeasured)]
    assert (refused.name, "no memory" in refused.reason) == ("speed-ratio", True)
    assert "accuracy-lost" in {getattr(r, "name", None) for r in results}


def test_an_int8_form_is_asked_for_only_where_one_can_be_made(worlds):
    def unmet(**facts):
        datasets = {"test": worlds.dataset([0, 1])}
        return Int8Predictions().unmet(Available(worlds.spec(), worlds.facts(**facts), datasets))

    assert unmet() is None
    assert "already" in unmet(quantised=True).reason
    assert "Export the model to ONNX" in unmet(format="torch").remedy
    assert [p.variant for p in Int8Predictions().passes(None)] == ["int8"]
