"""The record that the reports' tests make."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def housing():
    place = Path(__file__).parents[1] / "reports" / "housing.py"
    spec = importlib.util.spec_from_file_location("housing_for_cards", place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def failing(housing, worlds, tmp_path_factory):
    return housing.record(worlds, tmp_path_factory.mktemp("card"))
