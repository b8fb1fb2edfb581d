"""The options that several subcommands share, each declared once."""

from __future__ import annotations

from typing import Annotated

import typer

RUNNING = "Running"
FILES = "Files"

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
