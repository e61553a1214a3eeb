"""Expectations: each rule against its own rows, quiet, offline and without traces."""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys

import numpy as np
import pandas as pd
import pytest

from auditor.data import expectations
from auditor.data.expectations import Expectation, report_of, validate

FRAME = pd.DataFrame(
    {
        "name": ["a", "b", "b", None, "c"],
        "group": ["x", "y", "z", "x", None],
        "good": [True, False, True, True, True],
    }
)


@pytest.mark.parametrize(
    ("expectation", "failing"),
    [
        (Expectation("unique", "name", "unique"), [1, 2]),
        (Expectation("given", "name", "not-null"), [3]),
        (Expectation("known", "group", "in-set", values=("x", "y")), [2]),
        (Expectation("good", "good", "true", of="name"), [1]),
        (Expectation("given", "group", "not-null", allowed_share=0.1), [4]),
    ],
)
def test_every_failing_row_is_named(expectation, failing):
    (result,) = validate(FRAME, [expectation])
    assert not result.success
    assert result.failing.tolist() == failing
    assert result.n_failing == len(failing)
    assert result.column == (expectation.of or expectation.column)
    assert f"{len(failing)} of 5 rows" in result.sentence


def test_an_allowed_share_is_counted_but_no_failing():
    (result,) = validate(FRAME, [Expectation("given", "group", "not-null", allowed_share=0.2)])
    assert result.success
    assert result.n_failing == 1
    assert not len(result.failing)
    assert "20.0% allowed" in result.sentence


def test_columns_that_are_there_or_not():
    found = validate(FRAME, [Expectation("there", c, "exists") for c in ("name", "nome")])
    assert [r.success for r in found] == [True, False]


def test_order_is_kept_and_equal_expectations_are_answered_twice():
    asked = [
        Expectation("second", "group", "not-null"),
        Expectation("first", "name", "unique"),
        Expectation("second", "group", "not-null"),
    ]
    assert [r.name for r in validate(FRAME, asked)] == ["second", "first", "second"]


def test_report_lists_values_and_counts_rows_once():
    asked = [
        Expectation("given", "name", "not-null"),
        Expectation("known", "group", "in-set", ("y",)),
    ]
    results = validate(FRAME, asked)
    apart = (FRAME["name"].isna()).to_numpy()
    report = report_of(FRAME, results, image_column="name", set_apart=apart,
                       numbers=np.arange(1, 1 + len(FRAME)))  # fmt: skip
    assert report.failing["row"].tolist() == [1, 3, 4, 4]
    assert report.failing["value"].tolist() == ["x", "z", "", "x"]
    assert report.failing["image"].tolist() == ["a", "b", "", ""]
    assert report.n_failing_rows == 3
    assert report.n_set_apart == 1


def test_quiet_offline_and_without_traces(tmp_path, monkeypatch, capfd):
    def refuse(*args, **kwargs):
        raise AssertionError("a connection was tried")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv("GX_ANALYTICS_ENABLED", raising=False)
    before = dict(os.environ)
    validate(FRAME, [Expectation("unique", "name", "unique")])
    assert dict(os.environ) == before
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_module_is_left_out_for_a_while_and_for_nobody_else(monkeypatch):
    monkeypatch.delitem(sys.modules, "__hello__", raising=False)
    with expectations._left_out("__hello__"), pytest.raises(ImportError):
        importlib.import_module("__hello__")
    assert importlib.import_module("__hello__")
    with expectations._left_out("json"):
        assert importlib.import_module("json") is json
