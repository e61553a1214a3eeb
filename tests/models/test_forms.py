"""Forms of a model: FP16, exports, runtimes, layers side by side, zeros, operator lists."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from auditor.errors import ModelError
from auditor.models.contained import half_form, int8_form, layers_apart
from auditor.models.form_facts import OneForm
from auditor.models.onnx_graph import OnnxGraph
from auditor.models.onnx_model import open_onnx
from auditor.models.operator_lists import operator_lists, operators_of
from auditor.models.sparsity import onnx_weights, sparsity_of
from auditor.models.torch_export import exported, float_weights, take_threads
from auditor.spec import InputSpec, ModelSpec, RunLimits, RuntimeSpec

SIZE = (16, 16)
INPUT = InputSpec(size=SIZE, mean=(0.5,), std=(0.25,))
MODEL = ModelSpec(path="m.onnx", classes=("a", "b"), input=INPUT, embedding=None)


def frames(n, *, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *SIZE, 3), dtype=np.uint8)


def network(*, third=None, renamed=False, dropped=None):
    """Three convolutions and a product; `third` replaces the third one's weights."""
    rng = np.random.default_rng(5)
    weights = {
        "w1": rng.normal(scale=0.3, size=(16, 3, 3, 3)),
        "w2": rng.normal(scale=0.1, size=(16, 16, 3, 3)),
        "w3": rng.normal(scale=0.1, size=(16, 16, 3, 3)) if third is None else third,
        "w4": rng.normal(scale=0.3, size=(16, 2)),
    }
    if dropped is not None:
        weights["w2"][dropped] = 0
    mark = "_" if renamed else ""
    nodes, at = [], "x"
    for i in (1, 2, 3):
        conv, relu = f"c{i}{mark}", f"r{i}{mark}"
        nodes += [
            helper.make_node("Conv", [at, f"w{i}"], [conv], name=f"conv{i}", pads=[1] * 4),
            helper.make_node("Relu", [conv], [relu], name=f"relu{i}"),
        ]
        at = relu
    nodes += [
        helper.make_node("GlobalAveragePool", [at], [f"p{mark}"]),
        helper.make_node("Flatten", [f"p{mark}"], [f"f{mark}"]),
        helper.make_node("Gemm", [f"f{mark}", "w4"], [f"y{mark}"], name="head"),
    ]
    graph = helper.make_graph(
        nodes,
        "three",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, *SIZE])],
        [helper.make_tensor_value_info(f"y{mark}", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def saved(model, path):
    onnx.save(model, path)
    return path


def apart(one, other, **kwargs):
    forms = [OneForm(one, INPUT), OneForm(other, INPUT, **kwargs)]
    return layers_apart(*forms, frames(4), limits=RunLimits())


def test_the_layer_whose_weights_differ_is_the_first_to_part(tmp_path):
    other = np.random.default_rng(9).normal(scale=0.1, size=(16, 16, 3, 3))
    one = saved(network(), tmp_path / "one.onnx")
    two = saved(network(third=other), tmp_path / "two.onnx")
    found = apart(one, two)
    assert [layer.name for layer in found][:6] == [
        "conv1", "relu1", "conv2", "relu2", "conv3", "relu3"
    ]  # fmt: skip
    first = next(layer for layer in found if layer.noise > 0.01)
    assert (first.name, first.op, first.kept) == ("conv3", "Conv", True)
    assert all(layer.noise < 1e-9 for layer in found[:4])


def test_files_that_share_no_name_are_matched_by_order(tmp_path):
    one = saved(network(), tmp_path / "one.onnx")
    found = apart(one, saved(network(renamed=True), tmp_path / "two.onnx"))
    assert [layer.name for layer in found] == ["conv1", "conv2", "conv3", "head"]
    assert not any(layer.kept for layer in found)
    assert all(layer.noise < 1e-9 for layer in found)
    shorter = network(renamed=True)
    shorter.graph.node.pop()
    shorter.graph.output[0].name = "f_"
    assert apart(one, saved(shorter, tmp_path / "three.onnx")) == ()


def test_layers_of_an_int8_form_are_those_that_the_next_ones_read(tmp_path):
    one = saved(network(), tmp_path / "one.onnx")
    two = tmp_path / "two.onnx"
    two.write_bytes(int8_form(one, model=MODEL, calibration=frames(16)))
    found = apart(one, two)
    assert len(found) >= 4
    assert max(layer.noise for layer in found) < 0.05


def test_another_level_of_optimisation_parts_nowhere(tmp_path):
    one = saved(network(), tmp_path / "one.onnx")
    found = apart(one, one, runtime=RuntimeSpec(optimisation="none", threads=2))
    assert max(layer.noise for layer in found) < 1e-9


def test_a_runtime_is_obeyed_and_enters_the_digest(tmp_path):
    path = saved(network(), tmp_path / "one.onnx")
    given = open_onnx(path, model=MODEL, classes=("a", "b"))
    other = open_onnx(path, model=MODEL, classes=("a", "b"), runtime=RuntimeSpec(threads=2))
    assert given.digest != other.digest
    np.testing.assert_allclose(
        given.predict(frames(8)).probabilities, other.predict(frames(8)).probabilities, atol=1e-6
    )
    with pytest.raises(ModelError, match=r"found no TensorrtExecutionProvider.*it has"):
        open_onnx(path, model=MODEL, classes=("a", "b"),
                  runtime=RuntimeSpec(providers=("TensorrtExecutionProvider",)))  # fmt: skip


def test_torch_takes_threads_alone():
    with pytest.raises(ModelError, match="threads` alone"):
        take_threads(RuntimeSpec(optimisation="none"))


def test_half_precision_halves_the_file_and_keeps_the_answers(tmp_path):
    path = saved(network(), tmp_path / "one.onnx")
    half = tmp_path / "half.onnx"
    half.write_bytes(half_form(path, model=MODEL))
    assert half.stat().st_size < 0.62 * path.stat().st_size
    made = open_onnx(half, model=MODEL, classes=("a", "b"))
    given = open_onnx(path, model=MODEL, classes=("a", "b"))
    np.testing.assert_allclose(
        made.predict(frames(8)).probabilities, given.predict(frames(8)).probabilities, atol=0.01
    )
    assert made.facts.inputs[0].dtype == "tensor(float)"
    with pytest.raises(ModelError, match="no weight in 32 bits"):
        half_form(half, model=MODEL)


class Two(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.conv = torch.nn.Conv2d(3, 8, 3)
        self.head = torch.nn.Linear(8, 2)

    def forward(self, image):
        features = self.conv(image).relu().mean(dim=(2, 3))
        return {"scores": self.head(features), "features": features}


class Scores(Two):
    def forward(self, image):
        return self.head(self.conv(image).relu().mean(dim=(2, 3)))


@pytest.mark.parametrize("scripted", [False, True])
def test_an_export_answers_as_the_network(tmp_path, scripted):
    network = Two().eval()
    example, tensors = torch.zeros(1, 3, *SIZE), lambda made: {"": made["scores"]}
    script = torch.jit.script(Scores().eval())
    content = exported(script if scripted else network, example, tensors=tensors)
    path = tmp_path / "made.onnx"
    path.write_bytes(content)
    made = open_onnx(path, model=MODEL, classes=("a", "b"))
    batch = frames(5)
    tensor = torch.from_numpy((batch / 255 - 0.5) / 0.25).float().permute(0, 3, 1, 2)
    with torch.inference_mode():
        there = network(tensor)["scores"].softmax(dim=1).numpy()
    np.testing.assert_allclose(made.predict(batch).probabilities, there, atol=1e-5)


def test_what_cannot_be_exported_is_an_error():
    class Odd(torch.nn.Module):
        def forward(self, image):
            return torch.linalg.eigvals(image[..., :3, :3]).real

    with pytest.raises(ModelError, match="torch cannot write this network as ONNX"):
        exported(Odd(), torch.eye(4)[None, None], tensors=lambda made: {"y": made})


def test_zeros_are_counted_one_by_one_by_channel_and_in_fours():
    dense = np.ones((4, 8, 3, 3))
    dense[1] = 0
    half = np.ones((2, 8))
    half[:, ::2] = 0
    found = sparsity_of([dense, half])
    assert found == {
        "weights": 304, "zeros": 80, "channels": 6, "zero_channels": 1, "layers": 2,
        "two_in_four": 1,
    }  # fmt: skip


def test_zeros_of_a_file_are_those_of_its_weights_also_in_integers(tmp_path):
    path = saved(network(dropped=slice(0, 4)), tmp_path / "one.onnx")
    found = sparsity_of(onnx_weights(OnnxGraph(onnx.load(path))))
    assert (found["zero_channels"], found["layers"], found["zeros"]) == (4, 4, 4 * 16 * 9)
    int8 = tmp_path / "int8.onnx"
    int8.write_bytes(int8_form(path, model=MODEL, calibration=frames(8)))
    coarse = sparsity_of(onnx_weights(OnnxGraph(onnx.load(int8))))
    assert (coarse["zero_channels"], coarse["weights"]) == (4, found["weights"])
    assert coarse["zeros"] > found["zeros"]
    weights = float_weights(Two())
    assert sorted(tuple(w.shape) for w in weights) == [(2, 8), (8, 3, 3, 3)]


def test_operators_are_counted_also_inside_of_branches():
    inner = helper.make_graph(
        [helper.make_node("Det", ["x"], ["z"])], "then", [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
    )  # fmt: skip
    nodes = [
        helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner),
        helper.make_node("QLinearAdd", ["y"], ["o"], domain="com.microsoft"),
    ]
    graph = helper.make_graph(nodes, "g", [], [])
    assert operators_of(graph) == {
        "ai.onnx:Det": 2, "ai.onnx:If": 1, "com.microsoft:QLinearAdd": 1
    }  # fmt: skip


def test_each_list_has_its_source_and_lists_a_convolution():
    lists = operator_lists()
    assert len({each.id for each in lists}) == len(lists) == 4
    for each in lists:
        assert each.source
        assert each.date
        assert each.missing({"ai.onnx:Conv": 3, "ai.onnx:Constant": 1}) == ()
        assert each.missing({"ai.onnx:Det": 1, "org.own:Conv": 1}) == (
            "ai.onnx:Det",
            "org.own:Conv",
        )
    assert not lists[0].speaks_of(20)
    assert lists[0].speaks_of(13)
