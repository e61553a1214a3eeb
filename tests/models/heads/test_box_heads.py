"""Every head of boxes against a decoding in plain Python, one box after the other."""

import math

import numpy as np
import pytest
from head_frame import SIZE, decode, logistic

from auditor.errors import ModelError
from auditor.spec import heads as specs

RNG = np.random.default_rng(5)
N_CLASSES = 3


def same(answer, rows, *, at_least=3):
    """`rows` of (score, class, x0, y0, x1, y1), in any order; compared best first."""
    wanted = sorted((r for r in rows if r[0] > 0.001), key=lambda r: -r[0])
    assert len(answer) == len(wanted) >= at_least
    assert answer.scores == pytest.approx([r[0] for r in wanted], abs=1e-6)
    assert answer.classes.tolist() == [r[1] for r in wanted]
    assert answer.boxes == pytest.approx(np.array([r[2:] for r in wanted]), abs=1e-3)


def best(scores):
    at = max(range(len(scores)), key=lambda i: scores[i])
    return scores[at], at


def centred(x, y, w, h):
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def yolo_rows(n=40, extra=0, objectness=False):
    centres = RNG.uniform([0, 0], [SIZE[1], SIZE[0]], (n, 2))
    sizes = RNG.uniform(4, 30, (n, 2))
    scores = RNG.random((n, N_CLASSES + objectness))
    return np.concatenate([centres, sizes, scores, RNG.normal(size=(n, extra))], axis=1)


def test_yolov5():
    rows = yolo_rows(objectness=True)
    head = specs.Yolov5Head(suppression=None)
    wanted = []
    for x, y, w, h, obj, *classes in rows.tolist():
        score, at = best(classes)
        wanted.append((obj * score, at, *centred(x, y, w, h)))
    same(decode({"output0": rows[None].astype(np.float32)}, head, N_CLASSES), wanted)
    every = specs.Yolov5Head(suppression=None, several_classes=True, most=500)
    wanted = [
        (r[4] * r[5 + c], c, *centred(*r[:4])) for r in rows.tolist() for c in range(N_CLASSES)
    ]
    same(decode({"output0": rows[None]}, every, N_CLASSES), wanted, at_least=100)


def test_yolov8_and_its_fractions():
    rows = yolo_rows()
    wanted = [(*best(r[4:]), *centred(*r[:4])) for r in rows.tolist()]
    head = specs.Yolov8Head(suppression=None)
    same(decode({"output0": rows.T[None]}, head, N_CLASSES), wanted)
    parts = rows / [SIZE[1], SIZE[0], SIZE[1], SIZE[0], *[1] * N_CLASSES]
    head = specs.Yolov8Head(suppression=None, units="fractions", transposed=True)
    same(decode({"output0": parts[None]}, head, N_CLASSES), wanted)


def test_yolox():
    grid = [(x, y, s) for s in (8, 16, 32) for y in range(SIZE[0] // s)
            for x in range(SIZE[1] // s)]  # fmt: skip
    rows = np.concatenate(
        [RNG.normal(size=(len(grid), 4)), RNG.random((len(grid), 1 + N_CLASSES))], axis=1
    )
    wanted = []
    for (gx, gy, s), (x, y, w, h, obj, *classes) in zip(grid, rows.tolist(), strict=True):
        score, at = best(classes)
        box = centred((x + gx) * s, (y + gy) * s, math.exp(w) * s, math.exp(h) * s)
        wanted.append((obj * score, at, *box))
    head = specs.YoloxHead(suppression=None, most=10_000)
    same(decode({"output": rows[None]}, head, N_CLASSES), wanted)
    with pytest.raises(ModelError, match=r"decoded already. Set `output: yolov5`"):
        decode({"output": rows[None] + 30 * np.eye(8)[3]}, head, N_CLASSES)
    with pytest.raises(ModelError, match=rf"{len(grid) - 1} boxes; .* wants {len(grid)}"):
        decode({"output": rows[None, 1:]}, head, N_CLASSES)


def test_fastestdet():
    rows, columns = 4, 6
    planes = RNG.normal(size=(5 + N_CLASSES, rows, columns))
    planes[[0, 5, 6, 7]] = RNG.random((4, rows, columns))
    wanted = []
    for y in range(rows):
        for x in range(columns):
            obj, dx, dy, w, h, *classes = planes[:, y, x].tolist()
            score, at = best(classes)
            box = centred((x + math.tanh(dx)) / columns, (y + math.tanh(dy)) / rows,
                          logistic(w), logistic(h))  # fmt: skip
            pixels = [v * side for v, side in zip(box, [SIZE[1], SIZE[0]] * 2, strict=True)]
            wanted.append((obj**0.6 * score**0.4, at, *pixels))
    head = specs.FastestDetHead(suppression=None)
    same(decode({"758": planes[None]}, head, N_CLASSES), wanted)


def yunet_outputs(strides=(8, 16, 32)):
    raw = {}
    for part, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        for s in strides:
            n = (SIZE[0] // s) * (SIZE[1] // s)
            value = RNG.normal(size=(1, n, width))
            raw[f"{part}_{s}"] = RNG.random(value.shape) if width == 1 else value
    return raw


def test_yunet_with_its_landmarks():
    raw = yunet_outputs()
    wanted = []
    for s in (8, 16, 32):
        for at in range((SIZE[0] // s) * (SIZE[1] // s)):
            gy, gx = divmod(at, SIZE[1] // s)
            x, y, w, h = raw[f"bbox_{s}"][0, at].tolist()
            score = math.sqrt(raw[f"cls_{s}"][0, at, 0] * raw[f"obj_{s}"][0, at, 0])
            box = centred((x + gx) * s, (y + gy) * s, math.exp(w) * s, math.exp(h) * s)
            points = [((px + gx) * s, (py + gy) * s)
                      for px, py in raw[f"kps_{s}"][0, at].reshape(5, 2).tolist()]  # fmt: skip
            wanted.append((score, 0, *box, points))
    answer = decode(raw, specs.YunetHead(suppression=None, most=10_000), 1)
    same(answer, [w[:6] for w in wanted])
    first = max(wanted, key=lambda w: w[0])
    assert answer.landmarks[0] == pytest.approx(np.array(first[6]))
    renamed = {f"out{i}": value for i, value in enumerate(raw.values())}
    roles = dict(zip(raw, renamed, strict=True))
    named = specs.YunetHead(suppression=None, most=10_000, tensors=roles)
    same(decode(renamed, named, 1), [w[:6] for w in wanted])


def corners(n):
    low = RNG.uniform(0, 40, (n, 2))
    return np.concatenate([low, low + RNG.uniform(3, 20, (n, 2))], axis=1)


FRAME = np.array([SIZE[1], SIZE[0], SIZE[1], SIZE[0]])


def test_end_to_end_drops_its_padding_whatever_class_it_names():
    boxes, scores, classes = corners(5), RNG.uniform(0.1, 1, 5), np.array([0, 2, 1, 1, 0])
    rows = np.zeros((1, 300, 6))
    rows[0, :5] = np.concatenate([boxes, scores[:, None], classes[:, None]], axis=1)
    wanted = list(zip(scores, classes, *boxes.T, strict=True))
    rows[0, 5:, 5] = -1
    same(decode({"output0": rows}, specs.EndToEndHead(), N_CLASSES), wanted)
    raw = {"dets": rows[..., :5], "labels": rows[..., 5].astype(np.int64)}
    same(decode(raw, specs.EndToEndHead(), N_CLASSES), wanted)
    with pytest.raises(ModelError, match=r"class labels from 0 to 2; `model.classes` names 2"):
        decode({"output0": rows}, specs.EndToEndHead(), 2)


def test_tensorflow_ssd_reads_its_count_and_its_order():
    boxes, scores, classes = corners(4), np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 3, 2, 1])
    raw = {
        "detection_boxes:0": (boxes / FRAME)[None][..., [1, 0, 3, 2]],
        "detection_classes:0": classes[None].astype(np.float32),
        "detection_scores:0": scores[None],
        "num_detections:0": np.array([3.0]),
        "raw_detection_boxes:0": np.zeros((1, 9, 4)),
        "raw_detection_scores:0": np.zeros((1, 9, 4)),
        "detection_multiclass_scores:0": np.zeros((1, 4, 4)),
    }
    wanted = list(zip(scores, classes - 1, *boxes.T, strict=True))
    same(decode(raw, specs.SsdHead(), N_CLASSES), wanted[:3])
    with pytest.raises(ModelError, match=r"labels from 1 to 3; .* lie from 0 to 2.*`first_class`"):
        decode(raw, specs.SsdHead(first_class=0), N_CLASSES)
    tensorrt = {"num_dets": np.array([[3]]), "det_boxes": boxes[None],
                "det_scores": scores[None], "det_classes": classes[None] - 1}  # fmt: skip
    head = specs.SsdHead(corners="xyxy", units="pixels", first_class=0)
    same(decode(tensorrt, head, N_CLASSES), wanted[:3])
    nameless = dict(zip("abcd", list(raw.values())[:4], strict=True))
    with pytest.raises(ModelError, match=r"names do not tell which is which. Name them"):
        decode(nameless, specs.SsdHead(), N_CLASSES)


def test_ssd_softmax_with_a_background():
    boxes = corners(30)
    powers = np.exp(RNG.normal(size=(30, 1 + N_CLASSES)) * 2)
    scores = powers / powers.sum(axis=1, keepdims=True)
    raw = {"scores": scores[None], "boxes": (boxes / FRAME)[None]}
    for background in (0, 3):
        foreground = [c for c in range(4) if c != background]
        wanted = [(scores[i, c], at, *boxes[i]) for i in range(30)
                  for at, c in enumerate(foreground)]  # fmt: skip
        head = specs.SsdSoftmaxHead(background=background, suppression=None, most=500)
        same(decode(raw, head, N_CLASSES), wanted)
    with pytest.raises(ModelError, match=r"sum to 1 with their background, but a row sums to 2"):
        decode({**raw, "scores": np.full((1, 30, 4), 0.5)}, specs.SsdSoftmaxHead(), N_CLASSES)


def test_detr_with_and_without_no_object():
    logits, boxes = RNG.normal(size=(20, 1 + N_CLASSES)) * 2, RNG.uniform(0.2, 0.4, (20, 4))
    pixels = [[v * side for v, side in zip(centred(*b), FRAME, strict=True)] for b in boxes]
    wanted = []
    for row, box in zip(logits.tolist(), pixels, strict=True):
        powers = [math.exp(v) for v in row]
        score, at = best(powers[:-1])
        wanted.append((score / sum(powers), at, *box))
    raw = {"logits": logits[None], "pred_boxes": boxes[None]}
    same(decode(raw, specs.DetrHead(), N_CLASSES), wanted)
    wanted = [(logistic(v), c, *box) for row, box in zip(logits.tolist(), pixels, strict=True)
              for c, v in enumerate(row)]  # fmt: skip
    same(decode(raw, specs.DetrHead(scores="sigmoid", most=80), 4), wanted)


def test_torchvision_by_name_or_by_shape_and_type():
    boxes, scores, labels = corners(6), RNG.uniform(0.1, 1, 6), np.array([1, 2, 3, 1, 2, 3])
    wanted = list(zip(scores, labels - 1, *boxes.T, strict=True))
    raw = {"boxes": boxes, "labels": labels, "scores": scores}
    same(decode(raw, specs.TorchvisionHead(), N_CLASSES), wanted)
    numbered = {"2546": boxes, "2547": labels, "2548": scores}
    same(decode(numbered, specs.TorchvisionHead(), N_CLASSES), wanted)
    batch = {name: value[None] for name, value in raw.items()}
    same(decode(batch, specs.TorchvisionHead(), N_CLASSES), wanted)
    none = {name: value[:0] for name, value in raw.items()}
    assert len(decode(none, specs.TorchvisionHead(), N_CLASSES)) == 0


ROWS = yolo_rows(objectness=True)
WRONG = [
    (specs.Yolov8Head(), {"o": ROWS.T[None]}, r"One more may be objectness: try `output: yolov5`"),
    (specs.Yolov8Head(), {"o": ROWS[None, :, :7]}, r"is transposed: .* `output: {kind: yolov8, "
     r"transposed: true}`"),
    (specs.Yolov5Head(), {"o": ROWS.T[None]}, r"is transposed: .* transposed: true"),
    (specs.Yolov5Head(), {"o": ROWS[None, :, :7]}, r"without objectness: try `output: yolov8`"),
    (specs.Yolov5Head(), {"o": ROWS[None] * 100}, r"scores from .* to .*; they lie from 0 to 1"),
    (specs.Yolov5Head(), {"o": ROWS[None] / [99, 99, 99, 99, 1, 1, 1, 1]},
     r"in pixels, but the largest .* units: fract"),
    (specs.Yolov8Head(units="fractions"), {"o": ROWS.T[None, :7].clip(max=[[99]] * 4 + [[1]] * 3)},
     r"in fractions of the frame, but the largest"),
    (specs.Yolov5Head(), {"o": ROWS[None] * np.nan}, r"holds NaN or infinity"),
    (specs.Yolov5Head(), {"o": np.zeros((1, 3, 8, 8, 8))}, r"before decoding: export it with"),
    (specs.Yolov8Head(), {"o": np.zeros((1, 67, 40))}, r"before their decoding \(DFL\)"),
    (specs.Yolov5Head(), {"o": np.zeros((1, 40, 25))}, r"25 numbers a box; .* fits 20 classes"),
    (specs.Yolov5Head(), {"o": ROWS[None], "p": ROWS[None]}, r"reads one output, the model gives"),
    (specs.Yolov5Head(), {"o": ROWS[None] * [1, 1, -1, 1, 1, 1, 1, 1]},
     r"\d\d boxes without width"),
    (specs.Yolov5Head(tensors={"output": "x"}), {"o": ROWS[None]}, r"'x'; the model gives 'o'"),
]  # fmt: skip


@pytest.mark.parametrize(("head", "raw", "said"), WRONG)
def test_what_does_not_fit_is_refused_with_a_sentence(head, raw, said):
    with pytest.raises(ModelError, match=said):
        decode(raw, head, N_CLASSES)


def test_suppression_most_and_lowest_score_are_those_declared():
    box = [50, 30, 20, 20]
    rows = [[*box, 1, s, 0, 0] for s in (0.9, 0.8)] + [
        [*box, 1, 0, 0.7, 0],
        [20, 9, 9, 9, 1, 0.2, 0, 0],
    ]
    raw = {"o": np.array([rows])}
    counts = {
        "per class": specs.Yolov5Head(),
        "among all": specs.Yolov5Head(per_class=False),
        "none": specs.Yolov5Head(suppression=None),
        "one": specs.Yolov5Head(most=1),
        "sure": specs.Yolov5Head(lowest_score=0.2),
    }
    found = {name: len(decode(raw, head, N_CLASSES)) for name, head in counts.items()}
    assert found == {"per class": 3, "among all": 2, "none": 4, "one": 1, "sure": 2}


def test_a_box_without_area_is_counted():
    rows = np.array([[[9, 9, 0, 4, 1, 0.5, 0, 0], [9, 9, 4, 4, 1, 0.5, 0, 0]]])
    answer = decode({"o": rows}, specs.Yolov5Head(), N_CLASSES)
    assert (len(answer), answer.n_empty) == (1, 1)
