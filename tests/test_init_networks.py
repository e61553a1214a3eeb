"""`auditor init` of torchvision's detectors and segmenters, from their weights alone."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import auditor
from auditor.init import write_spec
from auditor.models.checkpoints import Checkpoint
from auditor.models.guess import guess_model_spec
from auditor.models.torchvision_ops import import_torchvision
from auditor.models.whole_network_guess import guess_whole_network
from auditor.spec.spec_file import read_spec

SIDE, N = 48, 12
NAMES = ("cup", "fork")


def state(name, *, n_outputs, **more):
    torch.manual_seed(2)
    given = {"weights": None, "weights_backbone": None, "num_classes": n_outputs, **more}
    return import_torchvision().models.get_model(name, **given).state_dict()


def photos(folder):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(4)
    for i in range(N):
        pixels = rng.integers(0, 255, size=(SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p{i:02}.png")


def objects(folder):
    folder.mkdir()
    for i in range(N):
        (folder / f"p{i:02}.txt").write_text(f"{i % 2} 0.5 0.5 0.4 0.4\n")
    (folder.parent / "data.yaml").write_text("names: [cup, fork]\n")


def maps(folder):
    folder.mkdir()
    for i in range(N):
        drawn = np.zeros((SIDE, SIDE), dtype=np.uint8)
        drawn[: 8 + i] = 1
        Image.fromarray(drawn).save(folder / f"p{i:02}_mask.png")
    (folder.parent / "classes.txt").write_text("cup\nfork\n")


def round_trip(tmp_path, model, *, side):
    """The spec that `init` writes of a model and the data beside it, and its audit at `side`."""
    write_spec(model, tmp_path / "data", out=tmp_path / "a.yaml")
    spec = read_spec(tmp_path / "a.yaml").spec
    text = (tmp_path / "a.yaml").read_text()
    small = text.replace(f"size: {list(spec.model.input.size)}", f"size: [{side}, {side}]")
    assert small != text
    (tmp_path / "a.yaml").write_text(small)
    record = auditor.run(tmp_path / "a.yaml", out=tmp_path / "out", only=("performance/overall",))
    (found,) = (r for r in record.results if r.check == "performance/overall")
    assert found.measures
    return spec, text


def test_a_detector_s_weights_give_a_spec_that_runs(tmp_path):
    photos(tmp_path / "data" / "images")
    objects(tmp_path / "data" / "labels")
    name = "ssdlite320_mobilenet_v3_large"
    model = tmp_path / "best.safetensors"
    save_file(state(name, n_outputs=3), model)
    spec, text = round_trip(tmp_path, model, side=64)
    assert (spec.model.architecture, spec.model.task) == (name, "detection")
    assert (spec.model.output.kind, spec.model.output.first_class) == ("torchvision", 1)
    assert spec.model.classes == NAMES
    assert (spec.model.input.size, spec.model.input.resize) == ((320, 320), "letterbox")
    assert (spec.model.input.mean, spec.model.input.std) == ((0.0,), (1.0,))
    assert "first_class: 1   # guess" in text


def test_a_segmenter_s_weights_give_a_spec_that_runs(tmp_path):
    photos(tmp_path / "data" / "images")
    maps(tmp_path / "data" / "masks")
    torch.save(state("lraspp_mobilenet_v3_large", n_outputs=2), tmp_path / "w.pth")
    spec, _ = round_trip(tmp_path, tmp_path / "w.pth", side=64)
    assert (spec.model.architecture, spec.model.task) == (
        "lraspp_mobilenet_v3_large", "segmentation",
    )  # fmt: skip
    assert spec.model.output.kind == "semantic"
    assert len(spec.model.input.mean) == 3


@pytest.mark.parametrize(
    ("name", "task", "width", "side", "more"),
    [
        ("fasterrcnn_mobilenet_v3_large_320_fpn", "detection", 4, 320, {}),
        ("maskrcnn_resnet50_fpn", "instance-segmentation", 7, 640, {}),
        ("retinanet_resnet50_fpn_v2", "detection", 91, 640, {}),
        ("deeplabv3_mobilenet_v3_large", "segmentation", 21, 520, {"aux_loss": True}),
        ("deeplabv3_mobilenet_v3_large", "segmentation", 5, 520, {}),
    ],
)
def test_a_network_is_found_with_its_task_and_outputs(tmp_path, name, task, width, side, more):
    from auditor.models.architecture_guess import Unfilled

    with Unfilled():
        weights = state(name, n_outputs=width, **more)
    weights = {f"module.{k}": v for k, v in weights.items()}
    found = guess_whole_network(Checkpoint(weights), file=tmp_path / f"{name}_best.pth")
    assert (found.name, found.task, found.width, found.side) == (name, task, width, side)


def test_networks_of_equal_weights_are_both_named(tmp_path):
    weights = Checkpoint(state("fasterrcnn_mobilenet_v3_large_fpn", n_outputs=3))
    found = guess_whole_network(weights, file=tmp_path / "best.pt")
    assert {found.name, *found.alike} == {
        "fasterrcnn_mobilenet_v3_large_fpn", "fasterrcnn_mobilenet_v3_large_320_fpn",
    }  # fmt: skip


def test_weights_of_another_shape_and_classifiers_are_nobody_s(tmp_path):
    weights = state("ssdlite320_mobilenet_v3_large", n_outputs=3)
    odd = next(k for k in weights if "classification_head" in k and weights[k].ndim == 4)
    weights[odd] = weights[odd][:-1]
    assert guess_whole_network(Checkpoint(weights), file=tmp_path / "w.pt") is None
    plain = import_torchvision().models.get_model("mobilenet_v3_small", num_classes=3)
    assert guess_whole_network(Checkpoint(plain.state_dict()), file=tmp_path / "w.pt") is None


def test_as_many_classes_as_outputs_leave_no_background(tmp_path):
    saved = {"model": state("ssdlite320_mobilenet_v3_large", n_outputs=3), "epoch": 4}
    torch.save(saved, tmp_path / "w.pt")
    heads = [guess_model_spec(tmp_path / "w.pt", n_classes=n).head for n in (2, 3)]
    assert ['"first_class": 1' in heads[0], '"first_class": 0' in heads[1]] == [True, True]
