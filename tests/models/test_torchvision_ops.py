"""torchvision's operators in torch's own arithmetic, against independent ones."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

torch = pytest.importorskip("torch")

from auditor.models.heads.suppression import suppressed  # noqa: E402
from auditor.models.torchvision_ops import (  # noqa: E402
    averaged_regions,
    import_torchvision,
    kept_boxes,
)


def boxes(n, seed, side=60):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-10, side, size=(n, 2))
    return np.concatenate([corners, corners + rng.uniform(1, side / 2, size=(n, 2))], axis=1)


@pytest.mark.parametrize("seed", range(4))
def test_suppression_keeps_what_numpy_s_keeps(seed):
    found = boxes(200, seed)
    scores = np.round(np.random.default_rng(seed).uniform(size=200), 1)  # with ties
    mine = kept_boxes(torch.tensor(found), torch.tensor(scores), 0.4)
    theirs = suppressed(found, scores, iou=0.4, most=200, groups=None)
    assert mine.tolist() == theirs.tolist()
    assert len(mine) < 200
    through = import_torchvision().ops.nms(torch.tensor(found), torch.tensor(scores), 0.4)
    assert through.tolist() == mine.tolist()


def by_onnxruntime(maps, rois, *, scale, cells, ratio, aligned):
    node = helper.make_node(
        "RoiAlign", ["maps", "rois", "of"], ["out"], spatial_scale=scale, sampling_ratio=ratio,
        output_height=cells[0], output_width=cells[1],
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
    )  # fmt: skip
    inputs = [helper.make_tensor_value_info("maps", TensorProto.FLOAT, maps.shape),
              helper.make_tensor_value_info("rois", TensorProto.FLOAT, (len(rois), 4)),
              helper.make_tensor_value_info("of", TensorProto.INT64, (len(rois),))]  # fmt: skip
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, (None,) * 4)
    opset = [helper.make_opsetid("", 16)]
    graph = helper.make_graph([node], "regions", inputs, [out])
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    fed = {"maps": maps, "rois": rois[:, 1:], "of": rois[:, 0].astype(np.int64)}
    return session.run(None, fed)[0]


@pytest.mark.parametrize("ratio", [2, 0, 3])
@pytest.mark.parametrize("aligned", [True, False])
def test_regions_are_averaged_as_onnxruntime_does(ratio, aligned):
    rng = np.random.default_rng(ratio)
    maps = rng.normal(size=(2, 5, 20, 30)).astype(np.float32)
    corners = boxes(70, seed=ratio, side=130)
    rois = np.concatenate([rng.integers(0, 2, size=(70, 1)), corners], axis=1).astype(np.float32)
    given = (0.25, 7, 5, ratio, aligned)
    mine = averaged_regions(torch.tensor(maps), torch.tensor(rois), *given).numpy()
    wanted = by_onnxruntime(maps, rois, scale=0.25, cells=(7, 5), ratio=ratio, aligned=aligned)
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(mine, wanted, atol=1e-4)
    of_torchvision = import_torchvision().ops.roi_align(
        torch.tensor(maps), torch.tensor(rois), (7, 5), 0.25, ratio, aligned
    )
    np.testing.assert_allclose(of_torchvision.numpy(), wanted, atol=1e-4)


def test_no_region_gives_none_and_a_flat_map_its_value():
    maps = torch.full((1, 2, 9, 9), 3.0)
    assert averaged_regions(maps, torch.zeros((0, 5)), 1.0, 2, 2, 2, False).shape == (0, 2, 2, 2)
    inside = torch.tensor([[0.0, 1.0, 2.0, 7.0, 6.5]])
    assert torch.allclose(
        averaged_regions(maps, inside, 1.0, 2, 3, 0, True), torch.full((1, 2, 2, 3), 3.0)
    )
