"""What `auditor plan` prints of the rows of each split."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd

from auditor.data.expectations import FAILING_COLUMNS, ManifestReport
from auditor.engine.plan_lines import _row_lines


def test_how_values_were_read_is_told_before_anything_runs():
    empty = pd.DataFrame(columns=list(FAILING_COLUMNS))
    report = ManifestReport(7, (), empty, notes=("Column when: 2 times name no zone.",))
    loaded = SimpleNamespace(
        manifest_reports={"test": report},
        available=SimpleNamespace(datasets={"test": range(6)}),
    )
    lines = list(_row_lines(loaded))
    assert lines == ["test: 7 rows, 6 images", "  Column when: 2 times name no zone.", ""]
