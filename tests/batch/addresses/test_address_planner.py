from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorgan.batch.addresses.address_planner import plan_addresses, result_key
from colorgan.errors import UsageError

fsspec = pytest.importorskip("fsspec")
KEYS = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=1).flatmap(
    lambda stem: st.lists(st.sampled_from([".jpg", ".jpeg", ".png", ".heic", ".gif"]), min_size=1, max_size=4).map(
        lambda suffixes: stem[0] + "".join(suffixes)
    )
)


@given(st.sets(KEYS, max_size=30), st.sampled_from(["", ".jpg", ".png", ".webp"]))
@settings(max_examples=200, deadline=None)
def test_no_two_photos_of_a_bucket_have_the_same_result(keys: set[str], suffix: str) -> None:
    assert len({result_key(key, suffix) for key in keys}) == len(keys)


@pytest.mark.parametrize(
    ("key", "suffix", "expected"),
    [
        ("x/a.jpg", "", "x/a.jpg"),
        ("x/a.JPEG", ".jpg", "x/a.JPEG"),
        ("x/a.heic", "", "x/a.heic.jpg"),
        ("x/a.jpg", ".png", "x/a.jpg.png"),
        ("x/a.heic.jpg", "", "x/a.heic.jpg.jpg"),
    ],
)
def test_a_result_keeps_its_photos_key_and_a_suffix_follows_where_the_kind_changes(
    key: str, suffix: str, expected: str
) -> None:
    assert result_key(key, suffix) == expected


@pytest.fixture
def bucket() -> str:
    store = fsspec.filesystem("memory")
    for name in ("a.jpg", "x/b.jpg", "x/.hidden/c.jpg", "x/d.txt", "color/a.jpg"):
        store.pipe_file(f"planned/photos/{name}", b"")
    yield "memory://planned"
    store.rm("planned", recursive=True)


def test_a_folder_is_found_without_what_is_hidden_and_without_its_results(bucket: str) -> None:
    hidden: list[str] = []
    jobs = list(plan_addresses([f"{bucket}/photos"], f"{bucket}/photos/color", "", None, hidden.append))
    assert [(job.identity, job.target) for job in jobs] == [
        ("photos/a.jpg", f"{bucket}/photos/color/a.jpg"),
        ("photos/x/b.jpg", f"{bucket}/photos/color/x/b.jpg"),
    ]
    assert hidden == ["planned/photos/x/.hidden"]


def test_files_of_hints_belong_to_their_photos_and_are_none(bucket: str) -> None:
    store = fsspec.filesystem("memory")
    for name in ("a.hints.json", "x/b.hints.png", "x/z.hints.png"):
        store.pipe_file(f"planned/photos/{name}", b"1")
    jobs = {job.identity: job for job in plan_addresses([f"{bucket}/photos"], f"{bucket}/out", "")}
    assert {identity: job.hints for identity, job in jobs.items()} == {
        "photos/a.jpg": (f"{bucket}/photos/a.hints.json",),
        "photos/color/a.jpg": (),
        "photos/x/b.jpg": (f"{bucket}/photos/x/b.hints.png",),
    }
    (alone,) = plan_addresses([f"{bucket}/photos/a.jpg"], f"{bucket}/out", "")
    assert (alone.hints, alone.hint_states) == (jobs["photos/a.jpg"].hints, jobs["photos/a.jpg"].hint_states)
    listed = plan_addresses([], f"{bucket}/out", "", [f"{bucket}/photos/a.hints.png", f"{bucket}/photos/a.jpg"])
    assert [(job.identity, job.hints) for job in listed] == [("photos/a.jpg", ())]


def test_listed_addresses_keep_their_keys_and_nobody_is_asked_about_them(tmp_path: Path) -> None:
    listed = ["memory://planned/not/there.jpg", "memory://planned/words.txt", f"{tmp_path / 'c.jpg'}"]
    jobs = list(plan_addresses([], "memory://planned/out", "", listed))
    assert [job.target for job in jobs[:1]] == ["memory://planned/out/not/there.jpg"]
    assert "none of the suffixes" in jobs[1].problem
    assert jobs[2].target == f"memory://planned/out{(tmp_path / 'c.jpg').as_posix()}"


def test_a_folder_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it does not exist"):
        plan_addresses([f"{tmp_path / 'no'}"], "memory://planned/out", "")
    with pytest.raises(UsageError, match="no such object or folder"):
        list(plan_addresses(["memory://planned/no"], f"{tmp_path}", ""))
