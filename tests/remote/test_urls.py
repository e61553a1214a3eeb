import pytest

from auditor.errors import SpecError
from auditor.remote.urls import is_url, joined, shown_url, url_problem
from auditor.spec.spec_file import read_spec

SECRETS = ("hunter2", "AKIA-key", "X-Amz-Signature", "deadbeef", "marian")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://marian:hunter2@host/photos", "a user or a password"),
        ("s3://AKIA-key:hunter2@bucket/photos", "a user or a password"),
        ("https://host/photos?X-Amz-Signature=deadbeef", "signed URLs"),
        ("https://host/photos#deadbeef", "signed URLs"),
        ("ftp://host/photos", "expected one of file://, s3://"),
        ("simplecache::s3://bucket/photos", "expected one of"),
        ("s3://", "names no place"),
        ("s3:///photos", "names no place"),
        ("file://host/photos", "names no place"),
        ("s3://bucket/../other", "`..`"),
        ("S3://bucket/photos", "write s3://"),
    ],
)  # fmt: skip
def test_a_url_that_is_not_read_is_refused_without_its_secrets(url, says):
    problem = url_problem(url)
    assert says in problem
    assert not any(secret in problem for secret in SECRETS), problem


@pytest.mark.parametrize(
    "url", ["s3://bucket/a b", "gs://bucket", "https://host/photos", "file:///data", "memory://m/a"]
)
def test_plain_urls_are_read(url):
    assert is_url(url)
    assert url_problem(url) == ""


def test_paths_are_no_urls():
    assert not any(map(is_url, ["photos", "/data/photos", "c:/photos", "a:b", "./s3/x"]))


def test_what_is_shown_of_a_url_is_not_secret_and_not_endless():
    assert shown_url("https://u:p@host:80/a?sig=1#x") == "https://host:80/a"
    assert len(shown_url("https://host/" + "a" * 5000)) < 210


def test_names_below_a_web_server_are_quoted():
    assert joined("http://h/p/", "a b#1?.png") == "http://h/p/a%20b%231%3F.png"
    assert joined("s3://b/p", "a b#1?.png") == "s3://b/p/a b#1?.png"


SPEC = """
audit: {title: t}
model: {path: model.onnx, classes: [a, b], input: {size: [8, 8]}}
data:
  test: {manifest: test.csv, images: %s}
"""


@pytest.mark.parametrize("url", ["https://marian:hunter2@host/x", "s3://bucket/x?sig=deadbeef"])
def test_the_spec_refuses_credentials_and_names_the_line_alone(tmp_path, url):
    path = tmp_path / "audit.yaml"
    path.write_text(SPEC % f'"{url}"')
    with pytest.raises(SpecError) as refused:
        read_spec(path)
    said = str(refused.value)
    assert "audit.yaml:5: data.test.images: found the URL" in said
    assert "environment" in said
    assert not any(secret in said for secret in SECRETS), said


def test_a_file_url_is_a_path(tmp_path):
    path = tmp_path / "audit.yaml"
    path.write_text((SPEC % "file:///data/my%20photos").replace("model.onnx", "file:///m.onnx"))
    spec = read_spec(path).spec
    assert (spec.data.test.images, spec.model.path) == ("/data/my photos", "/m.onnx")


CONFLICTS = "  cue_conflict: {manifest: 's3://bucket/cues.csv'}"
PATCH = "shortcuts: [{name: a, region: [0, 0, 1, 1], patch: 's3://bucket/patch.png'}]"


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("data.cue_conflict.manifest", CONFLICTS),
        ("shortcuts[0].patch", PATCH),
        ("target.bench", "target: {name: t, bench: 's3://bucket/bench.json'}"),
        ("policy", "policy: s3://bucket/policy.yaml"),
        ("declarations", "declarations: s3://bucket/declarations.yaml"),
        ("privacy.key", "privacy: {images: pseudonyms, key: 's3://bucket/key'}"),
    ],
)
def test_what_must_lie_on_this_disk_is_refused_by_its_line(tmp_path, key, line):
    path = tmp_path / "audit.yaml"
    path.write_text(SPEC % "photos" + line)
    with pytest.raises(SpecError) as refused:
        read_spec(path)
    said = str(refused.value)
    assert f"audit.yaml:6: {key}: found the URL 's3://bucket/" in said
    assert "expected a path: data, annotations, models and lists of classes may lie" in said
    assert "copy the file to this disk" in said


@pytest.mark.parametrize("key", ["path", "reference"])
def test_a_models_url_is_as_plain_as_one_of_data(tmp_path, key):
    path = tmp_path / "audit.yaml"
    stated = f"{key}: 'https://marian:hunter2@host/model.onnx'"
    path.write_text((SPEC % "photos").replace("path: model.onnx", stated))
    with pytest.raises(SpecError) as refused:
        read_spec(path)
    assert f"audit.yaml:3: model.{key}: found the URL" in str(refused.value)
    assert not any(secret in str(refused.value) for secret in SECRETS)
