"""A name in a policy or a spec that is none of the audit's is an error, not a limit on nothing."""

import pytest

from auditor.errors import SpecError
from auditor.judging.known_names import KnownNames, require_known_names
from auditor.judging.policy_file import parse_policy
from auditor.spec.spec_file import SpecFile

POLICY = """schema: auditor/policy/v1
id: mine
version: "1"
owner: {name: a test}
limits:
"""
GROUPS = {"building": {"old", "new", "1930s"}}
WAIVER = "reason: old rooms, owner: A, approved_by: B, issued: 2026-11-01, expires: 2026-12-01"


def names(worlds, *, seen=None, **changes) -> KnownNames:
    data = {"test": {"images": "i"}, "attributes": {"building": {"role": "condition"}}}
    stated = {"data": data, "claims": ({"measure": "accuracy", "at_least": 0.5, "source": "s"},)}
    spec = worlds.spec(**(stated | changes))
    return KnownNames(spec, ("sky", "sea"), GROUPS, seen or GROUPS, others=("sharpness",))


def fault_of(worlds, policy, **changes) -> str:
    with pytest.raises(SpecError) as caught:
        require_known_names(parse_policy(policy, name="mine.yaml"), names(worlds, **changes), None)
    return str(caught.value)


def limit(where, more="why: a"):
    return f'{POLICY}  - {{id: a, measure: "bias/subgroup-gap:recall", at_least: -0.1, {where}, {more}}}\n'  # noqa: E501


@pytest.mark.parametrize(
    "kind", ["why: a", "severity: advisory, why: a", "required: if-applicable, why: a"]
)
@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("keys: {class: skyy}", "keys.class: there is no class 'skyy'. Did you mean 'sky'?"),
        ("keys: {clas: sky}", "there is no key 'clas' of measures. Did you mean 'class'?"),
        ("keys: {buildin: '*'}", "there is no key 'buildin' of measures. Did you mean 'building'?"),
        ("keys: {building: odl}", "there is no group of building 'odl'. Did you mean 'old'?"),
        ("keys: {attribute: bulding}", "no attribute 'bulding'. Did you mean 'building'?"),
        ("keys: {claim: '2'}", "there is no value claim '2'. Known: 1."),
    ],
)
def test_names_in_a_limit(worlds, where, said, kind):
    text = fault_of(worlds, limit(f"where: {{{where}}}", kind))
    assert text.startswith("mine.yaml:6: limits[0].where.keys")
    assert said in text


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("split: tset", "limits[0].where.split: found the text 'tset'"),
        ("split: deploymnt", "Did you mean 'deployment'?"),
        ("of: sensitve", "sensitive"),
        ("splt: test", "Did you mean 'split'?"),
    ],
)
def test_splits_in_a_limit(where, said):
    with pytest.raises(SpecError) as caught:
        parse_policy(limit(f"where: {{{where}}}", "severity: advisory, why: a"), name="mine.yaml")
    assert said in str(caught.value)


def test_a_form_of_the_model_in_a_limit(worlds):
    text = fault_of(worlds, limit("where: {variant: int-8}"))
    assert text.startswith("mine.yaml:6: limits[0].where.variant")
    assert "there is no form 'int-8' of the model. Did you mean 'int8'?" in text


def test_a_limit_that_holds_where_it_applies_may_be_on_a_form_of_another_release(worlds):
    asked = "where: {{variant: {}}}, required: if-applicable"
    policy = parse_policy(limit(asked.format("edge")), name="mine.yaml")
    require_known_names(policy, names(worlds), None)
    assert "Did you mean 'int8'?" in fault_of(worlds, limit(asked.format("int-8")))


@pytest.mark.parametrize(
    "keys", ["class: sky, building: 1930s", "class: '*'", "building: '-'", "kind: cmyk"]
)
def test_names_that_are_known_pass(worlds, keys):
    text = limit(f"where: {{keys: {{{keys}}}}}")
    require_known_names(parse_policy(text, name="mine.yaml"), names(worlds), None)


def test_a_limit_that_is_taken_over_is_named_by_the_line_that_takes_it(worlds, tmp_path):
    from auditor.judging.policy_file import load_policy

    (tmp_path / "base.yaml").write_text(limit("where: {keys: {class: skyy}}"))
    (tmp_path / "own.yaml").write_text(POLICY.replace("limits:", "extends: base.yaml\nlimits: []"))
    with pytest.raises(SpecError, match=r"^own.yaml:5: .*'skyy'"):
        require_known_names(load_policy("own.yaml", folder=tmp_path), names(worlds), None)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ("limit: 'claim:2'", "there is no limit 'claim:2'. Did you mean 'claim:1'?"),
        ("limit: 'left-uot'", "there is no limit 'left-uot'. Did you mean 'left-out'?"),
        ("finding: 'bias/subgroup-gap:recal@test'", "no measure 'bias/subgroup-gap:recal'"),
        ("finding: 'bias/subgroup-gap:recall@tset'", "no 'tset' data. Did you mean 'test'?"),
        ("finding: 'bias/subgroup-gap:recall:building=odl@test'", "Did you mean 'old'?"),
        ("finding: 'bias/subgroup-gap:recall:class=s%6By,building=odl@test'", "building 'odl'"),
    ],
)
def test_names_in_a_waiver(worlds, about, said):
    text = f"{limit('where: {}')}waivers:\n  - {{id: w, {about}, {WAIVER}}}\n"
    assert said in fault_of(worlds, text)


def population(**shares):
    building = {"role": "condition", "population": shares}
    return {"test": {"images": "i"}, "attributes": {"building": building}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"display": {"bulding": "house"}}, "class 'bulding'. Did you mean 'building'?"),
        ({"display": {"old": "new", "new": "old"}}, "'old', by which readers know 'old'"),
        ({"display": {"building=old": " New"}}, "found ' New', by which readers know 'new'"),
        ({"display": {"old": "a house", "new": "A house"}}, "by which readers know 'new'"),
        ({"display": {"sky": "sea"}}, "display.sky: found 'sea', by which readers know 'sea'"),
        ({"display": {"building=odl": "house"}}, "Did you mean 'building=old'?"),
        ({"data": population(odl=0.5, new=0.5)}, "the group 'odl', and 'old' has no share."),
        ({"consequences": {"adverse": ("skyy",)}}, "there is no class 'skyy'. Did you mean 'sky'?"),
        ({"consequences": {"borne_by": {"se": "x"}}}, "Did you mean 'sea'?"),
        ({"claims": ({"measure": "recall", "label": "sae", "at_least": 0.5, "source": "s"},)},
         "claims[0].label: there is no class 'sae'"),
        ({"shortcuts": ({"name": "m", "region": (0, 0, 1, 1), "carried_by": {"building": "odl"}},)},
         "there is no group of building 'odl'"),
    ],
)  # fmt: skip
def test_names_in_a_spec(worlds, changes, said):
    seen = {"building": ("old", "new", "")}
    known = names(worlds, seen=seen, **changes)
    policy = parse_policy(limit("where: {}"), name="mine.yaml")
    with pytest.raises(SpecError) as caught:
        require_known_names(policy, known, SpecFile(known.spec, "audit.yaml", "{a: b}", "0"))
    assert said in str(caught.value)


def test_groups_of_objects_may_be_displayed(worlds):
    """They are in the annotations, or are bins: the manifest has none of them."""
    of_objects = {"size": {"role": "condition", "of": "object"}}
    data = {**population(old=0.5, new=0.5), "attributes": of_objects}
    known = names(worlds, seen={}, data=data, display={"size=small": "small things"})
    policy = parse_policy(limit("where: {}"), name="mine.yaml")
    require_known_names(policy, known, SpecFile(known.spec, "audit.yaml", "{a: b}", "0"))


def test_a_group_that_no_image_shows_may_have_a_share(worlds):
    known = names(
        worlds, seen={"building": ("old", "new")}, data=population(old=0.4, new=0.4, ruin=0.2),
        display={"sharpness": "how sharp", "building=old": "old houses", "sky": "heaven"},
    )  # fmt: skip
    policy = parse_policy(limit("where: {}"), name="mine.yaml")
    require_known_names(policy, known, SpecFile(known.spec, "audit.yaml", "{a: b}", "0"))
