"""What the annex says of the model's process, where the system lacks something and where not."""

import pytest

from auditor.reports.annex import _containment


@pytest.mark.parametrize(
    ("by", "made_variants", "missing"),
    [
        (("memory", "landlock", "seccomp"), True, None),
        (("memory", "seccomp"), False, None),
        (("memory", "seccomp"), True, "no writing"),
        (("memory", "landlock"), False, "no network"),
        (("landlock", "seccomp"), False, "bounded memory"),
        ((), False, "no network, no writing, bounded memory"),
    ],
)
def test_the_annex_says_what_the_system_could_not_hold_the_model_to(by, made_variants, missing):
    said = _containment(by, made_variants=made_variants)
    held, _, lacking = said.partition("; this system could not hold it to: ")
    assert lacking == (missing or "")
    assert "bounded time" in held
    assert not set(held.split(", ")) & set(lacking.split(", "))
