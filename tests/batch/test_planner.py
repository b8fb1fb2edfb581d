from __future__ import annotations

import os
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import needs_links, touch

from colorgan.batch.jobs import Job, OutputRules
from colorgan.batch.planner import count_photos, plan_outputs
from colorgan.errors import UsageError


def plan(inputs: list[Path], output: Path | None, listed: Iterable[str] = (), **rules: object) -> Iterator[Job]:
    return plan_outputs(inputs, OutputRules(output, **rules), listed)


def targets(
    inputs: list[Path], output: Path | None, listed: Iterable[str] = (), **rules: object
) -> list[tuple[str, str]]:
    """Names of source and target, the latter from the output, or else from the inputs' common parent."""
    jobs = list(plan(inputs, output, listed, **rules))
    assert not [job for job in jobs if job.problem]
    root = output or Path(os.path.commonpath(inputs or [jobs[0].folder]))
    return [(Path(job.source).name, Path(job.target).relative_to(root).as_posix()) for job in jobs]


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
    jobs = list(plan(inputs, tmp_path / "out"))
    assert [job.name for job in jobs] == ["a.jpg", "a-2.jpg", "a-3.jpg", "a-4.jpg"]
    assert [bool(job.note) for job in jobs] == [False, False, True, True]
    assert "a-3.jpg" in jobs[2].note


@needs_links
def test_names_that_differ_in_capitals_alone_are_told_apart(tmp_path: Path) -> None:
    touch(tmp_path, "in/B/x.jpg", "in/b/x.jpg", "in/a.JPG", "in/a.jpg")
    if len(list((tmp_path / "in").iterdir())) < 4:
        pytest.skip("a disk that knows no capitals")
    places = [place for _, place in targets([tmp_path / "in"], tmp_path / "out")]
    assert places == ["a.JPG", "a-2.jpg", "B/x.jpg", "b/x-2.jpg"]


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


def test_with_an_output_folder_every_photo_is_one_whatever_its_name(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/a-color.jpg")
    for inputs in ([tmp_path / "in"], sorted((tmp_path / "in").iterdir())):
        assert sorted(targets(inputs, tmp_path / "out")) == [("a-color.jpg", "a-color.jpg"), ("a.jpg", "a.jpg")]


def test_one_photo_can_name_its_output_file(tmp_path: Path) -> None:
    touch(tmp_path, "scan")
    (job,) = plan([tmp_path / "scan"], tmp_path / "b.png")
    assert (job.source, job.target, job.problem) == (str(tmp_path / "scan"), str(tmp_path / "b.png"), "")


def test_a_folder_is_a_folder_whatever_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / "b.png").mkdir()
    assert targets([tmp_path / "a.jpg"], tmp_path / "b.png") == [("a.jpg", "a.jpg")]
    for new in ("c.png", "new.v2"):
        assert targets([tmp_path / "a.jpg"], tmp_path / new, names_folder=True) == [("a.jpg", "a.jpg")]
    (tmp_path / "old.v2").mkdir()
    assert targets([tmp_path / "a.jpg"], tmp_path / "old.v2") == [("a.jpg", "a.jpg")]


def test_a_photo_given_twice_is_done_once(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/b/c.jpg")
    a, folder = tmp_path / "in" / "a.jpg", tmp_path / "in"
    inputs = [folder / "b", a, folder, a, folder / "b" / ".." / "a.jpg"]
    assert [name for name, _ in targets(inputs, tmp_path / "out")] == ["a.jpg", "c.jpg"]


def test_a_given_file_without_a_photos_suffix_is_a_problem(tmp_path: Path) -> None:
    touch(tmp_path, "scan.dat")
    (job,) = plan([tmp_path / "scan.dat"], tmp_path / "out")
    assert "none of the suffixes .jpg" in job.problem


def test_jobs_are_found_while_they_are_asked_for(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.jpg", "b/y.jpg")
    jobs = plan([tmp_path], tmp_path / "out")
    assert Path(next(jobs).source).name == "x.jpg"
    touch(tmp_path, "b/z.jpg")
    assert [Path(job.source).name for job in jobs] == ["y.jpg", "z.jpg"]


def test_a_format_gives_every_result_its_suffix_and_tells_apart_what_then_collides(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/a.png", "in/A.tif", "scan.dat")
    inputs = [tmp_path / "in", tmp_path / "scan.dat"]
    assert targets(inputs, tmp_path / "out", suffix=".webp") == [
        ("scan.dat", "scan.webp"),
        ("A.tif", "A.webp"),
        ("a.jpg", "a-2.webp"),
        ("a.png", "a-3.webp"),
    ]


def test_what_is_written_beside_a_result_meets_no_other_photos_result(tmp_path: Path) -> None:
    touch(tmp_path, "in/a-confidence.png", "in/a.jpg", "in/b.jpg")
    jobs = list(plan([tmp_path / "in"], tmp_path / "out", sidecar_suffixes=("-confidence.png", "-variant-2")))
    assert [job.name for job in jobs] == ["a-confidence.png", "a-2.jpg", "b.jpg"]
    assert [Path(jobs[1].sidecar(suffix)).name for suffix in ("-confidence.png", "-variant-2")] == [
        "a-2-confidence.png",
        "a-2-variant-2.jpg",
    ]


def test_each_page_is_a_job_of_its_own(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.tif", "in/b.tif")
    jobs = list(plan([tmp_path / "in"], None, pages=lambda path: 10 if path.endswith("a.tif") else 1))
    assert [(job.name, job.page) for job in jobs[:2]] == [("a-color-page-01.tif", 0), ("a-color-page-02.tif", 1)]
    assert (len(jobs), jobs[-1].name) == (11, "b-color.tif")
    assert len({job.identity for job in jobs}) == 11
    touch(tmp_path, *(f"in/{job.name}" for job in jobs))
    assert len(list(plan([tmp_path / "in"], None))) == 2


def test_a_photos_identity_is_the_same_wherever_its_folder_lies(tmp_path: Path) -> None:
    touch(tmp_path, "x/in/b/c.jpg", "y/in/b/c.jpg")
    ((one,), (two,)) = (list(plan([tmp_path / place / "in"], tmp_path / "out")) for place in "xy")
    assert one.identity == two.identity == "in/b/c.jpg"
    assert one.source != two.source


def test_photos_are_counted_as_they_will_be_planned(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/a-color.jpg", "in/sub/b.jpg", "in/out/c.jpg", "d.jpg")
    inputs = [tmp_path / "in", tmp_path / "d.jpg"]
    for output in (None, tmp_path / "in" / "out"):
        assert sum(count_photos(inputs, output)) == len(list(plan(inputs, output)))


# --- lists of paths ---


def test_listed_photos_keep_the_folders_of_their_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "in/b/c.jpg", "a.jpg")
    listed = ["in/b/c.jpg", "./a.jpg", str(tmp_path / "a.jpg"), "in/../in/b/c.jpg"]
    assert targets([], tmp_path / "out", listed) == [("c.jpg", "in/b/c.jpg"), ("a.jpg", "a.jpg")]
    (job,) = plan([], Path("out"), [str(tmp_path / "a.jpg")])
    assert job.target == str(Path("out", *tmp_path.parts[1:], "a.jpg"))
    assert [job.target for job in plan([], None, ["in/b/c.jpg"])] == [str(Path("in", "b", "c-color.jpg"))]


def test_listed_photos_in_the_output_folder_are_a_problem(tmp_path: Path) -> None:
    touch(tmp_path, "out/a.jpg")
    (job,) = plan([], tmp_path / "out", [str(tmp_path / "out" / "a.jpg")])
    assert "is in the output folder" in job.problem


def test_a_listed_result_beside_its_photo_is_no_photo(tmp_path: Path) -> None:
    touch(tmp_path, "a.PNG", "a-color.jpg", "b-color.jpg")
    jobs = plan([], None, [str(tmp_path / name) for name in ("a.PNG", "a-color.jpg", "b-color.jpg")])
    assert [job.name for job in jobs] == ["a-color.PNG", "b-color-color.jpg"]


def test_a_list_is_read_while_it_is_written(tmp_path: Path) -> None:
    asked = []

    def listed() -> Iterator[str]:
        for name in ("a.jpg", "b.jpg"):
            asked.append(name)
            yield str(tmp_path / name)

    jobs = plan([], tmp_path / "out", listed())
    next(jobs)
    assert asked == ["a.jpg"]


# --- refusals ---


@pytest.mark.parametrize("output", ["out", "out.jpg", None])
def test_a_missing_input_is_wrong_usage(tmp_path: Path, output: str | None) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        plan([tmp_path / "no.jpg"], tmp_path / output if output else None)


@pytest.mark.parametrize("output", [".", "in", "in/../in", "in/a.jpg"])
def test_an_output_that_is_the_input_is_refused(tmp_path: Path, output: str) -> None:
    touch(tmp_path, "in/a.jpg")
    inputs = [tmp_path] if output == "." else [tmp_path / "in" / "a.jpg"]
    with pytest.raises(UsageError):
        plan(inputs, tmp_path / output)


@needs_links
def test_an_output_that_is_the_input_by_a_link_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg")
    (tmp_path / "b.jpg").symlink_to("in/a.jpg")
    (tmp_path / "out").symlink_to("in")
    for output in ("b.jpg", "out"):
        with pytest.raises(UsageError):
            plan([tmp_path / "in" / "a.jpg"], tmp_path / output)


def test_one_output_file_for_several_photos_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "b.jpg")
    for inputs in ([tmp_path / "in"], [tmp_path / "b.jpg", tmp_path / "in" / "a.jpg"]):
        with pytest.raises(UsageError, match="several photos"):
            plan(inputs, tmp_path / "c.jpg")


def test_an_output_of_one_photo_in_no_photos_format_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/b.jpg")
    a, b, output = tmp_path / "in" / "a.jpg", tmp_path / "in" / "b.jpg", tmp_path / "x.xyz"
    with pytest.raises(UsageError, match=r"suffix \.xyz.*\.jpg \.png \.webp \.tif \.bmp \.avif, or .* slash"):
        plan([a], output)
    for inputs, listed in (([a, b], []), ([tmp_path / "in"], []), ([a], [str(b)])):
        assert [bool(job.problem) for job in plan(inputs, output, listed)] == [False, False]


def test_a_file_in_place_of_the_output_folder_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "out")
    with pytest.raises(UsageError, match="is a file"):
        plan([tmp_path / "a.jpg"], tmp_path / "out")


def test_no_result_stands_among_the_inputs(tmp_path: Path) -> None:
    touch(tmp_path, "in/x.jpg", "in/in/x.jpg", "y.jpg", "other/in/y.jpg")
    jobs = list(plan([tmp_path / "in"], tmp_path))
    assert [(Path(job.target).relative_to(tmp_path).as_posix(), bool(job.problem)) for job in jobs] == [
        ("x.jpg", False),
        ("in/x.jpg", True),
    ]
    given = [tmp_path / "in" / "x.jpg", tmp_path / "other"]
    touch(tmp_path, "other/in/x.jpg")
    places = [Path(job.target) for job in plan(given, tmp_path)]
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
        jobs = list(plan([root / "one", root / "two"], root / output if output else None))
        if output:
            assert len(jobs) == sum(len(files) for _, _, files in os.walk(root))
        sources = {os.path.realpath(job.source) for job in jobs}
        assert len(sources) == len(jobs)
        assert not any(os.path.realpath(job.target) in sources for job in jobs)
        spellings = {unicodedata.normalize("NFC", str(job.target)).casefold() for job in jobs}
        assert len(spellings) == len(jobs)
        assert all(Path(job.name).suffix == Path(job.source).suffix for job in jobs)
    finally:
        shutil.rmtree(root)


# --- kinds of photos that are only read ---


def test_a_result_of_a_kind_that_is_not_written_gets_another_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.heic", "in/b.gif", "in/c.avif", "in/b.png")
    found = dict(targets([tmp_path / "in"], tmp_path / "out"))
    assert found == {"a.heic": "a.jpg", "b.gif": "b.png", "b.png": "b-2.png", "c.avif": "c.avif"}


def test_an_output_of_a_kind_that_is_not_written_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    with pytest.raises(UsageError, match=r"\.heic can only be read"):
        plan([tmp_path / "a.jpg"], tmp_path / "b.heic")
