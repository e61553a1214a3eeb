"""Copies found and other shots taken for copies, by kind of change; and what the search costs.

python benchmarks/near_duplicates.py            # recall and false alarms (--real FOLDER adds
python benchmarks/near_duplicates.py --cost     # real photos); CPU time by n
python benchmarks/near_duplicates.py --trees    # pairs that random trees find of those there are
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw
from threadpoolctl import threadpool_limits

from auditor.data.near_duplicates import Prints, near_pairs, prints
from auditor.data.near_pairs import WHOLE, nearest, sketches
from auditor.data.near_trees import nearest_in_trees
from auditor.data.scan import THUMBNAIL, properties, thumbnail

Pixels = np.ndarray
RNG = np.random.default_rng(1)
COPIED = 3


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content).convert("RGB"))


def cropped(pixels: Pixels, share: float) -> Pixels:
    height, width = (round(side * (1 - share)) for side in pixels.shape[:2])
    y, x = (
        RNG.integers(0, pixels.shape[0] - height + 1),
        RNG.integers(0, pixels.shape[1] - width + 1),
    )
    return pixels[y : y + height, x : x + width]


def overlaid(pixels: Pixels) -> Pixels:
    image = Image.fromarray(pixels)
    w, h = image.size
    draw = ImageDraw.Draw(image)
    draw.rectangle((w // 20, h * 17 // 20, w * 12 // 20, h * 19 // 20), fill=(255, 255, 255))
    draw.text((w * 7 // 100, h * 87 // 100), "2024-03-01 sample", fill=(0, 0, 0))
    return np.asarray(image)


def halved(pixels: Pixels) -> Pixels:
    size = pixels.shape[1] // 2, pixels.shape[0] // 2
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def bordered(pixels: Pixels) -> Pixels:
    wide = round(0.03 * min(pixels.shape[:2]))
    return np.pad(pixels, ((wide, wide), (wide, wide), (0, 0)))


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "quality 30": lambda p: jpeg(p, 30),
    "quality 50": lambda p: jpeg(p, 50),
    "quality 90": lambda p: jpeg(p, 90),
    "half size": halved,
    "crop 5%": lambda p: cropped(p, 0.05),
    "crop 10%": lambda p: cropped(p, 0.10),
    "mirror": lambda p: p[:, ::-1],
    "turn": lambda p: np.rot90(p),
    "brighter": lambda p: np.clip(p * 1.2, 0, 255).astype(np.uint8),
    "darker": lambda p: (p * 0.75).astype(np.uint8),
    "overlay": overlaid,
    "border 3%": bordered,
    "border 8%": lambda p: np.pad(p, ((8 * len(p) // 100,) * 2,) * 2 + ((0, 0),)),
    "left 10%": lambda p: p[:, p.shape[1] // 10 :],
    "all sides 10%": lambda p: p[
        len(p) // 10 : -len(p) // 10, p.shape[1] // 10 : -p.shape[1] // 10
    ],
    "contrast": lambda p: np.clip(128 + (p.astype(float) - 128) * 1.3, 0, 255).astype(np.uint8),
    "gamma 0.7": lambda p: (255 * (p / 255) ** 0.7).round().astype(np.uint8),
    "grey": lambda p: np.repeat(np.asarray(Image.fromarray(p).convert("L"))[..., None], 3, 2),
    "crop, quality 50": lambda p: jpeg(cropped(p, 0.05), 50),
    "mirror, half size": lambda p: halved(np.ascontiguousarray(p[:, ::-1])),
}


def fields(n: int, rng: np.random.Generator, *, side: int) -> Pixels:
    """Of a natural spectrum (amplitude 1 / f), (n, side, side), standard deviation 1."""
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side)] * 2))
    amplitude = np.divide(1, frequency, out=np.zeros_like(frequency), where=frequency > 0)
    found = np.fft.ifft2(np.fft.fft2(rng.normal(size=(n, side, side))) * amplitude).real
    return np.asarray(found / found.std(axis=(1, 2), keepdims=True), dtype=np.float32)


def noisy(pixels: Pixels, sd: float, rng: np.random.Generator) -> Pixels:
    return np.clip(pixels + rng.normal(0, sd, pixels.shape), 0, 255).astype(np.uint8)


def fixed_camera(n: int, seed: int) -> list[Pixels]:
    rng = np.random.default_rng([2, seed])
    scene = 128 + 40 * fields(1, rng, side=200)[0][..., None] + rng.normal(0, 15, 3)
    shots = []
    for i in range(n):
        shot = np.array(scene)
        if i % 2:
            y, x = rng.integers(20, 140, 2)
            shot[y : y + 3, x : x + 40] += 60
        shots.append(noisy(shot, 4, rng))
    return shots


def drawn(
    n: int, background: tuple[int, int, int], draw: Callable[..., None], seed: int
) -> list[Pixels]:
    rng = np.random.default_rng([3, seed])
    found = []
    for _ in range(n):
        image = Image.new("RGB", (180, 180), background)
        draw(ImageDraw.Draw(image), rng)
        found.append(noisy(np.asarray(image), 2, rng))
    return found


def draw_thing(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    colour = tuple(rng.integers(20, 220, 3).tolist())
    draw.ellipse((50, 40, 130, 140), fill=colour)
    draw.rectangle((80, 20, 100, 60), fill=tuple(c // 2 for c in colour))


def draw_cells(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    for x, y in rng.integers(0, 180, (40, 2)).tolist():
        draw.ellipse((x - 7, y - 7, x + 7, y + 7), fill=(120, 60, 140))


def folder(path: Path, n: int, *, seed: int, side: int = 320) -> list[Pixels]:
    """n photos; of the sequence of files each seed begins at another."""
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    step = max(1, len(files) // n)
    found = []
    for file in files[seed % step :: step][:n]:
        image = Image.open(file).convert("RGB")
        image.thumbnail((side, side))
        found.append(np.asarray(image))
    return found


def shots_of_drives(path: Path, n: int, *, seed: int) -> list[Pixels]:
    """n frames that follow each other, of the sequence of all; each seed begins at another."""
    return folder(path, 455, seed=0)[seed * 97 % 300 :][:n]


def pairs_of(images: list[Pixels], formats: list[str]) -> tuple[set[tuple[int, int]], int]:
    images = [np.ascontiguousarray(image) for image in images]
    scan = pd.DataFrame(
        {"readable": True, "sha256": hashlib.sha256(str(i).encode()).hexdigest(),
         "format": kind, **properties(image),
         "pixel_sha256": hashlib.sha256(image.tobytes() + str(image.shape).encode()).hexdigest(),
         "thumbnail": thumbnail(image).tobytes()}
        for i, (image, kind) in enumerate(zip(images, formats, strict=True))
    )  # fmt: skip
    found = near_pairs(prints(scan), pixels=lambda position: images[position])
    return set(zip(found.one.tolist(), found.other.tolist(), strict=True)), int(found.partly.sum())


def recall(real: Path | None, seed: int) -> None:
    """Of each world n originals; each twelfth is copied with each change, all searched at once."""
    n = COPIED * len(CHANGES)
    worlds = {
        "fixed camera": fixed_camera(n, seed),
        "things on white": drawn(n, (255, 255, 255), draw_thing, seed),
        "microscope-like": drawn(n, (225, 200, 215), draw_cells, seed),
    }
    if real is not None:
        photos = folder(real / "imagenet-mini" / "images", n, seed=seed)
        small = [np.asarray(Image.fromarray(p).resize((32, 32))) for p in photos]
        worlds |= {"photos": photos, "CIFAR-like": small}
        worlds["CamVid"] = shots_of_drives(real / "camvid" / "images", n, seed=seed)
        worlds["chest X-rays"] = folder(real / "chest-xray" / "images", n, seed=seed)
    print(f"| images | n | other shots called copies | {' | '.join(CHANGES)} | partly compared |")
    print("|---" * (4 + len(CHANGES)) + "|")
    for world, images in worlds.items():
        named = [(name, change) for name, change in CHANGES.items() for _ in range(COPIED)]
        pairs = list(zip(images, named, strict=False))
        copies = [change(image) for image, (_, change) in pairs]
        formats = ["JPEG" if "quality" in name else "PNG" for _, (name, _) in pairs]
        found, partly = pairs_of([*images, *copies], ["PNG"] * len(images) + formats)
        false = found - {(i, len(images) + i) for i in range(len(copies))}
        cells = [
            sum(
                (i, len(images) + i) in found for i, (_, (name, _)) in enumerate(pairs) if name == c
            )
            for c in CHANGES
        ]
        shares = " | ".join(f"{cell} of {COPIED}" for cell in cells)
        print(f"| {world} | {len(images)} | {len(false)} | {shares} | {partly} |", flush=True)


def cost(sizes: list[int]) -> None:
    print(f"{'images':16}{'n':>8}{'CPU s':>8}{'partly compared':>17}")
    for n in sizes:
        for world in ("photos", "one camera", "moving scene"):
            with threadpool_limits(1):
                scan, pixels = thumbnails_of(world, n)
                begun = time.process_time()
                found = near_pairs(scan, pixels=pixels)
            spent = time.process_time() - begun
            print(f"{world:16}{n:8,}{spent:8.1f}{int(found.partly.sum()):17,}", flush=True)


def trees(n: int) -> None:
    """Of drawn photos, half of them changed a little, pairs by how far they lie apart."""
    known, _ = thumbnails_of("photos", n)
    changed = known.thumbnails[: n // 2].astype(np.float32)
    strength = RNG.uniform(0, 40, len(changed))[:, None, None, None]
    changed += strength * fields(len(changed), RNG, side=THUMBNAIL)[..., None] / 4
    cells = np.concatenate([known.thumbnails[n // 2 :], np.clip(changed, 0, 255).astype(np.uint8)])
    whole = sketches(np.concatenate([known.thumbnails[: n // 2], cells]), WHOLE)
    found = []
    for search in (
        lambda: nearest(whole, whole, radius=0.2, most=9),
        lambda: nearest_in_trees(whole, radius=0.2, most=9),
    ):
        begun = time.process_time()
        with threadpool_limits(1):
            one, other = search()
        print(f"{time.process_time() - begun:.1f} CPU s, {int((one < other).sum()):,} pairs")
        found.append(pd.MultiIndex.from_arrays([one[one < other], other[one < other]]))
    pairs = found[0].to_frame(index=False).to_numpy()
    apart = np.linalg.norm(whole[pairs[:, 0]] - whole[pairs[:, 1]], axis=1)
    print("| apart | pairs | found by trees |\n|---|---|---|")
    for low, high in itertools.pairwise((0, 0.05, 0.1, 0.15, 0.2)):
        band = (apart > low) & (apart <= high)
        print(f"| {low}-{high} | {band.sum():,} | {found[0][band].isin(found[1]).sum():,} |")


def thumbnails_of(world: str, n: int) -> tuple[Prints, Callable[[int], Pixels]]:
    """Prints of n images, and their pixels: of 128 x 128, those of a scene with its noise."""
    rng = np.random.default_rng(0)
    large = (128 + 45 * fields(1, rng, side=128)[0][..., None] * np.ones(3)).astype(np.float32)
    scene = large.reshape(THUMBNAIL, 4, THUMBNAIL, 4, 3).mean(axis=(1, 3))
    cells = np.empty((n, THUMBNAIL, THUMBNAIL, 3), dtype=np.uint8)
    for start in range(0, n, 4096):
        m = min(4096, n - start)
        if world == "photos":
            part = 128 + 45 * fields(m, rng, side=THUMBNAIL)[..., None]
            part = part + rng.normal(0, 15, (m, 1, 1, 3))
        else:
            part = scene + rng.normal(0, 1, (m, THUMBNAIL, THUMBNAIL, 3))
        if world == "moving scene":
            part = part + 8 * fields(m, rng, side=THUMBNAIL)[..., None]
        cells[start : start + m] = np.clip(np.rint(part), 0, 255)
    numbers, yes = np.arange(n, dtype=np.int32), np.ones(n, dtype=bool)
    stored = pd.DataFrame({"format": "PNG", "width": 128, "height": 128, "blockiness": np.ones(n)})
    known = Prints(
        numbers, numbers, cells, comparable=yes, scans=[stored], named=list(map(str, range(n)))
    )
    return known, lambda position: noisy(large, 4, np.random.default_rng(position))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, help="folder of real photos (shared/data)")
    parser.add_argument("--seed", type=int, default=11, help="other images (0, 7: tuning)")
    parser.add_argument("--cost", nargs="*", type=int, help="sizes; 5000 20000 80000 if none")
    parser.add_argument("--trees", type=int, nargs="?", const=40_000, help="photos (40,000)")
    args = parser.parse_args()
    if args.trees is not None:
        trees(args.trees)
    elif args.cost is not None:
        cost(args.cost or [5_000, 20_000, 80_000])
    else:
        recall(args.real, args.seed)


if __name__ == "__main__":
    main()
