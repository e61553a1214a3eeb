"""A decoder of the user's own: trusted code, and what it gives is checked."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from auditor.errors import ModelError
from auditor.models.load import load_model
from auditor.spec import AuditSpec

BOXES = """
import numpy as np
import beside

def decode(outputs, classes, size):
    assert classes == ("a", "b") and size == (16, 24)
    mean = float(outputs["out"].mean())
    one = {"boxes": np.array([[1.0, 2, 9, 12], [0, 0, 30, 5]]), "scores": np.array([0.9, 0.4]),
           "classes": np.array([1, beside.FIRST])}
    return [one for _ in outputs["out"]]

def wrong(outputs, classes, size):
    return GIVEN

def fails(outputs, classes, size):
    return outputs["absent"]

def maps(outputs, classes, size):
    return [np.eye(*size, dtype=np.uint8) for _ in outputs["out"]]

def masks(outputs, classes, size):
    drawn = np.zeros((1, *size), dtype=bool)
    drawn[0, 3:6, 2:9] = True
    return [{"boxes": np.array([[2, 3, 9, 6]]), "scores": np.array([1.0]), "masks": drawn,
             "classes": np.array([0])} for _ in outputs["out"]]
"""


def loaded(folder, function="decode", *, task="detection", trust=True, given="None"):
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ("n", 3, 16, 24))
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ("n", 3, 16, 24))
    node = helper.make_node("Relu", ["image"], ["out"])
    graph = helper.make_graph([node], "g", [image], [out])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "m.onnx")
    (folder / "beside.py").write_text("FIRST = 0\n")
    (folder / "mine.py").write_text(BOXES.replace("GIVEN", given))
    output = {"kind": "own", "decoder": f"mine:{function}", "task": task}
    model = {"path": "m.onnx", "task": task, "classes": ("a", "b"), "output": output,
             "input": {"size": (16, 24)}}  # fmt: skip
    data = {"test": {"images": ".", "annotations": "."}}
    spec = AuditSpec.model_validate({"audit": {"title": "t"}, "model": model, "data": data})
    spec = spec.model_copy(update={"folder": folder})
    return load_model(spec, classes=("a", "b"), trust_code=trust)


FRAMES = np.zeros((2, 16, 24, 3), dtype=np.uint8)


def test_a_decoder_is_called_with_outputs_classes_and_size(tmp_path):
    model = loaded(tmp_path)
    assert model.facts.trusted_code
    first, second = model.predict(FRAMES).answers
    assert first.scores.tolist() == second.scores.tolist() == [0.9, 0.4]
    assert first.classes.tolist() == [1, 0]
    assert first.boxes.tolist() == [[1, 2, 9, 12], [0, 0, 30, 5]]
    digest = model.digest
    assert loaded(tmp_path).digest == digest
    assert loaded(tmp_path, given="1").digest != digest


def test_class_maps_and_masks_are_taken(tmp_path):
    found = loaded(tmp_path, "maps", task="segmentation").predict(FRAMES).answers
    assert (found[0].classes == np.eye(16, 24)).all()
    (one, _) = loaded(tmp_path, "masks", task="instance-segmentation").predict(FRAMES).answers
    assert one.patches[0].drawn((16, 24)).full((16, 24)).sum() == 3 * 7


def test_without_trust_it_is_not_run(tmp_path):
    with pytest.raises(ModelError, match=r"output\.decoder 'mine:decode' is Python code"):
        loaded(tmp_path, trust=False)


BOX = "{'boxes': np.ones((1, 4)) * [1, 2, 5, 6], 'scores': np.ones(1), 'classes': np.zeros(1)}"


@pytest.mark.parametrize(
    ("given", "task", "says"),
    [
        ("None", "detection", "gave a NoneType, expected a list"),
        ("[3]", "detection", "gave a int for an image, expected a mapping of boxes"),
        (f"[{{**{BOX}, 'boxes': np.ones((1, 5))}}]", "detection", r"gave boxes \(1, 5\)"),
        (f"[{{**{BOX}, 'scores': np.ones(1) * 7}}]", "detection", "from 7 to 7"),
        (f"[{{**{BOX}, 'classes': np.ones(1) * 2}}]", "detection", "class labels from 2 to 2"),
        (f"[{{**{BOX}, 'boxes': np.ones((1, 4)) * np.nan}}]", "detection", "no numbers"),
        (f"[{BOX}, {BOX}]", "detection", "answers for 2 of 1 images"),
        (f"[{BOX}]", "instance-segmentation", "masks"),
        ("[np.zeros((4, 4), dtype=int)]", "segmentation", "class maps"),
        ("[np.full((16, 24), 2)]", "segmentation", "numbers from 2 to 2"),
    ],
)
def test_what_is_none_of_these_is_refused(tmp_path, given, task, says):
    with pytest.raises(ModelError, match=says):
        loaded(tmp_path, "wrong", task=task, given=given)


@pytest.mark.parametrize(("function", "says"), [("fails", "KeyError"), ("absent", "no attribute")])
def test_code_that_fails_is_said(tmp_path, function, says):
    with pytest.raises(ModelError, match=f"(?s)output.decoder mine:{function}.*{says}"):
        loaded(tmp_path, function)
