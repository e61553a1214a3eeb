"""TorchScript is code: what acts instead of computing is refused before any of it runs."""

import re
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from auditor.errors import ModelError
from auditor.models.torch_weights import load_torchscript
from auditor.models.torchscript_operators import foreign_operators, require_arithmetic
from auditor.models.torchvision_ops import import_torchvision


class Mapping(nn.Module):
    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Its result is used, else the compiler leaves the call out.
        return x.flatten(1)[:, :2] + torch.from_file(self.target, shared=True, size=4)[:2]


class OnLoading(nn.Module):
    """Loading the file is enough: torch runs what sets the module's state."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)[:, :2]

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return (self.target, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.target = state[0]
        self.training = torch.from_file(state[0], shared=True, size=4).numel() > 0


class Saving(Mapping):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, self.target)
        return x.flatten(1)[:, :2]


class Forking(Mapping):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.jit.wait(torch.jit.fork(torch.neg, x)).flatten(1)[:, :2]


def scripted(module: nn.Module, path: Path) -> Path:
    torch.jit.save(torch.jit.script(module.eval()), str(path))
    return path


def rewritten(path: Path, old: str, new: str) -> Path:
    """The archive with its source changed by hand, as only its maker would."""
    out = path.with_name("rewritten.pt")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as target:
        for item in source.infolist():
            content = source.read(item)
            if item.filename.endswith(".py"):
                changed = re.sub(old, new, content.decode())
                content = changed.encode()
            target.writestr(item, content)
    return out


@pytest.mark.parametrize(
    ("kind", "named"),
    [(Mapping, "from_file"), (OnLoading, "from_file"), (Saving, "save"), (Forking, "fork")],
)
def test_what_acts_is_named_and_nothing_of_it_ran(tmp_path, kind, named):
    target = tmp_path / "written"
    path = scripted(kind(str(target)), tmp_path / "m.pt")
    with pytest.raises(ModelError, match=rf"m.pt calls .*{named}.*--trust-code"):
        load_torchscript(path, trust_code=False)
    assert not target.exists()


def test_trust_loads_it(tmp_path):
    module = load_torchscript(
        scripted(Mapping(str(tmp_path / "w")), tmp_path / "m.pt"), trust_code=True
    )
    module(torch.zeros(1, 3, 2, 2))
    assert (tmp_path / "w").exists()


@pytest.mark.parametrize(
    "line",
    [
        'torch.from_file("a", True, 4)',
        'torch.nn.from_file("a", True, 4)',
        '("a").from_file(True, 4)',
        'getattr(torch, "from_file")("a", True, 4)',
        "ops.aten.save(x, 'a')",
        "torch.ops.aten.save(x, 'a')",
        "ops.image.write_file('a', x)",
        "ops.profiler._record_function_enter('a')",
        "torch.manual_seed(3)",
        "x.set_data(x)",
        "print(x)",
        "f = print",
        "ops.prim.Print(x)",
        "fork(f, x)",
        "x.to_here()",
    ],
)
def test_no_spelling_hides_an_operator(line):
    assert list(foreign_operators(f"def forward(self, x: Tensor) -> Tensor:\n  {line}\n"))


def test_names_of_the_networks_own_are_free():
    own = "class A(Module):\n  seed_net : __torch__.mine.save.Net\n"
    body = "  def forward(self, x):\n    return (self.seed_net).forward(x.add_(1))\n"
    assert not list(foreign_operators(own + body))


def test_an_engine_of_another_kind_in_the_pickles_is_found(tmp_path):
    path = scripted(Mapping("x"), tmp_path / "m.pt")
    path = rewritten(path, r"torch\.from_file\([^()]*\)", "annotate(__torch__.torch.classes.dist)")
    with pytest.raises(ModelError, match=r"torch\.classes\.dist"):
        require_arithmetic(path)


@pytest.mark.parametrize("source", ["def f(:\n", "x = '\0'\n", "x = 'é'\n", "(" * 5000])
def test_source_that_cannot_be_read_is_refused(tmp_path, source):
    path = scripted(nn.Identity(), tmp_path / "m.pt")
    out = tmp_path / "out.pt"
    shutil.copy(path, out)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("m/code/other.py", source)
    with pytest.raises(ModelError, match="cannot be read"):
        require_arithmetic(out)


def test_a_second_file_in_other_case_is_refused(tmp_path):
    # torch takes records by name whatever their case: the harmless one would be read instead.
    path = scripted(nn.Identity(), tmp_path / "m.pt")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("m/CODE/other.PY", "torch.save(1, 'a')")
    with pytest.raises(ModelError, match="unusual archive"):
        require_arithmetic(path)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_0", "convnext_tiny"])
def test_usual_networks_are_arithmetic(tmp_path, name):
    # swin, vit, inception, googlenet, densenet, maxvit, regnet, shufflenet were tried by hand.
    net = import_torchvision().models.get_model(name, weights=None, num_classes=3).eval()
    require_arithmetic(scripted(net, tmp_path / "m.pt"))
