"""Audits of models that lie elsewhere: as of files here, to the byte; and what is refused."""

import contextlib
import hashlib
import shutil

import onnx
import pytest
from coloured_rooms import make_world
from web_servers import (
    SECRET,
    cache_in,
    put_in_memory,
    put_on_s3,
    results,
    s3_server,
    serving,
)

import auditor
from auditor.engine import run as engine
from auditor.engine.kept import Asked, kept_run
from auditor.errors import DataError, ModelError
from auditor.models.elsewhere import with_models
from auditor.models.load import load_model
from auditor.remote import objects
from auditor.spec.spec_file import read_spec

ONLY = ("performance/overall", "model/architecture", "model/consistency", "deployment/variants")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = make_world(tmp_path_factory.mktemp("rooms") / "world", sizes=(60, 20, 20)).parent
    files = folder / "onnx"
    files.mkdir()
    shutil.move(folder / "model.onnx", files / "model.onnx")
    shutil.copy(files / "model.onnx", files / "edge.onnx")
    (files / "classes.txt").write_text("red\nblue\n")
    # The other way round than the spec has them, and where Optimum puts it: above the model.
    (folder / "config.json").write_text('{"id2label": {"0": "blue", "1": "red"}}')
    return folder


@pytest.fixture(scope="module")
def local(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("local")
    auditor.run(spec_at(world, "onnx", name="here.yaml"), out=out, only=ONLY)
    return results(out)


@pytest.fixture
def copies(tmp_path, monkeypatch):
    monkeypatch.setattr("auditor.remote.objects._PAUSE", 0.0)
    with cache_in(tmp_path / "copies", monkeypatch) as folder:
        yield folder
    assert not list(folder.glob("runs/*"))


def spec_at(world, place, *, model="model.onnx", name="elsewhere.yaml"):
    """The world's spec with its model, another form of it, a reference and classes at a place."""
    text = (world / "audit.yaml").read_text()
    text = text.replace(
        "path: model.onnx", f"path: {place}/{model}\n  reference: {place}/edge.onnx"
    )
    text = text.replace("classes: [red, blue]", f"classes: {place}/classes.txt")
    path = world / name
    path.write_text(f"{text}variants: {{edge: {{path: '{place}/edge.onnx'}}}}\n")
    return path


def files_of(world, folder):
    """What lies in the place of models, and above it."""
    shutil.copytree(world / "onnx", folder / "onnx")
    shutil.copy(world / "config.json", folder)
    return folder


def asked_for(spec):
    return Asked.of(spec, only=ONLY, policy=None, trust_code=False)


def test_the_neighbours_of_a_local_model_are_told(local):
    assert "config.json beside the model (id2label)" in local


def test_an_audit_of_a_model_on_s3_is_that_of_the_file(world, local, copies, tmp_path, monkeypatch):
    with s3_server(monkeypatch):
        place = put_on_s3(files_of(world, tmp_path / "files"), "models/first")
        spec = spec_at(world, f"{place}/onnx")
        record = auditor.run(spec, out=tmp_path / "out", only=ONLY)
        auditor.render(record, tmp_path / "out", formats=("html", "card", "csv"))
        assert results(tmp_path / "out") == local
        assert record.provenance.remote == {
            "model.path": f"{place}/onnx/model.onnx",
            "model.reference": f"{place}/onnx/edge.onnx",
            "variants.edge.path": f"{place}/onnx/edge.onnx",
            "model.classes": f"{place}/onnx/classes.txt",
        }
        assert record.provenance.inputs["model"] == record.model.digest
        for path in (p for p in (tmp_path / "out").rglob("*") if p.is_file()):
            assert SECRET.encode() not in path.read_bytes(), path
            assert str(copies).encode() not in path.read_bytes(), path
        lines = engine.plan(spec, only=ONLY)
        assert (f"Over the network: model.path: {place}/onnx/model.onnx (a change is seen by the "
                "server's ETag or version)") in lines  # fmt: skip


def test_an_audit_of_a_model_on_a_web_server_is_that_of_the_file(world, local, copies, tmp_path):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    with serving(files_of(world, tmp_path / "files")) as (url, _):
        spec = spec_at(world, f"{url}/onnx")
        auditor.run(spec, out=tmp_path / "out", only=ONLY)
        assert results(tmp_path / "out") == local
        lines = engine.plan(spec, only=ONLY)
        assert (f"Over the network: model.path: {url}/onnx/model.onnx (the server gives no ETag or "
                "version, so that it is read and hashed at every run)") in lines  # fmt: skip


def one_model(world, place, *, name="one.yaml"):
    """The world's spec with its model alone elsewhere."""
    path = world / name
    text = (world / "audit.yaml").read_text()
    path.write_text(text.replace("path: model.onnx", f"path: {place}"))
    return path


@pytest.mark.parametrize("etags", [False, True])
def test_a_change_of_a_model_or_of_what_lies_beside_it_is_seen(world, copies, tmp_path, etags):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    folder = files_of(world, tmp_path / "files")
    with serving(folder, etags=etags) as (url, asked):
        spec = one_model(world, f"{url}/onnx/model.onnx")
        auditor.run(spec, out=tmp_path / "out", only=ONLY)
        asked.clear()
        assert kept_run(tmp_path / "out", asked_for(spec)) is not None
        assert any(line.startswith("GET /onnx/model") for line in asked) is not etags
        config = folder / "config.json"
        config.write_text(config.read_text() + " ")
        assert kept_run(tmp_path / "out", asked_for(spec)) is None
        auditor.run(spec, out=tmp_path / "out", only=ONLY)
        assert kept_run(tmp_path / "out", asked_for(spec)) is not None
        (folder / "onnx" / "preprocessor_config.json").write_text("{}")
        assert kept_run(tmp_path / "out", asked_for(spec)) is None
        auditor.run(spec, out=tmp_path / "out", only=ONLY)
        model = folder / "onnx" / "model.onnx"
        content = bytearray(model.read_bytes())
        at = content.index(b"rooms")
        content[at] ^= 1
        model.write_bytes(content)
        assert kept_run(tmp_path / "out", asked_for(spec)) is None
        # That was looked at a moment ago, and is another again.
        content[at] ^= 2
        model.write_bytes(content)
        record = auditor.run(spec, out=tmp_path / "other", only=ONLY)
        assert record.model.digest == hashlib.sha256(content).hexdigest()


def test_a_form_that_is_not_there_leaves_the_others(world, copies, tmp_path):
    place = put_in_memory(files_of(world, tmp_path / "files"), "forms")
    spec = spec_at(world, f"{place}/onnx")
    spec.write_text(spec.read_text().replace(f"'{place}/onnx/edge.onnx'", f"'{place}/no.onnx'"))
    record = auditor.run(spec, out=tmp_path / "out", only=ONLY)
    told = {u.reason for r in record.results for u in r.unmeasured if "edge" in u.reason}
    assert told == {
        f"The form edge could not be loaded: variants.edge.path: '{place}/no.onnx' is not there "
        "(404). Give an ONNX file (.onnx), TorchScript, or PyTorch weights (.pt, .pth, "
        ".safetensors) with `model.architecture`."
    }
    assert kept_run(tmp_path / "out", asked_for(spec)) is None


PAGE = "\n  <!DOCTYPE html><title>Please log in</title>"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none.onnx", "is not there (404)"),
        ("403.onnx", "cannot be read: the server refuses access (403)"),
        ("half.onnx", "cannot be read: the object ends before the size that its server states"),
        ("page.onnx", "is a web page, as a server sends in place of a file (a login, an error)"),
        ("large.onnx", "has 1 MB, expected at most 500 kB"),
        ("text.onnx", "text.onnx is a file of an unknown kind (it begins with b'Please"),
        ("empty.onnx", "empty.onnx is an empty file, not a model that can be audited"),
    ],
)
def test_what_is_wrong_with_a_model_elsewhere_is_one_sentence(
    world, command, copies, tmp_path, monkeypatch, name, says
):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    monkeypatch.setattr("auditor.models.elsewhere.LARGEST_FILE", 500_000)
    folder = files_of(world, tmp_path / "files")
    shutil.copy(folder / "onnx" / "model.onnx", folder / "half.onnx")
    for other, content in {
        "page": PAGE,
        "text": "Please",
        "empty": "",
        "large": "x" * 10**6,
    }.items():
        (folder / f"{other}.onnx").write_text(content)
    with serving(folder) as (url, _):
        spec = one_model(world, f"{url}/{name}")
        code, _, err = command("run", spec, "--out", tmp_path / "out", "--quiet")
    assert code == 2
    assert says in err
    assert "Give an ONNX file" in err or "credentials in the environment" in err or "again" in err
    assert "Traceback" not in err
    assert err.count("\n") == 1


def test_a_folder_in_place_of_a_model_is_told(world, copies, tmp_path):
    place = put_in_memory(files_of(world, tmp_path / "files"), "folder")
    with pytest.raises(ModelError, match=r"model\.path: .*/onnx' is a folder, expected a file"):
        auditor.run(one_model(world, f"{place}/onnx"), out=tmp_path / "out", only=ONLY)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (PAGE, "is a web page"),
        ("red", "names 1 classes"),
        (None, "is not there (404). Give a list"),
    ],
)
def test_a_list_of_classes_elsewhere_is_read_or_refused(world, copies, tmp_path, text, says):
    folder = files_of(world, tmp_path / "files")
    (folder / "onnx" / "classes.txt").unlink()
    if text is not None:
        (folder / "onnx" / "classes.txt").write_text(text)
    place = put_in_memory(folder, f"classes-{says[:6]}")
    with pytest.raises(auditor.errors.SpecError) as refused:
        auditor.run(spec_at(world, f"{place}/onnx"), out=tmp_path / "out", only=ONLY)
    assert str(refused.value).startswith("model.classes")
    assert says in str(refused.value)


@contextlib.contextmanager
def opened(spec):
    with with_models(read_spec(spec).spec) as own:
        yield load_model(own, classes=("red", "blue"))


def external(folder, location, *, said=None):
    """The world's model with its weights in another file, which it may call otherwise."""
    path = folder / "onnx" / "model.onnx"
    model = onnx.load(path)
    (path.parent / location).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path, save_as_external_data=True, location=location, size_threshold=0)
    if said is not None:
        model = onnx.load(path, load_external_data=False)
        for entry in (e for t in model.graph.initializer for e in t.external_data):
            entry.value = said if entry.key == "location" else entry.value
        path.write_bytes(model.SerializeToString())
    return folder


@pytest.mark.parametrize("location", ["model.onnx.data", "weights/part 0.bin"])
def test_weights_beside_a_model_come_with_it(world, copies, tmp_path, location):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    folder = external(files_of(world, tmp_path / "files"), location)
    with opened(one_model(world, folder / "onnx" / "model.onnx")) as here:
        digest, size = here.facts.digest, here.facts.file_bytes
    with serving(folder) as (url, _), opened(one_model(world, f"{url}/onnx/model.onnx")) as there:
        assert (there.facts.digest, there.facts.file_bytes) == (digest, size)
        assert size == sum(p.stat().st_size for p in (folder / "onnx").rglob("*") if p.name in (
            "model.onnx", "model.onnx.data", "part 0.bin"))  # fmt: skip


def test_a_torchscript_file_elsewhere_is_opened_as_one_here(world, copies, tmp_path):
    torch = pytest.importorskip("torch")
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )
    path = tmp_path / "files" / "net.pt"
    path.parent.mkdir()
    torch.jit.trace(layers.eval(), torch.zeros(1, 3, 16, 16)).save(str(path))
    place = put_in_memory(path.parent, "torch")
    with opened(one_model(world, path)) as here:
        local = here.facts
    with opened(one_model(world, f"{place}/net.pt")) as there:
        assert there.facts == local
        assert there.facts.digest == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "said", ["../config.json", "/etc/passwd", "http://elsewhere/x", "a/../../x", "", "a\\b"]
)
def test_weights_outside_of_the_models_folder_are_not_asked_for(world, copies, tmp_path, said):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    folder = external(files_of(world, tmp_path / "files"), "w.bin", said=said)
    with serving(folder) as (url, asked):
        with (
            pytest.raises(ModelError) as refused,
            opened(one_model(world, f"{url}/onnx/model.onnx")),
        ):
            pass
        assert [line for line in asked if "model.onnx" not in line] == []
    assert f"model.path: '{url}/onnx/model.onnx' keeps its weights in {said!r}" in str(
        refused.value
    )
    assert "expected files in its own folder or below it" in str(refused.value)
    assert str(copies) not in str(refused.value)


def test_weights_that_are_missing_or_too_many_are_told(world, copies, tmp_path, monkeypatch):
    folder = external(files_of(world, tmp_path / "files"), "w.bin")
    (folder / "onnx" / "w.bin").rename(folder / "onnx" / "other.bin")
    place = put_in_memory(folder, "missing")
    spec = one_model(world, f"{place}/onnx/model.onnx")
    with pytest.raises(ModelError, match=r"/onnx/w\.bin' is not there \(404\)\. Put the files"):
        auditor.run(spec, out=tmp_path / "out", only=ONLY)
    (folder / "onnx" / "other.bin").rename(folder / "onnx" / "w.bin")
    put_in_memory(folder, "missing")
    monkeypatch.setattr("auditor.models.elsewhere.MOST_FILES", 0)
    with pytest.raises(ModelError, match="keeps its weights in 1 files, expected at most 0"):
        auditor.run(spec, out=tmp_path / "out", only=ONLY)


@pytest.mark.parametrize(("room", "left"), [(5, 5), (29, 5)])
def test_weights_are_bounded_together_with_their_model(
    world, copies, tmp_path, monkeypatch, room, left
):
    folder = external(files_of(world, tmp_path / "files"), "w.bin")
    size = (folder / "onnx" / "model.onnx").stat().st_size
    (folder / "onnx" / "a.bin").write_bytes(bytes(24))
    names = ("w.bin",) if room < 24 else ("a.bin", "w.bin")
    monkeypatch.setattr("auditor.models.elsewhere.external_names", lambda path: names)
    place = put_in_memory(folder, "bounded")
    monkeypatch.setattr("auditor.models.elsewhere.LARGEST_FILE", size + room)
    says = rf"w\.bin' has 24 bytes, expected at most {left} bytes\. Put the files"
    with pytest.raises(ModelError, match=says):
        auditor.run(one_model(world, f"{place}/onnx/model.onnx"), out=tmp_path / "out", only=ONLY)


def test_a_neighbour_that_may_not_be_looked_at_is_none(world, copies, tmp_path, monkeypatch):
    """A store that nobody may list says so of what is not there."""
    place = put_in_memory(files_of(world, tmp_path / "files"), "unlisted")
    info = objects.info

    def refused(url):
        if url.endswith("config.json"):
            raise PermissionError(13, "the server refuses access (403)")
        return info(url)

    monkeypatch.setattr(objects, "info", refused)
    monkeypatch.setattr("auditor.engine.remote_marks.info", refused)
    spec = one_model(world, f"{place}/onnx/model.onnx")
    auditor.run(spec, out=tmp_path / "out", only=ONLY)
    assert "config.json beside the model" not in results(tmp_path / "out")
    assert kept_run(tmp_path / "out", asked_for(spec)) is not None


def test_a_server_that_cannot_be_reached_stops_the_run(world, copies, tmp_path):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    with serving(tmp_path) as (url, _):
        pass
    with pytest.raises(DataError, match=r"could not be reached .*goes on from there"):
        auditor.run(one_model(world, f"{url}/model.onnx"), out=tmp_path / "out", only=ONLY)


def test_the_name_of_a_file_elsewhere_is_a_name_here(world, copies, tmp_path):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra `remote`)")
    folder = files_of(world, tmp_path / "files")
    shutil.copy(folder / "onnx" / "model.onnx", folder / "a b#1.onnx")
    with serving(folder) as (url, _), opened(one_model(world, f"{url}/a%20b%231.onnx")) as model:
        assert model.opening.file.name == "a b#1.onnx"
