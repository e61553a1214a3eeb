"""Pictures of every surface and light with their maps: instructor/contact-sheet.jpg.

    python examples/street/instructor/contact_sheet.py

Each pair is a photo and the annotator's map over it: red pothole, yellow crack, green debris.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

STREET = Path(__file__).parent.parent
sys.path.insert(0, str(STREET))

from look import pair  # noqa: E402

EACH = 5


def main() -> None:
    rows = pd.read_csv(STREET / "test.csv").merge(
        pd.read_csv(STREET / "instructor" / "truth.csv"), on=["file", "stretch"]
    )
    rows["rich"] = (rows[["potholes", "cracks", "debris"]] > 0).sum(axis=1)
    lines = []
    for _, part in rows.groupby(["surface", "light"]):
        best = part.sort_values(["rich", "file"], ascending=[False, True])
        files = best.drop_duplicates("stretch")["file"].head(EACH)
        lines.append(np.hstack([pair("test", Path(file).stem, "test") for file in files]))
    sheet = Image.fromarray(np.vstack(lines))
    sheet.save(STREET / "instructor" / "contact-sheet.jpg", quality=70, optimize=True)


if __name__ == "__main__":
    main()
