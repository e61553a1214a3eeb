"""Every hostile model file ends in one sentence: no code run, no traceback, no hang."""

import re
from pathlib import Path

import pytest
from hostile_models import CASES, tried, warm

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[1] / "docs" / "hostile-files.md"
SAYS = {
    "endless loop": "model.limits.seconds",
    "function bomb": "model.limits",
    "graph in a circle": "runs in a circle",
    "output that is its own input": "runs in a circle",
    "identities in a circle before the output": "runs in a circle",
    "no output": "without an output",
    "sequence output": "no tensor",
    "quantised without scale": "without a scale",
    "batch of 100000": "at most 1,024",
    "torchscript raising": "never",
    "torchscript that maps a file": "from_file",
    "external data behind the end": "a place inside of it",
    "external data cut short": "expected those of the shape [3, 3]",
    "function that calls itself": "cannot be written out",
}


@pytest.fixture(scope="module", autouse=True)
def _warm():
    warm()


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_in_one_sentence(name, tmp_path):
    found = tried(name, CASES[name], tmp_path / "case")
    assert found.what == "refused", found
    assert re.search(r"[\w)`]\.( |$)", found.said), "what to do"
    assert "Traceback" not in found.said
    assert "fault of the auditor" not in found.said
    assert SAYS.get(name, "") in found.said
    assert len(found.said) < 1000
    assert f"| {name} | refused |" in PAGE.read_text(), f"write {PAGE.name} anew"
