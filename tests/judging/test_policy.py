"""Policies and waivers: what may be written, and what it is about."""

from __future__ import annotations

from datetime import date

import pytest
import yaml

from auditor.errors import SpecError
from auditor.findings import Finding, Subject, Verdict
from auditor.judging.names import same_name
from auditor.judging.policy import Limit, Where, limits_of
from auditor.judging.policy_file import BUILT_IN, load_policy, parse_policy
from auditor.judging.waivers import Waiver, apply_waivers
from auditor.spec import SUBJECT_KEYS
from auditor.spec.spec_file import text_digest

POLICY = """\
id: housing
version: "3"
owner: {name: A. Owner, role: Head of fire safety}
approved: {by: Audit board, on: 2026-10-01}
limits:
  - id: accuracy
    measure: performance/overall:accuracy
    at_least: 0.85
    why: fewer right answers cost more than an inspector
waivers:
  - id: W-7
    limit: accuracy
    reason: new photos are being taken
    owner: A. Owner
    approved_by: Audit board
    issued: 2026-11-01
    expires: 2026-12-31
"""


def errors_of(old: str, new: str) -> str:
    assert old in POLICY
    with pytest.raises(SpecError) as caught:
        parse_policy(POLICY.replace(old, new), name="policy.yaml")
    return str(caught.value)


def test_a_policy_is_read():
    file = parse_policy(POLICY, name="policy.yaml")
    limit = file.policy.limits[0]
    assert (limit.check, limit.name) == ("performance/overall", "accuracy")
    assert (limit.kind, limit.value, limit.exceeds) == ("at_least", 0.85, "below")
    assert limit.severity == "blocking"
    assert limit.requirement is True
    assert file.policy.waivers[0].owner == "A. Owner"
    assert file.text == POLICY


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("at_least", "at_leats", "policy.yaml:8: limits[0]: unknown key 'at_leats'. Did you mean"),
        (
            "    at_least: 0.85\n",
            "",
            "policy.yaml:6: limits[0]: found no bound, expected exactly one of at_least, at_most, "
            "above, below.",
        ),
        (
            "at_least: 0.85",
            "at_least: 0.85\n    at_most: 1",
            "policy.yaml:6: limits[0]: found at_least and at_most, expected exactly one of",
        ),
        (
            "performance/overall:accuracy",
            "accuracy",
            "policy.yaml:6: limits[0]: measure is 'accuracy'; name it as check:measure",
        ),
        ("    why: fewer right answers cost more than an inspector\n", "", "'why' is missing"),
        (
            "waivers:",
            "  - {id: accuracy, measure: 'a:b', above: 0, why: x}\nwaivers:",
            "policy.yaml:10: limits[1].id: found the limit 'accuracy' again; ids differ.",
        ),
        ("id: accuracy", "id: claim:1", "ids that begin with claim:, target:, attribute: are the"),
        (
            "limit: accuracy",
            "limit: acuracy",
            "policy.yaml:12: waivers[0].limit: there is no limit 'acuracy'. Did you mean "
            "'accuracy'?",
        ),
        (
            "approved_by: Audit board",
            "approved_by: a. owner ",
            "policy.yaml:11: waivers[0]: owner and approved_by are both 'A. Owner'; someone else "
            "must approve a waiver.",
        ),
        (
            "2026-12-31",
            "2027-12-31",
            "policy.yaml:11: waivers[0]: issued 2026-11-01, expires 2027-12-31: a waiver ends "
            "after it begins and within one year; renew it instead.",
        ),
        ("2026-12-31", "2026-10-31", "a waiver ends after it begins"),
        (
            "2026-12-31",
            "soon",
            "policy.yaml:11: waivers[0]: expires is 'soon'; give a date as 2026-12-31.",
        ),
        ("    limit: accuracy\n", "", "a waiver names exactly one of limit and finding."),
        (
            "limits:",
            "without: [accuracy]\nlimits:",
            "policy.yaml:5: without: this policy extends none; say which it `extends`.",
        ),
        (
            "reason: new photos are being taken",
            "reason: ' '",
            "policy.yaml:11: waivers[0]: reason is ' '; a waiver states its reason in letters.",
        ),
    ],
)
def test_errors_read_as_a_user_would(old, new, said):
    assert said in errors_of(old, new)


@pytest.mark.parametrize(
    "approver",
    [
        "A. Owner\u200b", "\u2060A.\u00adOwner", "a. OWNER", "\uff21. Owner", "A Owner", "A. 0wner",
        "\u0410. Owner", "A. \u039fwner", "A. \u041ewn\u0435r",
        "\u0391. \u041e\u051dner", "Á. Owner",
        "A. Ow\u0578er", "A. Ovvner", "A. Owne\u0433", "Owner, A.", "owner a",
    ],
)  # fmt: skip
def test_nobody_approves_a_waiver_of_their_own_in_other_letters(approver):
    said = errors_of("approved_by: Audit board", f"approved_by: {approver}")
    assert "someone else must approve a waiver" in said


def test_one_mail_address_is_one_person():
    assert same_name("ann@example.org", "Ann Lee <Ann@example.org>")
    assert not same_name("ann@example.org", "ann@example.com")


@pytest.mark.parametrize(
    "name",
    ["-", "–", "...", "n/a"[1], "_", "\u200b", "\u3164", "?!", "N/A", "None", "tbd", "n. a."],
)
@pytest.mark.parametrize("key", ["owner: A. Owner\n    approved_by", "owner"])
def test_a_dash_is_no_name(key, name):
    old = "approved_by: Audit board" if "approved" in key else "owner: A. Owner\n"
    new = f"approved_by: '{name}'" if "approved" in key else f"owner: '{name}'\n"
    assert "in letters" in errors_of(old, new)


def test_other_people_may_approve():
    for approver in ("B. Owner", "A. Owens", "Анна Иванова", "王小明"):
        parse_policy(POLICY.replace("Audit board\n    issued", f"{approver}\n    issued"), name="p")


def test_a_waiver_is_stated_once():
    again = POLICY + POLICY[POLICY.index("  - id: W-7") :]
    with pytest.raises(SpecError, match=r"waivers\[1\].id: found the waiver 'W-7' again"):
        parse_policy(again, name="policy.yaml")


def test_unknown_policies_are_said(tmp_path):
    with pytest.raises(SpecError, match=r"There is no policy 'strct'\. .* Did you mean 'strict'"):
        load_policy("strct", folder=tmp_path)
    with pytest.raises(SpecError, match="does not exist"):
        load_policy("mine.yaml", folder=tmp_path)
    (tmp_path / "mine.yaml").write_text(POLICY)
    assert load_policy("mine.yaml", folder=tmp_path).policy.id == "housing"


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_policies_say_why_of_every_limit(name):
    policy = load_policy(name).policy
    assert policy.id == name
    assert all(len(limit.why.split()) >= 6 for limit in policy.limits)


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_attribute_of_a_user_is_taken_for_a_key_of_a_built_in_limit(name):
    """An attribute of that name would be looked up in the limit, and the audit refused."""
    stated = {key for limit in load_policy(name).policy.limits for key in limit.where.keys}
    assert stated <= SUBJECT_KEYS


def test_strict_is_nowhere_looser_than_default():
    default, strict = (load_policy(name).policy.limits for name in BUILT_IN)
    assert [limit.id for limit in default] == [limit.id for limit in strict]
    for loose, tight in zip(default, strict, strict=True):
        assert loose.is_met_by(tight.value) or loose.kind == "above", tight.id
        assert tight.value >= loose.value or loose.exceeds == "above", tight.id


def test_strict_states_only_what_differs_from_default():
    stated = next(yaml.safe_load_all(load_policy("strict").text))["limits"]
    default, strict = ({x.id: x for x in load_policy(name).policy.limits} for name in BUILT_IN)
    for keys in stated:
        before, after = default[keys["id"]].model_dump(), strict[keys["id"]].model_dump()
        assert all(before[k] != after[k] for k in keys.keys() - {"id"}), keys["id"]
    of_tasks = {name for name, limit in default.items() if limit.tasks}
    assert default.keys() - of_tasks - {keys["id"] for keys in stated} == {
        "decision-supported",
        "unused-bits", "failing-rows", "duplicate-images", "images-with-two-labels",
        "deployment-in-test", "preprocessing", "random-operators", "batch-operators",
        "repeat-consistency", "end-consistency",
        "batch-consistency", "order-consistency", "reference-consistency", "int8-size",
        "int8-speed",
        "mild-corruptions", "small-moves",
    }  # fmt: skip


# --- one that extends another --------------------------------------------------------------

EXTENDING = """\
id: ours
version: "1"
extends: policy.yaml
owner: {name: B. Owner}
limits:
  - {id: accuracy, at_most: 0.9, severity: advisory}
  - {id: gain, measure: "performance/baseline:gain", above: 0, why: it must add something}
"""


def extending(folder, old="", new="", *, base=POLICY):
    assert old in EXTENDING
    (folder / "policy.yaml").write_text(base)
    (folder / "ours.yaml").write_text(EXTENDING.replace(old, new))
    return load_policy("ours.yaml", folder=folder)


def test_an_extending_policy_changes_what_it_states_and_keeps_the_rest(tmp_path):
    base = POLICY.replace("limits:\n", "required_attributes: [phone]\nlimits:\n")
    policy = extending(tmp_path, base=base).policy
    accuracy, gain = policy.limits
    assert (accuracy.id, accuracy.kind, accuracy.value) == ("accuracy", "at_most", 0.9)
    assert (accuracy.at_least, accuracy.severity) == (None, "advisory")
    assert accuracy.why == "fewer right answers cost more than an inspector"
    assert gain.id == "gain"
    assert policy.required_attributes == ("phone",)
    assert (policy.id, policy.owner.name, policy.waivers) == ("ours", "B. Owner", ())
    advisory = extending(tmp_path, "at_most: 0.9, ", "").policy.limits[0]
    assert (advisory.kind, advisory.value, advisory.severity) == ("at_least", 0.85, "advisory")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("id: ours\n", "a verdict names the policy that it was reached by"),
        ('version: "1"\n', "a verdict names the policy that it was reached by"),
        ("owner: {name: B. Owner}\n", "whoever changes limits answers for them"),
    ],
)
def test_who_answers_for_changed_limits_is_never_taken_over(tmp_path, line, why):
    key = line.partition(":")[0]
    with pytest.raises(SpecError) as caught:
        extending(tmp_path, line)
    said = f"{key!r} is missing; add it. That of policy.yaml is not taken over: {why}."
    assert said in str(caught.value)


def test_limits_can_be_left_out_and_bases_have_bases(tmp_path):
    (tmp_path / "far").mkdir()
    extending(tmp_path / "far")
    text = EXTENDING.partition("limits:")[0].replace("policy.yaml", "far/ours.yaml")
    near = tmp_path / "near.yaml"
    near.write_text(text + "without: [accuracy]\n")
    assert [x.id for x in load_policy("near.yaml", folder=tmp_path).policy.limits] == ["gain"]
    near.write_text(text.replace("far/ours.yaml", "strict"))
    limits = load_policy("near.yaml", folder=tmp_path).policy.limits
    assert limits == load_policy("strict").policy.limits


def test_text_and_digest_are_of_all_the_files(tmp_path):
    before = extending(tmp_path)
    after = extending(tmp_path, base=POLICY.replace("cost more", "cost less"))
    assert before.text.split("---\n# policy.yaml\n") == [EXTENDING, POLICY]
    assert after.digest != before.digest == text_digest(before.text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("policy.yaml", "strct", "ours.yaml:3: extends: There is no policy 'strct'. Expected"),
        ("policy.yaml", "gone.yaml", "gone.yaml does not exist"),
        ("policy.yaml", "3", "ours.yaml:3: extends: found the number 3, expected text"),
        ("policy.yaml", "ours.yaml", "ours.yaml:3: extends: found 'ours.yaml', which extends this"),
        (
            ", at_most: 0.9, severity: advisory",
            "",
            "ours.yaml:6: limits[0]: found an id alone; state what differs from policy.yaml",
        ),
        (
            "id: accuracy",
            "id: acuracy",
            "ours.yaml:6: limits[0].id: there is no limit 'acuracy' in policy.yaml, and a new one "
            "has a measure. Did you mean 'accuracy'?",
        ),
        ("at_most: 0.9", "at_most: 0.9, above: 0", "ours.yaml:6: limits[0]: found at_most and abo"),
        ("at_most: 0.9", "at_mots: 0.9", "ours.yaml:6: limits[0]: unknown key 'at_mots'. Did you"),
        ("at_most: 0.9", "at_most: x", "ours.yaml:6: limits[0].at_most: found the text 'x'"),
        ("id: gain", "id: accuracy", "ours.yaml:7: limits[1].id: found the limit 'accuracy' again"),
        ("id: gain", "id: [gain]", "ours.yaml:7: limits[1].id: found a list of 1, expected text"),
        (
            "limits:",
            "without: [acuracy]\nlimits:",
            "ours.yaml:5: without[0]: there is no limit 'acuracy' in policy.yaml. Did you mean",
        ),
        (
            "limits:",
            "without: [accuracy]\nlimits:",
            "ours.yaml:5: without[0]: found 'accuracy', which `limits` states; keep one of the",
        ),
    ],
)
def test_errors_of_an_extending_policy_name_its_lines(tmp_path, old, new, said):
    with pytest.raises(SpecError) as caught:
        extending(tmp_path, old, new)
    assert said in str(caught.value)


def test_a_circle_is_refused_and_errors_of_the_base_are_the_bases(tmp_path):
    circle = POLICY.replace("owner:", "extends: ours.yaml\nowner:", 1)
    with pytest.raises(SpecError, match=r"policy.yaml:3: extends: found 'ours.yaml', which"):
        extending(tmp_path, base=circle)
    with pytest.raises(SpecError, match=r"policy.yaml:8: limits\[0\]: unknown key 'at_leats'"):
        extending(tmp_path, base=POLICY.replace("at_least", "at_leats"))


@pytest.mark.parametrize(
    ("where", "subject", "matches"),
    [
        (Where(), Subject.of(building="old", split="test"), True),
        (Where(split="test"), Subject.of(split="train"), False),
        (Where(variant="int8"), Subject.of(variant="int8"), True),
        (Where(variant="int8"), Subject.of(), False),
        (Where(variant="as-given"), Subject.of(), True),
        (Where(of="none"), Subject.of(building="old"), False),
        (Where(of="none"), Subject.about({"class": "a"}), True),
        (Where(of="any"), Subject.about({"class": "a"}), False),
        (Where(of="any"), Subject.of(phone="x"), True),
        (Where(of=("sensitive", "condition")), Subject.of(phone="x"), False),
        (Where(of="nuisance"), Subject.of(attribute="phone"), True),
        (Where(keys={"class": "a"}), Subject.about({"class": "b"}), False),
        (Where(keys={"class": "*"}), Subject.about({"class": "b"}), True),
        (Where(keys={"class": "*"}), Subject.of(), False),
        (Where(keys={"class": "-"}), Subject.of(), True),
        (Where(keys={"class": "-"}), Subject.about({"class": "b"}), False),
    ],
)
def test_where_says_which_measures(where, subject, matches):
    attributes = {"building": "condition", "phone": "nuisance"}
    assert where.matches(subject, attributes=attributes) is matches


def test_a_reason_that_says_little_is_about_every_limit():
    strict = Where(split="test", variant="int8", of="any", keys={"class": "a"})
    assert strict.matches(Subject(), attributes={}, lenient=True)
    assert not strict.matches(Subject.about({"class": "b"}), attributes={}, lenient=True)


def test_claims_and_target_are_limits(worlds):
    spec = worlds.spec(
        claims=(
            {"measure": "accuracy", "at_least": 0.9, "source": "report"},
            {"measure": "deployment/latency:p99", "at_most": 80.0, "source": "data sheet"},
        ),
        target={"name": "desk", "latency": {"p99_ms": 100.0}, "size_mb": 5.0},
    )
    limits = limits_of(spec, parse_policy(POLICY, name="p").policy)
    assert [limit.id for limit in limits] == [
        "claim:1",
        "claim:1:as-given",
        "claim:2",
        "target:p99_ms",
        "target:size",
        "accuracy",
    ]
    sound, as_given, latency = limits[:3]
    assert sound.where.keys == {"claim": "1", "part": "sound"}
    assert (sound.severity, as_given.severity) == ("blocking", "advisory")
    assert latency.where.matches(Subject(), attributes={})
    assert not latency.where.matches(Subject(variant="int8"), attributes={})
    assert limits[3].value == 100.0


def test_limits_know_when_they_are_met():
    base = {"id": "x", "measure": "a/b:c", "why": "y"}
    assert Limit(above=0.0, **base).is_met_by(0.0) is False
    assert Limit(at_least=0.0, **base).is_met_by(0.0) is True
    assert Limit(below=0.0, **base).is_met_by(0.0) is False
    assert Limit(at_most=0.0, **base).is_met_by(0.0) is True


def waiver(**changes) -> Waiver:
    stated = {
        "id": "W-1",
        "limit": "gap",
        "reason": "known",
        "owner": "one",
        "approved_by": "another",
        "issued": "2026-01-01",
        "expires": "2026-06-30",
    }
    return Waiver.model_validate({k: v for k, v in (stated | changes).items() if v is not None})


def finding(verdict, *, limit="gap", identifier="x:y") -> Finding:
    return Finding(identifier, "x", limit=limit, verdict=verdict)


@pytest.mark.parametrize(
    ("day", "waived", "said"),
    [
        ("2026-01-01", "W-1", ""),
        ("2026-06-30", "W-1", ""),
        ("2026-07-01", None, "expired on 2026-06-30 and was ignored"),
        ("2025-12-31", None, "begins on 2026-01-01 and was ignored"),
    ],
)
def test_waivers_hold_from_their_first_day_to_their_last(day, waived, said):
    done = apply_waivers([finding(Verdict.FAIL)], waivers=[waiver()], as_of=date.fromisoformat(day))
    assert done.findings[0].waived_by == waived
    assert [said in w for w in done.warnings] == ([True] if said else [])


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.FAIL])
def test_only_failures_are_waived_and_a_waiver_of_nothing_is_reported(verdict):
    done = apply_waivers([finding(verdict)], waivers=[waiver()], as_of=date(2026, 2, 1))
    assert done.findings[0].waived_by is None
    assert "waived nothing" in done.warnings[0]


def test_a_waiver_of_one_finding_leaves_the_others():
    one = waiver(limit=None, finding="x:y:g=a")
    both = [finding(Verdict.FAIL, identifier=f"x:y:g={g}") for g in "ab"]
    done = apply_waivers(both, waivers=[one], as_of=date(2026, 2, 1))
    assert [f.waived_by for f in done.findings] == ["W-1", None]
