import hashlib
import os
import shutil
import threading

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from auditor.errors import ModelError
from auditor.models.load import load_model
from auditor.models.onnx_graph import (
    OnnxGraph,
    dequantisation_of,
    ending_of,
    read_onnx,
    serialised,
)
from auditor.models.onnx_model import _without_place, open_session
from auditor.models.penultimate import find_penultimate
from auditor.spec import RuntimeSpec


def load(tiny, path, **spec):
    made = tiny.spec(path, **spec)
    return load_model(made, classes=made.model.classes)


FORMS = [
    {},
    {"layout": "nhwc"},
    {"dtype": "float16"},
    {"dtype": "uint8"},
    {"dtype": "uint8", "layout": "nhwc", "batch": 1},
    {"batch": 1},
    {"batch": 4},
    {"tail": (3, 1, 1)},
    {"tail": (1, 1, 3)},
    {"ending": "Softmax"},
    {"ending": "Softmax", "quantised_output": True},
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_form_gives_the_answers_worked_out_by_hand(tiny, tmp_path, form):
    path = tiny.channel_net(tmp_path / "m.onnx", **form)
    given = {k: form[k] for k in ("layout", "dtype") if k in form}
    output = "probabilities" if form.get("ending") else "logits"
    model = load(tiny, path, input=given, output=output)
    frames = tiny.frames(n=11)
    found = model.predict(frames, embedding=True)
    rounding = {"float16": 5e-3}.get(
        form.get("dtype"), 0.01 if "quantised_output" in form else 1e-5
    )
    np.testing.assert_allclose(found.probabilities, tiny.expected(frames), atol=rounding)
    assert found.probabilities.dtype == np.float32
    assert found.embedding.shape == (11, 4)
    means = frames.reshape(11, -1, 3).mean(axis=1) / 255
    np.testing.assert_allclose(found.embedding[:, :3], means, atol=max(rounding, 1e-5))
    np.testing.assert_allclose(found.embedding[:, 3], means.sum(axis=1), atol=max(rounding, 1e-5))
    plain = model.predict(frames)
    assert plain.embedding is None
    np.testing.assert_allclose(plain.probabilities, found.probabilities, rtol=1e-5)


def test_a_thousand_and_one_outputs_with_a_background(tiny, tmp_path):
    path = tiny.channel_net(tmp_path / "m.onnx", n_classes=4)
    with pytest.raises(ModelError, match=r"gives 4 numbers.*background: 0"):
        load(tiny, path)
    model = load(tiny, path, output={"kind": "logits", "background": 3})
    frames = tiny.frames()
    np.testing.assert_allclose(
        model.predict(frames).probabilities, tiny.expected(frames), atol=1e-5
    )


def test_channels_and_scaling_of_another_input_reach_the_model(tiny, tmp_path):
    model = load(tiny, tiny.channel_net(tmp_path / "m.onnx"))
    frames = tiny.frames()
    spec = tiny.spec("x", input={"channels": "bgr"}).model.input
    turned = model.predict(frames, input=spec).probabilities
    np.testing.assert_allclose(turned, tiny.expected(frames[..., ::-1]), atol=1e-5)


def test_no_frames_give_no_answers(tiny, tmp_path):
    model = load(tiny, tiny.channel_net(tmp_path / "m.onnx"))
    empty = model.predict(tiny.frames()[:0], embedding=True)
    assert empty.probabilities.shape == (0, 3)
    assert empty.embedding.shape == (0, 4)


def test_a_batch_that_is_fixed_inside_of_a_free_graph_is_driven_one_by_one(tiny, tmp_path):
    path = tiny.channel_net(tmp_path / "m.onnx", tail=(3,), batch="n")
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name == "tail":
            tensor.CopyFrom(numpy_helper.from_array(np.array([1, 3], dtype=np.int64), "tail"))
    onnx.save(model, path)
    frames = tiny.frames()
    found = load(tiny, path).predict(frames).probabilities
    np.testing.assert_allclose(found, tiny.expected(frames), atol=1e-5)


def test_threads_share_a_model_and_get_their_own_answers(tiny, tmp_path):
    model = load(tiny, tiny.channel_net(tmp_path / "m.onnx"))
    wrong = []

    def work(seed):
        frames = tiny.frames(seed=seed)
        for _ in range(20):
            found = model.predict(frames, embedding=True)
            if not np.allclose(found.probabilities, tiny.expected(frames), atol=1e-5):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_facts_say_what_the_file_is(tiny, tmp_path):
    path = tiny.channel_net(tmp_path / "m.onnx")
    facts = load(tiny, path).facts
    assert facts.format == "onnx"
    assert facts.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts.file_bytes == path.stat().st_size
    assert facts.inputs[0].shape == (None, 3, 8, 8)
    assert facts.outputs[0].shape == (None, 3)
    assert facts.n_parameters == 12 + 12 + 3
    assert facts.flops == 2 * (4 * 3 * 64 + 3 * 4)
    assert facts.opset == 17
    assert facts.embedding == "pooled"
    assert not facts.differentiable
    assert not facts.quantised


def test_digest_follows_bytes_and_reading_and_nothing_else(tiny, tmp_path):
    path = tiny.channel_net(tmp_path / "a.onnx")
    same = shutil.copy(path, tmp_path / "b.onnx")
    base = load(tiny, path).digest
    assert load(tiny, same).digest == base
    assert load(tiny, path, embedding=None).digest != base
    other = tiny.channel_net(tmp_path / "c.onnx", n_classes=4)
    assert load(tiny, other, output={"kind": "logits", "background": 3}).digest != base
    as_sigmoid = load(tiny, path, output="sigmoid")
    assert as_sigmoid.digest != base


def test_gradients_are_refused_with_the_remedy(tiny, tmp_path):
    model = load(tiny, tiny.channel_net(tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match="PyTorch weights"):
        model.gradients(tiny.frames(), np.zeros(12, dtype=int))


@pytest.mark.parametrize(
    ("form", "spec", "advice"),
    [
        ({"layout": "nhwc"}, {}, "layout: nhwc"),
        ({"dtype": "float16"}, {}, "dtype: float16"),
        ({"dtype": "uint8"}, {}, "dtype: uint8"),
        ({"size": 16}, {}, r"size: \[16, 16\]"),
        ({"ending": "Softmax"}, {}, "model.output: probabilities"),
        ({"ending": "Sigmoid"}, {}, "model.output: sigmoid"),
        ({}, {"output": "probabilities"}, "model.output: logits"),
        ({}, {"classes": ("a", "b")}, "otherwise list all 3 classes"),
        ({}, {"classes": tuple("abcdef")}, "gives 3 numbers an image, expected 6"),
        ({}, {"input": {"channels": "grey", "mean": (0.0,), "std": (1.0,)}}, "channels: rgb"),
        ({}, {"embedding": "poled"}, "Did you mean 'pooled'"),
    ],
    ids=str,
)
def test_what_does_not_fit_the_spec_is_refused_with_the_remedy(tiny, tmp_path, form, spec, advice):
    path = tiny.channel_net(tmp_path / "m.onnx", **form)
    with pytest.raises(ModelError, match=advice):
        load(tiny, path, **spec)


def test_a_named_embedding_is_read(tiny, tmp_path):
    path = tiny.channel_net(tmp_path / "m.onnx")
    found = load(tiny, path, embedding="r1").predict(tiny.frames(), embedding=True)
    automatic = load(tiny, path).predict(tiny.frames(), embedding=True)
    np.testing.assert_allclose(found.embedding, automatic.embedding, rtol=1e-5)


def test_no_embedding_where_none_is_wanted(tiny, tmp_path):
    model = load(tiny, tiny.channel_net(tmp_path / "m.onnx"), embedding=None)
    assert model.facts.embedding is None
    with pytest.raises(ModelError, match=r"`model\.embedding`"):
        model.predict(tiny.frames(), embedding=True)


def nan_model(path):
    weight = numpy_helper.from_array(np.full((3, 3, 1, 1), np.nan, dtype=np.float32), "w")
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"]),
            helper.make_node("GlobalAveragePool", ["c"], ["y"]),
        ],
        "nan",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, 1, 1])],
        initializer=[weight],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))
    return path


def test_nan_weights_are_found_when_the_model_is_loaded(tiny, tmp_path):
    with pytest.raises(ModelError, match="NaN or infinity for 1 of 1 images"):
        load(tiny, nan_model(tmp_path / "m.onnx"))


def test_scores_that_are_none_end_what_is_declared_and_not_what_is_tried(tiny, tmp_path):
    path = tiny.channel_net(tmp_path / "m.onnx", ending="Exp")
    frames, in_bytes = np.full((3, 8, 8, 3), 255, dtype=np.uint8), {"scale": 1.0}
    with pytest.raises(ModelError, match="NaN or infinity"):
        load(tiny, path, input=in_bytes).predict(frames)
    model, tried = load(tiny, path), tiny.spec(path, input=in_bytes).model.input
    assert np.isfinite(model.predict(frames).probabilities).all()
    found = model.predict(frames, input=tried).probabilities
    assert found.shape == (3, 3)
    assert np.isnan(found).all()


def test_external_data_are_read_and_part_of_the_digest(tiny, tmp_path):
    path = tiny.channel_net(tmp_path / "m.onnx", external="weights.bin")
    model, frames = load(tiny, path), tiny.frames()
    np.testing.assert_allclose(
        model.predict(frames, embedding=True).probabilities, tiny.expected(frames), atol=1e-5
    )
    assert model.facts.file_bytes == path.stat().st_size + (tmp_path / "weights.bin").stat().st_size
    data = bytearray((tmp_path / "weights.bin").read_bytes())
    data[0] ^= 1
    (tmp_path / "weights.bin").write_bytes(bytes(data))
    assert load(tiny, path).facts.digest != model.facts.digest


def test_missing_external_data_are_named(tiny, tmp_path):
    path = tiny.channel_net(tmp_path / "m.onnx", external="weights.bin")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"weights.bin does not exist.*same folder"):
        load(tiny, path)


@pytest.mark.parametrize("how", ["hard link", "symbolic link", "parent folder"])
def test_external_data_outside_of_the_folder_are_refused(tiny, tmp_path, how):
    folder = tmp_path / "model"
    folder.mkdir()
    path = tiny.channel_net(folder / "m.onnx", external="weights.bin")
    outside = tmp_path / "weights.bin"
    shutil.move(folder / "weights.bin", outside)
    if how == "hard link":
        os.link(outside, folder / "weights.bin")
    elif how == "symbolic link":
        (folder / "weights.bin").symlink_to(outside)
    else:
        model = onnx.load(path, load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = "../weights.bin"
        path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="cannot be read"):
        load(tiny, path)


def test_an_added_output_leaves_the_model_as_it_was(tiny, tmp_path):
    model = read_onnx(tiny.channel_net(tmp_path / "m.onnx")).model
    before = model.SerializeToString()
    assert serialised(model, extra_output="pooled") != before
    assert serialised(model) == before
    assert serialised(model, extra_output=model.graph.output[0].name) == before


def test_the_scale_of_a_quantised_output_is_the_graphs(tiny, tmp_path):
    path = tiny.channel_net(tmp_path / "m.onnx", ending="Softmax", quantised_output=True)
    graph = OnnxGraph(read_onnx(path).model)
    assert ending_of(graph, "y8") == "softmax"
    assert dequantisation_of(graph, "y8").scale == pytest.approx(1 / 256)
    assert find_penultimate(graph, "y8").tensor == "pooled"


REAL = {
    "imagenet_squeezenet1.1_fp32": (
        {"scale": 1.0, "mean": (103.939, 116.779, 123.68), "channels": "bgr"},
        "probabilities",
        512,
        0.50,
    ),
    "imagenet_mobilenetv2_1.0_224_fp32": (
        {"layout": "nhwc", "dtype": "uint8"},
        {"kind": "probabilities", "background": 0},
        1280,
        0.70,
    ),
    "imagenet_mobilenetv2_1.0_224_int8qdq": (
        {"layout": "nhwc", "dtype": "uint8"},
        {"kind": "probabilities", "background": 0},
        1280,
        0.70,
    ),
}


@pytest.mark.parametrize("name", REAL)
def test_real_models_answer_as_published(tiny, shared_data, name):
    import pandas as pd

    from auditor.data.frames import to_frame
    from auditor.data.images import decode

    given, output, width, least = REAL[name]
    given = {"size": (224, 224), "resize": "shortest", "shortest": 256} | given
    classes = tuple(map(str, range(1000)))
    spec = tiny.spec(shared_data / f"models/{name}.onnx", input=given, classes=classes,
                     output=output)  # fmt: skip
    model = load_model(spec, classes=classes)
    rows = pd.read_csv(shared_data / "imagenet-mini/manifest.csv").iloc[::10]
    folder = shared_data / "imagenet-mini"
    frames = np.stack(
        [
            to_frame(decode((folder / p).read_bytes(), max_pixels=10**8).pixels, spec.model.input)
            for p in rows["path"]
        ]
    )
    found = model.predict(frames, embedding=True)
    assert found.embedding.shape == (100, width)
    assert (found.probabilities.argmax(axis=1) == rows["label"].to_numpy()).mean() >= least
    plain = model.predict(frames[:8])
    assert np.array_equal(plain.probabilities, model.predict(frames[:8]).probabilities)
    np.testing.assert_allclose(plain.probabilities, found.probabilities[:8], atol=1e-5)
    assert model.facts.quantised == ("int8" in name)


@pytest.mark.parametrize(
    ("axes", "expected"),
    [([1], "softmax"), ([-1], "softmax"), ([0], "none"), ([0, 1], "none"), ([], "none")],
)
def test_a_softmax_written_out_is_one_where_the_sum_is_of_the_classes(tmp_path, axes, expected):
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], axes=[1]),
        helper.make_node("Sub", ["x", "most"], ["below"]),
        helper.make_node("Exp", ["below"], ["powers"]),
        helper.make_node("ReduceSum", ["powers", "axis"], ["sum"]),
        helper.make_node("Div", ["powers", "sum"], ["shares"]),
        helper.make_node("Div", ["x", "sum"], ["others"]),
    ]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 4]) for n in ("x", "shares")]
    axis = numpy_helper.from_array(np.array(axes, dtype=np.int64), "axis")
    made = helper.make_graph(nodes, "written out", info[:1], info[1:], initializer=[axis])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)]), str(path))
    graph = OnnxGraph(read_onnx(path).model)
    assert (ending_of(graph, "shares"), ending_of(graph, "others")) == (expected, "none")


@pytest.mark.parametrize(("axis", "expected"), [(1, "softmax"), (-1, "softmax"), (0, "none")])
def test_a_softmax_over_the_images_of_a_batch_is_none(tmp_path, axis, expected):
    nodes = [helper.make_node("Softmax", ["x"], ["shares"], axis=axis)]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 4]) for n in ("x", "shares")]
    made = helper.make_graph(nodes, "one operator", info[:1], info[1:])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)]), str(path))
    assert ending_of(OnnxGraph(read_onnx(path).model), "shares") == expected


def test_onnxruntimes_reason_is_told_and_not_where_it_was_raised(tiny, tmp_path):
    path = tiny.channel_net(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.ir_version = 99
    with pytest.raises(
        ModelError, match=r"IR version: 99, max \w+ IR version: \d+\. Export"
    ) as told:
        open_session(model.SerializeToString(), RuntimeSpec())
    assert "onnxruntime_src" not in str(told.value)
    assert _without_place("[E] : 1 : /onnxruntime_src/a.cc:7 f(g<int(int)>, h) const No (x).") == (
        "[E] : 1 : No (x)"
    )
