"""What a wheel holds: without templates, fonts and policies an installed auditor cannot report."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from auditor.record.files import to_json

ROOT = Path(__file__).resolve().parents[2]
RENDER = """
import sys
from pathlib import Path
import auditor
from auditor.judging.judged_record import read_record
from auditor.rendering import render
from auditor.reports.templates import template_folder

wheel = Path(sys.argv[1]).resolve()
assert Path(auditor.__file__).resolve().is_relative_to(wheel), auditor.__file__
assert template_folder().is_relative_to(wheel), template_folder()
written = render(read_record(sys.argv[2]), sys.argv[3], formats=("html", "card", "csv", "pdf"))
print(*(path.name for path in written))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-index",
             "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]  # fmt: skip
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("auditor-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def relative(folder, pattern):
    return {str(path.relative_to(folder)) for path in folder.rglob(pattern)}


@pytest.mark.parametrize("pattern", ["*.j2", "*.css", "*.ttf", "LICENSE.txt"])
def test_wheel_holds_every_template_and_font(unpacked, pattern):
    expected = relative(ROOT / "templates", pattern)
    assert expected
    assert relative(unpacked / "auditor" / "templates", pattern) == expected


@pytest.mark.parametrize("folder", ["policies", "clauses"])
def test_wheel_holds_every_table_of_ours(unpacked, folder):
    expected = relative(ROOT / "auditor" / folder, "*.yaml")
    assert expected
    assert relative(unpacked / "auditor" / folder, "*.yaml") == expected


def test_wheel_holds_the_recipe_and_the_type_marker(unpacked):
    assert (unpacked / "auditor" / "reports" / "verify_recipe.txt").is_file()
    assert (unpacked / "auditor" / "py.typed").is_file()


def test_wheel_renders_a_record_with_what_it_holds(unpacked, failing, tmp_path):
    (tmp_path / "audit.json").write_text(to_json(failing), encoding="utf-8")
    command = [sys.executable, "-c", RENDER, str(unpacked), "audit.json", "out"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {"report.html", "report.pdf", "MODEL_CARD.md", "findings.csv"} <= set(
        done.stdout.split()
    )
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Four questions" in page
