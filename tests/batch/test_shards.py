from __future__ import annotations

import pytest

from colorgan.batch.shards import Shard, check_is_alone
from colorgan.errors import UsageError


def slurm(number: int, first: int, last: int, count: int) -> dict[str, str]:
    values = {"ID": number, "MIN": first, "MAX": last, "COUNT": count}
    return {f"SLURM_ARRAY_TASK_{name}": f"{value}" for name, value in values.items()}


def test_every_photo_is_of_exactly_one_shard_and_the_shards_are_alike() -> None:
    parts = [Shard(number, 4) for number in range(1, 5)]
    owners = [[part.number for part in parts if part.has(f"in/{number}.jpg")] for number in range(4000)]
    assert all(len(numbers) == 1 for numbers in owners)
    sizes = [owners.count([number]) for number in range(1, 5)]
    assert min(sizes) > 900


def test_without_a_word_one_shard_has_all() -> None:
    assert Shard.resolve("", {}) == Shard()
    assert Shard().has("anything")


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("3/16", {}, Shard(3, 16)),
        ("3/16", slurm(5, 1, 9, 9), Shard(3, 16)),
        ("", slurm(5, 1, 9, 9), Shard(5, 9, "SLURM_ARRAY_TASK_ID=5")),
        ("", slurm(0, 0, 3, 4), Shard(1, 4, "SLURM_ARRAY_TASK_ID=0")),
        ("/16", {"JOB_COMPLETION_INDEX": "0"}, Shard(1, 16, "JOB_COMPLETION_INDEX=0")),
        ("", {"JOB_COMPLETION_INDEX": "3"}, Shard()),
    ],
)
def test_a_shard_is_what_the_option_or_the_array_says(text: str, variables: dict[str, str], expected: Shard) -> None:
    assert Shard.resolve(text, variables) == expected


@pytest.mark.parametrize(
    ("text", "variables", "found"),
    [
        ("0/16", {}, "0 of 16"),
        ("17/16", {}, "17 of 16"),
        ("3", {}, "'3'"),
        ("3/", {}, "'3/'"),
        ("-1/4", {}, "'-1/4'"),
        ("/16", {}, "JOB_COMPLETION_INDEX is not set"),
        ("/16", {"JOB_COMPLETION_INDEX": "16"}, "17 of 16 by JOB_COMPLETION_INDEX=16"),
        ("", slurm(5, 1, 9, 5), "5 tasks from 1 to 9"),
        ("", {"SLURM_ARRAY_TASK_ID": "5"}, "SLURM_ARRAY_TASK_MIN is not set"),
    ],
)
def test_a_shard_that_cannot_be_is_wrong_usage(text: str, variables: dict[str, str], found: str) -> None:
    with pytest.raises(UsageError, match=found) as caught:
        Shard.resolve(text, variables)
    assert caught.value.parameter == "shard"


@pytest.mark.parametrize("variables", [{"TORCHELASTIC_RUN_ID": "none"}, {"RANK": "0", "WORLD_SIZE": "2"}])
def test_a_process_of_a_trainings_launcher_is_refused(variables: dict[str, str]) -> None:
    check_is_alone({})
    with pytest.raises(UsageError, match="shard=3/16"):
        check_is_alone(variables)
