"""The output of a YOLO head with a row a box, whichever way it was exported."""

from __future__ import annotations

from typing import Literal

import numpy as np

from auditor.errors import ModelError
from auditor.models.heads.tensors import kind_of
from auditor.spec.heads import YoloHead


def box_rows(
    output: np.ndarray, head: YoloHead, *, wanted: int, usual: Literal["rows", "columns"]
) -> np.ndarray:
    """`output` (images, a, b) as (images, boxes, numbers); `usual` is the head's own order.

    Raises ModelError where only the other order holds the `wanted` numbers a box.
    """
    columns = (usual == "columns") != head.transposed
    rows = output.swapaxes(1, 2) if columns else output
    if rows.shape[2] != wanted and rows.shape[1] == wanted:
        order = f"(images, boxes, {wanted})", f"(images, {wanted}, boxes)"
        raise ModelError(
            f"The model's output {tuple(output.shape)} is transposed: `output: {kind_of(head)}` "
            f"reads {order[columns]}. Set `output: {{kind: {kind_of(head)}, transposed: "
            f"{str(not head.transposed).lower()}}}`."
        )
    return rows
