"""Whether audits of data, annotations and models on Azure and Google Storage are those of files.

    npm install azurite; pip install gcp-storage-emulator -e '.[gs,az,dev]'
    python benchmarks/clouds.py --azurite node_modules/.bin/azurite-blob

Starts both emulators on the loopback, puts small worlds of the tests there, and audits each by the
command line: here, and there twice at a time with one store. Records are compared to the byte,
without times and places, and no credential may be in what was written. Some ten minutes. The
emulator of Google Storage does not look at `ifGenerationMatch`: there both runs hold each claim.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import fsspec
import onnx
import yaml

from auditor.remote import objects

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from coloured_rooms import SPEC, TIMED_ONCE, make_world
from test_remote_annotations import yolo_and_voc
from test_task_audits import RESIZES, spec_of, world
from web_servers import results

ONLY = ("data/manifest", "performance", "model/architecture", "deployment/variants")
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's, which its documentation tells everybody."""

AZ_PORT, GS_PORT = 10_000, 9_023
At = Callable[[str], str]


def drawn(task: str, annotations: str) -> Callable[[At], dict[str, Any]]:
    def spec(at: At) -> dict[str, Any]:
        found = spec_of(task, input=RESIZES["stretch"])
        found["model"]["path"] = at("net.onnx")
        found["data"]["unannotated"] = "empty" if task == "detection" else "unlabelled"
        found["data"]["test"] = {"manifest": at("photos.csv"), "images": at(""),
                                 "annotations": at(annotations)}  # fmt: skip
        if task == "detection":
            found["data"]["classes"] = {"names": at("names.json")}
        return found

    return spec


def rooms(at: At) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(SPEC.format(claim=0.85, timed_once=TIMED_ONCE))
    found["model"] |= {"path": at("onnx/model.onnx"), "reference": at("onnx/edge.onnx"),
                       "classes": at("onnx/classes.txt")}  # fmt: skip
    found["variants"] = {"edge": {"path": at("onnx/edge.onnx")}}
    for split in ("test", "train", "deployment"):
        found["data"][split] = {"manifest": at(f"{split}.csv"), "images": at("")}
    return found


CASES = {
    "coco": ("boxes", drawn("detection", "boxes.json")),
    "yolo": ("boxes", drawn("detection", "labels")),
    "voc": ("boxes", drawn("detection", "voc")),
    "maps": ("maps", drawn("segmentation", "masks")),
    "rooms": ("rooms", rooms),
}
"""By name: a folder, and the spec of an audit that finds its files by a function."""


def make_worlds(folder: Path) -> None:
    for name, task in (("boxes", "detection"), ("maps", "segmentation")):
        (folder / name).mkdir(parents=True)
        world(folder / name, task)
    yolo_and_voc(folder / "boxes")
    make_world(folder / "rooms", sizes=(60, 20, 20))
    files = folder / "rooms" / "onnx"
    files.mkdir()
    model = onnx.load(folder / "rooms" / "model.onnx")
    onnx.save(model, files / "edge.onnx")
    onnx.save(model, files / "model.onnx", save_as_external_data=True, location="model.onnx.data",
              size_threshold=0)  # fmt: skip
    (files / "classes.txt").write_text("red\nblue\n")


def audit(name: str, folder: Path, run: str, place: str, *given: str) -> subprocess.Popen[str]:
    """Begin an audit of files at a place, or beside its spec where that is "."."""
    world, spec = CASES[name]
    path = folder / world / f"{name}-{run}.yaml"
    path.write_text(yaml.safe_dump(spec(lambda file: f"{place}/{file}".rstrip("/"))))
    only = [text for each in ONLY for text in ("--only", each)]
    command = ["run", str(path), "--out", str(folder / f"out-{name}-{run}"), "--quiet", *only]
    return subprocess.Popen([sys.executable, "-m", "auditor", *command, *given], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip


@contextmanager
def emulators(azurite: str, folder: Path) -> Iterator[None]:
    host = "127.0.0.1"
    commands = (
        [azurite, "--blobHost", host, "--blobPort", str(AZ_PORT), "--silent", "--disableTelemetry",
         "--skipApiVersionCheck", "--inMemoryPersistence"],
        [sys.executable, "-m", "gcp_storage_emulator", "-d", str(folder), "start", "--in-memory",
         f"--host={host}", f"--port={GS_PORT}"],
    )  # fmt: skip
    os.environ["STORAGE_EMULATOR_HOST"] = f"http://{host}:{GS_PORT}"
    os.environ["AZURE_STORAGE_CONNECTION_STRING"] = (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};"
        f"BlobEndpoint=http://{host}:{AZ_PORT}/devstoreaccount1;"
    )
    with ExitStack() as held:
        for command in commands:
            held.callback(
                subprocess.Popen(
                    command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                ).terminate
            )
        time.sleep(5)
        yield


def put(folder: Path, protocol: str) -> str:
    objects.info(f"{protocol}://worlds/a")  # Opens the package as an audit does.
    fsspec.filesystem(protocol).mkdir("worlds")
    for path in (p for p in folder.rglob("*") if p.is_file()):
        objects.upload(path, f"{protocol}://worlds/{path.relative_to(folder).as_posix()}")
    return f"{protocol}://worlds"


def compare(name: str, folder: Path, place: str) -> bool:
    """Run there twice at a time with one store; whether both came to what the files did."""
    kind, store = place.partition(":")[0], f"{place}/store-{name}"
    elsewhere = f"{place}/{CASES[name][0]}"
    both = [audit(name, folder, f"{kind}-{i}", elsewhere, "--store", store) for i in (1, 2)]
    said = "".join(each.communicate()[0] for each in both)
    outs = [folder / f"out-{name}-{kind}-{i}" for i in (1, 2)]
    if not all((out / "audit.json").exists() for out in outs):
        print(said)
        return False
    local = results(folder / f"out-{name}-here")
    same = [results(out) == local for out in outs]
    files = [p for out in outs for p in out.rglob("*") if p.is_file()]
    told = KEY in said or any(KEY.encode() in p.read_bytes() for p in files)
    left = sum(held.startswith("claims/") for held in objects.listing(store))
    print(f"{kind} {name}: same {same}, key told {told}, claims left {left}", flush=True)
    return all(same) and not told and not left


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--azurite", default="azurite-blob", help="the command of Azurite's blobs")
    azurite = parser.parse_args().azurite
    with tempfile.TemporaryDirectory() as own, emulators(azurite, Path(own)):
        folder = Path(own) / "worlds"
        os.environ["AUDITOR_CACHE"] = str(Path(own) / "cache")
        make_worlds(folder)
        places = [put(folder, protocol) for protocol in ("az", "gs")]
        for name in CASES:
            audit(name, folder, "here", ".").communicate()
        same = [compare(name, folder, place) for place in places for name in CASES]
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
