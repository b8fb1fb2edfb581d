"""What `colorize` says of files that are no photos, and of names that were meant otherwise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from colorizing import Call, make_photos, tree
from processes import DEADLINE_S

PDF, ZIP, RAW = b"%PDF-1.7 ...", b"PK\3\4 ...", b"II*\0\x08\0\0\0"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def colorgan(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "colorgan", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def test_files_of_other_kinds_are_counted_in_one_line(tiny_model: Path, tmp_path: Path, call: Call) -> None:
    make_photos(tmp_path / "in", "a.jpg")
    (tmp_path / "in/deep").mkdir()
    for name in ("b.pdf", "deep/c.PDF", "d.zip", "e.cr2", "f.mov", "README", ".hidden", "Thumbs.db"):
        (tmp_path / "in" / name).write_bytes(PDF)
    _, out, err = call(tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model)
    assert out.startswith("1 written")
    assert "Files of other types, ignored: 2 .pdf, 1 without a suffix, 1 .cr2, 1 .mov, 1 .zip." in err
    _, out, _ = call(tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model, "--json")
    assert json.loads(out.splitlines()[-1])["other_files"] == {".pdf": 2, "": 1, ".cr2": 1, ".mov": 1, ".zip": 1}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.pdf", PDF, ("a PDF document", "pdfimages")),
        ("a.zip", ZIP, ("a zip archive", "unpack it")),
        ("a.NEF", RAW, ("a camera's raw photo", "darktable")),
        ("a.jpg", PDF, ("a PDF document", "pdfimages")),
        ("a.jpg", ZIP, ("a zip archive", "unpack it")),
    ],
)
@pytest.mark.parametrize("output", ["out", "out.png"])
def test_what_is_given_by_name_and_is_no_photo_gets_the_advice_that_helps(
    name: str, data: bytes, words: tuple[str, str], output: str, tiny_model: Path, tmp_path: Path, call: Call
) -> None:
    (tmp_path / name).write_bytes(data)
    code, _, err = call(tmp_path / name, "-o", tmp_path / output, "--model", tiny_model)
    assert code == 3
    for word in words:
        assert word in err


def test_how_to_read_heic_photos_is_said_once(
    tiny_model: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "in").mkdir()
    for name in ("a.heic", "b.heic", "c.heic"):
        (tmp_path / "in" / name).write_bytes(HEIC)
    code, _, err = call(tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model)
    assert code == 3
    assert err.count("failed: ") == 3
    assert err.count('pip install "colorgan[heif]"') == 1


def test_a_photo_in_place_of_a_command_is_told_how_it_is_colored(tmp_path: Path) -> None:
    make_photos(tmp_path, "grandma.jpg", "our garden.jpg")
    for words, quoted in ((["grandma.jpg"], "grandma.jpg"), (["our", "garden.jpg"], "'our garden.jpg'")):
        done = colorgan(*words, cwd=tmp_path)
        assert done.returncode == 2
        assert f"colorgan colorize {quoted}" in done.stderr
    assert "No such command" in colorgan("paint", cwd=tmp_path).stderr


def test_a_name_with_spaces_is_asked_for_in_quotes(tmp_path: Path) -> None:
    make_photos(tmp_path, "our old garden.jpg")
    done = colorgan("colorize", "our", "old", "garden.jpg", cwd=tmp_path)
    assert done.returncode == 2
    assert 'needs quotes: "our old garden.jpg"' in " ".join(done.stderr.split())
    assert tree(tmp_path) == ["our old garden.jpg"]


def test_a_dry_run_looks_as_far_as_it_can_without_decoding(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    make_photos(tmp_path / "in", "a.jpg")
    (tmp_path / "in/folder.jpg").mkdir()
    for name, data in {"b.jpg": b"", "c.jpg": PDF, "d.heic": HEIC, "e.jpg": b"nonsense"}.items():
        (tmp_path / "in" / name).write_bytes(data)
    (tmp_path / "in/f.jpg").write_bytes((tmp_path / "in/a.jpg").read_bytes()[:300])
    code, out, err = call(tmp_path / "in", "-o", tmp_path / "out", "--dry-run")
    lines = dict(line.split(": ", 1)[::-1] for line in out.splitlines()[:-1])
    told = {Path(line.split(" ")[0]).name: (words, line) for line, words in lines.items()}
    assert {name: words for name, (words, _) in told.items()} == {
        "a.jpg": "to do",
        "b.jpg": "would fail",
        "c.jpg": "would fail",
        "d.heic": "would fail",
        "e.jpg": "would fail",
        "f.jpg": "to do",
    }
    assert "the file is empty" in told["b.jpg"][1]
    assert "a PDF document" in told["c.jpg"][1]
    assert "pillow-heif is not installed" in told["d.heic"][1]
    assert (code, out.splitlines()[-1].startswith("2 to do, 0 done before, 4 would fail.")) == (0, True)
    assert "nothing was decoded" in err
    assert err.count('pip install "colorgan[heif]"') == 1
    assert not (tmp_path / "out").exists()


def test_own_results_are_colored_again_only_where_they_are_named(tiny_model: Path, tmp_path: Path, call: Call) -> None:
    make_photos(tmp_path / "in", "a.jpg", "sub/b.png")
    call(tmp_path / "in", "-o", tmp_path / "first", "--model", tiny_model)
    call(tmp_path / "in", "-o", tmp_path / "plain", "--model", tiny_model, "--no-mark", "--strip-metadata")
    moved = (tmp_path / "first").rename(tmp_path / "moved")
    (moved / ".colorgan-journal.sqlite3").unlink()
    for folder in ("moved", "plain"):  # known by their mark, and by the journal
        code, out, err = call(tmp_path / folder, "-o", tmp_path / "again", "--model", tiny_model)
        assert (code, out.startswith("0 written, 0 skipped, 2 own results, 0 failed.")) == (0, True), out
        assert "only if you name the files themselves" in err
    assert tree(tmp_path / "again") == []
    _, out, _ = call(tmp_path / "plain", "-o", tmp_path / "again", "--model", tiny_model, "--json")
    assert json.loads(out.splitlines()[-1])["own_results"] == 2
    for name in ("moved/a.jpg", "plain/sub/b.png"):
        assert call(tmp_path / name, "-o", tmp_path / "named", "--model", tiny_model)[1].startswith("1 written")


def test_what_was_retouched_is_a_photo_like_any_other(tiny_model: Path, tmp_path: Path, call: Call) -> None:
    make_photos(tmp_path / "in", "a.jpg")
    call(tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model, "--no-mark")
    make_photos(tmp_path / "other", "a.png")
    (tmp_path / "out/a.jpg").write_bytes((tmp_path / "other/a.png").read_bytes())
    assert call(tmp_path / "out", "-o", tmp_path / "again", "--model", tiny_model)[1].startswith("1 written")
