"""The packages that a record names are those installed when it is written."""

from auditor.record.provenance import installed_packages


def install(folder, name, version):
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return place


def test_what_is_installed_while_the_program_runs_is_named(tmp_path, monkeypatch):
    before = installed_packages()
    assert before["numpy"]
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "Made_up.Package", "1.0")
    assert installed_packages() == before | {"made-up-package": "1.0"}
    install(tmp_path, "another", "2.0")
    assert installed_packages() == before | {"made-up-package": "1.0", "another": "2.0"}


def test_what_is_handed_out_may_be_changed(tmp_path):
    installed_packages().clear()
    assert installed_packages()
