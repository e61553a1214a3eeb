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


def test_a_file_url_is_a_path_and_a_model_is_never_fetched(tmp_path):
    path = tmp_path / "audit.yaml"
    path.write_text(SPEC % "file:///data/my%20photos")
    assert read_spec(path).spec.data.test.images == "/data/my photos"
    path.write_text((SPEC % "photos").replace("model.onnx", "s3://bucket/model.onnx"))
    with pytest.raises(SpecError, match="manifests and images alone are read from elsewhere"):
        read_spec(path)
