"""`auditor bench` to the end: emitted, run as on a device, taken in by an audit, or refused."""

import json
import shlex
import subprocess
import sys

import pytest
import yaml
from coloured_rooms import make_world
from typer.testing import CliRunner

import auditor
from auditor.cli import app
from auditor.stats import value

pytestmark = pytest.mark.slow

ONLY = ("deployment/latency", "deployment/identity", "deployment/memory")


def spec_with(world, target, *, name):
    """A spec beside the world's with another target."""
    said = f"target: {{name: a tablet, latency: {{p99_ms: 5000}}{target}}}\npolicy:"
    path = world.with_name(name)
    path.write_text(world.read_text().replace("policy:", said, 1))
    return path


def run_command(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A world, and beside it the result of a program that ran as on a device."""
    folder = tmp_path_factory.mktemp("benched")
    world = make_world(folder / "world", sizes=(60, 40, 40))
    device = folder / "device"
    done = run_command(
        "bench", spec_with(world, "", name="emit.yaml"), "--emit", device / "bench.py"
    )
    assert done.exit_code == 0, done.output
    assert "python bench.py model.onnx" in done.output
    program = device / "bench.py"
    program.write_text(program.read_text().replace("COLD_STARTS = 10", "COLD_STARTS = 1"))
    ran = subprocess.run(
        [sys.executable, "-I", str(program), str(world.with_name("model.onnx"))],
        cwd=device, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    world.with_name("bench.json").write_text((device / "bench.json").read_text())
    return world


def test_the_lines_to_type_and_to_write_hold_for_any_name(world, tmp_path):
    spec = spec_with(world, "", name="named.yaml")
    said = "name: 'the \"kitchen, left}: #2'"
    model = world.with_name("my model; ls.onnx")
    model.write_bytes(world.with_name("model.onnx").read_bytes())
    text = spec.read_text().replace("name: a tablet", said)
    spec.write_text(text.replace("path: model.onnx", "path: my model; ls.onnx"))
    done = run_command("bench", spec, "--emit", tmp_path / "my bench.py")
    assert done.exit_code == 0, done.output
    typed, _, written = done.output.splitlines()[-3:]
    assert shlex.split(typed) == ["python", "my bench.py", "my model; ls.onnx"]
    line = written.replace(", ...", "")
    assert yaml.safe_load(line)["target"]["name"] == 'the "kitchen, left}: #2'


def limit(record):
    return next(str(r.verdict) for r in record.limit_results if r.limit["id"] == "target:p99_ms")


def test_a_result_of_the_target_is_judged_as_such(world, tmp_path):
    spec = spec_with(world, ", bench: bench.json", name="there.yaml")
    record = auditor.run(spec, out=tmp_path, only=ONLY)
    found = record.results_by_id
    same = found["deployment/identity:output-difference"]
    assert value(same.estimate) < 1e-4
    assert same.facts["target"] == "a tablet"
    assert found["deployment/memory:peak"].facts["measured_on"]
    assert record.provenance.inputs["target.bench"]
    # On a busy machine its timings are not valid; a limit of 5 s is not broken.
    assert limit(record) in ("PASS", "NOT_RUN")
    issued = json.loads(world.with_name("bench-nonces.json").read_text())["issued"]
    assert issued[0]["nonce"] not in (tmp_path / "audit.json").read_text()


def test_without_it_a_limit_of_the_target_is_not_decided(world, tmp_path):
    record = auditor.run(spec_with(world, "", name="here.yaml"), out=tmp_path, only=ONLY)
    assert limit(record) == "NOT_RUN"
    found = record.results_by_id["deployment/latency:p99"]
    assert "a tablet" in found.reason
    assert "target.bench" in found.remedy


@pytest.mark.parametrize("command", ["run", "plan"])
def test_an_edited_result_stops_an_audit_with_one_sentence(world, tmp_path, command):
    body = json.loads(world.with_name("bench.json").read_text())
    wall = body["timed"]["parts"]["closed"]["runs"][0]["wall_ms"]
    body["timed"]["parts"]["closed"]["runs"][0]["wall_ms"] = [ms / 2 for ms in wall]
    world.with_name("edited.json").write_text(json.dumps(body))
    spec = spec_with(world, ", bench: edited.json", name="edited.yaml")
    out = ("--out", tmp_path / "out") if command == "run" else ()
    with pytest.raises(auditor.AuditorError, match=r"^target\.bench: edited\.json was changed"):
        CliRunner().invoke(app, [command, str(spec), *map(str, out)], catch_exceptions=False)
    assert not (tmp_path / "out" / "audit.json").exists()


@pytest.mark.parametrize(
    ("place", "said"),
    [("model.onnx", "is a file of the audit"), ("emit.yaml", "is a file of the audit"),
     ("", "is a folder"), ("model.onnx/bench.py", "cannot be written")],
)  # fmt: skip
def test_a_program_never_takes_the_place_of_what_is_audited(world, command, place, said):
    model = world.with_name("model.onnx").read_bytes()
    spec = world.with_name("emit.yaml")
    code, _, error = command("bench", spec, "--emit", world.parent / place, "--force")
    assert code == 2
    assert said in error
    assert world.with_name("model.onnx").read_bytes() == model


@pytest.mark.parametrize("held", ["{", '{"issued": [{}]}', '{"issued": ["x"]}'])
def test_without_a_place_for_its_nonce_no_program_is_written(tmp_path, command, held):
    world = make_world(tmp_path / "world", sizes=(60, 40, 40))
    world.with_name("bench-nonces.json").write_text(held)
    spec = spec_with(world, "", name="emit.yaml")
    code, _, error = command("bench", spec, "--emit", tmp_path / "bench.py")
    assert code == 2
    assert "cannot be read" in error
    assert not (tmp_path / "bench.py").exists()


def test_a_program_is_not_written_over_another(world, tmp_path):
    spec = spec_with(world, "", name="emit.yaml")
    (tmp_path / "bench.py").write_text("mine")
    with pytest.raises(auditor.AuditorError, match="exists"):
        CliRunner().invoke(
            app, ["bench", str(spec), "--emit", str(tmp_path / "bench.py")], catch_exceptions=False
        )
    with pytest.raises(auditor.AuditorError, match="names no target"):
        CliRunner().invoke(
            app, ["bench", str(world), "--emit", str(tmp_path / "b.py")], catch_exceptions=False
        )
