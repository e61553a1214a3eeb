"""Records to render, made once."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest


def _housing():
    place = Path(__file__).with_name("housing.py")
    spec = importlib.util.spec_from_file_location("housing_for_tests", place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def housing():
    return _housing()


@pytest.fixture(scope="session")
def failing(housing, worlds, tmp_path_factory):
    """A record with every verdict, hostile names and long names; it fails."""
    return housing.record(worlds, tmp_path_factory.mktemp("failing"))


@pytest.fixture(scope="session")
def crowded(housing, worlds, tmp_path_factory):
    """A record with an attribute of 60 groups."""
    return housing.record(worlds, tmp_path_factory.mktemp("crowded"), corridors=60)


@pytest.fixture(scope="session")
def clean(housing, worlds, tmp_path_factory):
    """A record without planted faults."""
    folder = tmp_path_factory.mktemp("clean")
    return housing.record(worlds, folder, faults=False, waivers=False)
