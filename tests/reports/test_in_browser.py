"""The page as a browser shows it: on a phone, in the dark, by keys, filtered, on paper.

Needs Chromium (``apt-get install -y --no-install-recommends chromium``) and the extra ``browser``;
skipped where either is missing. What needs no browser is in test_html.py and test_sieve.py.
"""

import shutil
from pathlib import Path

import pytest

from auditor.reports.drawing.pictures import pictures
from auditor.reports.html import report_html

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-quic"]  # fmt: skip
PHONE, DESK = 390, 1400
ANY_CARD = ".card.fail, .card.inconclusive"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A browser with a profile of its own."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install '.[browser]'"
    )
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no Chromium here: apt-get install -y --no-install-recommends chromium")
    with playwright.sync_playwright() as driver:
        # The checker is put into the page as a script, which the page's own policy forbids.
        browser = driver.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"), executable_path=found, args=FLAGS, bypass_csp=True
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(failing, tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(report_html(failing, pictures=pictures(failing)), encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def opened(chromium, address):
    """A function that opens the report at a width, in a colour scheme, all unfolded or not."""
    pages = []

    def open_it(width, scheme="light", *, unfolded=False):
        page = chromium.new_page()
        pages.append(page)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.goto(address)
        if unfolded:
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        return page

    yield open_it
    for page in pages:
        page.close()


@pytest.mark.parametrize("width", [320, PHONE, 800, DESK])
def test_nothing_is_wider_than_the_screen(opened, width):
    page = opened(width, unfolded=True)
    assert page.evaluate("document.documentElement.scrollWidth") == width


BROKEN_HEADINGS = """() => [...document.querySelectorAll("thead th")].flatMap(th => {
  const text = document.createTreeWalker(th, NodeFilter.SHOW_TEXT), broken = [];
  while (text.nextNode()) for (const word of text.currentNode.data.matchAll(/[^\\s-]+/g)) {
    const range = document.createRange();
    range.setStart(text.currentNode, word.index);
    range.setEnd(text.currentNode, word.index + word[0].length);
    const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
    const read = getComputedStyle(th.closest("thead")).position !== "absolute";
    if (lines.size > 1 && read) broken.push(word[0]);
  }
  return broken;
})"""


def test_no_word_of_a_heading_is_broken_on_a_phone(opened):
    assert opened(PHONE, unfolded=True).evaluate(BROKEN_HEADINGS) == []


def test_the_matrix_reads_on_a_phone(opened):
    page = opened(PHONE)
    parts = ".matrix tbody tr:not(.block) > :is(th, .cell:not(.empty))"
    boxes = page.locator(parts).evaluate_all(
        "all => all.map(e => e.getBoundingClientRect()).map(b => [b.width, b.height])"
    )
    assert len(boxes) > 20
    assert min(width for width, _ in boxes) > 300
    assert max(height for _, height in boxes) < 75
    before = page.evaluate(
        "getComputedStyle(document.querySelector('.matrix .cell'), '::before').content"
    )
    assert before.strip('"') == page.locator(".matrix thead th").nth(1).text_content()


def visible(page, selector):
    return page.locator(f":is({selector}):visible").count()


def test_a_verdict_is_filtered_and_shown_again(opened):
    page = opened(DESK, unfolded=True)
    failed, open_ones = visible(page, ".card.fail"), visible(page, ".card.inconclusive")
    limits = visible(page, ".limit")
    assert failed
    assert open_ones
    assert visible(page, ".filtered") == 0
    page.locator("#show-fail").uncheck()
    assert visible(page, ".card.fail") == 0
    assert visible(page, "main tr.fail") == 0
    assert visible(page, ".card.inconclusive") == open_ones
    assert 0 < visible(page, ".limit") < limits
    assert visible(page, ".filtered") == 1
    page.get_by_role("button", name="Show all").click()
    assert visible(page, ".card.fail") == failed
    assert visible(page, ".limit") == limits
    assert visible(page, ".filtered") == 0


def test_a_family_is_chosen(opened):
    page = opened(DESK)
    page.locator("#only-bias").check()
    shown = page.locator("section[aria-labelledby^=chapter-]:visible")
    assert [s.get_attribute("aria-labelledby") for s in shown.all()] == ["chapter-bias"]
    classes = [a.get_attribute("class") for a in page.locator(".limit:visible").all()]
    assert classes
    assert all("of-bias" in names for names in classes)
    assert visible(page, ".filtered") == 1


def test_a_filtered_page_prints_whole(opened):
    page = opened(DESK)
    cards = visible(page, ANY_CARD)
    page.locator("#show-fail").uncheck()
    page.locator("#only-data").check()
    assert visible(page, ANY_CARD) < cards
    page.emulate_media(media="print")
    assert visible(page, ANY_CARD) == cards
    assert visible(page, ".filter, .jumps, .skip") == 0


def test_it_is_used_by_keys_alone(opened):
    page = opened(DESK)
    page.keyboard.press("Tab")
    skip = page.evaluate("document.activeElement.getBoundingClientRect().left")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert 0 <= skip < 100
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#findings"
    page.locator("#show-fail").focus()
    page.keyboard.press("Space")
    assert visible(page, ".card.fail") == 0
    for selector in ("#show-fail", ".contents a", "summary", ".jumps a[href='#top']"):
        page.locator(selector).first.focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", selector


def test_the_contents_stay_in_sight(opened):
    page = opened(DESK)
    page.locator("#glossary").scroll_into_view_if_needed()
    assert page.evaluate("document.querySelector('.rail').getBoundingClientRect().top") == 0
    phone = opened(PHONE)
    phone.locator("#glossary").scroll_into_view_if_needed()
    assert phone.locator(".jumps .to-contents").is_visible()


LIGHT_PARTS = """
() => {
  const light = colour => {
    const [r, g, b, a = 1] = (colour.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
    return a > .3 && .2126 * r + .7152 * g + .0722 * b > 120;
  };
  const large = e => { const b = e.getBoundingClientRect(); return b.width * b.height > 300; };
  const found = [];
  for (const e of document.querySelectorAll('body, body *')) {
    const style = getComputedStyle(e);
    if (style.visibility === 'visible' && large(e) && light(style.backgroundColor))
      found.push(e.outerHTML.slice(0, 90));
  }
  for (const e of document.querySelectorAll('svg path')) {
    const style = getComputedStyle(e);
    const seen = Number(style.fillOpacity) > .85 && style.fill !== 'none';
    if (seen && light(style.fill) && e.getBBox().width > 40 && e.getBBox().height > 40
        && e.getAttribute('d').split('M').length < 3)
      found.push(e.outerHTML.slice(0, 90));
  }
  const dark = [...document.querySelectorAll('svg text')].filter(
    e => e.textContent && !e.closest('[fill="#ffffff"]') && !light(getComputedStyle(e).fill));
  return [found, dark.map(e => e.outerHTML.slice(0, 90)).slice(0, 5)];
}
"""


def test_nothing_glares_in_the_dark_and_letters_of_pictures_are_light(opened):
    glaring, dark_letters = opened(DESK, "dark", unfolded=True).evaluate(LIGHT_PARTS)
    assert glaring == []
    assert dark_letters == []


@pytest.mark.parametrize(
    ("width", "scheme", "unfolded"),
    [(DESK, "light", False), (DESK, "dark", True), (PHONE, "light", True)],
)
def test_the_accessibility_checker_finds_nothing(opened, width, scheme, unfolded):
    axe = pytest.importorskip(
        "axe_playwright_python", reason="axe-playwright-python is not installed: see `browser`"
    )
    page = opened(width, scheme, unfolded=unfolded)
    page.evaluate(next(Path(axe.__file__).parent.rglob("axe.min.js")).read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:120]) for v in found] == []
