from __future__ import annotations

import os

from colorgan.images.discovery import PathSet, path_number, spelling


def test_a_path_is_new_once() -> None:
    paths = PathSet()
    assert [paths.add(path) for path in ("a", "b", "a", "")] == [True, True, False, True]
    assert "a" in paths
    assert "c" not in paths


def test_a_paths_number_is_the_same_on_every_machine() -> None:
    assert path_number("in/a.jpg") == 5893793573931668662
    assert path_number(os.fsdecode(b"caf\xe9")) != path_number("café")


def test_spellings_are_equal_where_some_disks_see_one_name() -> None:
    assert spelling("A/B.JPG") == spelling("a/b.jpg")
    assert spelling("\u00e9") == spelling("E\u0301")
    assert spelling("straße") == spelling("STRASSE")
    assert spelling("a") != spelling("b")
