"""PyTorch weights through the command line: what is read, what is refused, what trust records."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from coloured_rooms import make_world
from typer.testing import CliRunner

import auditor
from auditor.cli import app
from auditor.models.torchvision_ops import import_torchvision

ARCHITECTURE = """
import torchvision

def build(num_classes):
    return torchvision.models.get_model("resnet18", weights=None, num_classes=num_classes)
"""


class Intruder:
    """Unpickled, it leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A world with the weights of an untrained resnet18, and code that builds it."""
    spec = make_world(tmp_path_factory.mktemp("torch") / "world", sizes=(60, 30, 30))
    torch.manual_seed(0)
    models = import_torchvision().models
    net = models.get_model("resnet18", weights=None, num_classes=2)
    torch.save(net.state_dict(), spec.parent / "weights.pt")
    (spec.parent / "architecture.py").write_text(ARCHITECTURE)
    return spec


def run(world, out, *arguments, path="weights.pt", architecture="architecture:build"):
    model = f"path: {path}\n  architecture: {architecture}"
    spec = world.with_name("torch.yaml")
    spec.write_text(world.read_text().replace("path: model.onnx", model))
    chosen = ["--only", "performance/overall", "--only", "model/architecture"]
    command = ["run", str(spec), "--out", str(out), "--quiet", *chosen, *arguments]
    return CliRunner().invoke(app, command)


def test_the_authors_code_is_not_run_unless_trusted(world, tmp_path):
    result = run(world, tmp_path / "out")
    assert result.exit_code != 0
    assert "--trust-code" in str(result.exception)
    assert not (tmp_path / "out" / "audit.json").exists()


def test_trusted_code_is_run_and_page_one_says_so(world, tmp_path):
    result = run(world, tmp_path, "--trust-code")
    assert result.exit_code in (1, 3), result.output
    record = auditor.read_record(tmp_path / "audit.json")
    assert record.model.trusted_code
    assert record.provenance.trusted_code
    assert "own code was run during this audit" in (tmp_path / "report.html").read_text()


def test_a_program_is_read_in_a_process_that_has_exported_one(world, tmp_path):
    """Exporting names a folder in the environment; what reads programs then asks for another."""
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
                              torch.nn.Linear(3, 2)).eval()  # fmt: skip
    shapes = ({0: torch.export.Dim("n")},)
    exported = torch.export.export(net, (torch.rand(2, 3, 16, 16),), dynamic_shapes=shapes)
    torch.export.save(exported, world.parent / "net.pt2")
    spec = world.with_name("exported.yaml")
    spec.write_text(world.read_text().replace("path: model.onnx", "path: net.pt2"))
    command = [sys.executable, "-m", "auditor", "plan", str(spec), "--trust-code"]
    env = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr


def test_a_torchvision_name_needs_no_trust(world, tmp_path):
    result = run(world, tmp_path, architecture="resnet18")
    assert result.exit_code in (1, 3), result.output
    record = auditor.read_record(tmp_path / "audit.json")
    assert record.model.n_parameters == 11_177_538
    assert not record.model.trusted_code
    assert "own code was run" not in (tmp_path / "report.html").read_text()


def test_a_pickle_that_carries_code_is_refused_and_nothing_of_it_ran(world, tmp_path):
    trace = tmp_path / "ran"
    for name, save in (("torch.pt", torch.save), ("plain.pt", save_plainly)):
        save({"weight": Intruder(trace)}, world.parent / name)
        result = run(world, tmp_path / "out", path=name, architecture="resnet18")
        assert isinstance(result.exception, auditor.AuditorError), result.output
        assert "nothing of it was run" in str(result.exception)
        assert not trace.exists()


def save_plainly(value, path):
    path.write_bytes(pickle.dumps(value))
