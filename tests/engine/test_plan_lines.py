"""What `auditor plan` prints of the rows of each split, and of the passes over them."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd

from auditor.contract import Pass
from auditor.data.expectations import FAILING_COLUMNS, ManifestReport
from auditor.engine.plan_lines import _row_lines, _told_passes


def test_how_values_were_read_is_told_before_anything_runs():
    empty = pd.DataFrame(columns=list(FAILING_COLUMNS))
    report = ManifestReport(7, (), empty, notes=("Column when: 2 times name no zone.",))
    loaded = SimpleNamespace(
        manifest_reports={"test": report},
        available=SimpleNamespace(datasets={"test": range(6)}),
    )
    lines = list(_row_lines(loaded))
    assert lines == ["test: 7 rows, 6 images", "  Column when: 2 times name no zone.", ""]


def test_a_pass_is_told_with_the_images_that_it_takes_and_not_with_the_most_it_might():
    passes = (Pass("test"), Pass("test", sample=4), Pass("test", variant="int8", sample=2000))
    assert list(_told_passes(passes, {"test": range(6)})) == [
        "test / as-shot / as-given: 6 images",
        "test / as-shot / as-given: 4 images",
        "test / as-shot / int8: 6 images",
    ]
