import dataclasses

import numpy as np
import pytest
from detector_worlds import DETECTOR, SEGMENTER, boxed, boxed_evidence, said

from auditor.checks.input_candidates import (
    ClassOrder,
    best_assignment,
    candidates_for,
    class_orders,
    effect_of,
    input_words,
)
from auditor.checks.model_preprocessing import OtherInputs, Preprocessing
from auditor.contract import Available, Pass
from auditor.findings import Figure, Unmeasured
from auditor.reports.telling import Telling
from auditor.spec import InputSpec
from auditor.stats import holm, p_value, value

LIMIT = 0.05
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
COLOUR = InputSpec(size=(224, 224), resize="shortest", shortest=256, **IMAGENET)
GREY = InputSpec(size=(28, 28), channels="grey", mean=(0.0,), std=(1.0,))
RAW = InputSpec(size=(224, 224), layout="nhwc", dtype="uint8")


def world(worlds, *, seed, true_name=None, order=None, given=COLOUR, classes=6, n=256, gap=0.3):
    """A model that is right with `true_name` (None: as declared) more often than otherwise."""
    rng = np.random.default_rng(seed)
    names = tuple(f"c{i}" for i in rng.permutation(classes))
    labels = rng.integers(0, classes, n)
    spec = worlds.spec(
        model={"path": "m.onnx", "classes": names, "input": given.model_dump(),
               "output": "logits"}
    )  # fmt: skip
    dataset = worlds.dataset(labels, classes=names)
    evidence = worlds.evidence(spec=spec)

    def answers(right):
        hit = rng.random(n) < right
        given_answers = np.where(hit, labels, (labels + rng.integers(1, classes, n)) % classes)
        if order is not None:
            # The model says index k for what is class meaning[k].
            place = np.argsort(order(names).meaning)
            given_answers = place[given_answers]
        return worlds.probabilities(given_answers, n_classes=classes)

    evidence.add(dataset, answers(0.9 if true_name is None else 0.9 - gap))
    for candidate in candidates_for(given):
        right = 0.9 if candidate.name == true_name else 0.9 - gap
        evidence.add(dataset, answers(right), input=candidate.input)
    return evidence


def failing(found):
    """Names of the measures that exceed the limit, as the policy decides it (Holm)."""
    measures = list(found.values())
    p = holm([p_value(m.estimate, limit=LIMIT, exceeds="above") for m in measures])
    return {str(m.subject.keys[0][1]) for m, q in zip(measures, p, strict=True) if q <= 0.05}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["bgr-minus-mean", "rgb-0..1", "resize-stretch", "exif-ignore"])
def test_the_planted_preprocessing_is_named_and_no_other(worlds, seed, name):
    found = worlds.measures(Preprocessing(), world(worlds, seed=seed, true_name=name))
    assert failing(found) == {name}
    measure = found[f"accuracy-gain:input={name}@test"]
    sentence = worlds.sentence(Preprocessing, measure)
    assert sentence.startswith("Accuracy with channels")
    assert "The labels fit far better" in sentence
    assert InputSpec.model_validate(measure.facts["input"], strict=False) == next(
        c.input for c in candidates_for(COLOUR) if c.name == name
    )
    assert measure.n == 256


@pytest.mark.parametrize("seed", range(8))
def test_a_model_fed_as_it_was_trained_shows_nothing(worlds, seed):
    found = worlds.measures(Preprocessing(), world(worlds, seed=seed))
    assert failing(found) == set()


@pytest.mark.parametrize("seed", range(8))
def test_equally_good_ways_show_nothing(worlds, seed):
    found = worlds.measures(Preprocessing(), world(worlds, seed=seed, gap=0.0))
    assert failing(found) == set()


@pytest.mark.parametrize("name", ["shifted+1", "shifted-1", "reversed", "alphabetical"])
def test_a_planted_order_of_classes_is_named(worlds, name):
    def order(names):
        return next(o for o in class_orders(names) if o.name == name)

    found = worlds.measures(Preprocessing(), world(worlds, seed=3, order=order))
    assert name in failing(found)
    # Other orders share some classes with the planted one; only the best is called the fit.
    fits = [m for m in found.values() if m.facts["fits"]]
    assert [str(m.subject.keys[0][1]) for m in fits] == [name]
    best = max(value(m.estimate) for m in found.values())
    assert value(fits[0].estimate) == pytest.approx(best)


@pytest.mark.parametrize("seed", range(4))
def test_an_input_that_fits_as_well_goes_before_an_order_of_classes(worlds, seed):
    def shifted(names):
        return next(o for o in class_orders(names) if o.name == "shifted+1")

    evidence = world(worlds, seed=seed, order=shifted)
    assert "shifted+1" in failing(worlds.measures(Preprocessing(), evidence))
    # Two ways that explain the answers: the one that differs less is called the fit.
    labels = evidence.answers().labels
    for name in ("bgr-minus-mean", "exif-ignore"):
        given = next(c.input for c in candidates_for(COLOUR) if c.name == name)
        right = np.where(np.random.default_rng(seed).random(len(labels)) < 0.9, labels, 0)
        answers = worlds.probabilities(right, n_classes=6)
        evidence.add(evidence.dataset("test"), answers, input=given)
    found = worlds.measures(Preprocessing(), evidence)
    assert failing(found) == {"bgr-minus-mean", "exif-ignore"}
    assert [m.subject.keys for m in found.values() if m.facts["fits"]] == [
        (("input", "exif-ignore"),)
    ]


def test_the_order_that_the_file_lists_is_tried_first(worlds):
    classes = tuple("dcab")
    listed = ("b", "a", "d", "c")
    first, *_ = class_orders(classes, listed=listed)
    assert first.name == "as-the-file-lists-them"
    assert tuple(classes[i] for i in first.meaning) == listed
    assert all(o.name != first.name for o in class_orders(classes))


def test_the_gain_is_paired_and_its_examples_are_what_it_wins(worlds):
    evidence = world(worlds, seed=1, true_name="bgr-minus-mean")
    found = worlds.measures(Preprocessing(), evidence)["accuracy-gain:input=bgr-minus-mean@test"]
    true_input = next(c.input for c in candidates_for(COLOUR) if c.name == "bgr-minus-mean")
    before = evidence.answers().correct
    after = evidence.answers(input=true_input).correct
    assert value(found.estimate) == pytest.approx(after.mean() - before.mean())
    assert found.estimate.gained == (after & ~before).sum()
    won = set(evidence.answers().image_ids[after & ~before])
    assert found.examples
    assert set(found.examples) <= won


def test_the_figure_holds_every_way_beside_the_declared_one(worlds):
    evidence = world(worlds, seed=1, true_name="bgr-minus-mean")
    results = list(Preprocessing().run(evidence))
    (figure,) = [r for r in results if isinstance(r, Figure)]
    orders = len(class_orders(evidence.spec.model.classes))
    assert len(figure.rows) == 1 + len(candidates_for(COLOUR)) + orders
    # No order of classes is named where a preprocessing explains the answers.
    assert len(results) == 1 + len(candidates_for(COLOUR))
    assert figure.rows[0]["label"] == "as declared"
    assert "bgr-minus-mean" in figure.alt


def test_too_few_labelled_images_are_not_measured(worlds):
    (result,) = Preprocessing().run(world(worlds, seed=0, n=9))
    assert isinstance(result, Unmeasured)


def test_candidates_differ_from_the_declared_one_and_from_each_other():
    for declared in (COLOUR, GREY, RAW):
        effects = [effect_of(c.input) for c in candidates_for(declared)]
        assert effect_of(declared) not in effects
        assert len(set(effects)) == len(effects)
        assert len({c.name for c in candidates_for(declared)}) == len(effects)
        assert all(c.input.size == declared.size for c in candidates_for(declared))


def test_the_same_numbers_in_other_words_are_no_candidate():
    in_bytes = COLOUR.model_copy(
        update={"scale": 1.0, "mean": tuple(255 * m for m in COLOUR.mean),
                "std": tuple(255 * s for s in COLOUR.std)}
    )  # fmt: skip
    assert effect_of(in_bytes) == effect_of(COLOUR)
    assert "rgb-imagenet" not in {c.name for c in candidates_for(in_bytes)}


def test_other_channels_take_their_own_numbers_with_them():
    turned = next(c.input for c in candidates_for(COLOUR) if c.name == "channels-bgr")
    assert turned.mean == (0.406, 0.456, 0.485)
    caffe = next(c.input for c in candidates_for(COLOUR) if c.name == "bgr-minus-mean")
    assert (caffe.scale, caffe.mean, caffe.channels) == (1.0, (103.939, 116.779, 123.68), "bgr")


def test_raw_and_grey_inputs_get_only_what_applies_to_them():
    assert {c.name for c in candidates_for(RAW)} == {
        "exif-ignore", "channels-bgr", "resize-no-antialias", "resize-shortest", "resize-letterbox"
    }  # fmt: skip
    names = {c.name for c in candidates_for(GREY)}
    assert names == {"exif-ignore", "grey--1..1", "grey-0..255", "grey-mnist",
                     "resize-no-antialias", "resize-shortest", "resize-letterbox"}  # fmt: skip


def test_orders_of_integer_names_hold_the_order_of_text():
    classes = tuple(str(i) for i in range(12))
    orders = {o.name: o.meaning for o in class_orders(classes)}
    assert [classes[i] for i in orders["alphabetical"][:4]] == ["0", "1", "10", "11"]
    assert "numeric" not in orders
    by_text = tuple(sorted(classes))
    numeric = next(o for o in class_orders(by_text) if o.name == "numeric")
    assert [by_text[i] for i in numeric.meaning] == list(classes)


def test_two_classes_have_one_other_order():
    assert [o.name for o in class_orders(("a", "b"))] == ["shifted+1"]


def test_the_need_plans_every_candidate_on_one_sample(worlds):
    evidence = world(worlds, seed=0)
    available = Available(evidence.spec, evidence.model, {"test": evidence.dataset("test")})
    need = OtherInputs()
    assert need.unmet(available) is None
    passes = need.passes(available)
    assert passes[0] == Pass("test", sample=256)
    assert {p.input for p in passes[1:]} == {c.input for c in candidates_for(COLOUR)}
    assert {p.sample for p in passes} == {256}
    assert need.unmet(Available(evidence.spec, evidence.model, {})) is not None


def test_words_can_be_written_into_a_spec():
    assert input_words(COLOUR) == (
        "channels rgb, scale 255, mean [0.485, 0.456, 0.406], std [0.229, 0.224, 0.225], resize "
        "shortest to 256"
    )
    assert "pixels as they are" in input_words(RAW)


def test_squeezenet_declared_as_rgb_is_told_how_it_was_trained(worlds, shared_data):
    import pandas as pd

    from auditor.data.frames import to_frame
    from auditor.data.images import decode
    from auditor.models.load import load_model

    classes = tuple(str(i) for i in range(1000))
    spec = worlds.spec(
        model={"path": str(shared_data / "models/imagenet_squeezenet1.1_fp32.onnx"),
               "classes": classes, "input": COLOUR.model_dump(), "output": "probabilities"}
    )  # fmt: skip
    model = load_model(spec, classes=classes)
    folder = shared_data / "imagenet-mini"
    rows = pd.read_csv(folder / "manifest.csv").iloc[::12]
    pixels = [decode((folder / p).read_bytes(), max_pixels=10**8).pixels for p in rows["path"]]
    dataset = worlds.dataset(rows["label"].to_numpy(), classes=classes)
    evidence = worlds.evidence(spec=spec)

    def answered(given):
        frames = np.stack([to_frame(p, given) for p in pixels])
        return model.predict(frames, input=given).probabilities

    evidence.add(dataset, answered(COLOUR))
    for candidate in candidates_for(COLOUR):
        evidence.add(dataset, answered(candidate.input), input=candidate.input)
    found = worlds.measures(Preprocessing(), evidence)
    best = max(found.values(), key=lambda m: value(m.estimate))
    assert str(best.subject) == "input=bgr-minus-mean@test"
    assert failing(found) >= {"bgr-minus-mean"}
    assert "channels bgr, scale 1, mean [103.939, 116.779, 123.68]" in worlds.sentence(
        Preprocessing, best
    )


def test_a_way_that_gives_the_very_same_answers_is_no_other_way(worlds):
    evidence = world(worlds, seed=0)
    same = next(c for c in candidates_for(COLOUR) if c.name == "resize-stretch")
    declared = evidence.answers("test")
    evidence.add(declared.dataset, declared.probabilities.copy(), input=same.input)
    found = worlds.measures(Preprocessing(), evidence)
    assert "accuracy-gain:input=resize-stretch@test" not in found
    assert "accuracy-gain:input=resize-letterbox@test" in found


def test_a_way_that_gives_no_scores_is_left_out_and_named(worlds):
    evidence = world(worlds, seed=0, true_name="rgb-0..1")
    way = next(c for c in candidates_for(COLOUR) if c.name == "bgr-0..255")
    scores = evidence.answers(input=way.input).probabilities.copy()
    scores[7] = np.nan
    evidence.add(evidence.dataset("test"), scores, input=way.input)
    found = worlds.measures(Preprocessing(), evidence)
    assert "accuracy-gain:input=bgr-0..255@test" not in found
    assert failing(found) == {"rgb-0..1"}
    (figure,) = (r for r in Preprocessing().run(evidence) if isinstance(r, Figure))
    assert figure.caption.endswith("Left out, since the model then gives no scores: bgr-0..255.")
    assert "input: bgr-0..255" not in {row["label"] for row in figure.rows}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("classes", [2, 6])
def test_labels_of_other_images_are_not_decided(worlds, seed, classes):
    evidence = world(worlds, seed=seed, classes=classes)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(evidence.answers().labels)
    names = evidence.spec.model.classes
    other = worlds.evidence(spec=evidence.spec)
    dataset = worlds.dataset(shuffled, classes=names)
    other.add(dataset, evidence.answers().probabilities)
    for candidate in candidates_for(COLOUR):
        given = evidence.answers(input=candidate.input).probabilities
        other.add(dataset, given, input=candidate.input)
    unmeasured = [r for r in Preprocessing().run(other) if not isinstance(r, Figure)]
    assert [type(r) for r in unmeasured] == [Unmeasured]
    assert "do not belong together" in unmeasured[0].reason


def test_one_answer_for_all_is_no_better_than_guessing(worlds):
    evidence = world(worlds, seed=0)
    for given in (None, *(c.input for c in candidates_for(COLOUR))):
        answers = worlds.probabilities(np.zeros(256, dtype=int), n_classes=6)
        evidence.add(evidence.dataset("test"), answers, **({"input": given} if given else {}))
    assert any(isinstance(r, Unmeasured) for r in Preprocessing().run(evidence))


def test_every_way_is_named_apart(worlds):
    telling = Telling({Preprocessing.id: Preprocessing})
    found = worlds.measures(Preprocessing(), world(worlds, seed=0)).values()
    names = [telling.short(Preprocessing.id, m) for m in found]
    assert {"gain with channels-bgr", "gain with classes reversed"} <= set(names)
    assert len(set(names)) == len(names) > 5


@pytest.mark.parametrize("seed", range(4))
def test_any_permutation_of_classes_is_found_and_told(worlds, seed):
    def order(names):
        meaning = np.array([2, 0, 1, 4, 3, 5])  # no shift, no reversal, no sorting
        return ClassOrder("planted", meaning)

    found = worlds.measures(Preprocessing(), world(worlds, seed=seed, order=order))
    (fit,) = [m for m in found.values() if m.facts["fits"]]
    assert fit.subject.keys == (("classes", "best-assignment"),)
    names = world(worlds, seed=seed).spec.model.classes
    assert fit.facts["classes"] == [names[i] for i in (2, 0, 1, 4, 3, 5)]
    sentence = worlds.sentence(Preprocessing, fit)
    assert f"{names[0]!r} stands for {names[2]!r}" in sentence
    assert "fit far better" in sentence


@pytest.mark.parametrize("seed", range(4))
def test_a_permutation_is_not_named_where_an_input_explains_as_much(worlds, seed):
    evidence = world(worlds, seed=seed, order=lambda names: ClassOrder(
        "planted", np.array([2, 0, 1, 4, 3, 5])))  # fmt: skip
    given = next(c.input for c in candidates_for(COLOUR) if c.name == "resize-no-antialias")
    labels = evidence.answers().labels
    right = np.where(np.random.default_rng(seed).random(256) < 0.9, labels, 0)
    evidence.add(evidence.dataset("test"), worlds.probabilities(right, n_classes=6), input=given)
    found = worlds.measures(Preprocessing(), evidence)
    assert not [m for m in found.values() if m.subject.keys[0][0] == "classes"]
    assert failing(found) == {"resize-no-antialias"}


def test_what_is_not_shown_to_fit_better_does_not_read_so(worlds):
    for seed in range(6):
        found = worlds.measures(
            Preprocessing(), world(worlds, seed=seed, true_name="rgb-0..1", gap=0.07)
        )
        said = {m.subject.keys[0][1] for m in found.values() if m.facts["fits"]}
        assert said <= failing(found)


def test_the_best_assignment_leaves_alone_what_the_answers_leave_open():
    predicted = np.array([0, 0, 1, 1])
    labels = np.array([1, 1, 0, 0])
    assert best_assignment(predicted, labels, 4).tolist() == [1, 0, 2, 3]


CLASSES = ("cup", "plate")


def ways(worlds, model):
    """A spec of such a model, and the inputs to try by name, None as declared."""
    spec = worlds.spec(model={**model, "classes": CLASSES, "input": COLOUR.model_dump()})
    return spec, {None: None} | {c.name: c.input for c in candidates_for(COLOUR)}


def detector(worlds, *, seed, true_name=None, right=0.9, otherwise=0.5):
    rng = np.random.default_rng(seed)
    holds = rng.random((120, 2)) < 0.7
    spec, inputs = ways(worlds, DETECTOR)
    evidence = boxed_evidence(worlds, spec, CLASSES)
    data = boxed(worlds, CLASSES, holds)
    for name, given in inputs.items():
        share = right if name == true_name else otherwise
        evidence.add_found(data, said(holds & (rng.random(holds.shape) < share)), input=given)
    return evidence


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["channels-bgr", "bgr-0..255", "resize-stretch", "exif-ignore"])
def test_a_detector_fed_otherwise_than_it_was_trained_is_told_how(worlds, seed, name):
    evidence = detector(worlds, seed=seed, true_name=name)
    found = worlds.measures(Preprocessing(), evidence)
    assert failing(found) == {name}
    measure = found[f"accuracy-gain:input={name}@test"]
    assert (measure.of, measure.facts["fits"]) == ("object", True)
    assert measure.n == evidence.dataset("test").truth.boxes.classes.size
    assert worlds.sentence(Preprocessing, measure).startswith("Objects found with channels")


@pytest.mark.parametrize("seed", range(3))
def test_a_detector_fed_as_it_was_trained_shows_nothing(worlds, seed):
    for otherwise in (0.5, 0.9):
        found = worlds.measures(Preprocessing(), detector(worlds, seed=seed, otherwise=otherwise))
        assert failing(found) == set()
        assert not any(m.facts["fits"] for m in found.values())


@pytest.mark.parametrize("meaning", [[1, 2, 3, 0], [3, 0, 1, 2], [2, 0, 3, 1]])
def test_a_detector_whose_classes_stand_in_another_order_is_told_which(worlds, meaning):
    names = ("cup", "plate", "fork", "bowl")
    holds = np.random.default_rng(1).random((120, 4)) < 0.5
    spec = worlds.spec(model={**DETECTOR, "classes": names, "input": COLOUR.model_dump()})
    evidence = boxed_evidence(worlds, spec, names)
    data, right = boxed(worlds, names, holds), said(holds)
    # An index k stands for the class meaning[k].
    shifted = dataclasses.replace(right, classes=np.argsort(meaning)[right.classes])
    for given in (None, *(c.input for c in candidates_for(COLOUR))):
        evidence.add_found(data, shifted, input=given)
    found = worlds.measures(Preprocessing(), evidence)
    (fits,) = (m for m in found.values() if m.facts["fits"])
    assert fits.subject.get("classes") in failing(found)
    assert value(fits.estimate) == pytest.approx(1.0)
    assert worlds.sentence(Preprocessing, fits).startswith("Objects found with classes ")


def test_boxes_that_are_the_very_same_are_no_other_way_and_other_scores_are(worlds):
    evidence = detector(worlds, seed=0)
    data, holds = evidence.dataset("test"), np.zeros((120, 2), dtype=bool)
    boxes = data.truth.boxes
    holds[boxes.image, boxes.classes] = True
    inputs = {c.name: c.input for c in candidates_for(COLOUR)}
    evidence.add_found(data, said(holds))
    evidence.add_found(data, said(holds), input=inputs["resize-stretch"])
    evidence.add_found(data, said(holds, scores=0.8), input=inputs["exif-ignore"])
    found = worlds.measures(Preprocessing(), evidence)
    assert "accuracy-gain:input=resize-stretch@test" not in found
    assert "accuracy-gain:input=exif-ignore@test" in found


def test_a_detector_that_finds_nothing_either_way_is_not_decided(worlds):
    evidence = detector(worlds, seed=0, right=0.0, otherwise=0.0)
    data, nothing = evidence.dataset("test"), np.zeros((120, 2), dtype=bool)
    nothing[:, 0] = True
    away = said(nothing)
    away = dataclasses.replace(away, corners=away.corners + 100)
    for k, given in enumerate([None, *(c.input for c in candidates_for(COLOUR))]):
        evidence.add_found(data, dataclasses.replace(away, scores=away.scores - 0.01 * k),
                           input=given)  # fmt: skip
    unmeasured = [r for r in Preprocessing().run(evidence) if not isinstance(r, Figure)]
    assert [type(r) for r in unmeasured] == [Unmeasured]
    assert "do not belong together" in unmeasured[0].reason


@pytest.mark.parametrize("true_name", [None, "channels-bgr"])
def test_a_segmenter_fed_otherwise_than_it_was_trained_is_told_how(worlds, true_name):
    rng = np.random.default_rng(4)
    spec, inputs = ways(worlds, SEGMENTER)
    truth = [rng.integers(0, 2, (6, 6)) for _ in range(150)]
    data = dataclasses.replace(worlds.dataset([-1] * 150, classes=CLASSES), has_labels=True)
    facts = worlds.facts(task="segmentation", classes=CLASSES)
    evidence = worlds.evidence(model=facts, spec=spec)
    for name, given in inputs.items():
        share = 0.9 if name == true_name else 0.5
        answers = [t if rng.random() < share else 1 - t for t in truth]
        evidence.add_maps(data, answers, truth, input=given)
    results = list(Preprocessing().run(evidence))
    assert worlds.unfilled(Preprocessing, results) == []
    found = worlds.measures(Preprocessing(), evidence)
    assert failing(found) == ({true_name} if true_name else set())


def test_the_need_is_met_by_every_task(worlds):
    evidence = detector(worlds, seed=0)
    available = Available(evidence.spec, evidence.model, {"test": evidence.dataset("test")})
    assert [need.unmet(available) for need in Preprocessing().needs] == [None]
