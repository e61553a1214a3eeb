"""What the labs' assignments tell a reader to type does what they say."""

import re
from pathlib import Path

import pytest

import auditor

LABS = Path(auditor.__file__).parents[1] / "examples"
NAMES = ("housing", "kitchen", "street")


def commands(lab: str) -> list[str]:
    """The lines of the assignment that call `auditor`."""
    text = (LABS / lab / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^ *\.venv/bin/auditor (.+)$", text, flags=re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("lab", NAMES)
def test_every_check_that_a_step_asks_for_runs(lab):
    asked = {check for line in commands(lab) for check in re.findall(r"--only (\S+)", line)}
    assert len(asked) > 5
    lines = list(auditor.plan(LABS / lab / "audit.yaml", only=sorted(asked)))
    assert "Will not run (0):" in lines, lines
    assert asked <= {line.strip() for line in lines}


def test_no_step_writes_over_another():
    folders = [out for lab in NAMES for line in commands(lab)
               for out in re.findall(r"--out (\S+)", line)]  # fmt: skip
    assert len(folders) > 15
    assert len(folders) == len(set(folders)), sorted(folders)
