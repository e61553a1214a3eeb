"""What no result of a check could show is printed in its chapter, where it ran."""

import dataclasses

from auditor.checks.shortcut_toggle import Toggle
from auditor.contract.documentation import check_text
from auditor.record import CheckResults
from auditor.reports.chapters import chapters
from auditor.reports.ordering import ordered


def unseen(worlds, *, traceback=None):
    record = worlds.record(CheckResults(Toggle.id, traceback=traceback))
    record = dataclasses.replace(record, check_texts=(check_text(Toggle),))
    (chapter,) = chapters(record, ordered(record), pictures={})
    return [(each.title, each.text) for each in chapter.unseen]


def test_a_check_that_ran_says_what_it_could_not_have_seen(worlds):
    ((title, text),) = unseen(worlds)
    assert title == "Whether an artefact decides"
    assert text == Toggle.cannot_see
    assert text.endswith(".")


def test_a_check_that_crashed_says_nothing(worlds):
    assert unseen(worlds, traceback="ValueError: odd") == []
