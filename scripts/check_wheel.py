#!/usr/bin/env python3
"""Build the wheel and test it in a fresh environment, outside the checkout, without a network.

Run by .ci/run with the environment that colorgan's dependencies are installed in: python scripts/check_wheel.py

The fresh environment uses these dependencies too, so that PyTorch is not downloaded again; colorgan itself must come
from the wheel, which is checked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
EXAMPLE = CHECKOUT / "docs" / "examples" / "cat.jpg"
MOST_BYTES = 40_000_000
WANTED = (
    "colorgan/py.typed",
    "colorgan/assets/compact.safetensors",
    "colorgan/assets/compact-gan.safetensors",
    "colorgan/assets/ab_prior.csv",
    ".dist-info/licenses/LICENSE",
    ".dist-info/licenses/THIRD_PARTY_NOTICES.md",
    ".dist-info/METADATA",
    ".dist-info/WHEEL",
    ".dist-info/RECORD",
    ".dist-info/entry_points.txt",
)
# The only data files that may be in the wheel, by folder.
_PAGES = (".j2", ".css", ".js", ".html")
DATA_SUFFIXES = {
    "assets": (".safetensors", ".csv"),
    "batch": _PAGES,
    "comparison": _PAGES,
    "html": _PAGES,
    "training": _PAGES,
}
# The fresh environment's Python imports this first.
FORBID_NETWORK = """
import sys
def _refuse(event, arguments):
    if event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(arguments[1], tuple)):
        raise PermissionError(f"the network is cut off: {event} {arguments[1:]}")
sys.addaudithook(_refuse)
"""
IS_COLORED = """
import sys
from PIL import Image, ImageStat
with Image.open(sys.argv[1]) as photo, Image.open(sys.argv[2]) as gray:
    assert photo.size == gray.size, (photo.size, gray.size)
    saturation = ImageStat.Stat(photo.convert("HSV").getchannel("S")).mean[0]
print(f"mean saturation {saturation:.1f} of 255")
assert saturation > 5, "the result is gray"
"""


def main() -> None:
    """Build the wheel, check its contents, install it, and color a photo."""
    with tempfile.TemporaryDirectory(prefix="colorgan-wheel-") as scratch:
        folder = Path(scratch)
        wheel = build(folder / "dist")
        check_contents(wheel)
        python = install(wheel, folder / "venv")
        try_offline(python, folder)
    print("the wheel is whole and works without a network")


def build(folder: Path) -> Path:
    """Build the sdist, then the wheel from the sdist."""
    run(sys.executable, "-m", "build", *sys.argv[1:], "--outdir", folder, CHECKOUT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def check_contents(wheel: Path) -> None:
    """Check the wheel for missing and unexpected files."""
    size = wheel.stat().st_size
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    print(f"{wheel.name}: {size / 1e6:.1f} MB, {len(names)} files")
    missing = [wanted for wanted in WANTED if not any(name.endswith(wanted) for name in names)]
    written = [path for path in (CHECKOUT / "src").rglob("*") if path.suffix in (".py", *_PAGES)]
    sources = {path.relative_to(CHECKOUT / "src").as_posix() for path in written}
    missing += sorted(sources - set(names))
    foreign = sorted(set(foreign_names(names)))
    if missing or foreign or size > MOST_BYTES:
        sys.exit(f"missing: {missing}\nnot meant to be there: {foreign}\nbytes: {size} (at most {MOST_BYTES})")


def foreign_names(names: Iterable[str]) -> Iterable[str]:
    """Yield the files that are neither modules, nor data of a kind allowed in their folder, nor metadata."""
    for name in names:
        top, *rest = name.split("/")
        suffixes = DATA_SUFFIXES.get(rest[0], ()) if len(rest) > 1 else ()
        known = name.endswith((".py", "/py.typed", *suffixes)) if top == "colorgan" else name.endswith(WANTED)
        if not known:
            yield name


def install(wheel: Path, folder: Path) -> Path:
    """Install only the wheel into a new environment that uses this Python's dependencies and forbids the network."""
    venv.create(folder, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    packages = Path(output(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))
    (packages / "forbid_network.py").write_text(FORBID_NETWORK, encoding="utf-8")
    here = sysconfig.get_path("purelib")
    (packages / "layers.pth").write_text(f"import forbid_network\nimport site; site.addsitedir({here!r})\n")
    return python


def try_offline(python: Path, folder: Path) -> None:
    """Color an example with the installed command, without the checkout or a network."""
    where = Path(output(python, "-c", "import colorgan; print(colorgan.__file__)", cwd=folder))
    if folder.resolve() not in where.resolve().parents:
        sys.exit(f"colorgan was imported from {where}, not from the wheel")
    photo = folder / "photo.jpg"
    shutil.copyfile(EXAMPLE, photo)
    command = python.parent / ("colorgan.exe" if os.name == "nt" else "colorgan")
    environment = os.environ | {"COLORGAN_CACHE": str(folder / "cache"), "PYTHONPATH": ""}
    run(*cut_off(), command, "colorize", photo, "-o", folder / "out", cwd=folder, env=environment)
    run(python, "-c", IS_COLORED, folder / "out" / photo.name, photo, cwd=folder)


def cut_off() -> list[str]:
    """Return a command that runs another one without a network; empty if the system does not have or permit it."""
    unshare = shutil.which("unshare")
    if unshare and subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode == 0:
        return [unshare, "-rn"]
    print("no `unshare -rn` here: sockets are forbidden inside Python alone")
    return []


def run(*command: str | Path, **options: object) -> None:
    """Run a command, and exit if it fails."""
    print("+", *command, flush=True)
    if code := subprocess.run([*map(str, command)], check=False, **options).returncode:
        sys.exit(f"{command[0]} ended with {code}")


def output(*command: str | Path, **options: object) -> str:
    """Return what a command prints."""
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True, **options).stdout.strip()


if __name__ == "__main__":
    main()
