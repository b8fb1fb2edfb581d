from __future__ import annotations

import os

from colorgan.images.discovery import PathSet, collision_key, stable_hash


def test_a_path_is_new_once() -> None:
    paths = PathSet()
    assert [paths.add(path) for path in ("a", "b", "a", "")] == [True, True, False, True]
    assert "a" in paths
    assert "c" not in paths


def test_a_paths_number_is_the_same_on_every_machine() -> None:
    assert stable_hash("in/a.jpg") == 5893793573931668662
    assert stable_hash(os.fsdecode(b"caf\xe9")) != stable_hash("café")


def test_spellings_are_equal_where_some_disks_see_one_name() -> None:
    assert collision_key("A/B.JPG") == collision_key("a/b.jpg")
    assert collision_key("\u00e9") == collision_key("E\u0301")
    assert collision_key("straße") == collision_key("STRASSE")
    assert collision_key("a") != collision_key("b")
