"""What a manifest is expected to hold, checked with Great Expectations, every failing row named."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd

from auditor.freed_memory import return_freed_memory
from auditor.record import SetApart

Rule = Literal["exists", "unique", "not-null", "in-set", "true"]

FAILING_COLUMNS = ("row", "image", "column", "value", "expectation", "set_apart")
"""Columns of a report's failing rows; `row` counts the manifest's rows from 1."""

_ROW = "__row__"


@dataclass(frozen=True)
class Expectation:
    """One thing expected of a manifest.

    ``exists``: the column is there. ``unique`` and ``not-null``: of its values. ``in-set``: its
    values are among `values`. ``true``: the column is computed, and True where all is well.
    Up to `allowed_share` of the rows may fail. `of` names the manifest's column that a computed
    one is about.
    """

    name: str
    column: str
    rule: Rule
    values: tuple[str, ...] = ()
    allowed_share: float = 0.0
    of: str = ""

    @property
    def about(self) -> str:
        return self.of or self.column


@dataclass(frozen=True)
class ExpectationResult:
    """What came of an expectation; `failing` holds row positions from 0, sorted.

    Where a share of failing rows is allowed and was not exceeded, `success` is True, `n_failing`
    still counts them, and `failing` is empty. `quoted` is the part of `sentence` that names images,
    or files and objects by them.
    """

    name: str
    column: str
    success: bool
    n_failing: int
    sentence: str
    failing: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    quoted: str = ""


@dataclass(frozen=True)
class RowCounts:
    """Rows left out by reason, rows of each class as listed, and of each label that is none."""

    left_out: tuple[SetApart, ...] = ()
    of_class: Mapping[str, int] = field(default_factory=dict)
    unknown: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ManifestReport:
    """What validating a manifest of `n_rows` rows found.

    `failing` has `FAILING_COLUMNS` and one row for each value that failed; `set_apart` marks the
    rows that the dataset leaves out. `notes` are sentences on how values were read, where readers
    would not expect it; no row fails by them.
    """

    n_rows: int
    results: tuple[ExpectationResult, ...]
    failing: pd.DataFrame
    counts: RowCounts = RowCounts()
    notes: tuple[str, ...] = ()

    @property
    def n_failing_rows(self) -> int:
        """Rows with at least one failing value."""
        return int(self.failing["row"].nunique())

    @property
    def first_failing(self) -> str:
        """What the first expectation that failed says."""
        return next((r.sentence for r in self.results if not r.success), "none found")

    @property
    def n_set_apart(self) -> int:
        return int(self.failing.loc[self.failing["set_apart"].astype(bool), "row"].nunique())


def validate(
    frame: pd.DataFrame, expectations: Sequence[Expectation]
) -> tuple[ExpectationResult, ...]:
    """Check a frame against expectations, in their order.

    Nothing is written, printed or sent; usage statistics of the library are off.
    """
    asked = {c: {e.rule for e in expectations if e.column == c} for c in frame}
    rows = pd.DataFrame(
        {c: _as_asked(frame[c], rules) for c, rules in asked.items() if rules}
    ).assign(**{_ROW: np.arange(len(frame))})
    gx = _library()
    # The library takes more than what it is given.
    return_freed_memory(images=len(frame))
    with _environment(GX_ANALYTICS_ENABLED="false"):
        found = _validated(gx, rows, expectations)
    return tuple(
        _result(expectation, result, n_rows=len(frame))
        for expectation, result in zip(expectations, found, strict=True)
    )


def _as_asked(column: pd.Series, rules: set[Rule]) -> pd.Series:
    """Numbers that are missing or equal where the values are: the library hashes whole columns."""
    if rules & {"in-set", "true"}:
        return column
    if "unique" not in rules:
        missing = np.where(column.isna(), np.float32(np.nan), np.float32(1.0))
        return pd.Series(missing, index=column.index)
    codes, _ = pd.factorize(column)
    return pd.Series(np.where(codes < 0, np.nan, codes), index=column.index)


def report_of(
    frame: pd.DataFrame,
    results: Sequence[ExpectationResult],
    *,
    image_column: str,
    set_apart: np.ndarray,
    numbers: np.ndarray,
    counts: RowCounts = RowCounts(),
    notes: tuple[str, ...] = (),
) -> ManifestReport:
    """A report over a manifest's rows as read; `set_apart` (n,) bool marks rows left out.

    `numbers` (n,) are the rows' numbers in the manifest.
    """
    parts = [
        pd.DataFrame(
            {
                "row": numbers[result.failing],
                "image": _texts(frame, image_column, result.failing),
                "column": result.column,
                "value": _texts(frame, result.column, result.failing),
                "expectation": result.name,
                "set_apart": set_apart[result.failing],
            }
        )
        for result in results
        if len(result.failing)
    ]
    empty = pd.DataFrame(columns=list(FAILING_COLUMNS))
    failing = pd.concat(parts, ignore_index=True) if parts else empty
    failing = failing.sort_values("row", kind="stable", ignore_index=True)
    return ManifestReport(len(frame), tuple(results), failing, counts, notes)


def _texts(frame: pd.DataFrame, column: str, rows: np.ndarray) -> np.ndarray:
    if column not in frame:
        return np.full(len(rows), "", dtype=object)
    return frame[column].iloc[rows].fillna("").astype(str).to_numpy(dtype=object)


@lru_cache(maxsize=1)
def _library() -> Any:
    # It reads the environment when it is imported, and would else report its use. Half of the time
    # to import it, jsonschema builds parsers of addresses that nothing here asks for.
    with _environment(GX_ANALYTICS_ENABLED="false"), _left_out("rfc3987_syntax"):
        import great_expectations

    return great_expectations


@contextmanager
def _left_out(module: str) -> Iterator[None]:
    """As if a module were not installed, unless it is already imported."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _of_library(gx: Any, expectation: Expectation, position: int) -> Any:
    known = gx.expectations
    # The position keeps equal expectations apart, and tells results from each other.
    shared: dict[str, Any] = {"column": expectation.column, "meta": {"position": position}}
    if expectation.rule == "exists":
        return known.ExpectColumnToExist(**shared)
    shared["mostly"] = 1 - expectation.allowed_share
    if expectation.rule == "unique":
        return known.ExpectColumnValuesToBeUnique(**shared)
    if expectation.rule == "not-null":
        return known.ExpectColumnValuesToNotBeNull(**shared)
    values: list[Any] = [True] if expectation.rule == "true" else list(expectation.values)
    return known.ExpectColumnValuesToBeInSet(**shared, value_set=values)


def _validated(
    gx: Any, rows: pd.DataFrame, expectations: Sequence[Expectation]
) -> list[Mapping[str, Any]]:
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("manifest").add_dataframe_asset("manifest")
    definition = asset.add_batch_definition_whole_dataframe("manifest")
    batch = definition.get_batch(batch_parameters={"dataframe": rows})
    wanted = {"result_format": "COMPLETE", "unexpected_index_column_names": [_ROW]}
    suite = gx.ExpectationSuite(
        name="manifest", expectations=[_of_library(gx, e, i) for i, e in enumerate(expectations)]
    )
    found = batch.validate(suite, result_format=wanted).results
    # The library keeps its last context, and the rows with it.
    context.data_sources.delete("manifest")
    by_position = {one.expectation_config.meta["position"]: _checked(one) for one in found}
    return [by_position[i] for i in range(len(expectations))]


def _checked(found: Any) -> Mapping[str, Any]:
    raised = found.exception_info or {}
    if raised.get("raised_exception"):
        raise RuntimeError(f"Great Expectations failed: {raised.get('exception_message')}")
    return {"success": bool(found.success), **found.result}


def _result(
    expectation: Expectation, found: Mapping[str, Any], *, n_rows: int
) -> ExpectationResult:
    success = bool(found["success"])
    n_failing = int(found.get("unexpected_count") or 0)
    failing = np.empty(0, dtype=np.int64)
    if not success:
        listed = (entry[_ROW] for entry in found.get("unexpected_index_list") or ())
        failing = np.sort(np.fromiter(listed, dtype=np.int64))
    return ExpectationResult(
        name=expectation.name,
        column=expectation.about,
        success=success,
        n_failing=n_failing,
        failing=failing,
        sentence=_sentence(expectation, success, n_failing, n_rows),
    )


def _sentence(expectation: Expectation, success: bool, n_failing: int, n_rows: int) -> str:
    said = f"{expectation.about}: {expectation.name}"
    if expectation.rule == "exists":
        return f"{said}; it is {'there' if success else 'missing'}."
    allowed = f" ({expectation.allowed_share:.1%} allowed)" if expectation.allowed_share else ""
    count = f"{n_failing:,} of {n_rows:,} rows" if n_failing else "no row"
    return f"{said}; {count} {'fails' if n_failing <= 1 else 'fail'} it{allowed}."
