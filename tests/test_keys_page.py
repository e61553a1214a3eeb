"""The page of keys is what the classes read."""

from pathlib import Path

import pytest

from auditor.errors import SpecError
from auditor.judging.policy_file import parse_policy
from auditor.keys_page import PARTS, render_keys

POLICY = """
schema: auditor/policy/v1
id: p
version: "1"
owner: {name: a}
limits:
  - {id: x, measure: "performance/overall:accuracy", at_least: 0.5, why: w}
"""


@pytest.fixture(scope="module")
def page():
    return render_keys()


def test_every_key_has_a_row_and_every_link_leads_to_a_table(page):
    for classes in PARTS.values():
        for cls in classes:
            table = page.split(f"### {cls.__name__}\n")[1].split("\n#")[0]
            for name, field in cls.model_fields.items():
                row = f"| `{field.alias or name}` | "
                assert table.count(row) == 1, (cls, name)
                line = next(x for x in table.splitlines() if x.startswith(row))
                assert field.is_required() == line.endswith("| an error |")
    links = {part.split(")")[0] for part in page.split("](#")[1:]}
    assert links <= {cls.__name__.lower() for classes in PARTS.values() for cls in classes}
    assert "Undefined" not in page
    assert "a date, as 2026-11-30" in page
    assert "What is done meanwhile in place of meeting the limit" in page


def test_what_is_said_to_be_an_error_is_one():
    assert parse_policy(POLICY, name="p.yaml").policy.id == "p"
    with pytest.raises(SpecError, match="why"):
        parse_policy(POLICY.replace(", why: w", ""), name="p.yaml")


def test_the_page_in_docs_is_current_and_linked(page):
    project = Path(__file__).resolve().parents[1]
    assert (project / "docs" / "keys.md").read_text(encoding="utf-8") == page, (
        "docs/keys.md is not current: run `python -m auditor.keys_page > docs/keys.md`"
    )
    assert "(docs/keys.md)" in (project / "README.md").read_text(encoding="utf-8")
