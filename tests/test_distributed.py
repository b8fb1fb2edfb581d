from __future__ import annotations

import pytest

from colorgan.distributed import ProcessGroup
from colorgan.errors import UsageError


def test_without_a_word_in_the_environment_there_is_one_process() -> None:
    assert ProcessGroup.from_environment({}) == ProcessGroup(0, 1, 0)
    assert ProcessGroup().is_primary


def test_the_environment_says_which_process_this_is() -> None:
    variables = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    world = ProcessGroup.from_environment(variables)
    assert world == ProcessGroup(5, 8, 1, 4)
    assert not world.is_primary


@pytest.mark.parametrize(("rank", "size"), [("2", "2"), ("-1", "2"), ("x", "2"), ("0", "0")])
def test_ranks_that_cannot_be_are_wrong_usage(rank: str, size: str) -> None:
    with pytest.raises(UsageError, match=f"RANK={rank}, WORLD_SIZE={size}"):
        ProcessGroup.from_environment({"RANK": rank, "WORLD_SIZE": size})
