"""The network of torchvision that weights belong to is told from their names and shapes."""

import sys
import types
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from auditor.errors import MissingLibraryError, ModelError
from auditor.models.architecture_guess import guess_architecture
from auditor.models.checkpoints import read_checkpoint
from auditor.models.timm_networks import stated_network
from auditor.models.torch_weights import build_architecture
from auditor.models.torchvision_ops import import_torchvision

FORMS = {
    "plain": lambda state: state,
    "wrapped": lambda state: {"net": state, "acc": 91.2},
    "in parallel": lambda state: {"net": {f"module.{k}": v for k, v in state.items()}},
    "of doubles": lambda state: {
        k: v.double() if v.is_floating_point() else v for k, v in state.items()
    },
}


@pytest.mark.parametrize(
    ("name", "form", "file"),
    [
        ("resnet34", "wrapped", "best.pth"),
        ("resnet18", "in parallel", "resnet34.pth"),
        ("shufflenet_v2_x0_5", "of doubles", "best.pth"),
        ("mobilenet_v3_small", "plain", "mobilenet_v3_small-5.pth"),
        ("squeezenet1_1", "plain", "best.pth"),
    ],
)
def test_a_network_is_found_with_its_outputs(tmp_path, name, form, file):
    state = import_torchvision().models.get_model(name, weights=None, num_classes=7).state_dict()
    torch.save(FORMS[form](state), tmp_path / file)
    checkpoint = read_checkpoint(tmp_path / file, safetensors=False)
    for assumed in (7, 3, None):
        found = guess_architecture(checkpoint, file=tmp_path / file, n_outputs=assumed)
        assert (found.name, found.n_outputs) == (name, 7)


def test_other_weights_are_nobodys(tmp_path):
    state = import_torchvision().models.resnet18(num_classes=3).state_dict()
    state["layer1.0.conv1.weight"] = torch.zeros(64, 64, 5, 5)
    torch.save(state, tmp_path / "resnet18.pth")
    checkpoint = read_checkpoint(tmp_path / "resnet18.pth", safetensors=False)
    assert guess_architecture(checkpoint, file=Path("resnet18.pth"), n_outputs=3) is None


def test_a_name_of_timm_is_torchvisions_network_of_that_name_or_refused():
    given = {"n_outputs": 3, "folder": Path(), "trust_code": False}
    for name in ("resnet18.a1_in1k", "timm/resnet18.a1_in1k"):
        assert type(build_architecture(name, **given)).__name__ == "ResNet"
    with pytest.raises(ModelError, match="For one of timm give `timm:vit_base_patch16_224`"):
        build_architecture("vit_base_patch16_224.augreg_in1k", **given)


def test_without_timm_its_networks_are_refused_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingLibraryError, match=r"pip install 'auditor\[timm\]'"):
        build_architecture(
            "timm:vit_tiny_patch16_224", n_outputs=3, folder=Path(), trust_code=False
        )
    assert stated_network({"arch": "vit_tiny_patch16_224"}, Path("m.pth")) is None


@pytest.fixture
def timm(monkeypatch):
    """A library with timm's two functions, and a network that torchvision does not have."""
    made = types.ModuleType("timm")
    made.__version__ = "1"
    made.list_models = lambda: ["plainnet18", "plainnet34"]
    made.create_model = lambda name, pretrained, num_classes: torch.nn.Sequential(
        OrderedDict(conv=torch.nn.Conv2d(3, 4, 3), fc=torch.nn.Linear(4, num_classes))
    )
    monkeypatch.setitem(sys.modules, "timm", made)


def test_networks_of_timm_by_name(timm, tmp_path):
    given = {"n_outputs": 3, "folder": Path(), "trust_code": False}
    network = build_architecture("timm:plainnet18.a1_in1k", **given)
    assert network.fc.out_features == 3
    with pytest.raises(ModelError, match="Did you mean timm:plainnet18"):
        build_architecture("timm:plainet18", **given)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "best.pth")
    checkpoint = read_checkpoint(tmp_path / "best.pth", safetensors=False)
    assert guess_architecture(checkpoint, file=tmp_path / "best.pth", n_outputs=3) is None
    (tmp_path / "config.json").write_text('{"architecture": "plainnet18"}')
    found = guess_architecture(checkpoint, file=tmp_path / "best.pth", n_outputs=2)
    assert (found.name, found.n_outputs) == ("timm:plainnet18", 3)
    assert found.called == "timm's plainnet18"


def test_a_real_network_of_timm(tmp_path):
    timm = pytest.importorskip("timm", reason="timm is not installed (extra `timm`)")
    state = timm.create_model("vit_tiny_patch16_224", num_classes=3).state_dict()
    torch.save({"arch": "vit_tiny_patch16_224", "state_dict": state}, tmp_path / "m.pth")
    checkpoint = read_checkpoint(tmp_path / "m.pth", safetensors=False)
    found = guess_architecture(checkpoint, file=tmp_path / "m.pth", n_outputs=3)
    assert found.name == "timm:vit_tiny_patch16_224"
