import zipfile

import pytest

from auditor.errors import ModelError
from auditor.models.formats import detect_format
from auditor.models.load import load_model


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "an empty file"),
        (b"\x89HDF\r\n\x1a\n", r"Keras.*tf2onnx"),
        (b"\x1c\x00\x00\x00TFL3", r"TensorFlow Lite.*tf2onnx"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x89PNG\r\n\x1a\n", "an image"),
        (b"hello, I am no model", "unknown kind"),
        (b"\x08\x07 then nothing that could be parsed", "not an ONNX model"),
        (b"PK\x03\x04 damaged", "damaged archive"),
    ],
)
def test_what_is_no_model_is_named(tiny, tmp_path, content, told):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    spec = tiny.spec(path)
    with pytest.raises(ModelError, match=told):
        load_model(spec, classes=spec.model.classes)


def test_a_missing_file_a_folder_and_a_foreign_archive(tmp_path):
    with pytest.raises(ModelError, match=r"model.path: .* does not exist"):
        detect_format(tmp_path / "no.onnx")
    with pytest.raises(ModelError, match="is a folder"):
        detect_format(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ModelError, match="zip archive without a PyTorch model"):
        detect_format(tmp_path / "a.zip")


def test_content_decides_and_not_the_name(tiny, tmp_path):
    path = tiny.channel_net(tmp_path / "weights.pt")
    assert detect_format(path) == "onnx"
    spec = tiny.spec(path)
    assert load_model(spec, classes=spec.model.classes).facts.format == "onnx"


def test_another_file_takes_the_place_of_the_specs_and_gives_no_embedding(tiny, tmp_path):
    spec = tiny.spec(tmp_path / "absent.onnx", embedding="pooled")
    other = tiny.channel_net(tmp_path / "other.onnx")
    model = load_model(spec, classes=spec.model.classes, path=other)
    assert model.facts.embedding is None
