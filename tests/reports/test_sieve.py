"""The filter, the style rules behind it and the last touches to a page, without a browser."""

import re

import pytest

from auditor.reports.drawing.looks import dark_rules
from auditor.reports.drawing.pictures import pictures
from auditor.reports.finish import finished
from auditor.reports.html import report_html
from auditor.reports.templates import template_text


@pytest.fixture(scope="module")
def drawn(failing):
    return pictures(failing)


@pytest.fixture(scope="module")
def page(failing, drawn):
    return report_html(failing, pictures=drawn)


def test_every_box_has_a_label_and_a_rule_and_every_rule_a_box(page):
    boxes = set(re.findall(r'<label><input type="(?:checkbox|radio)"[^>]* id="([\w-]+)"', page))
    assert len(boxes) == page.count("<input ")
    ruled = set(re.findall(r":has\([^{]*?#((?:show|only)-[\w-]+?):", page))
    ruled |= set(re.findall(r"#(only-all)", page))
    assert boxes == ruled
    assert {"show-fail", "show-inconclusive", "only-all", "only-bias", "only-data"} <= boxes


def test_every_family_that_can_be_chosen_is_a_chapter(page):
    chosen = set(re.findall(r'id="only-([\w-]+)"', page)) - {"all"}
    assert chosen == set(re.findall(r'id="chapter-([\w-]+)"', page))


def test_all_is_shown_until_a_reader_chooses(page):
    boxes = re.findall(r'<input type="checkbox"[^>]*>', page)
    assert boxes
    assert all(" checked" in box for box in boxes)
    assert re.findall(r'id="(only-[\w-]+)" checked', page) == ["only-all"]
    for rule in re.findall(r"([^{}]+)\{ display: none; \}", page.split("</style>")[1]):
        alone = rule.strip().splitlines()[-1].strip()
        assert "body:has(" in alone or alone.startswith((".filtered", ".filter", ".skip")) or (
            "empty" in alone or ".to-contents" in alone
        ), alone  # fmt: skip


def test_limits_name_the_families_of_their_findings(page):
    for classes, body in re.findall(
        r'<article class="limit ([^"]+)">(.*?)</article>', page, re.DOTALL
    ):
        families = {name.removeprefix("of-") for name in classes.split() if name.startswith("of-")}
        told = set(re.findall(r'<p class="small id"><code>([a-z]+)/', body))
        assert families
        assert told <= families


def test_a_printed_report_has_neither_filter_nor_jumps(failing, drawn):
    printed = report_html(failing, pictures=drawn, for_browser=False)
    for text in ("<input", "<form", 'class="skip"', 'class="jumps"', ":has("):
        assert text not in printed


def test_the_page_sends_nothing_and_can_be_left_by_a_skip_link(page):
    assert "form-action 'none'" in page
    body = page.split("<body>")[1].strip()
    assert body.startswith('<a class="skip" href="#findings">')
    assert 'id="findings"' in page


def test_every_colour_of_a_picture_has_one_on_a_dark_page(drawn, page):
    used = set(re.findall(r'(fill|stroke)="(#[0-9a-f]{6})"', " ".join(drawn.values())))
    assert len(used) > 8
    rules = dark_rules(paper="var(--paper)")
    for look, colour in used:
        assert f'.picture [{look}="{colour}"] {{ {look}: ' in rules
    assert rules in page
    assert "filter: invert" not in template_text("browser.css")


def test_wide_tables_are_reached_by_keys_in_a_browser_alone():
    def table(n, kind="data"):
        heads = '<th scope="col">x</th>' * n
        return f'<table class="{kind}"><caption>c</caption><thead><tr>{heads}</tr></thead></table>'

    assert 'tabindex="0"' in finished(table(6), for_browser=True)
    assert finished(table(5), for_browser=True) == table(5)
    assert finished(table(9, "matrix"), for_browser=True) == table(9, "matrix")
    assert finished(table(6), for_browser=False) == table(6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>בניין דרום 12: 3% of 40</p>", "<p><bdi>בניין דרום</bdi> 12: 3% of 40</p>"),
        ("<p>غرفة, 5%; غرف</p>", "<p><bdi>غرفة</bdi>, 5%; <bdi>غرف</bdi></p>"),
        ('<td title="דרום">דרום</td>', '<td title="דרום"><bdi>דרום</bdi></td>'),
        ("<title>דרום</title><p>דרום</p>", "<title>דרום</title><p><bdi>דרום</bdi></p>"),
        ("<svg><text>דרום</text></svg>", "<svg><text>דרום</text></svg>"),
        ("<p>Haus 4</p>", "<p>Haus 4</p>"),
    ],
)
def test_names_that_read_from_the_right_are_kept_apart(text, expected):
    assert finished(text, for_browser=True) == expected
