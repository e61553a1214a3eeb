import hashlib
import pickle
import sys
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from auditor.errors import ModelError
from auditor.models import torchvision_ops
from auditor.models.formats import detect_format
from auditor.models.serving import open_model
from auditor.models.torchvision_ops import import_torchvision, kept_boxes

CODE = """
from torch import nn

import neighbour


class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1, bias=False)
        self.act = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4, num_classes)

    def forward(self, x):
        return self.head(self.pool(self.act(self.first(x))).flatten(1))


def build(num_classes):
    return Net(num_classes)


def number():
    return 5
"""


class Net(nn.Module):
    """The network of `CODE`, with the weights of `tiny.channel_net`."""

    def __init__(self, num_classes=3):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1, bias=False)
        self.act = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4, num_classes)
        with torch.no_grad():
            first = torch.cat([torch.eye(3), torch.ones(1, 3)])
            self.first.weight.copy_(first.reshape(4, 3, 1, 1))
            self.head.weight.zero_()
            self.head.bias.zero_()
            for i in range(3):
                self.head.weight[i, i] = 4

    def forward(self, x):
        return self.head(self.pool(self.act(self.first(x))).flatten(1))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "net.py").write_text(CODE)
    (tmp_path / "neighbour.py").write_text("value = 1\n")
    torch.save(Net().state_dict(), tmp_path / "net.pt")
    return tmp_path


def load(tiny, path, *, trust_code=True, **spec):
    made = tiny.spec(path.name, folder=path.parent, **spec)
    # In this process: contained, code that is run by mistake could not leave its mark.
    file, folder = made.resolve(made.model.path), made.folder
    return open_model(
        file, model=made.model, classes=made.model.classes, folder=folder, trust_code=trust_code
    )


def with_code(tiny, path, **spec):
    return load(tiny, path, **{"architecture": "net:build"} | spec)


def as_file(kind, folder):
    path = folder / f"model-{kind}"
    if kind == "torchscript":
        torch.jit.save(torch.jit.trace(Net().eval(), torch.rand(1, 3, 8, 8)), str(path))
    elif kind == "scripted":
        torch.jit.save(torch.jit.script(Net().eval()), str(path))
    elif kind == "safetensors":
        save_file(Net().state_dict(), str(path))
    elif kind == "legacy":
        torch.save(Net().state_dict(), path, _use_new_zipfile_serialization=False)
    elif kind == "checkpoint":
        state = {f"module.{k}": v for k, v in Net().state_dict().items()}
        torch.save({"epoch": 3, "state_dict": state}, path)
    elif kind == "weights":
        torch.save(Net().state_dict(), path)
    else:
        batch = torch.export.Dim("batch")
        exported = torch.export.export(
            Net().eval(), (torch.rand(2, 3, 8, 8),), dynamic_shapes={"x": {0: batch}}
        )
        path = folder / "model.pt2"  # torch refuses to write it under another ending
        torch.export.save(exported, path)
    return path


FORMATS = {
    "torchscript": "torchscript",
    "scripted": "torchscript",
    "safetensors": "safetensors",
    "legacy": "torch-weights",
    "checkpoint": "torch-weights",
    "weights": "torch-weights",
    "pt2": "pt2",
}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_answers_worked_out_by_hand(tiny, folder, kind):
    path = as_file(kind, folder)
    assert detect_format(path) == FORMATS[kind]
    model = with_code(tiny, path)
    frames = tiny.frames()
    found = model.predict(frames).probabilities
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, tiny.expected(frames), atol=1e-5)
    assert model.facts.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert model.facts.n_parameters == 12 + 12 + 3
    assert model.facts.flops == 2 * (4 * 3 * 64 + 3 * 4)
    assert model.facts.trusted_code
    assert model.predict(frames[:0]).probabilities.shape == (0, 3)


def test_bgr_nhwc_and_float16_reach_the_module(tiny, folder):
    model, frames = with_code(tiny, folder / "net.pt"), tiny.frames()
    turned = tiny.spec("x", input={"channels": "bgr"}).model.input
    found = model.predict(frames, input=turned).probabilities
    np.testing.assert_allclose(found, tiny.expected(frames[..., ::-1]), atol=1e-5)
    half = with_code(tiny, folder / "net.pt", input={"dtype": "float16"})
    np.testing.assert_allclose(half.predict(frames).probabilities, tiny.expected(frames), atol=5e-3)


def test_embedding_is_what_the_last_layer_reads(tiny, folder):
    model, frames = with_code(tiny, folder / "net.pt"), tiny.frames()
    assert model.facts.embedding == "input of head"
    found = model.predict(frames, embedding=True).embedding
    means = frames.reshape(len(frames), -1, 3).mean(axis=1) / 255
    np.testing.assert_allclose(found[:, :3], means, atol=1e-5)
    named = with_code(tiny, folder / "net.pt", embedding="act")
    np.testing.assert_allclose(named.predict(frames, embedding=True).embedding, found, atol=1e-5)
    with pytest.raises(ModelError, match="Did you mean 'head'"):
        with_code(tiny, folder / "net.pt", embedding="heads")
    script = with_code(tiny, as_file("torchscript", folder))
    assert script.facts.embedding is None
    with pytest.raises(ModelError, match=r"`model\.embedding`"):
        script.predict(frames, embedding=True)


def test_threads_share_a_module_and_get_their_own_answers(tiny, folder):
    model, wrong = with_code(tiny, folder / "net.pt"), []

    def work(seed):
        frames = tiny.frames(seed=seed)
        means = frames.reshape(len(frames), -1, 3).mean(axis=1) / 255
        for turn in range(20):
            found = model.predict(frames, embedding=turn % 2 == 0)
            if not np.allclose(found.probabilities, tiny.expected(frames), atol=1e-5):
                wrong.append(seed)
            if turn % 2 == 0 and not np.allclose(found.embedding[:, :3], means, atol=1e-5):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("kind", ["weights", "torchscript"])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_gradients_equal_finite_differences_and_are_in_rgb(tiny, folder, kind, channels):
    model = with_code(tiny, as_file(kind, folder), input={"channels": channels})
    assert model.facts.differentiable
    frames, classes = tiny.frames(n=3).clip(1), np.array([0, 1, 2])  # 0 is where ReLU bends
    found = model.gradients(frames, classes)
    assert found.shape == (3, 3, 8, 8)
    assert found.dtype == np.float32
    # Class k's score is 4 times the mean of the model's k-th channel, over 64 pixels.
    place = classes if channels == "rgb" else classes[::-1]
    wanted = np.zeros((3, 3, 8, 8))
    wanted[np.arange(3), place] = 4 / 64
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_sigmoid_or_softmax_at_the_end_is_seen(tiny, folder):
    for layer, advice in ((nn.Softmax(1), "probabilities"), (nn.Sigmoid(), "sigmoid")):
        whole = nn.Sequential(Net().eval(), layer)
        path = folder / f"{advice}.pt"
        torch.jit.save(torch.jit.trace(whole, torch.rand(1, 3, 8, 8)), str(path))
        with pytest.raises(ModelError, match=f"model.output: {advice}"):
            load(tiny, path)
        frames = tiny.frames()
        found = load(tiny, path, output=advice).predict(frames).probabilities
        if advice == "probabilities":
            np.testing.assert_allclose(found, tiny.expected(frames), atol=1e-5)
        assert np.array_equal(found.argmax(axis=1), tiny.expected(frames).argmax(axis=1))


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("how", ["zip", "legacy", "plain pickle", "whole module"])
@pytest.mark.parametrize("forced", [False, True])
def test_a_pickle_with_code_is_refused_and_nothing_of_it_runs(
    tiny, folder, monkeypatch, how, forced
):
    if forced:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    mark, path = folder / "ran", folder / "bomb.pt"
    held = {"head.weight": torch.zeros(2), "more": Bomb(mark)}
    if how == "plain pickle":
        path.write_bytes(pickle.dumps(held))
    elif how == "whole module":
        torch.save(Net(), path)
    else:
        torch.save(held, path, _use_new_zipfile_serialization=how == "zip")
    with pytest.raises(ModelError, match=r"nothing of it was run|cannot be read"):
        with_code(tiny, path)
    assert not mark.exists()


def test_a_file_saved_in_training_mode_says_what_to_do_where_it_runs(tiny, folder):
    saved = folder / "training.pt"
    torch.jit.save(torch.jit.script(Net().train()), str(saved))
    (note,) = with_code(tiny, saved).facts.notes
    assert note.startswith("The file was saved in training mode and is measured in evaluation")
    assert with_code(tiny, as_file("scripted", folder)).facts.notes == ()


def test_code_is_run_only_when_trusted(tiny, folder):
    (folder / "net.py").write_text(
        f"open({str(folder / 'ran')!r}, 'w').close()\n{CODE}", encoding="utf-8"
    )
    with pytest.raises(ModelError, match="--trust-code"):
        with_code(tiny, folder / "net.pt", trust_code=False)
    assert not (folder / "ran").exists()
    with_code(tiny, folder / "net.pt")
    assert (folder / "ran").exists()
    assert str(folder) not in sys.path


def test_an_exported_program_is_read_only_when_trusted(tiny, folder):
    path = as_file("pt2", folder)
    with pytest.raises(ModelError, match="--trust-code"):
        load(tiny, path, trust_code=False)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        (None, "Set `model.architecture`"),
        ("resnet81", r"Did you mean .*resnet18"),
        ("net:biuld", "AttributeError"),
        ("nett:build", "No module named 'nett'"),
        ("net:number", "gave a int"),
    ],
)
def test_an_architecture_that_cannot_be_built_says_why(tiny, folder, name, advice):
    with pytest.raises(ModelError, match=advice):
        load(tiny, folder / "net.pt", architecture=name)


def test_weights_that_do_not_fit_are_named(tiny, folder):
    state = Net().state_dict()
    state["tail.weight"] = state.pop("head.weight")
    state["first.weight"] = torch.zeros(5, 3, 1, 1)
    torch.save(state, folder / "other.pt")
    with pytest.raises(ModelError) as told:
        with_code(tiny, folder / "other.pt")
    text = str(told.value)
    assert "1 missing (head.weight)" in text
    assert "1 not in the network (tail.weight)" in text
    assert "first.weight is [5, 3, 1, 1], expected [4, 3, 1, 1]" in text


def test_another_class_count_is_told_as_shapes(tiny, folder):
    with pytest.raises(ModelError, match=r"head.weight is \[3, 4\], expected \[2, 4\]"):
        with_code(tiny, folder / "net.pt", classes=("a", "b"))


def test_a_module_that_fails_on_the_declared_input_says_so(tiny, folder):
    grey = {"channels": "grey", "mean": (0.0,), "std": (1.0,)}
    with pytest.raises(ModelError, match=r"It runs with `model\.input\.channels: rgb`"):
        with_code(tiny, folder / "net.pt", input=grey)


def test_an_absent_device_falls_back_to_the_processor(tiny, folder):
    model = with_code(tiny, folder / "net.pt", device="cuda")
    assert model.device == ("cuda" if torch.cuda.is_available() else "cpu")


def test_the_digest_follows_the_code(tiny, folder):
    before = with_code(tiny, folder / "net.pt").digest
    assert with_code(tiny, folder / "net.pt").digest == before
    (folder / "net.py").write_text(CODE + "\n# another network\n")
    assert with_code(tiny, folder / "net.pt").digest != before


def test_torchvision_networks_are_built_by_name(tiny, tmp_path):
    models = import_torchvision().models
    net = models.squeezenet1_1(weights=None, num_classes=3).eval()
    torch.save(net.state_dict(), tmp_path / "s.pth")
    model = load(tiny, tmp_path / "s.pth", architecture="squeezenet1_1", trust_code=False,
                 input={"size": (64, 64)})  # fmt: skip
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    with torch.no_grad():
        tensor = torch.from_numpy(frames.transpose(0, 3, 1, 2).copy()).float() / 255
        wanted = net(tensor).softmax(1).numpy()
    found = model.predict(frames, embedding=True)
    np.testing.assert_allclose(found.probabilities, wanted, atol=1e-5)
    assert found.embedding.shape == (2, 512)
    assert not model.facts.trusted_code
    assert model.facts.n_parameters == sum(p.numel() for p in net.parameters())


def test_operators_are_defined_only_when_the_plain_import_fails_for_want_of_them(monkeypatch):
    defined, asked = [], []

    def failing_once(name):
        asked.append(name)
        if len(asked) == 1:
            raise RuntimeError("operator torchvision::nms does not exist")
        return "torchvision"

    monkeypatch.setattr(torchvision_ops, "_define_operators", lambda: defined.append(True))
    monkeypatch.setattr(torchvision_ops, "_forget_half_imported", lambda: None)
    monkeypatch.setattr(torchvision_ops.importlib, "import_module", failing_once)
    assert import_torchvision() == "torchvision"
    assert (len(asked), len(defined)) == (2, 1)
    assert import_torchvision() == "torchvision"
    assert (len(asked), len(defined)) == (3, 1)


@pytest.mark.parametrize(
    "error", [ModuleNotFoundError("No module named 'torchvision'"), RuntimeError("broken")]
)
def test_another_failure_of_the_import_is_told_with_the_remedy(monkeypatch, error):
    from auditor.errors import MissingLibraryError

    def failing(name):
        raise error

    monkeypatch.setattr(torchvision_ops.importlib, "import_module", failing)
    with pytest.raises(MissingLibraryError, match="install the torchvision"):
        import_torchvision()


def test_boxes_are_kept_greedily():
    boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30.0]])
    scores = torch.tensor([0.8, 0.9, 0.1])
    assert kept_boxes(boxes, scores, 0.5).tolist() == [1, 2]
    assert kept_boxes(boxes, scores, 0.9).tolist() == [1, 0, 2]
