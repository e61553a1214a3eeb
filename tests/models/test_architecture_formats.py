"""One network in every format has one architecture, and published ones their published figures."""

import functools
import io
import tempfile
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from auditor.models.layers import Layer
from auditor.models.onnx_graph import OnnxGraph, read_onnx
from auditor.models.onnx_layers import onnx_architecture
from auditor.models.receptive_field import follow
from auditor.models.torch_layers import torch_architecture, trace
from auditor.models.torchvision_ops import import_torchvision
from auditor.spec import InputSpec

pytestmark = pytest.mark.slow

SIDE = 64


class Encoder(nn.Module):
    """Patches, torch's own encoder (which it fuses), and the mean of all positions."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 16, 16)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 5)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.encoder(tokens).mean(1))


class Mixer(nn.Module):
    """A layer over positions, as MLP-Mixer has: it sees the whole image without attention."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 16, 16)
        self.across, self.head = nn.Linear(16, 16), nn.Linear(16, 5)

    def forward(self, x):
        maps = self.patches(x).flatten(2)
        return self.head((maps + self.across(maps)).mean(2))


def _built(name):
    models = import_torchvision().models
    own = {
        "vit": lambda: models.VisionTransformer(
            image_size=SIDE, patch_size=16, num_layers=2, num_heads=4, hidden_dim=64, mlp_dim=128,
            num_classes=7),
        "swin": lambda: models.SwinTransformer(
            patch_size=[4, 4], embed_dim=24, depths=[2, 2], num_heads=[2, 4], window_size=[7, 7],
            num_classes=7),
        "encoder": Encoder,
        "mixer": Mixer,
    }  # fmt: skip
    return own[name]() if name in own else models.get_model(name, weights=None, num_classes=7)


@functools.cache
def network(name):
    """The network with other numbers in each parameter: exporters keep equal ones once."""
    torch.manual_seed(1)
    module = _built(name).eval()
    with torch.no_grad():
        for each in [*module.parameters(), *module.buffers()]:
            if each.is_floating_point():
                each += torch.rand_like(each) * 0.1
    return module


def facts_of(module, *, side=SIDE, device="cpu"):
    example = torch.rand(1, 3, side, side, device=device)
    return torch_architecture(
        trace(module, example), module=module, example=example, input=InputSpec(size=(side, side))
    )


def exported(module, *, dynamo):
    """Facts of the file that torch's exporter writes, with a batch of any size."""
    batch = {"dynamic_shapes": ({0: torch.export.Dim("n")},), "external_data": False}
    old = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}, "opset_version": 17}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "m.onnx"
        torch.onnx.export(
            module, (torch.rand(2, 3, SIDE, SIDE),), str(path), dynamo=dynamo, verbose=False,
            **(batch if dynamo else old),
        )  # fmt: skip
        return onnx_architecture(OnnxGraph(read_onnx(path).model), input=InputSpec(size=(64, 64)))


def scripted(module, *, how):
    example = torch.rand(1, 3, SIDE, SIDE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if how == "script":
            made = torch.jit.script(module)
        else:  # as a file is written where no gradients are wanted: attention is fused in it
            with torch.inference_mode():
                made = torch.jit.trace(module, example, check_trace=False)
        file = io.BytesIO()
        torch.jit.save(made, file)
        file.seek(0)
        return torch.jit.load(file)


SAME = ("flops", "n_convolutions", "n_depthwise", "n_linear", "depth", "residual_links",
        "concatenated_links", "receptive_field")  # fmt: skip
MERGED = {"densenet121", "efficientnet_b0", "mobilenet_v3_small", "regnet_y_400mf", "resnet18"}
"""Networks whose normalisations exporters merge into their convolutions."""

NAMES = ["vit", "swin", "encoder", "mixer", "convnext_tiny", *sorted(MERGED)]


def require_same(found, wanted, *, merged=False):
    for key in SAME:
        assert getattr(found, key) == getattr(wanted, key), key
    assert bool(found.poolings) == bool(wanted.poolings)
    if merged:
        assert 0.98 * wanted.n_parameters < found.n_parameters < wanted.n_parameters
    else:
        assert found.n_parameters == wanted.n_parameters


@pytest.mark.parametrize("how", ["script", "trace"])
@pytest.mark.parametrize("name", ["vit", "swin", "encoder", "mixer", "mobilenet_v3_small"])
def test_torchscript_is_counted_as_its_module(name, how):
    require_same(facts_of(scripted(network(name), how=how)), facts_of(network(name)))


@pytest.mark.parametrize("name", NAMES)
def test_onnx_is_counted_as_its_module(name):
    found = exported(network(name), dynamo=False)
    require_same(found, facts_of(network(name)), merged=name in MERGED)


@pytest.mark.parametrize("name", ["vit", "swin", "mobilenet_v3_small"])
def test_onnx_of_the_newer_exporter_is_counted_as_its_module(name):
    pytest.importorskip("onnxscript", reason="torch's newer exporter needs onnxscript")
    found = exported(network(name), dynamo=True)
    require_same(found, facts_of(network(name)), merged=name in MERGED)


@pytest.mark.parametrize(
    ("name", "links", "joined", "depth"),
    [("vit_b_16", 24, 0, 50), ("swin_t", 24, 0, 53), ("convnext_tiny", 18, 0, 59),
     ("efficientnet_b0", 9, 0, 82), ("densenet121", 0, 58, 121)],
)  # fmt: skip
def test_published_networks_have_their_published_figures(name, links, joined, depth):
    models = import_torchvision().models
    meta = next(iter(models.get_model_weights(name))).meta
    with torch.device("meta"):  # shapes alone: nothing is computed
        facts = facts_of(models.get_model(name, weights=None).eval(), side=224, device="meta")
    assert facts.flops / 2e9 == pytest.approx(meta["_ops"], abs=6e-4)
    assert facts.n_parameters == meta["num_params"]
    assert (facts.residual_links, facts.concatenated_links, facts.depth) == (links, joined, depth)
    assert facts.receptive_field >= 224


@pytest.mark.parametrize("name", ["vit", "swin", "encoder", "mixer", "mobilenet_v3_small"])
def test_attention_squeeze_and_layers_over_positions_see_the_whole_image(name):
    assert facts_of(network(name)).receptive_field == SIDE


def test_a_mean_over_positions_pools_and_one_over_channels_does_not():
    assert facts_of(network("encoder")).poolings == ("mean",)
    assert facts_of(network("vit")).poolings == ()

    class Normed(nn.Module):
        def forward(self, x):
            centred = x - x.mean(1, keepdim=True)
            return centred / (centred.pow(2).mean(1, keepdim=True) + 1e-6).sqrt()

    module = nn.Sequential(nn.Conv2d(3, 8, 3), Normed(), nn.Conv2d(8, 8, 3)).eval()
    assert facts_of(module).poolings == ()
    assert facts_of(module).receptive_field == 5
    assert exported(module, dynamo=False).poolings == ()


def test_a_part_written_in_place_is_followed():
    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

        def forward(self, x):
            made = torch.zeros(1, 4, SIDE, SIDE)
            made[:, :, 1:-1, 1:-1] = self.a(x)
            return self.b(made)

    facts = facts_of(Written().eval())
    assert (facts.n_convolutions, facts.depth) == (2, 2)


def test_flattened_maps_are_no_maps():
    layers = [
        Layer("conv", "convolution", ("image",), ("a",), kernel=(3, 3), stride=(1, 1),
              dilation=(1, 1), given=(1, 3, 8, 8), made=(1, 4, 6, 6)),
        Layer("flatten", "reshape", ("a",), ("b",), given=(1, 4, 6, 6), made=(1, 144)),
        Layer("linear", "linear", ("b",), ("c",), given=(1, 144), made=(1, 5), over=(1,)),
    ]  # fmt: skip
    conv, flat, linear = follow(layers, axes="ncss")
    assert (conv.axes, flat.axes) == ("ncss", "nm")
    assert linear.whole
    assert linear.pooled
