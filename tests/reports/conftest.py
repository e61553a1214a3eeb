"""Records to render, made once."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from auditor.reports.drawing.pictures import pictures
from auditor.reports.html import report_html
from auditor.reports.pdf import laid_out


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
def failing_drawn(failing):
    """The pictures of that record."""
    return pictures(failing)


@pytest.fixture(scope="session")
def failing_printed(failing, failing_drawn):
    """Its report as it is printed."""
    return report_html(failing, pictures=failing_drawn, for_browser=False)


@pytest.fixture(scope="session")
def failing_document(failing_printed):
    """The pages of that, to be looked at only: laying them out takes seconds."""
    return laid_out(failing_printed)


@pytest.fixture(scope="session")
def crowded(housing, worlds, tmp_path_factory):
    """A record with an attribute of 60 groups."""
    return housing.record(worlds, tmp_path_factory.mktemp("crowded"), corridors=60)


@pytest.fixture(scope="session")
def clean(housing, worlds, tmp_path_factory):
    """A record without planted faults."""
    folder = tmp_path_factory.mktemp("clean")
    return housing.record(worlds, folder, faults=False, waivers=False)
