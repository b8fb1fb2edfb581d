"""Make docs/hints.jpg: an example in gray, as the bundled model colors it, and with the hints that circles mark."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

from colorgan import Colorizer, Hint

DOCS = Path(__file__).parents[1] / "docs"
PICTURE = DOCS / "hints.jpg"
PHOTO = DOCS / "examples" / "camera.jpg"
HINTS = (Hint(150, 250, "#5a2a2a"), Hint(400, 420, "#b09a5a"), Hint(215, 95, "#4a2a1a"))
HEIGHT_PX, GAP_PX, RADIUS_PX, QUALITY = 320, 6, 9, 85


def main() -> None:
    """Write the picture."""
    colorizer = Colorizer.load(device="cpu")
    with Image.open(PHOTO) as photo:
        shown = [photo.convert("RGB"), colorizer.colorize(photo), colorizer.colorize(photo, hints=HINTS)]
    draw = ImageDraw.Draw(shown[-1])
    for hint in HINTS:
        draw.circle((hint.x, hint.y), RADIUS_PX, hint.rgb, "white", 2)
    width = round(photo.width * HEIGHT_PX / photo.height)
    sheet = Image.new("RGB", (3 * width + 2 * GAP_PX, HEIGHT_PX), "white")
    for number, picture in enumerate(shown):
        small = picture.resize((width, HEIGHT_PX), Image.Resampling.LANCZOS)
        sheet.paste(small, (number * (width + GAP_PX), 0))
    sheet.save(PICTURE, quality=QUALITY)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
