"""Splits a run's photos among independent processes, by an option or by the variables of a job array."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from colorgan.errors import UsageError
from colorgan.images.discovery import stable_hash

_SLURM = "SLURM_ARRAY_TASK_ID"
_KUBERNETES = "JOB_COMPLETION_INDEX"
_FORMAT = re.compile(r"(\d+)?/(\d+)")


@dataclass(frozen=True)
class Shard:
    """The part of a run's photos that one process takes.

    Attributes:
        number: index of the part, from 1.
        count: number of parts.
        variable: the environment variable that set it, as NAME=VALUE; empty if the option did.

    Raises:
        UsageError: there is no such part.
    """

    number: int = 1
    count: int = 1
    variable: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            found = f"{self.number} of {self.count}" + (f" by {self.variable}" if self.variable else "")
            advice = "Count from 1: 1/16 is the first of 16, 16/16 the last."
            raise UsageError("a shard from 1 to the number of shards", found, advice, parameter="shard")

    @classmethod
    def resolve(cls, text: str, variables: Mapping[str, str] = os.environ) -> Shard:
        """Return the shard given by the option; if it is empty, that of the Slurm array task, or all photos.

        Args:
            text: `3/16`; `/16` to take the index from JOB_COMPLETION_INDEX of Kubernetes; or empty.
            variables: the environment.

        Raises:
            UsageError: there is no such part, or an array has gaps.
        """
        if not text:
            return cls._of_slurm(variables) if _SLURM in variables else cls()
        match = _FORMAT.fullmatch(text)
        if not match:
            advice = "Give a number and how many there are."
            raise UsageError("a shard such as 3/16", repr(text), advice, parameter="shard")
        number, count = match[1], int(match[2])
        if number:
            return cls(int(number), count)
        if _KUBERNETES not in variables:
            found = f"{text}, and {_KUBERNETES} is not set, as in an indexed Kubernetes job"
            raise UsageError("the number of a shard", found, f"Give it, as in 1{text}.", parameter="shard")
        index = _number(variables, _KUBERNETES)
        return cls(index + 1, count, f"{_KUBERNETES}={index}")

    @classmethod
    def _of_slurm(cls, variables: Mapping[str, str]) -> Shard:
        number, first, count = (
            _number(variables, name) for name in (_SLURM, "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT")
        )
        last = int(variables.get("SLURM_ARRAY_TASK_MAX", first + count - 1))
        if last - first + 1 != count or not first <= number <= last:
            found = f"{count} tasks from {first} to {last}, of which this is {number}"
            advice = "Start the array without gaps, as 1-16; or give `shard=3/16`, or `shard=1/1` for all photos."
            raise UsageError("a Slurm array without gaps", found, advice, parameter="shard")
        return cls(number - first + 1, count, f"{_SLURM}={number}")

    def has(self, identity: str) -> bool:
        """Whether the photo of that identity is in this part: a stable hash, the same in all processes and runs."""
        return self.count == 1 or stable_hash(identity) % self.count == self.number - 1


def _number(variables: Mapping[str, str], name: str) -> int:
    text = variables.get(name, "")
    if not text.isdecimal():
        found = f"{name}={text}" if text else f"{name} is not set"
        advice = "Give `shard=3/16`, or `shard=1/1` for all photos."
        raise UsageError("a job array's variables", found, advice, parameter="shard")
    return int(text)


def check_is_alone(variables: Mapping[str, str] = os.environ) -> None:
    """Refuse to run as one process of a training launcher, each of which would color all photos.

    Raises:
        UsageError: torchrun, or a launcher like it, started this process.
    """
    launched = {name: variables[name] for name in ("RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID") if name in variables}
    if "TORCHELASTIC_RUN_ID" in launched or ("RANK" in launched and launched.get("WORLD_SIZE", "1") != "1"):
        found = f"its variables are set ({' '.join(f'{name}={value}' for name, value in launched.items())})"
        advice = (
            "Start it on its own, with `shard=3/16`, in a job array, or by Ray; "
            "unset these variables if they are left over."
        )
        raise UsageError("colorize without a launcher such as torchrun", found, advice)
