import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from auditor.errors import ModelError
from auditor.models.guess import guess_model_spec
from auditor.models.load import load_model


def test_what_the_graph_shows_is_not_a_guess(tiny, tmp_path):
    path = tiny.channel_net(
        tmp_path / "m.onnx", layout="nhwc", dtype="uint8", n_classes=1001, ending="Softmax", size=24
    )
    found = guess_model_spec(path)
    assert (found.size, found.layout, found.dtype) == ((24, 24), "nhwc", "uint8")
    assert (found.n_outputs, found.background, found.output) == (1001, 0, "probabilities")
    assert found.guesses == ("resize", "interpolation", "background")
    assert "uint8" in found.reason


def test_imagenet_numbers_are_marked_as_a_guess(tiny, tmp_path):
    found = guess_model_spec(tiny.channel_net(tmp_path / "m.onnx"))
    assert found.mean == (0.485, 0.456, 0.406)
    assert {"mean", "std", "scale", "channels"} <= set(found.guesses)
    assert "check with model/preprocessing" in found.reason
    assert (found.n_outputs, found.background, found.output) == (3, None, "logits")


@pytest.mark.parametrize(
    ("steps", "scale"),
    [
        ([("Sub", 127.5), ("Div", 127.5)], 1.0),
        ([("Mul", 1 / 255)], 1.0),
        ([("Sub", 0.45), ("Div", 0.22)], 255.0),
    ],
)
def test_a_graph_that_normalises_by_itself_is_left_alone(tiny, tmp_path, steps, scale):
    path = tiny.channel_net(tmp_path / "m.onnx")
    model, at = onnx.load(path), "x"
    nodes = []
    for i, (op, number) in enumerate(steps):
        nodes.append(helper.make_node(op, [at, f"k{i}"], [f"t{i}"]))
        model.graph.initializer.append(numpy_helper.from_array(np.float32(number), f"k{i}"))
        at = f"t{i}"
    model.graph.node[0].input[0] = at
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    onnx.save(model, path)
    found = guess_model_spec(path)
    assert (found.scale, found.mean, found.std) == (scale, (0.0,) * 3, (1.0,) * 3)
    assert "normalises by itself" in found.reason


def test_a_free_size_is_told(tiny, tmp_path):
    path = tiny.channel_net(tmp_path / "m.onnx")
    model = onnx.load(path)
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"side{axis}"
    onnx.save(model, path)
    found = guess_model_spec(path)
    assert found.size == (224, 224)
    assert "size" in found.guesses


def test_weights_show_how_many_outputs_they_have(tmp_path):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4, 9))
    torch.save(net.state_dict(), tmp_path / "w.pt")
    found = guess_model_spec(tmp_path / "w.pt")
    assert (found.format, found.n_outputs) == ("torch-weights", 9)
    assert "model.architecture" in found.reason


def test_a_guess_can_be_loaded(tiny, tmp_path):
    path = tiny.channel_net(tmp_path / "m.onnx", layout="nhwc", ending="Softmax")
    found = guess_model_spec(path)
    given = {k: getattr(found, k) for k in ("size", "layout", "dtype", "channels", "scale", "mean",
                                            "std")}  # fmt: skip
    spec = tiny.spec(path, input=given, output=found.output)
    assert load_model(spec, classes=spec.model.classes).predict(tiny.frames()).probabilities.any()


def test_no_model_no_guess(tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        guess_model_spec(tmp_path / "no.onnx")
