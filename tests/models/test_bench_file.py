"""The program for another machine: emitted, run, taken in; a result that is not its is refused."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from auditor.errors import DataError, ModelError
from auditor.models.bench.program import seal
from auditor.models.bench_file import NONCES, emit_program, read_bench
from auditor.models.latency import BenchRequest, TimedModel, feed_of


def save_model(path, *, seed=0):
    weight = np.random.default_rng(seed).normal(size=(3, 2)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["x"], ["p"]),
         helper.make_node("Flatten", ["p"], ["f"]),
         helper.make_node("MatMul", ["f", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def spec_in(worlds, folder, **target):
    spec = worlds.spec(target={"name": "a tablet"} | target)
    return spec.model_copy(update={"folder": folder})


def request_for(spec):
    return BenchRequest(
        models=(TimedModel(spec.folder / "model.onnx"),),
        shape=(1, 3, 8, 8), dtype="float32", feed=feed_of(spec.model.input), runs=20, block=10,
        window_s=0.0, parts=("closed", "open", "photos", "frames", "sweep", "probes"),
        open_runs=20, frames=20, rate=500.0, sweep_threads=(1,), sweep_batches=(1,), rounds=2,
        slot_s=0.001,
    )  # fmt: skip


def on_device(program, *arguments):
    """Run an emitted program as a device does: no folder and no variable of this machine's."""
    return subprocess.run(
        [sys.executable, "-I", str(program), *map(str, arguments)],
        cwd=program.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def world(worlds, tmp_path_factory):
    """An audit's folder and a device's, on which the program was run (fewer starts of it)."""
    audit, device = tmp_path_factory.mktemp("audit"), tmp_path_factory.mktemp("device")
    save_model(audit / "model.onnx")
    spec = spec_in(worlds, audit)
    emit_program(spec, request_for(spec), into=device / "bench.py")
    program = device / "bench.py"
    program.write_text(program.read_text().replace("COLD_STARTS = 10", "COLD_STARTS = 1"))
    (device / "model.onnx").write_bytes((audit / "model.onnx").read_bytes())
    done = on_device(program, "model.onnx")
    assert done.returncode == 0, done.stderr
    return audit, device, done.stdout


def given(worlds, world, change=lambda body: body, *, folder=None, **target):
    """A spec whose target.bench is the device's result after `change`."""
    audit, device, _ = world
    body = change(json.loads((device / "bench.json").read_text()))
    (audit / "bench.json").write_text(body if isinstance(body, str) else json.dumps(body))
    return spec_in(worlds, folder or audit, bench="bench.json", **target)


def test_a_result_of_the_target_is_taken_in_whole(worlds, world):
    found = read_bench(given(worlds, world))
    assert (found.target, found.name, len(found.cold)) == ("a tablet", "bench.json", 1)
    assert set(found.timed.stretches) == {"closed", "open", "frames", "sweep"}
    assert len(found.timed.stretches["closed"].wall_ms) == 20
    assert len(found.timed.probes) == 16
    assert found.cold[0].peak_memory_mb > 10
    assert "target: {bench: bench.json}" in world[2]


def test_the_nonce_is_in_the_program_and_with_the_audit_alone(world):
    audit, device, _ = world
    (issued,) = json.loads((audit / NONCES).read_text())["issued"]
    assert len(issued["nonce"]) == 64
    assert issued["nonce"] in (device / "bench.py").read_text()
    assert issued["nonce"] not in (device / "bench.json").read_text()


def faster(body):
    wall = body["timed"]["parts"]["closed"]["runs"][0]["wall_ms"]
    body["timed"]["parts"]["closed"]["runs"][0]["wall_ms"] = [ms / 2 for ms in wall]
    return body


@pytest.mark.parametrize(
    "change",
    [
        faster,
        lambda body: body | {"target": "another"},
        lambda body: body | {"model_sha256": "0" * 64},
        lambda body: body | {"started": "2020-01-01T00:00:00Z"},
        lambda body: body | {"seal": "0" * 64},
        lambda body: {k: v for k, v in body.items() if k != "seal"},
        lambda body: body | {"more": 1},
        lambda body: faster(body) | {"seal": seal(body, "a nonce of their own")},
    ],
)
def test_an_edited_result_is_refused(worlds, world, change):
    with pytest.raises(DataError, match="was changed after the program wrote it") as raised:
        read_bench(given(worlds, world, change))
    assert str(raised.value).startswith("target.bench: bench.json")
    assert "auditor bench" in str(raised.value)


def test_a_result_of_another_audit_is_refused(worlds, world, tmp_path):
    spec = given(worlds, world, lambda body: body | {"nonce_name": "0" * 16})
    with pytest.raises(DataError, match="another audit"):
        read_bench(spec)
    # An audit that emitted no program knows no nonce.
    (tmp_path / "bench.json").write_text((world[1] / "bench.json").read_text())
    save_model(tmp_path / "model.onnx")
    with pytest.raises(DataError, match="another audit"):
        read_bench(spec_in(worlds, tmp_path, bench="bench.json"))


def test_a_result_of_another_model_or_target_is_refused(worlds, world, tmp_path):
    audit, device, _ = world
    for name in (NONCES,):
        (tmp_path / name).write_text((audit / name).read_text())
    (tmp_path / "bench.json").write_text((device / "bench.json").read_text())
    save_model(tmp_path / "model.onnx", seed=1)
    with pytest.raises(DataError, match=r"another model file than model\.onnx"):
        read_bench(spec_in(worlds, tmp_path, bench="bench.json"))
    save_model(tmp_path / "model.onnx")
    spec = spec_in(worlds, tmp_path, bench="bench.json", name="a watch")
    with pytest.raises(DataError, match="'a tablet', and the spec's target is 'a watch'"):
        read_bench(spec)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "no JSON"), ("[]", "no auditor/bench/v1"), ("{}", "no auditor/bench/v1"),
     ('{"format": NaN}', "no JSON"), ("[" * 100_000, "no JSON")],
)  # fmt: skip
def test_what_is_no_result_is_refused(worlds, world, text, said):
    with pytest.raises(DataError, match=said):
        read_bench(given(worlds, world, lambda _: text))


def test_a_sealed_result_that_lacks_times_is_refused(worlds, world):
    (issued,) = json.loads((world[0] / NONCES).read_text())["issued"]

    def lacking(body):
        del body["seal"]
        body["timed"]["parts"]["closed"]["runs"][0]["wall_ms"] = [-1.0]
        return body | {"seal": seal(body, issued["nonce"])}

    with pytest.raises(DataError, match="lacks what the program writes"):
        read_bench(given(worlds, world, lacking))


def test_a_missing_result_and_no_result(worlds, world, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_bench(spec_in(worlds, tmp_path, bench="bench.json"))
    assert read_bench(spec_in(worlds, tmp_path)) is None


def test_the_program_refuses_another_model(world):
    _, device, _ = world
    save_model(device / "other.onnx", seed=1)
    done = on_device(device / "bench.py", "other.onnx")
    assert done.returncode == 2
    assert "another file than the audited model" in done.stderr
    assert "Traceback" not in done.stderr
    missing = on_device(device / "bench.py", "no.onnx")
    assert "there is no file no.onnx" in missing.stderr


def test_only_an_onnx_file_is_measured_elsewhere(worlds, tmp_path):
    spec = spec_in(worlds, tmp_path)
    model = spec.model.model_copy(update={"path": "model.pt"})
    with pytest.raises(ModelError, match="no ONNX file"):
        emit_program(spec.model_copy(update={"model": model}), request_for(spec), into=tmp_path)
