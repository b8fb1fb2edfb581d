"""The options that several subcommands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from colorgan.cli.completion import complete_model


def given_path(text: str) -> Path:
    """A path from the command line; an empty one, as of a shell's unset variable, would be the current folder."""
    return Path(given_name(text))


def given_name(text: str) -> str:
    """The same as it was given: with the slash at its end that `Path` drops."""
    if not text:
        raise typer.BadParameter("an empty name")
    return text


RUNNING = "Running"
FILES = "Files"
COLORS = "Colors"

DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        envvar="COLORGAN_DEVICE",
        help="Where to compute: auto (CUDA, then MPS, then the CPU), cpu, cuda, cuda:N or mps.",
        rich_help_panel=RUNNING,
    ),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", help="Print results, warnings and errors only.", rich_help_panel=RUNNING)
]
SeedOption = Annotated[
    int,
    typer.Option("--seed", min=0, max=2**32 - 1, help="Decides every random choice.", rich_help_panel=RUNNING),
]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        envvar="COLORGAN_MODEL",
        metavar="NAME|PATH",
        help="The weights: compact, compact-gan, eccv16, siggraph17, finetuned, gan, or the path of a file.",
        autocompletion=complete_model,
        rich_help_panel=COLORS,
    ),
]
RenderSizeOption = Annotated[
    int | None,
    typer.Option(
        "--render-size",
        metavar="PIXELS",
        help="Short side at which the network sees a photo, 16 to 4096 pixels.",
        show_default="the model's own",
        rich_help_panel=COLORS,
    ),
]
OverwriteOption = Annotated[
    bool,
    typer.Option("--overwrite", help="Do again what is done, and replace what stands there.", rich_help_panel=FILES),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        max=256,
        help="Threads that read, color and write.",
        show_default="one per core",
        rich_help_panel=RUNNING,
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print JSON Lines for other programs, as the docs describe.", rich_help_panel=RUNNING),
]
