from datetime import date

import pytest

from auditor.errors import SpecError
from auditor.spec.declarations import declarations_of, read_declarations

GOOD = """
declarations:
  - key: oversight
    statement: A person reviews every "serious" before any notice.
    owner: {name: A. Person, role: Head of housing}
    date: 2026-10-01
    expires: 2027-10-01
"""


def test_declarations_are_read_with_owner_and_date(tmp_path):
    path = tmp_path / "declarations.yaml"
    path.write_text(GOOD)
    document = read_declarations(path)
    (found,) = declarations_of(document)
    assert found.owner.name == "A. Person"
    assert found.date == "2026-10-01"
    assert not found.is_expired(as_of=date(2027, 10, 1))
    assert found.is_expired(as_of=date(2027, 10, 2))
    assert document.name == "declarations.yaml"
    assert declarations_of(None) == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("owner: {name: A. Person, role: Head of housing}", ""), "owner"),
        (("name: A. Person", 'name: " "'), "the name of a person or an office"),
        (("2026-10-01", "1 October"), "no date; write it as 2026-11-30"),
        (("statement:", "statment:"), "Did you mean 'statement'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, change, says):
    path = tmp_path / "declarations.yaml"
    path.write_text(GOOD.replace(*change))
    with pytest.raises(SpecError) as error:
        read_declarations(path)
    assert says in str(error.value)
    assert "declarations.yaml:" in str(error.value)
