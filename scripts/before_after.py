"""Make docs/before-after.jpg out of docs/examples with the bundled model.

The photos are at the top, and their results by `colorgan colorize` below. tests/docs/test_pictures.py checks that the
picture is up to date.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from colorgan import Colorizer

DOCS = Path(__file__).parents[1] / "docs"
PICTURE = DOCS / "before-after.jpg"
PHOTOS = ("cat.jpg", "astronaut.jpg", "camera.jpg", "coffee.jpg")
HEIGHT_PX, GAP_PX, QUALITY = 240, 6, 85


def before_and_after() -> Image.Image:
    """Return the photos side by side, each above its result."""
    colorizer = Colorizer.load(device="cpu")
    columns = []
    for name in PHOTOS:
        with Image.open(DOCS / "examples" / name) as photo:
            columns.append([_reduced(photo.convert("RGB")), _reduced(colorizer.colorize(photo))])
    width = sum(gray.width + GAP_PX for gray, _ in columns) - GAP_PX
    sheet = Image.new("RGB", (width, 2 * HEIGHT_PX + GAP_PX), "white")
    left = 0
    for gray, colored in columns:
        sheet.paste(gray, (left, 0))
        sheet.paste(colored, (left, HEIGHT_PX + GAP_PX))
        left += gray.width + GAP_PX
    return sheet


def _reduced(photo: Image.Image) -> Image.Image:
    width = round(photo.width * HEIGHT_PX / photo.height)
    return photo.resize((width, HEIGHT_PX), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    before_and_after().save(PICTURE, quality=QUALITY)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")
