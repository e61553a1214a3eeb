"""Photos by hazard (rows) and factor (columns), as contact-sheet.jpg, to be graded by eye.

python examples/housing/instructor/contact_sheet.py
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw

INSTRUCTOR = Path(__file__).parent
HOUSING = INSTRUCTOR.parent
HAZARDS = (
    "",
    "flame",
    "blocked_exit",
    "heater_on_bedding",
    "covered_detector",
    "power_strips",
    "cloth_on_lamp",
    "hot_plate",
)
FACTORS = {
    "by day": {"time_of_day": "day", "room_type": "single"},
    "evening": {"time_of_day": "evening", "room_type": "single"},
    "night": {"time_of_day": "night", "room_type": "single"},
    "double": {"room_type": "double"},
    "family": {"room_type": "family"},
    "accessible": {"room_type": "accessible"},
    "dense hangings": {"hangings": "dense"},
    "old phone": {"phone": "old"},
}


def main() -> None:
    truth = pd.read_csv(INSTRUCTOR / "truth.csv", keep_default_na=False).set_index("room")
    splits = [pd.read_csv(HOUSING / f"{split}.csv") for split in ("test-v2", "deployment")]
    rows = pd.concat(splits, ignore_index=True)
    hazard = rows["room"].map(truth["hazards"])
    width, height, band = 160, 120, 14
    sheet = Image.new("RGB", (width * len(FACTORS), (height + band) * len(HAZARDS)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, name in enumerate(HAZARDS):
        for j, (title, wanted) in enumerate(FACTORS.items()):
            match = hazard == name
            for column, value in wanted.items():
                match &= rows[column] == value
            at = (j * width, i * (height + band))
            draw.text((at[0] + 2, at[1] + 1), f"{name or 'no hazard'}, {title}", fill="black")
            if match.any():
                file = rows.loc[match, "file"].iloc[0]
                sheet.paste(Image.open(HOUSING / "images" / file), (at[0], at[1] + band))
    sheet.save(INSTRUCTOR / "contact-sheet.jpg", quality=80)


if __name__ == "__main__":
    main()
