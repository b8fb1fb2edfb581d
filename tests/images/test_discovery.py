from __future__ import annotations

import os
from pathlib import Path

import pytest
from trees import needs_links, touch

from colorgan.images.discovery import find_photos


def names_found(folder: Path) -> list[str]:
    return [Path(listing.relative, name).as_posix() for listing in find_photos(str(folder)) for name in listing.names]


def test_a_folder_is_searched_to_its_depths_in_the_order_of_names(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a.png", "notes.txt", "c/z.tiff", "c/d/y.webp", "e.bmp", "jpg")
    assert names_found(tmp_path) == ["a.png", "b.JPG", "e.bmp", "c/z.tiff", "c/d/y.webp"]


def test_names_with_blanks_commas_full_stops_and_other_scripts_are_found(tmp_path: Path) -> None:
    names = ["7 Jan. 1936, Nipomo, Calif..jpg", " leading.jpg", "öäü.v2.png", "写真 (1).jpeg", "👍.webp"]
    touch(tmp_path, *names)
    assert sorted(names_found(tmp_path)) == sorted(names)


def test_what_macos_keeps_beside_photos_is_no_photo(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "._a.jpg")
    assert names_found(tmp_path) == ["a.jpg"]


def test_a_folder_with_a_photos_name_is_searched_and_no_photo_itself(tmp_path: Path) -> None:
    touch(tmp_path, "album.jpg/a.jpg")
    assert names_found(tmp_path) == ["album.jpg/a.jpg"]


@needs_links
def test_links_that_lead_in_circles_end(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.jpg", "b/y.jpg")
    for place, goal in (("a/up", ".."), ("a/b", "../b"), ("b/a", "../a")):
        (tmp_path / place).symlink_to(goal, target_is_directory=True)
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    assert names_found(tmp_path) == ["self.jpg", "a/x.jpg", "a/b/y.jpg"]


def test_folders_are_searched_while_their_photos_are_asked_for(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.jpg", "b/y.jpg")
    listings = find_photos(str(tmp_path))
    assert next(listings).names == ["x.jpg"]
    touch(tmp_path, "b/z.jpg")
    assert next(listings).names == ["y.jpg", "z.jpg"]


def test_a_folder_that_cannot_be_searched_is_a_problem_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/x.jpg", "b/y.jpg")
    scandir = os.scandir

    def refuse_a(path: str) -> object:
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_a)
    found = [(listing.relative, listing.names, listing.problem) for listing in find_photos(str(tmp_path))]
    assert found == [("a", [], "the folder cannot be searched: permission denied"), ("b", ["y.jpg"], "")]


HOUSEKEEPING = (".git", ".Trashes", "@eaDir", ".thumbnails", "$RECYCLE.BIN", "lost+found", "__MACOSX")


@pytest.mark.parametrize("name", HOUSEKEEPING)
def test_a_housekeeping_folder_is_left_out_and_told_and_searched_where_it_is_named(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "in/a.jpg", f"in/{name}/b.jpg", f"in/{name}/below/c.jpg")
    left_out: list[str] = []
    assert [listing.names for listing in find_photos(str(tmp_path / "in"), None, left_out.append)] == [["a.jpg"]]
    assert left_out == [str(tmp_path / "in" / name)]
    named = find_photos(str(tmp_path / "in" / name))
    assert [listing.names for listing in named] == [["b.jpg"], ["c.jpg"]]


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("pictures", ("report.html", "results.json")),
        ("sheets", ("report.html", "results.json")),
        ("samples", ("metrics.jsonl", "run.json")),
    ],
)
def test_pictures_of_a_comparison_or_a_training_are_left_out_unless_their_folder_is_named(
    tmp_path: Path, name: str, beside: tuple[str, ...]
) -> None:
    touch(tmp_path, f"in/{name}/b.jpg", *(f"in/{each}" for each in beside[1:]))
    assert [listing.names for listing in find_photos(str(tmp_path / "in"))] == [["b.jpg"]], "a folder of the user's"
    touch(tmp_path, f"in/{beside[0]}")
    left_out: list[str] = []
    assert list(find_photos(str(tmp_path / "in"), None, left_out.append)) == []
    assert left_out == [str(tmp_path / "in" / name)]
    assert [listing.names for listing in find_photos(str(tmp_path / "in" / name))] == [["b.jpg"]]
