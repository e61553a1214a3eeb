"""YAML by 1.2's rules, and errors as a user reads them."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import SpecError
from auditor.spec import AuditSpec, SpecPart
from auditor.spec.yaml_checked import validate
from auditor.spec.yaml_source import load

SPEC = """\
audit: {title: A reader, seed: 7}
model:
  path: model.onnx
  classes: [a, b]
  input: {size: [8, 8]}
data:
  test: {manifest: test.csv, images: images}
"""


def errors_of(text: str, model=AuditSpec) -> str:
    with pytest.raises(SpecError) as caught:
        validate(load(text, name="audit.yaml"), model)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("010", "010"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("2026-11-22", "2026-11-22"),
        (".inf", ".inf"),
        ("1e-3", 0.001),
        ("0.5", 0.5),
        (".5", 0.5),
        ("-3", -3),
        ("0", 0),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("'5'", "5"),
        ("'true'", "true"),
    ],
)
def test_scalars_stay_what_was_written(written, read):
    data = load(f"x: {written}", name="f").data["x"]
    assert data == read
    assert type(data) is type(read)


def test_keys_are_text_as_written():
    assert load("1: {on: a, 2026-01-01: b, ~: c}", name="f").data == {
        "1": {"on": "a", "2026-01-01": "b", "~": "c"}
    }


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(blacklist_categories=("Cs", "Cc"))),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcxyz_", min_size=1), inner, max_size=3),
        max_leaves=12,
    )
)  # fmt: skip
def test_json_is_read_as_json(value):
    import json

    text = json.dumps({"x": value}, ensure_ascii=False)
    assert load(text, name="f").data == {"x": value}


def test_lines_are_those_of_keys():
    source = load("a: 1\nb:\n  c:\n    - 5\n    - d: 6\n", name="f")
    assert source.line(("a",)) == 1
    assert source.line(("b",)) == 2
    assert source.line(("b", "c", 1, "d")) == 5
    assert source.line(("b", "c", 9)) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f is empty"),
        ("a: 1\nb: 2\na: 3", "f:3: found the key 'a' again (first in line 1)"),
        ("a: [1, 2", "f:1: this is not YAML"),
        ("a: 1\n b: 2", "f:2: this is not YAML"),
        ("x: !!python/object:os.system 3", "f:1: found the tag"),
        ("x: !!int abc", "f:1: found the tag"),
        ("? [a]\n: 3", "f:1: found a key that is not text"),
        ("x: 1\n---\ny: 2", "expected a single document"),
        ("a: &a [*a]", "f:1: found an alias (*name) that expands without end"),
        ("x: 1e999", "f:1: found '1e999', which is no number that fits"),
        ("[" * 5000, "nested too deep"),
        ("a: \x00", "this is not YAML"),
        ("a: *b", "f:1: this is not YAML"),
    ],
)
def test_what_cannot_be_read_is_said(text, said):
    with pytest.raises(SpecError) as caught:
        load(text, name="f")
    assert said in str(caught.value)


def test_aliases_are_read_and_bombs_are_not():
    assert load("a: &x [1]\nb: *x", name="f").data == {"a": [1], "b": [1]}
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
    )
    with pytest.raises(SpecError, match="expands without end"):
        load(bomb, name="f")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "manifest",
            "manifst",
            "audit.yaml:7: data.test: unknown key 'manifst'. Did you mean 'manifest'?",
        ),
        (
            "[a, b]",
            "[0, b]",
            "audit.yaml:4: model.classes[0]: found the number 0, expected text. "
            'Put it in quotes: "0".',
        ),
        (
            "[a, b]",
            "3",
            "audit.yaml:4: model.classes: found the number 3, expected a list, or text, or a "
            "mapping of keys and values.",
        ),
        (
            "[a, b]",
            "{count: 0}",
            "audit.yaml:4: model.classes.count: found the number 0, expected at least 1.",
        ),
        (
            "[8, 8]",
            "[0, 8]",
            "audit.yaml:5: model.input: size is [0, 8]; give [height, width], both from 1 to",
        ),
        (
            "[8, 8]",
            "[8]",
            "audit.yaml:5: model.input.size: found a list of 1, expected more entries; add them.",
        ),
        (
            "[8, 8]",
            "[8, 8], resize: strech",
            "audit.yaml:5: model.input.resize: found the text 'strech', expected one of stretch, "
            "letterbox, shortest. Did you mean 'stretch'?",
        ),
        (
            "[8, 8]",
            "[8, 8], scale: big",
            "audit.yaml:5: model.input.scale: found the text 'big', expected a number.",
        ),
        ("  path: model.onnx\n", "", "audit.yaml:2: model: 'path' is missing; add it."),
        (
            "  input",
            "  output: logit\n  input",
            "audit.yaml:5: model.output: found the text 'logit', expected one of logits, "
            "probabilities, sigmoid, torchvision, mask-rcnn, ssd, ssd-softmax, yolov5, yolov8, "
            "yolo-seg, yolox, end-to-end, fastestdet, yunet, detr, semantic, own under kind. "
            "Did you mean 'logits'?",
        ),
        (
            "model:",
            "target: {name: x, latency: {p99: 3}}\nmodel:",
            "audit.yaml:2: target.latency: found the key 'p99', expected one of p50_ms, p90_ms, "
            "p95_ms, p99_ms, open_p99_ms, photo_p99_ms, frames_per_second. Did you mean 'p99_ms'?",
        ),
        ("seed: 7", "seed: 7.5", "audit.yaml:1: audit.seed: found the number 7.5"),
        ("seed: 7", "seed: true", "audit.yaml:1: audit.seed: found true (true or false)"),
        (
            SPEC,
            "- 1",
            "audit.yaml:1: found a list of 1, expected a mapping of keys and values.",
        ),
    ],
)
def test_errors_say_line_place_found_and_expected(old, new, said):
    assert errors_of(SPEC.replace(old, new)).splitlines()[0].startswith(said)


def test_all_errors_are_listed_in_order_and_at_most_ten():
    two = errors_of(SPEC.replace("manifest", "manifst").replace("seed: 7", "seed: x"))
    assert [line.split(":")[1] for line in two.splitlines()] == ["1", "7"]
    many = SPEC + "".join(f"x{i}: 1\n" for i in range(14))
    lines = errors_of(many).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "... and 4 more"


def test_a_union_of_models_reports_the_nearest_branch():
    class Left(SpecPart):
        left: int

    class Holder(SpecPart):
        side: Left | Literal["none"]

    assert errors_of("side: {left: x}", Holder) == (
        "audit.yaml:1: side.left: found the text 'x', expected a whole number."
    )


@pytest.mark.parametrize(
    "text",
    [
        "secretpassword123",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIsecret\n",
        "42",
        "'x y'",
    ],
)
def test_a_file_that_is_one_text_is_refused_and_nothing_of_it_repeated(text):
    with pytest.raises(SpecError) as caught:
        load(text, name="key.pem")
    assert str(caught.value) == (
        "key.pem:1: found one text and no keys, expected a mapping of keys and values. Give a file "
        "of YAML; `auditor init MODEL DATA` writes an audit.yaml to begin with."
    )
