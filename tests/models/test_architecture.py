import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from auditor.models.architecture import HasArchitecture
from auditor.models.load import load_model
from auditor.models.onnx_graph import OnnxGraph, read_onnx
from auditor.models.onnx_layers import onnx_architecture
from auditor.models.penultimate import as_vectors, find_penultimate
from auditor.models.torch_layers import torch_architecture, trace
from auditor.models.torchvision_ops import import_torchvision
from auditor.spec import InputSpec

INPUT = InputSpec(size=(16, 16))


def conv(name, source, *, inputs, outputs, kernel=3, stride=1, groups=1, dilation=1):
    """A Conv node, padded to keep its size, with its weights."""
    weight = np.zeros((outputs, inputs // groups, kernel, kernel), dtype=np.float32)
    node = helper.make_node(
        "Conv", [source, f"{name}.w"], [name], strides=[stride] * 2, group=groups,
        pads=[dilation * (kernel // 2)] * 4, dilations=[dilation] * 2,
    )  # fmt: skip
    return node, numpy_helper.from_array(weight, f"{name}.w")


def graph_of(parts, output, *, more=()):
    """An OnnxGraph from nodes and (node, weight) pairs; the input is x, 16x16 RGB."""
    nodes = [p[0] if isinstance(p, tuple) else p for p in parts]
    weights = [p[1] for p in parts if isinstance(p, tuple)]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            initializer=[*weights, *more],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    return OnnxGraph(model)


def residual_graph(*, linked):
    head = numpy_helper.from_array(np.zeros((8, 5), dtype=np.float32), "head.w")
    parts = [
        conv("a", "x", inputs=3, outputs=8, stride=2),
        helper.make_node("Relu", ["a"], ["ra"]),
        conv("b", "ra", inputs=8, outputs=8, groups=8),
        conv("c", "b", inputs=8, outputs=8, kernel=1),
        helper.make_node("Add", ["c", "ra" if linked else "b2"], ["sum"]),
        helper.make_node("GlobalAveragePool", ["sum"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        (helper.make_node("Gemm", ["flat", "head.w"], ["y"]), head),
    ]
    bias = [numpy_helper.from_array(np.zeros((1, 8, 1, 1), dtype=np.float32), "b2")]
    return graph_of(parts, "y", more=() if linked else bias)


def test_an_onnx_graph_is_counted_by_hand():
    facts = onnx_architecture(residual_graph(linked=True), input=INPUT)
    assert (facts.n_convolutions, facts.n_depthwise, facts.n_linear) == (3, 1, 1)
    assert facts.n_parameters == 3 * 8 * 9 + 8 * 9 + 8 * 8 + 8 * 5
    per_pixel = 3 * 8 * 9 + 8 * 9 + 8 * 8
    assert facts.flops == 2 * (per_pixel * 8 * 8 + 8 * 5)
    assert facts.depth == 4
    assert facts.residual_links == 1
    # 3 pixels, then 2 more steps of 2 pixels each.
    assert facts.receptive_field == 7
    assert facts.input_numbers == 3 * 16 * 16
    assert facts.poolings == ("GlobalAveragePool",)
    assert facts.activations == ("Relu",)
    assert facts.layer_counts["Conv"] == 3
    assert not facts.quantised


def test_an_added_constant_is_no_link():
    facts = onnx_architecture(residual_graph(linked=False), input=INPUT)
    assert facts.residual_links == 0
    assert facts.n_parameters == 3 * 8 * 9 + 8 * 9 + 8 * 8 + 8 * 5 + 8


def test_concatenations_link_only_where_layers_were_skipped():
    wide = [
        conv("a", "x", inputs=3, outputs=4),
        conv("b", "a", inputs=4, outputs=4),
        conv("c", "a", inputs=4, outputs=4),
        helper.make_node("Concat", ["b", "c"], ["beside"], axis=1),
        helper.make_node("Concat", ["beside", "a"], ["past"], axis=1),
    ]
    facts = onnx_architecture(graph_of(wide, "past"), input=INPUT)
    assert facts.concatenated_links == 1
    assert facts.residual_links == 0
    assert facts.depth == 2


def test_dilation_and_pooling_widen_what_is_seen():
    parts = [
        conv("a", "x", inputs=3, outputs=4, kernel=3, dilation=2),
        helper.make_node("MaxPool", ["a"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        conv("b", "p", inputs=4, outputs=4, kernel=3),
    ]
    facts = onnx_architecture(graph_of(parts, "b"), input=INPUT)
    # 1 + 2*2 = 5, + 1 for the pooling, + 2 steps of 2 pixels.
    assert facts.receptive_field == 10


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.act = nn.ReLU()
        self.b = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.c = nn.Conv2d(8, 8, 1, bias=False)
        self.head = nn.Linear(8, 5, bias=False)

    def forward(self, x):
        x = self.act(self.a(x))
        x = x + self.c(self.b(x))
        return self.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Untraceable(Block):
    def forward(self, x):
        return super().forward(x) if float(x.mean()) > -9 else x


EXAMPLE = torch.rand(1, 3, 16, 16)


@pytest.mark.parametrize("form", ["module", "traced script", "scripted"])
def test_a_torch_module_is_counted_as_its_graph(form):
    module = Block().eval()
    if form == "scripted":
        module = torch.jit.script(module)
    elif form == "traced script":
        module = torch.jit.trace(module, EXAMPLE)
    network = trace(module, EXAMPLE)
    facts = torch_architecture(network, module=module, example=EXAMPLE, input=INPUT)
    wanted = onnx_architecture(residual_graph(linked=True), input=INPUT)
    for name in ("n_convolutions", "n_depthwise", "n_linear", "n_parameters", "flops", "depth",
                 "residual_links", "receptive_field", "input_numbers"):  # fmt: skip
        assert getattr(facts, name) == getattr(wanted, name), name


def test_a_module_whose_way_depends_on_the_image_shows_the_way_that_it_took():
    facts, wanted = (
        torch_architecture(trace(module, EXAMPLE), module=module, example=EXAMPLE, input=INPUT)
        for module in (Untraceable().eval(), Block().eval())
    )
    assert (facts.residual_links, facts.depth, facts.flops) == (1, 4, wanted.flops)
    assert facts.receptive_field == wanted.receptive_field


def test_published_networks_have_their_published_numbers():
    models = import_torchvision().models
    module = models.resnet18(weights=None).eval()
    example = torch.rand(1, 3, 224, 224)
    facts = torch_architecture(trace(module, example), module=module, example=example,
                               input=InputSpec(size=(224, 224)))  # fmt: skip
    assert facts.n_parameters == 11_689_512
    assert facts.flops == pytest.approx(2 * 1.814e9, rel=1e-3)
    assert (facts.residual_links, facts.depth, facts.n_convolutions) == (8, 18, 20)
    assert facts.receptive_field == 435


def test_real_graphs_have_their_published_numbers(tiny, shared_data):
    def facts_of(name, **given):
        file = read_onnx(shared_data / f"models/{name}.onnx")
        return onnx_architecture(OnnxGraph(file.model), input=InputSpec(size=(224, 224), **given))

    squeeze = facts_of("imagenet_squeezenet1.1_fp32")
    assert squeeze.n_parameters == 1_235_496
    assert squeeze.flops == pytest.approx(2 * 0.349e9, rel=0.01)
    assert (squeeze.n_convolutions, squeeze.residual_links) == (26, 0)
    raw = {"layout": "nhwc", "dtype": "uint8"}
    for name, quantised in (("fp32", False), ("int8qdq", True)):
        mobile = facts_of(f"imagenet_mobilenetv2_1.0_224_{name}", **raw)
        assert (mobile.residual_links, mobile.n_depthwise) == (10, 17)
        assert mobile.receptive_field == 491
        assert mobile.quantised == quantised


def test_predictors_can_say_what_they_are_made_of(tiny, tmp_path):
    spec = tiny.spec(tiny.channel_net(tmp_path / "m.onnx"))
    model = load_model(spec, classes=spec.model.classes)
    assert isinstance(model, HasArchitecture)
    assert model.architecture.n_convolutions == 2


def test_the_penultimate_tensor_is_what_the_last_weighted_layer_reads():
    graph = residual_graph(linked=True)
    found = find_penultimate(graph, "y")
    assert (found.tensor, found.features) == ("flat", "last")


def test_no_penultimate_tensor_behind_a_joint_or_of_a_single_layer():
    joined = [
        conv("a", "x", inputs=3, outputs=4),
        conv("b", "x", inputs=3, outputs=4),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    assert find_penultimate(graph_of(joined, "y"), "y") is None
    single = [
        conv("a", "x", inputs=3, outputs=4),
        helper.make_node("GlobalAveragePool", ["a"], ["y"]),
    ]
    assert find_penultimate(graph_of(single, "y"), "y") is None


def test_maps_and_tokens_are_averaged_over_all_but_the_features():
    maps = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    assert np.array_equal(as_vectors(maps, features="first", n=2), maps.mean(axis=(2, 3)))
    tokens = maps[:, :, :, 0]
    assert np.array_equal(as_vectors(tokens, features="last", n=2), tokens.mean(axis=1))
    assert np.array_equal(as_vectors(tokens[:, 0], features="last", n=2), tokens[:, 0])
