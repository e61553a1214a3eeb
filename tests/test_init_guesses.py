"""What `auditor init` guesses of columns, and what the user may say instead."""

import numpy as np
import pandas as pd
import pytest
from coloured_rooms import write_model
from PIL import Image

from auditor.data.attribute_guesses import words_of
from auditor.data.image_places import Given
from auditor.data.looking import look_at_data
from auditor.spec.spec_file import read_spec

N = 120


@pytest.fixture
def table(tmp_path):
    """Rows of tiny images, red and blue in turn; written anew with other columns by `saved`."""
    (tmp_path / "img").mkdir()
    for i in range(N):
        pixels = np.full((4, 4, 3), 20 + i, dtype=np.uint8)
        pixels[..., 2 * (i % 2)] = 220
        Image.fromarray(pixels).save(tmp_path / "img" / f"{i:03}.png")
    write_model(tmp_path / "m.onnx")
    return pd.DataFrame({
        "image": [f"img/{i:03}.png" for i in range(N)], "label": ["red", "blue"] * (N // 2),
    })  # fmt: skip


@pytest.fixture
def looked(table, tmp_path):
    def look(**columns):
        path = tmp_path / "t.csv"
        table.assign(**columns).to_csv(path, index=False)
        return look_at_data(path).columns

    return look


def cycle(*values, each=1):
    return [values[i // each % len(values)] for i in range(N)]


def test_columns_about_people_are_guessed_sensitive_and_others_are_not(looked):
    people = ["sex", "age group", "Race", "PatientGender", "skin_type", "Fitzpatrick", "religion"]
    others = ["stage", "page", "skin lesion", "camera", "image_orientation", "trace"]
    found = looked(**{name: cycle("a", "b", "c", each=i + 2)
                      for i, name in enumerate([*people, *others])})  # fmt: skip
    roles = {a.column: a.role for a in found.attributes}
    assert {name for name, role in roles.items() if role == "sensitive"} == set(people)
    assert set(roles) == {*people, *others}


def test_words_of_a_name():
    assert words_of("ageAtScan_in-years2") == {"age", "at", "scan", "in", "years"}


def test_many_numbers_get_bins_that_hold_them_all_and_codes_are_no_amounts(looked):
    rng = np.random.default_rng(0)
    found = looked(
        age=rng.integers(0, 99, N), weight=rng.normal(70, 12, N).round(1),
        grade_of_room=cycle(1, 2, each=3),
        share=rng.random(N).round(4), zip_code=rng.integers(10_000, 90_000, N), row=range(N),
        counted=range(7, 7 + N), city=[f"city {i % 50}" for i in range(N)],
        skin_type=cycle(1, 2, 3, 4, 5, 6, each=3),
        county=[f"county {i % 3 if i % 4 else i}" for i in range(N)],
    )  # fmt: skip
    bins = {a.column: a.bins for a in found.attributes}
    assert bins.keys() == {"age", "weight", "grade_of_room", "share", "skin_type", "county"}
    assert {a.column: a.largest for a in found.attributes if a.largest} == {"county": 3}
    assert bins["age"] == (0, 18, 40, 65, 120)
    assert bins["grade_of_room"] is bins["skin_type"] is None
    for name, low, high in (("weight", 30, 110), ("share", 0, 1)):
        assert list(bins[name]) == sorted(set(bins[name]))
        assert low <= bins[name][0] < bins[name][-1] <= high
        assert 3 <= len(bins[name]) <= 5


def test_yes_and_no_elsewhere_are_no_ratings_of_yes_and_no(looked):
    rng = np.random.default_rng(0)
    labels = cycle("yes", "no")
    found = looked(label=labels, smoker=cycle("yes", "no", each=3), ulcer=rng.permutation(labels),
                   reader_2=rng.permutation(labels), both=cycle("yes", "no", "no"))  # fmt: skip
    assert found.ratings == ("reader_2",)
    assert {a.column for a in found.attributes} == {"smoker", "ulcer", "both"}


def test_names_of_classes_in_another_column_rate_where_they_agree_with_the_label(looked):
    colours = np.array(cycle("red", "blue"))
    seen = np.where(np.arange(N) % 6 == 0, colours[::-1], colours)
    found = looked(ann=seen, door=np.random.default_rng(1).permutation(colours))
    assert found.ratings == ("ann",)
    assert [a.column for a in found.attributes] == ["door"]


def test_a_unit_has_ten_values_or_more_and_is_marked_a_guess(looked, table, tmp_path, command):
    assert looked(room=cycle(*"abcdefghi")).unit is None
    found = looked(room=cycle(*"abc", each=3), patient_id=[f"{i // 4:03}" for i in range(N)])
    assert found.unit == "patient_id"
    assert [a.column for a in found.attributes] == ["room"]
    out = tmp_path / "a.yaml"
    init = ("init", tmp_path / "m.onnx", tmp_path / "t.csv", "--force", "--out", out)
    assert command(*init)[0] == 0
    assert "unit: patient_id   # guess" in out.read_text()
    assert command(*init, "--unit", "room")[0] == 0
    assert "    unit: room\n" in out.read_text()
    code, _, err = command(*init, "--unit", "rom")
    assert code == 2
    assert "no column 'rom', which --unit names" in err
    assert "Did you mean 'room'?" in err


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(("10", "9"), ("9", "10")), (("-1", "1"), ("-1", "1")), (("10", "-2"), ("-2", "10"))],
)
def test_integer_labels_are_sorted_as_numbers(table, tmp_path, labels, classes):
    table.assign(label=cycle(*labels)).to_csv(tmp_path / "t.csv", index=False)
    assert look_at_data(tmp_path / "t.csv").classes == classes


def test_a_newline_in_any_name_is_quoted(table, tmp_path, command):
    lines = table.rename(columns={"label": "the\nlabel"})
    lines = lines.assign(
        **{"the\nlabel": cycle("re\nd", "blue"), "came\nra": cycle("a\n", "b", each=3)}
    )
    lines.to_csv(tmp_path / "t.csv", index=False)
    model = (tmp_path / "m.onnx").rename(tmp_path / "m\n x.onnx")
    out = tmp_path / "a.yaml"
    code, _, err = command("init", model, tmp_path / "t.csv", "--label", "the\nlabel", "--out", out)
    assert code == 0, err
    spec = read_spec(out).spec
    assert spec.model.path == "m\n x.onnx"
    assert spec.model.classes == ("blue", "re\nd")
    assert spec.data.columns.label == "the\nlabel"
    assert set(spec.data.attributes) == {"came\nra"}


def test_what_the_user_names_is_obeyed(table, tmp_path, command):
    other = table.rename(columns={"image": "shot", "label": "what"})
    other = other.assign(file=table["image"].str[::-1], kind=cycle("x", "y", "z"))
    other.to_csv(tmp_path / "t.csv", index=False)
    other.head(40).to_csv(tmp_path / "tr.csv", index=False)
    (tmp_path / "field").mkdir()
    for i in range(6):
        Image.new("RGB", (4, 4), (i, 9, 9)).save(tmp_path / "field" / f"{i}.png")
    out = tmp_path / "a.yaml"
    code, said, err = command(
        "init", tmp_path / "m.onnx", tmp_path / "t.csv", "--image", "shot", "--label", "what",
        "--train", tmp_path / "tr.csv", "--deployment", tmp_path / "field", "--out", out,
    )  # fmt: skip
    assert code == 0, err
    assert "splits: test, train, deployment" in said
    data = read_spec(out).spec.data
    assert (data.columns.image, data.columns.label) == ("shot", "what")
    assert (data.train.manifest, data.deployment.images) == ("tr.csv", "field")
    code, said, err = command("plan", out)
    assert code == 0, err


def test_train_and_deployment_may_be_folders_by_class_beside_a_folder(table, tmp_path):
    for place in ("test data", "more", "live"):
        for i in range(0, 12):
            folder = tmp_path / place / ("red", "blue")[i % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (i, 0, 0)).save(folder / f"{i}.png")
    found = look_at_data(
        tmp_path / "test data", given=Given(), train=tmp_path / "more", deployment=tmp_path / "live"
    )
    assert list(found.splits) == ["test", "train", "deployment"]
    assert found.splits["train"].images == tmp_path / "more"
    assert found.classes == ("blue", "red")


def test_sensitive_attributes_come_with_what_is_to_be_declared(table, tmp_path, command):
    table.assign(sex=cycle("f", "m", each=3)).to_csv(tmp_path / "t.csv", index=False)
    out = tmp_path / "a.yaml"
    code, said, _ = command("init", tmp_path / "m.onnx", tmp_path / "t.csv", "--out", out)
    assert code == 0
    assert "Sensitive (guess): sex" in said
    code, _, err = command("plan", out)
    assert code == 2
    assert "basis-sex" in err
    text = out.read_text()
    recipe = text[text.index("#   declarations:") : text.index("# declarations: ")]
    written = "\n".join(line.removeprefix("#   ") for line in recipe.splitlines())
    (tmp_path / "declarations.yaml").write_text(written)
    out.write_text(text.replace("# declarations: decl", "declarations: decl"))
    code, _, err = command("plan", out)
    assert code == 2
    assert "'YYYY-MM-DD' is no date" in err
    (tmp_path / "declarations.yaml").write_text(written.replace("YYYY-MM-DD", "2026-11-30"))
    assert command("plan", out)[0] == 0
