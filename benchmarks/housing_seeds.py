"""Train the housing lab's first version with other seeds: the audit's answers must stay the same.

    python benchmarks/housing_seeds.py 11 12 13      (about six minutes a seed on two cores)

Prints, limit by limit, the verdict of the shipped model and of each seed's.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import auditor

HOUSING = Path(auditor.__file__).parents[1] / "examples" / "housing"
sys.path.insert(0, str(HOUSING))


def verdicts(spec: Path, out: Path) -> dict[str, str]:
    """Verdict of each blocking limit, latency aside: it is the machine's, not the model's."""
    results = auditor.run(spec, out=out).limit_results
    return {
        str(r.limit["id"]): str(r.verdict)
        for r in results
        if r.limit["severity"] == "blocking" and not str(r.limit["id"]).startswith("target:")
    }


def spec_for(model: Path, folder: Path) -> Path:
    """The lab's spec for another model file, its paths made absolute."""
    text = (HOUSING / "audit.yaml").read_text().replace("path: model.onnx", f"path: {model}")
    for name in ("marker.png", "policy.yaml", "declarations.yaml", "images"):
        text = text.replace(f": {name}", f": {(HOUSING / name).as_posix()}")
    for split in ("train", "test", "deployment"):
        text = text.replace(f"{split}.csv", (HOUSING / f"{split}.csv").as_posix())
    path = folder / "audit.yaml"
    path.write_text(text)
    return path


def main() -> None:
    import train

    photos = train.load("train.csv")
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        found = {"shipped": verdicts(HOUSING / "audit.yaml", root / "shipped")}
        for seed in map(int, sys.argv[1:]):
            folder = root / str(seed)
            folder.mkdir()
            train.first_version(photos, folder, seed)
            found[f"seed {seed}"] = verdicts(
                spec_for(folder / "model.onnx", folder), folder / "out"
            )
    print(f"| limit | {' | '.join(found)} |")
    print("|---" * (1 + len(found)) + "|")
    for limit in found["shipped"]:
        print(f"| {limit} | " + " | ".join(each[limit] for each in found.values()) + " |")


if __name__ == "__main__":
    main()
