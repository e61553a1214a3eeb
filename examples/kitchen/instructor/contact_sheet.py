"""Photos by flaw (rows) with what the detector says of them, as contact-sheet.jpg.

python examples/kitchen/instructor/contact_sheet.py
"""

from __future__ import annotations

import numpy as np
from measure import CLASSES, KITCHEN, Photos, load, said
from PIL import Image, ImageDraw

COLOURS = ("#ff4040", "#ffd030", "#40d0ff", "#60ff60")
COLUMNS, SCALE, BAND = 4, 2, 14


def drawn(photos: Photos, at: int, boxes: np.ndarray, classes: np.ndarray) -> Image.Image:
    picture = Image.fromarray(photos.pixels[at])
    picture = picture.resize((192 * SCALE, 144 * SCALE), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for corners, label in zip(boxes * SCALE, classes, strict=True):
        pen.rectangle(tuple(corners), outline=COLOURS[label])
    return picture


def main() -> None:
    test, there = load("test"), load("deployment")
    rows, away = test.rows, there.rows
    bare = ~rows["file"].index.isin(
        test.truth.image[test.truth.classes == CLASSES.index("garnish")]
    )
    chosen = {
        "white and stone plates": (test, (rows["plate"] != "dark") & (rows["expo"] == "go")),
        "dark plates with garnish": (test, (rows["plate"] == "dark") & ~bare),
        "logo, no garnish": (test, (rows["logo"] == "yes") & bare & (rows["plate"] != "dark")),
        "another helping in the place of one": (test, rows["state"] == "wrong"),
        "mill: a new kitchen, the same lamp": (there, away["kitchen"] == "mill"),
        "harbour: a new kitchen, a red lamp": (there, away["kitchen"] == "harbour"),
    }
    width, height = 192 * SCALE, 144 * SCALE
    sheet = Image.new("RGB", (width * COLUMNS, (height + BAND) * len(chosen)), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (title, (photos, mask)) in enumerate(chosen.items()):
        of_dish = photos.rows[mask].drop_duplicates("dish").index[:COLUMNS]
        kept = photos.where(photos.rows.index.isin(of_dish))
        given = said(KITCHEN / "model.onnx", kept).answers
        pen.text((2, i * (height + BAND) + 1), f"{title} (boxes: what the detector says)", "black")
        for j in range(len(kept.rows)):
            mine = given.image == j
            picture = drawn(kept, j, given.corners[mine], given.classes[mine])
            sheet.paste(picture, (j * width, i * (height + BAND) + BAND))
    sheet.save(KITCHEN / "instructor" / "contact-sheet.jpg", quality=60)


if __name__ == "__main__":
    main()
