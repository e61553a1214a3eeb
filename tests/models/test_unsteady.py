"""Operators that draw at random or take the batch's mean are named, in every format."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn
from torch.nn import functional

from auditor.models.architecture import Unsteady
from auditor.models.onnx_unsteady import onnx_unsteady
from auditor.models.torch_layers import unsteady_run
from auditor.models.torchscript_unsteady import scripted_unsteady


def graph_of(nodes, *, constants=(), name="g"):
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 4]) for n in "xy")
    return helper.make_graph(nodes, name, [x], [y], list(constants))


def model_of(nodes, *, opset=17, constants=(), functions=()):
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    return helper.make_model(
        graph_of(nodes, constants=constants), opset_imports=opsets, functions=list(functions)
    )


def number(name, value):
    return onnx.numpy_helper.from_array(np.array(value), name)


HALF, TRAINS, RESTS = number("half", np.float32(0.5)), number("on", True), number("off", False)
NONE = number("none", np.float32(0))


def dropout(*inputs):
    return helper.make_node("Dropout", ["x", *inputs], ["y"])


@pytest.mark.parametrize(
    ("op", "attributes", "inputs"),
    [
        ("RandomNormalLike", {}, ["x"]),
        ("RandomUniformLike", {"seed": 1.0}, ["x"]),
        ("RandomNormal", {"shape": [1, 4]}, []),
        ("RandomUniform", {"shape": [1, 4]}, []),
        ("Bernoulli", {}, ["x"]),
        ("Multinomial", {"sample_size": 1}, ["x"]),
    ],
)
def test_an_onnx_operator_that_draws_is_named(op, attributes, inputs):
    model = model_of([helper.make_node(op, inputs, ["y"], **attributes)])
    assert onnx_unsteady(model) == Unsteady(random=(op,))


@pytest.mark.parametrize(
    ("node", "opset", "drops"),
    [
        (dropout(), 17, False),
        (dropout("half", "off"), 17, False),
        (dropout("half", "on"), 17, True),
        (dropout("", "on"), 17, True),
        (dropout("none", "on"), 17, False),
        (dropout("half", "x"), 17, True),  # a mode that is computed
        (dropout(), 10, False),
        (helper.make_node("Dropout", ["x"], ["y"], is_test=1), 6, False),
        (helper.make_node("Dropout", ["x"], ["y"]), 6, True),
    ],
)
def test_a_dropout_in_training_mode_draws(node, opset, drops):
    model = model_of([node], opset=opset, constants=[HALF, TRAINS, RESTS, NONE])
    assert onnx_unsteady(model).random == (("Dropout",) if drops else ())


def test_a_mode_may_be_stored_in_a_node():
    mode = helper.make_node("Constant", [], ["mode"], value=TRAINS)
    assert onnx_unsteady(model_of([mode, dropout("", "mode")])).random == ("Dropout",)


@pytest.mark.parametrize(("training", "named"), [(0, ()), (1, ("BatchNormalization",))])
def test_batch_normalisation_in_training_mode_takes_the_batch(training, named):
    outputs = ["y", "mean", "var"] if training else ["y"]
    node = helper.make_node(
        "BatchNormalization", ["x", "s", "b", "m", "v"], outputs, training_mode=training
    )
    assert onnx_unsteady(model_of([node])).batch == named


def test_graphs_within_graphs_and_functions_are_looked_into():
    draws = helper.make_node("RandomNormalLike", ["x"], ["y"])
    inner = helper.make_graph(
        [draws], "inner", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    )
    branch = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    assert onnx_unsteady(model_of([branch])).random == ("RandomNormalLike",) * 2
    function = helper.make_function(
        "own", "Noisy", ["x"], ["y"], [draws], [helper.make_opsetid("", 17)]
    )
    call = helper.make_node("Noisy", ["x"], ["y"], domain="own")
    assert onnx_unsteady(model_of([call], functions=[function])).random == ("RandomNormalLike",)


class Drawing(nn.Module):
    def forward(self, x):
        return functional.dropout(x, 0.5)  # in training mode unless told otherwise


class Resting(nn.Module):
    def forward(self, x):
        return functional.dropout(x, 0.5, training=self.training)


class Attending(nn.Module):
    __constants__ = ("dropped",)

    def __init__(self, dropped):
        super().__init__()
        self.dropped = dropped

    def forward(self, x):
        return functional.scaled_dot_product_attention(x, x, x, dropout_p=self.dropped)


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


class Seldom(nn.Module):
    def forward(self, x):
        if bool(x.sum() > 1e6):
            x = x * torch.bernoulli(torch.full_like(x, 0.5))
        return x


def left_training():
    module = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(3)).eval()
    module[0].training = module[1].training = True
    return module


MODULES = [
    (lambda: Drawing().eval(), True, False),
    (lambda: Resting().eval(), False, False),
    (lambda: Noisy().eval(), True, False),
    (lambda: Attending(0.0).eval(), False, False),
    (lambda: Attending(0.2).eval(), True, False),
    (lambda: nn.RReLU().eval(), False, False),
    (lambda: nn.BatchNorm2d(3).eval(), False, False),
    (lambda: nn.BatchNorm2d(3, track_running_stats=False).eval(), False, True),
    (lambda: nn.InstanceNorm2d(3).eval(), False, False),
    (left_training, True, True),
]


@pytest.mark.parametrize(("make", "random", "batch"), MODULES)
def test_what_a_torch_module_draws_is_seen_when_it_runs(make, random, batch):
    found = unsteady_run(make(), torch.rand(1, 3, 4, 4))
    assert (bool(found.random), bool(found.batch)) == (random, batch)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(("make", "random", "batch"), MODULES)
def test_what_torchscript_draws_is_read_in_its_program(make, random, batch):
    forms = [torch.jit.trace(make(), torch.rand(1, 3, 4, 4), check_trace=False)]
    if make is not left_training:  # a script keeps its flags, and loading sets them
        forms.append(torch.jit.script(make()))
    for module in forms:
        found = scripted_unsteady(module)
        assert (bool(found.random), bool(found.batch)) == (random, batch)


def test_a_branch_that_is_seldom_taken_is_read_too():
    found = scripted_unsteady(torch.jit.script(Seldom().eval()))
    assert "bernoulli" in found.random
