import found_worlds
import pytest

from auditor.bias.error_rates import ErrorRates

ADVERSE = {"consequences": {"adverse": ("b",)}}


@pytest.mark.parametrize("seed", range(3))
def test_misses_are_of_objects_and_false_alarms_of_images(worlds, seed):
    evidence = found_worlds.detector(
        worlds, seed=seed, missed={"night": 0.6}, alarms={"day": 0.6}, spec=worlds.spec(**ADVERSE)
    )
    found = worlds.measures(ErrorRates(), evidence)
    missed = found["false-negative-difference:class=b,light=night@test"]
    alarms = found["false-positive-difference:class=b,light=day@test"]
    assert (missed.of, alarms.of) == ("object", "image")
    assert missed.interval.low > 0.05
    assert alarms.interval.low > 0.05
    assert found["false-negative-difference:class=b,light=day@test"].interval.high < 0
    assert worlds.sentence(ErrorRates, missed).startswith("Missed objects of b, night (light): ")
    assert not [m for m in found.values() if m.name.startswith("false-pos")
                and m.subject.get("occlusion")]  # fmt: skip
