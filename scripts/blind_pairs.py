"""Compare two models in a blind test: random pairs of results are judged before the key is opened.

python scripts/blind_pairs.py deal PAIRS compact compact-gan photos.tar more.tar --count 40 --seed 3
... look at PAIRS/01.png, 02.png, ...; write left, right or tie for each number into PAIRS/judgments.csv; commit it
python scripts/blind_pairs.py open PAIRS
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import sys
from collections import Counter
from pathlib import Path

from PIL import Image

from colorgan import Colorizer
from colorgan.comparison.crops import open_inputs
from colorgan.data.sources import Entry
from colorgan.images.decode import read_rgb

CHOICES = ("left", "right", "tie")
_HEIGHT = 384  # of each picture, pixels


def deal(folder: Path, models: tuple[str, str], inputs: list[Path], count: int, seed: int) -> None:
    """Write the pairs, the key, and a table of judgments to fill in; equally many photos are drawn from each input."""
    folder.mkdir(parents=True)
    draw = random.Random(seed)
    share = -(-count // len(inputs))
    entries: list[Entry] = []
    for source in open_inputs(inputs):
        entries += draw.sample(list(source.entries), share)
    colorizers = {name: Colorizer.load(name) for name in models}
    key: dict[str, dict[str, str]] = {}
    for number, entry in enumerate(draw.sample(entries, count), start=1):
        gray = read_rgb(io.BytesIO(entry.read())).convert("L")
        left, right = draw.sample(models, 2)
        gray = gray.resize((round(gray.width * _HEIGHT / gray.height), _HEIGHT), Image.Resampling.LANCZOS)
        pair = Image.new("RGB", (3 * gray.width + 20, _HEIGHT), "white")
        for column, picture in enumerate([gray, colorizers[left].colorize(gray), colorizers[right].colorize(gray)]):
            pair.paste(picture, (column * (gray.width + 10), 0))
        name = f"{number:02d}"
        pair.save(folder / f"{name}.png")
        key[name] = {"photo": entry.name, "left": left, "right": right}
    (folder / "key.json").write_text(json.dumps(key, indent=1), encoding="utf-8")
    lines = ["pair,choice,reason", *(f"{name},," for name in key)]
    (folder / "judgments.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def open_key(folder: Path) -> None:
    """Print each judgment with the chosen model, and the totals."""
    with (folder / "judgments.csv").open(encoding="utf-8", newline="") as lines:
        judgments = list(csv.DictReader(lines))
    if missing := [row["pair"] for row in judgments if row["choice"] not in CHOICES]:
        sys.exit(f"not judged yet ({', '.join(CHOICES)}): {', '.join(missing)}")
    key = json.loads((folder / "key.json").read_text(encoding="utf-8"))
    sums: Counter[str] = Counter()
    for row in judgments:
        pair = key[row["pair"]]
        chosen = pair.get(row["choice"], "tie")
        sums[chosen] += 1
        print(f"{row['pair']}  {pair['photo']:40} {chosen:12} {row['reason']}")
    print(", ".join(f"{name} {count}" for name, count in sums.most_common()))


def main() -> None:
    """Deal pairs, or open the key."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    dealing = verbs.add_parser("deal")
    dealing.add_argument("folder", type=Path)
    dealing.add_argument("models", nargs=2)
    dealing.add_argument("inputs", nargs="+", type=Path)
    dealing.add_argument("--count", type=int, default=40)
    dealing.add_argument("--seed", type=int, default=0)
    verbs.add_parser("open").add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if arguments.verb == "deal":
        deal(arguments.folder, tuple(arguments.models), arguments.inputs, arguments.count, arguments.seed)
    else:
        open_key(arguments.folder)


if __name__ == "__main__":
    main()
