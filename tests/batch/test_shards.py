from __future__ import annotations

import pytest

from colorgan.batch import shards
from colorgan.batch.shards import Meeting, Share, is_started_by_torchrun
from colorgan.errors import UsageError


def test_every_photo_is_of_exactly_one_share_and_the_shares_are_alike() -> None:
    shares = [Share(rank, 4) for rank in range(4)]
    owners = [[share.rank for share in shares if share.has(f"in/{number}.jpg")] for number in range(4000)]
    assert all(len(ranks) == 1 for ranks in owners)
    sizes = [owners.count([rank]) for rank in range(4)]
    assert min(sizes) > 900


def test_one_process_has_all() -> None:
    share = Share.from_environment({})
    assert share == Share()
    assert share.has("anything")
    assert not is_started_by_torchrun({"RANK": "0", "WORLD_SIZE": "2"})


def test_the_environment_says_which_share() -> None:
    variables = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    assert Share.from_environment(variables) == Share(5, 8, 1, 4)


@pytest.mark.parametrize(("rank", "ranks"), [("2", "2"), ("-1", "2"), ("x", "2"), ("0", "0")])
def test_ranks_that_cannot_be_are_wrong_usage(rank: str, ranks: str) -> None:
    with pytest.raises(UsageError, match=f"RANK={rank}, WORLD_SIZE={ranks}"):
        Share.from_environment({"RANK": rank, "WORLD_SIZE": ranks})


def test_the_first_adds_up_what_the_others_leave_and_does_not_wait_for_the_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torch.distributed import HashStore

    store, asked = HashStore(), []
    monkeypatch.setattr(shards, "_connect", lambda: store)
    monkeypatch.setattr(shards, "_MOST_SILENCE_S", 0.3)
    meetings = [Meeting(Share(rank, 3)) for rank in range(2)]
    meetings[1].leave({"written": 5, "failed": 1})
    total, silent = meetings[0].total({"written": 2}, lambda: asked.append(True))
    assert (dict(total), silent) == ({"written": 7, "failed": 1}, [2])
    assert asked
