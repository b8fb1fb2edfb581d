"""`colorgan colorize --ray`: real clusters on this machine, where nodes and actors die."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from colorizing import Call, check_whole, make_photos, run, tree
from processes import DEADLINE_S

pytestmark = pytest.mark.usefixtures("alone")
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ray_kills.py"


@pytest.mark.slow
def test_a_cluster_started_for_the_run_colors_as_the_plain_command_does(tiny_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    make_photos(tmp_path / "in", "a.png", "x/b.jpg")
    (tmp_path / "in" / "bad.jpg").write_text("no photo")
    hints = {"format": "colorgan-hints", "version": 1, "hints": [{"x": 3, "y": 3, "color": "navy"}]}
    (tmp_path / "in" / "a.hints.json").write_text(json.dumps(hints))
    plain = run("in", "-o", "plain", "--model", tiny_model, "--device", "cpu", cwd=tmp_path)
    done = run(
        "in", "-o", "out", "--model", tiny_model, "--device", "cpu", "--ray", "auto", "--workers", 1, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (3, "2 written, 0 skipped, 1 failed. Results: out\n"), done.stderr
    failures = [[line for line in ended.stderr.splitlines() if "failed: " in line] for ended in (plain, done)]
    assert failures[0] == failures[1] != []
    assert "usage" not in done.stderr.lower()
    assert tree(tmp_path / "out") == ["a.png", "x/b.jpg"]
    check_whole(tmp_path / "out")
    for name in tree(tmp_path / "out"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


@pytest.mark.slow
def test_after_a_node_and_an_actor_died_every_photo_is_there_once_and_whole(tiny_model: Path) -> None:
    pytest.importorskip("ray")
    command = [sys.executable, SCRIPT, "--runs", "1", "--photos", "60", "--model", tiny_model]
    done = subprocess.run(command, capture_output=True, text=True, timeout=4 * DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    assert "60 written, 0 skipped, 0 failed" in done.stdout


def test_an_address_without_a_cluster_is_one_clear_error(tiny_model: Path, tmp_path: Path, call: Call) -> None:
    pytest.importorskip("ray")
    make_photos(tmp_path / "in", "a.png")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        code, _, words = call(tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model, "--ray", address)
    assert code == 4
    assert f"a Ray cluster at {address}: nothing answers there" in words
    assert "ray start --head" in words
    assert tree(tmp_path / "out") == []


def test_what_is_no_address_of_a_cluster_is_wrong_usage(tiny_model: Path, tmp_path: Path, call: Call) -> None:
    pytest.importorskip("ray")
    make_photos(tmp_path / "in", "a.png")
    code, _, words = call(tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model, "--ray", "yes")
    assert (code, "`auto`, or the address of a Ray cluster: 'yes'" in words) == (2, True)


def test_without_ray_the_extra_is_named(
    tiny_model: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    make_photos(tmp_path / "in", "a.png")
    code, _, words = call(tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model, "--ray", "auto")
    assert (code, 'pip install "colorgan[ray]"' in words) == (2, True)
