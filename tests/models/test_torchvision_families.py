"""Torchvision's detectors and segmenters by name, from a state dict and from an ONNX export."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from auditor.models.load import load_model  # noqa: E402
from auditor.models.torchvision_ops import import_torchvision  # noqa: E402
from auditor.spec import AuditSpec  # noqa: E402

FASTER = "fasterrcnn_mobilenet_v3_large_320_fpn"


def network(name, *, n_outputs, **more):
    torch.manual_seed(3)
    models = import_torchvision().models
    more |= {"weights": None, "weights_backbone": None, "num_classes": n_outputs}
    return models.get_model(name, **more).eval()


def loaded(path, *, task, output, side, architecture=None):
    model = {"path": path.name, "task": task, "classes": ("a", "b", "c"), "output": output,
             "architecture": architecture, "input": {"size": (side, side)}}  # fmt: skip
    data = {"test": {"images": ".", "annotations": "."}}
    spec = AuditSpec.model_validate({"audit": {"title": "t"}, "model": model, "data": data})
    spec = spec.model_copy(update={"folder": path.parent})
    return load_model(spec, classes=("a", "b", "c"))


def frames(side):
    coarse = np.random.default_rng(5).integers(0, 255, size=(2, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(side // 8, axis=1).repeat(side // 8, axis=2)


def test_a_detector_answers_alike_from_its_weights_and_from_its_export(tmp_path):
    module = network(FASTER, n_outputs=4)
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of shapes that tracing fixes
        torch.onnx.export(module, (torch.zeros(1, 3, 320, 320),), tmp_path / "export.onnx",
                          opset_version=17, dynamo=False)  # fmt: skip
    head = {"kind": "torchvision", "lowest_score": 0.0}
    given = {"task": "detection", "output": head, "side": 320}
    ours = loaded(tmp_path / "weights.pt", architecture=FASTER, **given).predict(frames(320))
    theirs = loaded(tmp_path / "export.onnx", **given).predict(frames(320))
    assert len(ours.answers) == len(theirs.answers) == 2
    for mine, other in zip(ours.answers, theirs.answers, strict=True):
        assert len(mine) == len(other) > 0
        assert mine.classes.tolist() == other.classes.tolist()
        np.testing.assert_allclose(mine.boxes, other.boxes, atol=0.01)
        np.testing.assert_allclose(mine.scores, other.scores, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "task", "output"),
    [
        ("ssdlite320_mobilenet_v3_large", "detection", "torchvision"),
        ("lraspp_mobilenet_v3_large", "segmentation", "semantic"),
        ("deeplabv3_mobilenet_v3_large", "segmentation", "semantic"),
    ],
)
def test_a_family_loads_by_name(tmp_path, name, task, output):
    more = {"aux_loss": True} if name.startswith("deeplab") else {}
    module = network(name, n_outputs=4 if task == "detection" else 3, **more)
    torch.save(module.state_dict(), tmp_path / "w.pt")
    found = loaded(tmp_path / "w.pt", task=task, output=output, side=64, architecture=name)
    answers = found.predict(frames(64)).answers
    assert len(answers) == 2
    if task == "segmentation":
        with torch.inference_mode():
            given = torch.from_numpy(frames(64) / np.float32(255)).permute(0, 3, 1, 2)
            wanted = module(given)["out"].argmax(dim=1).numpy()
        assert (answers[0].classes == wanted[0]).mean() > 0.999
