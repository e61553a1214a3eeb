import numpy as np
import pytest

from auditor.errors import ModelError
from auditor.findings import TensorFacts
from auditor.models.outputs import (
    Dequantisation,
    OutputReading,
    class_output,
    reading_for,
    sigmoid,
    softmax,
)
from auditor.spec import OutputSpec

RNG = np.random.default_rng(0)


def reading(kind="logits", *, n_classes=4, **changes):
    return OutputReading(kind=kind, n_classes=n_classes, **changes)


@pytest.mark.parametrize("tail", [(4,), (4, 1, 1), (1, 1, 4), (1, 4)])
def test_shapes_with_axes_of_one_are_read(tail):
    raw = RNG.normal(size=(5, *tail)).astype(np.float32)
    found = reading().read(raw, n=5)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, softmax(raw.reshape(5, 4).astype(float)), rtol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_large_logits_do_not_overflow():
    found = reading().read(np.array([[1e4, 0, -1e4, 9999]], dtype=np.float32), n=1)
    np.testing.assert_allclose(found[0], [1 / (1 + np.exp(-1)), 0, 0, 1 / (1 + np.e)], atol=1e-6)


def test_float16_is_read_in_double():
    raw = np.array([[1, 2, 3, 4]], dtype=np.float16)
    np.testing.assert_allclose(reading().read(raw, n=1), softmax(raw.astype(float)), rtol=1e-6)


def test_a_background_class_is_dropped_and_the_rest_divided_by_its_sum():
    raw = np.array([[0.5, 0.1, 0.1, 0.1, 0.2]], dtype=np.float32)
    found = reading("probabilities", background=0).read(raw, n=1)
    np.testing.assert_allclose(found, [[0.2, 0.2, 0.2, 0.4]], rtol=1e-6)
    logits = np.log(raw)
    np.testing.assert_allclose(reading(background=0).read(logits, n=1), found, rtol=1e-5)


def test_quantised_probabilities_whose_rows_do_not_sum_to_one():
    stored = np.array([[200, 4, 0, 0], [0, 0, 0, 0]], dtype=np.uint8)
    scaled = reading("probabilities", dequantisation=Dequantisation(1 / 256, 0)).read(stored, n=2)
    np.testing.assert_allclose(scaled[0], [200 / 204, 4 / 204, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(scaled[1], 0.25)
    unknown = reading("probabilities").read(stored, n=2)
    np.testing.assert_allclose(unknown, scaled, rtol=1e-6)


def test_integer_logits_need_the_graphs_scale():
    stored = np.array([[60, 70, 80, -40]], dtype=np.int8)
    known = reading(dequantisation=Dequantisation(0.1, 20))
    real = (stored.astype(float) - 20) * 0.1
    np.testing.assert_allclose(known.read(stored, n=1), softmax(real), rtol=1e-6)
    with pytest.raises(ModelError, match="names no scale"):
        reading().read(stored, n=1)


def test_sigmoid_of_one_output_is_the_second_class():
    scores = np.array([[2.0], [-1.0]])
    found = reading("sigmoid", n_classes=2).read(scores, n=2)
    np.testing.assert_allclose(found[:, 1], sigmoid(scores)[:, 0], rtol=1e-6)
    ended = reading("sigmoid", n_classes=2, ending="sigmoid").read(sigmoid(scores), n=2)
    np.testing.assert_allclose(ended, found, rtol=1e-6)


def test_independent_scores_are_divided_by_their_sum():
    scores = np.array([[0.0, 0.0, 0.0, 20.0]])
    found = reading("sigmoid").read(scores, n=1)
    np.testing.assert_allclose(found, [[0.2, 0.2, 0.2, 0.4]], rtol=1e-6)


def test_sigmoid_does_not_overflow():
    assert np.array_equal(sigmoid(np.array([-1e4, 0, 1e4])), [0, 0.5, 1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_with_the_number_of_images(bad):
    raw = np.zeros((5, 4), dtype=np.float32)
    raw[[1, 3], 2] = bad
    with pytest.raises(ModelError, match="for 2 of 5 images"):
        reading().read(raw, n=5)


@pytest.mark.parametrize(
    ("raw", "kind", "advice"),
    [
        (np.array([[3.0, -2.0, 0.5, 1.0]]), "probabilities", "output: logits"),
        (np.array([[0.9, 0.9, 0.1, 0.1]]), "probabilities", "output: sigmoid"),
    ],
)
def test_numbers_that_the_kind_cannot_hold_are_refused(raw, kind, advice):
    with pytest.raises(ModelError, match=advice):
        reading(kind).read(raw, n=1)


@pytest.mark.parametrize(
    ("width", "n_classes", "changes", "advice"),
    [
        (1001, 1000, {}, "background: 0"),
        (5, 4, {"background": 0}, None),
        (4, 4, {"background": 0}, "Leave `output.background` out"),
        (1, 2, {}, "output: sigmoid"),
        (7, 4, {}, "List the classes"),
    ],
)
def test_a_wrong_class_count_says_what_to_do(width, n_classes, changes, advice):
    made, raw = reading(n_classes=n_classes, **changes), np.zeros((2, width))
    if advice is None:
        assert made.read(raw, n=2).shape == (2, n_classes)
        return
    with pytest.raises(ModelError, match=advice) as told:
        made.read(raw, n=2)
    assert f"gives {width} numbers" in str(told.value)
    assert f"names {n_classes}" in str(told.value)


@pytest.mark.parametrize("shape", [(2, 4, 7, 7), (1, 4), (8,)])
def test_a_map_or_a_lost_batch_is_no_classification(shape):
    with pytest.raises(ModelError, match="one row of class scores an image"):
        reading().read(np.zeros(shape), n=2)


@pytest.mark.parametrize(("ending", "advice"), [("softmax", "probabilities"), ("sigmoid", "sigm")])
def test_logits_of_a_graph_that_ends_in_probabilities_are_refused(ending, advice):
    with pytest.raises(ModelError, match=f"model.output: {advice}"):
        reading_for(OutputSpec(kind="logits"), n_classes=4, ending=ending)
    reading_for(OutputSpec(kind="logits"), n_classes=4, ending="none")


def test_a_sigmoid_after_a_softmax_is_refused():
    with pytest.raises(ModelError, match="probabilities already"):
        reading_for(OutputSpec(kind="sigmoid"), n_classes=2, ending="softmax")


@pytest.mark.parametrize("kind", ["int64", "int32", "string", "bool"])
def test_an_output_of_numbers_of_classes_holds_no_scores(kind):
    picked = TensorFacts("picked", (None, 2), f"tensor({kind})")
    scores = TensorFacts("scores", (None, 2), "tensor(float)")
    assert class_output((picked, scores), widths={2}) == "scores"
    with pytest.raises(ModelError, match=r"'picked'.*and no scores"):
        class_output((picked,), widths={2})


def test_a_background_beyond_the_classes_is_refused():
    with pytest.raises(ModelError, match="from 0 to 4"):
        reading_for(OutputSpec(kind="logits", background=5), n_classes=4, ending="none")
