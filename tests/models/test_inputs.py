import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from auditor.errors import ModelError
from auditor.models.inputs import InputBuffers, affine_of, tensor_shape
from auditor.spec import InputSpec

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def naive(frames, spec):
    """The text-book way, in double precision."""
    if spec.channels == "grey":
        grey = [np.asarray(Image.fromarray(f).convert("L"))[..., None] for f in frames]
        frames = np.stack(grey)
    elif spec.channels == "bgr":
        frames = frames[..., ::-1]
    values = frames.astype(np.float64)
    if spec.dtype != "uint8":
        values = (values / spec.scale - np.array(spec.mean)) / np.array(spec.std)
    return values if spec.layout == "nhwc" else values.transpose(0, 3, 1, 2)


def frames_of(n=3, size=(9, 7), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *size, 3), dtype=np.uint8)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_every_input_equals_the_naive_one(layout, channels, dtype):
    spec = InputSpec(size=(9, 7), layout=layout, channels=channels, dtype=dtype, **IMAGENET)
    found = InputBuffers().fill(frames_of(), input=spec)
    assert found.dtype == dtype
    assert found.flags.c_contiguous
    assert found.shape == (3, *tensor_shape(spec))
    rounding = {"float32": 1e-6, "float16": 2e-3, "uint8": 0}[dtype]
    np.testing.assert_allclose(found, naive(frames_of(), spec), rtol=rounding, atol=rounding)


@settings(max_examples=40)
@given(
    scale=st.sampled_from([1.0, 127.5, 255.0]),
    mean=st.tuples(*[st.floats(-2, 150)] * 3),
    std=st.tuples(*[st.floats(0.1, 70)] * 3),
)
def test_any_scaling_is_within_a_millionth_of_the_naive_one(scale, mean, std):
    spec = InputSpec(size=(9, 7), scale=scale, mean=mean, std=std)
    wanted = naive(frames_of(), spec)
    found = InputBuffers().fill(frames_of(), input=spec)
    # Relative to what is added up: where pixel and mean nearly cancel, so do the digits.
    size = np.abs(wanted).max() + max(np.abs(affine_of(spec).offset))
    assert np.abs(found - wanted).max() <= 1e-6 * size


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_grey_is_pillows_and_grey_pixels_stay_what_they_were(layout):
    spec = InputSpec(size=(9, 7), channels="grey", mean=(0.5,), std=(0.5,), layout=layout)
    found = InputBuffers().fill(frames_of(), input=spec)
    np.testing.assert_allclose(found, naive(frames_of(), spec), atol=1e-6)
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    plain = InputSpec(size=(16, 16), channels="grey", mean=(0.0,), std=(1.0,), dtype="uint8")
    kept = InputBuffers().fill(np.repeat(ramp[..., None], 3, axis=3), input=plain)
    assert np.array_equal(kept[0, 0], ramp[0])


def test_buffers_are_reused_by_a_thread_and_never_shared_between_threads():
    buffers, spec = InputBuffers(), InputSpec(size=(9, 7))
    first = buffers.fill(frames_of(4), input=spec)
    assert np.shares_memory(first, buffers.fill(frames_of(2), input=spec))
    other = []
    thread = threading.Thread(target=lambda: other.append(buffers.fill(frames_of(), input=spec)))
    thread.start()
    thread.join()
    assert not np.shares_memory(first, other[0])


def test_frames_of_another_size_or_type_are_refused():
    with pytest.raises(ModelError, match=r"expected uint8 of shape \(n, 8, 8, 3\)"):
        InputBuffers().fill(frames_of(), input=InputSpec(size=(8, 8)))
    with pytest.raises(ModelError, match="found float32"):
        InputBuffers().fill(frames_of().astype(np.float32), input=InputSpec(size=(9, 7)))


def test_one_pass_is_several_times_cheaper_than_the_naive_one(record_property):
    spec = InputSpec(size=(224, 224), **IMAGENET)
    frames, buffers = frames_of(8, (224, 224)), InputBuffers()

    def naive32():
        mean, std = (np.array(v, dtype=np.float32) for v in IMAGENET.values())
        scaled = (frames.astype(np.float32) / 255 - mean) / std
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))

    def cpu_ms(work):
        work()
        spent = []
        for _ in range(5):
            start = time.process_time()
            work()
            spent.append(time.process_time() - start)
        return min(spent) * 1000 / len(frames)

    fused, plain = cpu_ms(lambda: buffers.fill(frames, input=spec)), cpu_ms(naive32)
    record_property("fused_ms_an_image", fused)
    record_property("naive_ms_an_image", plain)
    np.testing.assert_allclose(buffers.fill(frames, input=spec), naive32(), atol=2e-6)
    # Processor time, of which 10 times less was measured: wide of any noise.
    assert plain > 2 * fused
