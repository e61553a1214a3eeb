"""INT8 forms: what they hold, what they are calibrated on, what is refused, where they are made."""

import tempfile

import numpy as np
import onnx
import onnxruntime
import pytest
from hostile_models import (
    endless_loop,
    function_bomb,
    graph_in_a_circle,
    loop_that_takes_all_memory,
)
from onnx import TensorProto, helper, numpy_helper, version_converter

from auditor.errors import ModelError
from auditor.models import quantize
from auditor.models.contained import int8_form, int8_notes
from auditor.models.form_facts import MOST_NOISE, QuantizationNotes
from auditor.models.inputs import InputBuffers
from auditor.models.onnx_graph import OnnxGraph
from auditor.models.quantize import (
    is_quantised,
    needs_reduced_range,
    noise_of,
    quantization_notes,
    quantize_int8,
)
from auditor.spec import InputSpec, ModelSpec, RunLimits

SIZE = (16, 16)
SPEC = InputSpec(size=SIZE, mean=(0.5,), std=(0.25,))
U8_SPEC = InputSpec(size=SIZE, dtype="uint8", layout="nhwc")


def array(name, values):
    return numpy_helper.from_array(np.asarray(values), name)


def classifier(*, opset=17, batch="N", uint8=False, dtype=np.float32, channels=64):
    """A small net with batch normalisation, as exporters leave it; weights from a fixed seed."""
    rng = np.random.default_rng(5)

    def normal(name, *shape, scale=0.2):
        return array(name, rng.normal(scale=scale, size=shape).astype(dtype))

    float_type = TensorProto.FLOAT if dtype == np.float32 else TensorProto.FLOAT16
    nodes, at, shape, kind = [], "x", [batch, 3, *SIZE], float_type
    if uint8:
        nodes += [
            helper.make_node("Cast", ["x"], ["cast"], to=float_type),
            helper.make_node("Transpose", ["cast"], ["moved"], perm=[0, 3, 1, 2]),
            helper.make_node("Div", ["moved", "scale"], ["scaled"]),
        ]
        at, shape, kind = "scaled", [batch, *SIZE, 3], TensorProto.UINT8
    nodes += [
        helper.make_node("Conv", [at, "w1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c1", "g", "b", "m", "v"], ["n1"]),
        helper.make_node("Relu", ["n1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("GlobalAveragePool", ["r2"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w3"], ["y"]),
    ]
    weights = [
        normal("w1", channels, 3, 3, 3),
        array("g", np.linspace(0.5, 1.5, channels, dtype=dtype)),
        normal("b", channels),
        normal("m", channels),
        array("v", np.linspace(0.5, 2, channels, dtype=dtype)),
        normal("w2", channels, channels, 3, 3, scale=0.05),
        normal("w3", channels, 10),
        array("scale", np.array(255, dtype=dtype)),
    ]
    if not uint8:
        weights = weights[:-1]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", float_type, [batch, 10])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def saved(model, path):
    onnx.save(model, path)
    return path


def frames(n, *, seed=0, darkest=0, brightest=256):
    shape = (n, *SIZE, 3)
    return np.random.default_rng(seed).integers(darkest, brightest, shape, dtype=np.uint8)


def answers(model, images, *, spec=SPEC, batch=1):
    content = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    tensor = InputBuffers().fill(images, input=spec)
    parts = [tensor[i : i + batch] for i in range(0, len(tensor), batch)]
    return np.concatenate([session.run(None, {"x": part})[0] for part in parts])


def relative_error(path, int8_path, images, **kwargs):
    before = answers(path, images, **kwargs).astype(np.float64)
    after = answers(int8_path, images, **kwargs).astype(np.float64)
    return float(np.sqrt(((after - before) ** 2).mean() / before.var()))


def quantise(model, tmp_path, *, calibration=None, spec=SPEC):
    path = saved(model, tmp_path / "model.onnx")
    given = frames(24) if calibration is None else calibration
    int8 = tmp_path / "int8.onnx"
    int8.write_bytes(quantize_int8(path, calibration=given, input=spec))
    return path, int8


def test_the_int8_form_answers_nearly_the_same_and_is_smaller(tmp_path):
    path, made = quantise(classifier(), tmp_path)
    assert relative_error(path, made, frames(32, seed=1)) < 0.1
    assert made.stat().st_size < 0.5 * path.stat().st_size


def test_weights_are_signed_by_channel_and_activations_unsigned(tmp_path):
    _, made = quantise(classifier(), tmp_path)
    graph = OnnxGraph(onnx.load(made))
    held = {name: numpy_helper.to_array(t) for name, t in graph.initializers.items()}
    inputs = [
        node.input for node in graph.nodes
        if node.op_type == "DequantizeLinear" and held.get(node.input[0], np.zeros(0)).ndim == 4
    ]  # fmt: skip
    assert len(inputs) == 2
    for weight, scale, _ in inputs:
        assert held[weight].dtype == np.int8
        assert held[scale].shape == (64,)
    zeros = {held[n.input[2]].dtype for n in graph.nodes if n.op_type == "QuantizeLinear"}
    assert zeros == {np.dtype(np.uint8)}


def test_batch_normalisation_is_folded_away(tmp_path):
    _, made = quantise(classifier(), tmp_path)
    assert "BatchNormalization" not in {n.op_type for n in onnx.load(made).graph.node}


def test_the_input_range_is_that_of_the_normalised_calibration_images(tmp_path):
    calibration = frames(12, darkest=20, brightest=150)
    _, made = quantise(classifier(), tmp_path, calibration=calibration)
    graph = OnnxGraph(onnx.load(made))
    first = next(n for n in graph.nodes if n.op_type == "QuantizeLinear" and n.input[0] == "x")
    reference = (calibration / 255 - 0.5) / 0.25
    span = max(reference.max(), 0) - min(reference.min(), 0)
    assert float(graph.value(first.input[1])) == pytest.approx(span / 255, rel=1e-3)


def test_images_unlike_the_calibration_images_lose_more(tmp_path):
    _, dark = quantise(classifier(), tmp_path, calibration=frames(24, brightest=30))
    bright = frames(32, seed=1, darkest=200)
    badly = relative_error(tmp_path / "model.onnx", dark, bright)
    _, light = quantise(classifier(), tmp_path, calibration=frames(24, darkest=200))
    assert badly > 3 * relative_error(tmp_path / "model.onnx", light, bright)


@pytest.mark.parametrize(
    ("changes", "spec", "batch"),
    [
        ({"batch": 4}, SPEC, 4),
        ({"batch": 1}, SPEC, 1),
        ({"uint8": True}, U8_SPEC, 1),
        ({"uint8": True, "batch": 1}, U8_SPEC, 1),
        ({"opset": 20}, SPEC, 8),
    ],
    ids=str,
)
def test_every_form_of_input_is_fed(tmp_path, changes, spec, batch):
    path, made = quantise(classifier(**changes), tmp_path, spec=spec, calibration=frames(10))
    error = relative_error(path, made, frames(16, seed=2), spec=spec, batch=batch)
    assert error < 0.15


def test_a_half_precision_model_is_quantised_too(tmp_path):
    spec = SPEC.model_copy(update={"dtype": "float16"})
    path, made = quantise(classifier(dtype=np.float16, opset=20), tmp_path, spec=spec)
    assert relative_error(path, made, frames(16, seed=2), spec=spec) < 0.1
    assert made.stat().st_size < 0.7 * path.stat().st_size


def model_spec(input=SPEC, **limits):
    return ModelSpec(path="m.onnx", classes=("a", "b"), input=input, limits=RunLimits(**limits))


def test_a_contained_process_makes_the_same_bytes_and_leaves_nothing(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path, made = quantise(classifier(opset=11), tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    found = int8_form(path, model=model_spec(), calibration=frames(24))
    assert found == made.read_bytes()
    assert int8_notes(made) == quantization_notes(made) != QuantizationNotes()
    assert not list(scratch.iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["int8.onnx", "model.onnx", "scratch"]


@pytest.mark.parametrize(
    ("model", "limits", "said"),
    [
        (endless_loop, {"seconds": 1.0}, r"no answer in 1 s.*model\.limits\.seconds"),
        (
            loop_that_takes_all_memory,
            {"memory_gb": 2.0},
            r"more than 2 GB.*model\.limits\.memory_gb",
        ),
        (graph_in_a_circle, {}, "runs in a circle"),
        (function_bomb, {"seconds": 1.0}, r"model\.limits"),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_a_hostile_model_ends_its_own_process_alone(tmp_path, model, limits, said):
    path = with_a_product(model(tmp_path))
    small = model_spec(InputSpec(size=(8, 8)), **limits)
    with pytest.raises(ModelError, match=said):
        int8_form(path, model=small, calibration=frames(2)[:, :8, :8])


def with_a_product(path):
    """The same model, with a layer that could be quantised."""
    model = onnx.load(path)
    model.graph.initializer.append(array("eye", np.eye(3, dtype=np.float32)))
    model.graph.node.append(helper.make_node("MatMul", ["out", "eye"], ["product"]))
    model.graph.output[0].name = "product"
    onnx.save(model, path)
    return path


def test_an_old_opset_is_converted_and_the_notes_say_so(tmp_path):
    path, made = quantise(classifier(opset=11), tmp_path)
    assert relative_error(path, made, frames(16, seed=3)) < 0.1
    said = quantization_notes(made).said
    assert any("from opset 11 to 13" in note for note in said)
    assert any("12 calibration images" in note for note in said)


def outlying(n=24):
    """Images of which one pixel in ten thousand and fewer is bright, all others dark."""
    images = frames(n, brightest=12)
    images[::2, 0, 0] = 255
    return images


@pytest.mark.parametrize("calibration", [frames(24), outlying()], ids=["even", "outlying"])
def test_the_calibrator_whose_outputs_lie_nearest_is_kept(tmp_path, calibration):
    """Which one that is depends on the processor: one without VNNI keeps seven bits of a weight."""
    path, made = quantise(classifier(), tmp_path, calibration=calibration)
    notes = quantization_notes(made)
    assert [one.name for one in notes.calibrators] == ["MinMax", "Percentile"]
    (chosen,) = [one for one in notes.calibrators if one.chosen]
    assert chosen.noise == min(one.noise for one in notes.calibrators)
    held = calibration[1::2]
    reference = answers(path, held).astype(np.float64)
    off = (answers(made, held) - reference) ** 2
    by_hand = off.mean() / ((reference - reference.mean(axis=0)) ** 2).mean()
    assert chosen.noise == pytest.approx(by_hand, rel=1e-3)
    assert (notes.calibrated, notes.held_out) == (12, 12)


def test_one_image_calibrates_and_chooses(tmp_path):
    _, made = quantise(classifier(), tmp_path, calibration=frames(1))
    notes = quantization_notes(made)
    assert (notes.calibrated, notes.held_out) == (1, 1)
    assert not any("no range was taken from" in said for said in notes.said)


def test_a_calibrator_that_fails_leaves_the_other(tmp_path, monkeypatch):
    real = quantize._quantise

    def without_percentile(*args, calibrator, **kwargs):
        if calibrator == "Percentile":
            raise ModelError("no memory for histograms")
        return real(*args, calibrator=calibrator, **kwargs)

    monkeypatch.setattr(quantize, "_quantise", without_percentile)
    _, made = quantise(classifier(), tmp_path)
    first, second = quantization_notes(made).calibrators
    assert (first.chosen, second.noise, second.failed) == (True, None, "no memory for histograms")


def test_noise_is_the_error_over_what_images_change():
    rng = np.random.default_rng(1)
    there = rng.normal(3, 2, size=(400, 50))
    here = there + rng.normal(0, 1, size=there.shape)
    assert noise_of([here], [there]) == pytest.approx(0.25, rel=0.05)
    assert noise_of([here, there], [there, there]) == pytest.approx(0.125, rel=0.05)
    assert noise_of([there], [there]) == pytest.approx(0)
    assert noise_of([np.full((4, 2), np.nan)], [there[:4, :2]]) == MOST_NOISE
    constant = np.ones((5, 3))
    assert noise_of([constant + 1], [constant]) == pytest.approx(0)


def test_a_file_of_another_maker_has_no_notes(tmp_path):
    assert quantization_notes(saved(classifier(), tmp_path / "model.onnx")) == QuantizationNotes()


def test_a_quantised_model_is_not_quantised_again(tmp_path):
    _, made = quantise(classifier(), tmp_path)
    with pytest.raises(ModelError, match="quantised already"):
        quantize_int8(made, calibration=frames(4), input=SPEC)


def test_quantised_is_told_from_float():
    assert not is_quantised(OnnxGraph(classifier()))
    model = classifier()
    rounded = helper.make_node("DequantizeLinear", ["r1_q", "s"], ["unused"])
    model.graph.node.append(helper.make_node("QuantizeLinear", ["r1", "s"], ["r1_q"]))
    model.graph.node.append(rounded)
    assert not is_quantised(OnnxGraph(model)), "rounded activations are no rounded weights"
    rounded.input[0] = "w1"
    model.graph.node.append(helper.make_node("DequantizeLinear", ["w1", "s"], ["w"]))
    assert is_quantised(OnnxGraph(model))


def without_weights():
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["x"], ["p"]),
         helper.make_node("Flatten", ["p"], ["y"])],
        "pool",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, *SIZE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def with_two_inputs():
    model = classifier()
    model.graph.input.append(helper.make_tensor_value_info("size", TensorProto.FLOAT, [1]))
    return model


@pytest.mark.parametrize(
    ("make", "said"),
    [(without_weights, "no convolution or matrix product"), (with_two_inputs, "x, size")],
)
def test_what_cannot_be_quantised_is_refused_with_the_reason(tmp_path, make, said):
    with pytest.raises(ModelError, match=said):
        quantise(make(), tmp_path)


def test_a_file_that_is_no_onnx_model_is_refused(tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"PK\x03\x04 something else altogether")
    with pytest.raises(ModelError, match="not an ONNX model"):
        quantize_int8(path, calibration=frames(4), input=SPEC)


def test_without_images_there_is_no_calibration(tmp_path):
    with pytest.raises(ModelError, match="found no image"):
        quantise(classifier(), tmp_path, calibration=frames(0))


def test_a_failure_inside_the_quantizer_is_an_error_that_can_be_mended(tmp_path):
    model = classifier()
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(ModelError, match=r"cannot quantise this model.*audit that file"):
        quantise(model, tmp_path)


@pytest.mark.parametrize(
    ("flags", "machine", "reduced"),
    [
        ({"avx2", "avx512_vnni"}, "x86_64", False),
        ({"avx2", "avx_vnni"}, "AMD64", False),
        ({"avx2", "avx512f"}, "x86_64", True),
        (set(), "x86_64", True),
        ({"asimd", "asimddp"}, "aarch64", False),
        (set(), "arm64", False),
    ],
)
def test_weights_keep_seven_bits_where_sums_would_overflow(flags, machine, reduced):
    assert needs_reduced_range(frozenset(flags), machine=machine) is reduced


def test_a_reduced_range_keeps_weights_within_seven_bits(tmp_path, monkeypatch):
    monkeypatch.setattr("auditor.models.quantize.cpu_flags", frozenset)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    _, made = quantise(classifier(), tmp_path)
    graph = OnnxGraph(onnx.load(made))
    weights = [numpy_helper.to_array(t) for t in graph.initializers.values()]
    extremes = [int(np.abs(w.astype(int)).max()) for w in weights if w.dtype == np.int8 and w.ndim]
    assert max(extremes) == 64
    assert any("no VNNI" in note for note in quantization_notes(made).said)


SQUEEZENET = InputSpec(size=(224, 224), scale=1, mean=(103.939, 116.779, 123.68), channels="bgr")
MOBILENET = InputSpec(size=(224, 224), dtype="uint8", layout="nhwc")


def photos(shared_data, start, count):
    from PIL import Image

    names = sorted(p for p in (shared_data / "imagenet-mini/images").rglob("*") if p.is_file())
    chosen = names[start : start + count]
    return np.stack(
        [np.asarray(Image.open(p).convert("RGB").resize((224, 224), 2)) for p in chosen]
    )


def run_real(content, images, spec):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    tensor = InputBuffers().fill(images, input=spec)
    found = [session.run(None, {name: tensor[i : i + 1]})[0] for i in range(len(tensor))]
    return np.concatenate([f.reshape(1, -1) for f in found])


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("imagenet_squeezenet1.1_fp32", SQUEEZENET),
        ("imagenet_mobilenetv2_1.0_224_fp32", MOBILENET),
    ],
)
def test_real_networks_keep_their_answers_at_a_quarter_of_the_size(shared_data, name, spec):
    path = shared_data / f"models/{name}.onnx"
    calibration = photos(shared_data, 0, 24)
    made = quantize_int8(path, calibration=calibration, input=spec)
    images = photos(shared_data, 100, 24)
    before = run_real(path.read_bytes(), images, spec).argmax(axis=1)
    after = run_real(made, images, spec).argmax(axis=1)
    assert len(made) < 0.3 * path.stat().st_size
    assert (before == after).mean() > 0.75


def test_converting_squeezenet_from_opset_7_changes_no_bit(shared_data):
    path = shared_data / "models/imagenet_squeezenet1.1_fp32.onnx"
    images = photos(shared_data, 50, 4)
    converted = version_converter.convert_version(onnx.load(path), 13).SerializeToString()
    before = run_real(path.read_bytes(), images, SQUEEZENET)
    assert np.array_equal(run_real(converted, images, SQUEEZENET), before)
