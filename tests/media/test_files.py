from __future__ import annotations

import os
import shutil
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorgan.errors import UsageError
from colorgan.media.files import Job, atomic_write, find_photos, plan_outputs, remove_leftovers

needs_links = pytest.mark.skipif(os.name == "nt", reason="links need rights there")


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names_found(folder: Path) -> list[str]:
    return [found.path.relative_to(folder).as_posix() for found in find_photos(folder)]


def targets(inputs: list[Path], output: Path | None) -> list[tuple[str, str]]:
    """Names of source and target, relative to the inputs' common parent and the output."""
    jobs = list(plan_outputs(inputs, output))
    assert not [job for job in jobs if job.problem]
    root = output or Path(os.path.commonpath(inputs))
    return [(job.source.name, job.target.relative_to(root).as_posix()) for job in jobs]


# --- searching ---


def test_a_folder_is_searched_to_its_depths_in_the_order_of_names(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a.png", "notes.txt", "c/z.tiff", "c/d/y.webp", "e.bmp", "jpg")
    assert names_found(tmp_path) == ["a.png", "b.JPG", "c/d/y.webp", "c/z.tiff", "e.bmp"]


def test_names_with_blanks_commas_full_stops_and_other_scripts_are_found(tmp_path: Path) -> None:
    names = ["7 Jan. 1936, Nipomo, Calif..jpg", " leading.jpg", "öäü.v2.png", "写真 (1).jpeg", "👍.webp"]
    touch(tmp_path, *names)
    assert sorted(names_found(tmp_path)) == sorted(names)


def test_what_macos_keeps_beside_photos_is_no_photo(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "._a.jpg")
    assert names_found(tmp_path) == ["a.jpg"]


def test_a_folder_with_a_photos_name_is_reported_and_searched(tmp_path: Path) -> None:
    touch(tmp_path, "album.jpg/a.jpg")
    assert names_found(tmp_path) == ["album.jpg", "album.jpg/a.jpg"]


@needs_links
def test_links_that_lead_in_circles_end(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.jpg", "b/y.jpg")
    for place, goal in (("a/up", ".."), ("a/b", "../b"), ("b/a", "../a")):
        (tmp_path / place).symlink_to(goal, target_is_directory=True)
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    assert names_found(tmp_path) == ["a/b/y.jpg", "a/x.jpg", "self.jpg"]


def test_a_folder_that_cannot_be_searched_is_a_problem_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/x.jpg", "b/y.jpg")
    scandir = os.scandir

    def refuse_a(path: Path) -> object:
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_a)
    jobs = list(plan_outputs([tmp_path], tmp_path / "out"))
    assert [(job.source.name, job.problem) for job in jobs] == [
        ("a", "the folder cannot be searched: permission denied"),
        ("y.jpg", ""),
    ]


# --- naming ---


def test_the_output_folder_mirrors_the_tree(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/b/a.jpg", "in/b/a.png")
    assert targets([tmp_path / "in"], tmp_path / "out") == [
        ("a.jpg", "a.jpg"),
        ("a.jpg", "b/a.jpg"),
        ("a.png", "b/a.png"),
    ]


def test_an_output_folder_inside_the_input_is_not_read(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "out/a.jpg", "out/b/c.jpg")
    assert targets([tmp_path], tmp_path / "out") == [("a.jpg", "a.jpg")]


def test_same_names_of_two_folders_are_told_apart_and_reported(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.jpg", "two/a.jpg", "two/a-2.jpg", "three/a.jpg")
    inputs = [tmp_path / name for name in ("one", "two", "three")]
    jobs = list(plan_outputs(inputs, tmp_path / "out"))
    assert [job.target.name for job in jobs] == ["a.jpg", "a-2.jpg", "a-3.jpg", "a-4.jpg"]
    assert [bool(job.note) for job in jobs] == [False, False, True, True]
    assert "a-3.jpg" in jobs[2].note


@needs_links
def test_names_that_differ_in_capitals_alone_are_told_apart(tmp_path: Path) -> None:
    touch(tmp_path, "in/B/x.jpg", "in/b/x.jpg", "in/a.JPG", "in/a.jpg")
    if len(list((tmp_path / "in").iterdir())) < 4:
        pytest.skip("a disk that knows no capitals")
    places = [place for _, place in targets([tmp_path / "in"], tmp_path / "out")]
    assert places == ["B/x.jpg", "a.JPG", "a-2.jpg", "b/x-2.jpg"]


def test_without_an_output_results_stand_beside_their_photos(tmp_path: Path) -> None:
    touch(tmp_path, "a.b.jpg", "c/a.png")
    assert targets([tmp_path / "a.b.jpg", tmp_path / "c"], None) == [
        ("a.b.jpg", "a.b-color.jpg"),
        ("a.png", "c/a-color.png"),
    ]


def test_results_beside_their_photos_are_not_taken_for_photos(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a-color.jpg", "a-color-2.jpg", "house-color.jpg")
    assert targets([tmp_path], None) == [("a.jpg", "a-color.jpg"), ("house-color.jpg", "house-color-color.jpg")]
    star = sorted(tmp_path.iterdir())
    assert sorted(targets(star, None)) == [("a.jpg", "a-color.jpg"), ("house-color.jpg", "house-color-color.jpg")]


def test_one_photo_can_name_its_output_file(tmp_path: Path) -> None:
    touch(tmp_path, "scan")
    assert list(plan_outputs([tmp_path / "scan"], tmp_path / "b.png")) == [Job(tmp_path / "scan", tmp_path / "b.png")]


def test_a_folder_is_a_folder_whatever_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / "b.png").mkdir()
    assert targets([tmp_path / "a.jpg"], tmp_path / "b.png") == [("a.jpg", "a.jpg")]
    assert targets([tmp_path / "a.jpg"], tmp_path / "new.v2") == [("a.jpg", "a.jpg")]


def test_a_photo_given_twice_is_done_once(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/b/c.jpg")
    a, folder = tmp_path / "in" / "a.jpg", tmp_path / "in"
    inputs = [folder / "b", a, folder, a, folder / "b" / ".." / "a.jpg"]
    assert [name for name, _ in targets(inputs, tmp_path / "out")] == ["a.jpg", "c.jpg"]


def test_a_given_file_without_a_photos_suffix_is_a_problem(tmp_path: Path) -> None:
    touch(tmp_path, "scan.dat")
    (job,) = plan_outputs([tmp_path / "scan.dat"], tmp_path / "out")
    assert "none of the suffixes .jpg" in job.problem


def test_jobs_are_found_while_they_are_asked_for(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.jpg", "b/y.jpg")
    jobs = plan_outputs([tmp_path], tmp_path / "out")
    assert next(jobs).source.name == "x.jpg"
    touch(tmp_path, "b/z.jpg")
    assert [job.source.name for job in jobs] == ["y.jpg", "z.jpg"]


# --- refusals ---


@pytest.mark.parametrize("output", ["out", "out.jpg", None])
def test_a_missing_input_is_wrong_usage(tmp_path: Path, output: str | None) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        plan_outputs([tmp_path / "no.jpg"], tmp_path / output if output else None)


@pytest.mark.parametrize("output", [".", "in", "in/../in", "in/a.jpg"])
def test_an_output_that_is_the_input_is_refused(tmp_path: Path, output: str) -> None:
    touch(tmp_path, "in/a.jpg")
    inputs = [tmp_path] if output == "." else [tmp_path / "in" / "a.jpg"]
    with pytest.raises(UsageError):
        plan_outputs(inputs, tmp_path / output)


@needs_links
def test_an_output_that_is_the_input_by_a_link_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg")
    (tmp_path / "b.jpg").symlink_to("in/a.jpg")
    (tmp_path / "out").symlink_to("in")
    for output in ("b.jpg", "out"):
        with pytest.raises(UsageError):
            plan_outputs([tmp_path / "in" / "a.jpg"], tmp_path / output)


def test_one_output_file_for_several_photos_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "b.jpg")
    for inputs in ([tmp_path / "in"], [tmp_path / "b.jpg", tmp_path / "in" / "a.jpg"]):
        with pytest.raises(UsageError, match="several photos"):
            plan_outputs(inputs, tmp_path / "c.jpg")


def test_a_file_in_place_of_the_output_folder_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "out")
    with pytest.raises(UsageError, match="is a file"):
        plan_outputs([tmp_path / "a.jpg"], tmp_path / "out")


def test_no_result_stands_among_the_inputs(tmp_path: Path) -> None:
    touch(tmp_path, "in/x.jpg", "in/in/x.jpg", "y.jpg", "other/in/y.jpg")
    jobs = list(plan_outputs([tmp_path / "in"], tmp_path))
    assert [(job.target.relative_to(tmp_path).as_posix(), bool(job.problem)) for job in jobs] == [
        ("in/x.jpg", True),
        ("x.jpg", False),
    ]
    given = [tmp_path / "in" / "x.jpg", tmp_path / "other"]
    touch(tmp_path, "other/in/x.jpg")
    places = [job.target for job in plan_outputs(given, tmp_path)]
    assert tmp_path / "in" / "x.jpg" not in places
    assert tmp_path / "in" / "x-2.jpg" in places


# --- no two inputs on one output ---

stems = st.text(st.sampled_from("aAßs\u017féE\u0301 .,-2é"), min_size=1, max_size=4).filter(lambda stem: stem.strip())
paths = st.builds(
    lambda folders, stem, suffix: "/".join([*folders, stem + suffix]),
    st.lists(st.sampled_from(["a", "A", "a-color", "é", "e\u0301"]), max_size=2),
    st.one_of(stems, stems.map(lambda stem: stem + "-color")),
    st.sampled_from([".jpg", ".JPG", ".png"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(paths, max_size=8), st.lists(paths, max_size=8), st.sampled_from(["out", "one/out", None]))
def test_no_two_inputs_ever_share_an_output(one: list[str], two: list[str], output: str | None) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        (root / "one").mkdir()
        touch(root / "one", *one)
        (root / "two").mkdir()
        touch(root / "two", *two)
        jobs = list(plan_outputs([root / "one", root / "two"], root / output if output else None))
        if output:
            assert len(jobs) == sum(len(files) for _, _, files in os.walk(root))
        sources = {os.path.realpath(job.source) for job in jobs}
        assert len(sources) == len(jobs)
        assert not any(os.path.realpath(job.target) in sources for job in jobs)
        spellings = {unicodedata.normalize("NFC", str(job.target)).casefold() for job in jobs}
        assert len(spellings) == len(jobs)
        assert all(job.target.suffix == job.source.suffix for job in jobs)
    finally:
        shutil.rmtree(root)


# --- writing ---


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def write_half() -> None:
        with atomic_write(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("a.txt", "before")]


def test_a_write_replaces_the_old_file_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    for text in ("before", "after"):
        with atomic_write(path) as file:
            file.write(text.encode())
    assert [(entry.name, entry.read_text()) for entry in path.parent.iterdir()] == [("a.txt", "after")]
    if os.name != "nt":
        (tmp_path / "usual").touch()
        assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


@needs_links
def test_leftovers_of_the_dead_are_removed_and_files_of_the_living_stay(tmp_path: Path) -> None:
    touch(tmp_path, ".colorgan-dead.tmp", "mine.tmp")
    with atomic_write(tmp_path / "a.txt") as file:
        file.write(b"under way")
        remove_leftovers(tmp_path)
        assert not (tmp_path / ".colorgan-dead.tmp").exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.txt", "mine.tmp"]
    remove_leftovers(tmp_path / "not yet there")
