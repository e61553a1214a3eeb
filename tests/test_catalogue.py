"""The catalogue says what the classes say, of every check, in one voice."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.catalogue import explain, need_text, render_catalogue, summaries
from auditor.contract import Declared, LiveModel, Predictions, check_classes
from auditor.contract.documentation import check_text, parameters
from auditor.errors import SpecError


@pytest.fixture(scope="module")
def catalogue():
    return render_catalogue()


def test_every_check_is_listed_and_explained(catalogue):
    for identifier, cls in check_classes().items():
        assert f"[`{identifier}`](#{identifier.replace('/', '')})" in catalogue
        assert catalogue.count(f"\n### {identifier}\n") == 1
        assert check_text(cls).summary in catalogue


def test_explain_is_the_catalogues_own_text(catalogue):
    for identifier in check_classes():
        assert explain(identifier) in catalogue


def test_every_section_parameter_need_and_source_is_printed():
    for identifier, cls in check_classes().items():
        text = explain(identifier)
        for name, body in check_text(cls).sections:
            assert f"#### {name}\n\n{body}" in text
        for parameter in parameters(cls):
            assert f"`{parameter.name}`" in text
        for source in cls.sources:
            assert f"- {source}" in text
        assert text.count("\n- ") >= len(cls.needs) + len(cls.sources)


def test_every_check_says_how_it_can_mislead():
    for identifier in check_classes():
        assert "How it can mislead" in explain(identifier), identifier


def test_it_is_the_same_every_time_and_names_no_machine(catalogue):
    assert render_catalogue() == catalogue
    assert not re.search(r"0x[0-9a-f]{6,}|/home/|/work/|/tmp/", catalogue)


def test_an_unknown_check_is_an_error_that_guesses():
    with pytest.raises(SpecError, match="Did you mean 'bias/subgroup-gap'"):
        explain("bias/subgrup-gap")
    with pytest.raises(SpecError, match=r"no check 'zzz'\. `auditor checks` lists them"):
        explain("zzz")


def test_summaries_are_one_line_a_check():
    lines = summaries()
    assert [line.split()[0] for line in lines] == list(check_classes())
    assert all("\n" not in line for line in lines)


def test_needs_in_words():
    assert need_text(Predictions()) == "predictions (split test)"
    assert need_text(Predictions(split="train", variant="int8", optional=True)) == (
        "predictions (split train, variant int8), optional"
    )
    assert need_text(Declared(path="consequences.costs")) == "declared (path consequences.costs)"
    assert need_text(LiveModel()) == "live model (split test)"


def test_the_page_in_docs_is_current(catalogue):
    page = Path(__file__).resolve().parents[1] / "docs" / "checks.md"
    assert page.read_text(encoding="utf-8") == catalogue, (
        "docs/checks.md is not current: run `python -m auditor.catalogue > docs/checks.md`"
    )


def test_the_module_prints_the_page(catalogue):
    command = [sys.executable, "-m", "auditor.catalogue"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == catalogue
