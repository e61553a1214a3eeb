"""Class maps at any stride, against torch's own enlarging."""

import numpy as np
import pytest
import torch
from head_frame import SIZE, decode
from torch.nn.functional import interpolate

from auditor.data.geometry import Affine
from auditor.errors import ModelError
from auditor.models.answers import UNSEEN, ClassMap
from auditor.models.readings import HeadReading
from auditor.spec import heads as specs

LOGITS = np.random.default_rng(3).normal(size=(1, 5, 9, 13)).astype(np.float32)


@pytest.mark.parametrize("align", [False, True])
def test_logits_are_enlarged_before_the_best_is_taken(align):
    large = interpolate(torch.from_numpy(LOGITS), size=SIZE, mode="bilinear", align_corners=align)
    wanted = large[0].argmax(dim=0).numpy()
    found = decode({"out": LOGITS}, specs.SemanticHead(align_corners=align), 5).classes
    assert found.shape == SIZE
    assert (found != wanted).sum() <= 2
    coarse = decode({"out": LOGITS}, specs.SemanticHead(enlarge="nearest"), 5).classes
    small = LOGITS[0].argmax(axis=0).astype(np.float32)[None, None]
    nearest = interpolate(torch.from_numpy(small), size=SIZE, mode="nearest-exact")[0, 0].numpy()
    assert (coarse == nearest).all()
    assert (coarse != found).any()


def test_at_full_size_in_either_layout_and_beside_an_auxiliary_output():
    full = np.random.default_rng(4).normal(size=(1, 5, *SIZE)).astype(np.float32)
    wanted = full[0].argmax(axis=0)
    assert (decode({"out": full, "aux": -full}, specs.SemanticHead(), 5).classes == wanted).all()
    last = np.moveaxis(full, 1, -1)
    assert (decode({"o": last}, specs.SemanticHead(layout="nhwc"), 5).classes == wanted).all()
    with pytest.raises(ModelError, match=r"another axis .* layout: nhwc"):
        decode({"o": last}, specs.SemanticHead(), 5)
    with pytest.raises(ModelError, match=r"5 scores a pixel; `model.classes` names 7"):
        decode({"o": full}, specs.SemanticHead(), 7)


def test_one_channel_for_two_classes_is_cut_at_the_declared_level():
    share = np.array([[[[0.4, 0.6]]]], dtype=np.float32)
    found = decode({"o": share}, specs.SemanticHead(level=0.5, enlarge="nearest"), 2).classes
    assert found[0, [0, 47, 48, 95]].tolist() == [0, 0, 1, 1]


def test_probabilities_of_one_channel_are_not_cut_at_zero():
    share = np.array([[[[0.4, 0.6]]]], dtype=np.float32)
    with pytest.raises(ModelError, match=r"level: 0\.5"):
        decode({"out": share}, specs.SemanticHead(enlarge="nearest"), 2)
    drawn = np.rint(share)
    found = decode({"out": drawn}, specs.SemanticHead(enlarge="nearest"), 2).classes
    assert found[0, [0, 95]].tolist() == [0, 1]


def test_half_is_no_level_of_logits():
    scores = np.array([[[[-3.0, 4.0]]]], dtype=np.float32)
    with pytest.raises(ModelError, match=r"from -3 to 4, as logits do\. Set `level: 0`"):
        decode({"o": scores}, specs.SemanticHead(level=0.5, enlarge="nearest"), 2)
    found = decode({"o": scores}, specs.SemanticHead(level=0.7, enlarge="nearest"), 2).classes
    assert found[0, [0, 95]].tolist() == [0, 1]
    # Probabilities of an eight-bit form lie beyond 1 by a little.
    nearly = np.array([[[[-0.01, 1.02]]]], dtype=np.float32)
    found = decode({"o": nearly}, specs.SemanticHead(level=0.5, enlarge="nearest"), 2).classes
    assert found[0, [0, 95]].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("output", "values", "says"),
    [
        (np.zeros((1, 2, 4, 4), np.float32), "logits", "2 scores a pixel"),
        (np.zeros((1, 4, 4), np.int64), "classes", "classes themselves"),
    ],
)
def test_a_level_that_would_not_be_obeyed_is_refused(output, values, says):
    head = specs.SemanticHead(level=0.5, values=values)
    with pytest.raises(ModelError, match=says):
        decode({"o": output}, head, 2)


def test_classes_as_numbers_at_any_size():
    numbers = np.arange(6, dtype=np.int64).reshape(1, 2, 3)
    head = specs.SemanticHead(values="classes")
    found = decode({"ArgMax": numbers}, head, 6).classes
    assert found[::32, ::32].tolist() == numbers[0].tolist()
    assert (decode({"ArgMax": numbers[:, None]}, head, 6).classes == found).all()
    with pytest.raises(ModelError, match=r"classes from 0 to 5; `model.classes` names 5"):
        decode({"ArgMax": numbers}, head, 5)
    with pytest.raises(ModelError, match=r"values: classes"):
        decode({"ArgMax": numbers}, specs.SemanticHead(), 6)
    with pytest.raises(ModelError, match=r"values: logits"):
        decode({"o": LOGITS}, head, 5)


def test_the_way_back_marks_what_a_crop_cut_off():
    shown = ClassMap(np.array([[1, 2], [3, 4]], dtype=np.int16))
    # The frame shows columns 1 to 3 of an image 4 wide and 2 high.
    back = shown.to_image(Affine(x0=-1), size=(2, 4))
    assert back.classes.tolist() == [[UNSEEN, 1, 2, UNSEEN], [UNSEEN, 3, 4, UNSEEN]]
    twice = shown.to_image(Affine(xx=0.5, yy=0.5), size=(4, 4))
    assert twice.classes.tolist() == np.kron(shown.classes, np.ones((2, 2), int)).tolist()


def test_a_map_of_no_numbers_is_of_no_class_where_it_is_only_tried():
    reading = HeadReading.of(specs.SemanticHead(), ("road", "sky"), {})
    raw = {"scores": np.full((3, 2, 4, 6), np.nan, dtype=np.float32)}
    with pytest.raises(ModelError, match="NaN or infinity"):
        reading.read(raw, n=3, size=(4, 6))
    answers = reading.read(raw, n=3, size=(4, 6), tried=()).answers
    assert [a.classes.tolist() for a in answers] == [[[-1] * 6] * 4] * 3
