"""`colorgan colorize` in a job array: several processes, each with its part of the photos."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from colorizing import Call, check_whole, command, make_photos, run, tree
from processes import DEADLINE_S, running, wait_until

from colorgan.batch.shards import Shard

pytestmark = pytest.mark.usefixtures("alone")
NAMES = [f"{number:03}.png" for number in range(20)]


def test_each_task_of_an_array_does_its_shard_and_says_so_in_its_first_line(
    tiny_model: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, out = tmp_path / "in", tmp_path / "out"
    make_photos(photos, *NAMES)
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", "0")
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    for task in range(2):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", f"{task}")
        own = [name for name in NAMES if Shard(task + 1, 2).has(f"in/{name}")]
        code, printed, err = call(photos, "-o", out, "--model", tiny_model, "--quiet")
        assert (code, printed) == (0, f"{len(own)} written, 0 skipped, 0 failed. Results: {out}\n")
        why = f"since SLURM_ARRAY_TASK_ID={task} is set"
        assert err.startswith(f"Coloring shard {task + 1}/2 only, {why}.")
    assert tree(out) == NAMES
    code, printed, _ = call(photos, "-o", out, "--model", tiny_model, "--shard", "1/1")
    assert (code, printed) == (0, f"0 written, 20 skipped, 0 failed. Results: {out}\n")


def test_the_first_json_line_says_the_shard_and_what_made_it(
    tiny_model: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_photos(tmp_path / "in", *NAMES[:2])
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "15")
    _, printed, _ = call(
        tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model, "--shard", "/16", "--json", "--dry-run"
    )
    first = json.loads(printed.splitlines()[0])
    assert (first["state"], first["shard"], first["variable"]) == ("sharing", "16/16", "JOB_COMPLETION_INDEX=15")


def test_shards_at_the_same_time_in_one_folder_do_all_photos_once(tiny_model: Path, tmp_path: Path) -> None:
    photos, out = tmp_path / "in", tmp_path / "out"
    make_photos(photos, *NAMES)
    arguments = (photos, "-o", out, "--model", tiny_model, "--quiet", "--shard")
    tasks = [
        subprocess.Popen(command(*arguments, f"{number}/2"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for number in (1, 2)
    ]
    printed = [task.communicate(timeout=120)[0].decode() for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0]
    assert sum(int(line.split()[0]) for line in printed) == 20
    assert tree(out) == NAMES
    check_whole(out)


def test_a_task_that_is_killed_ends_no_other_and_the_same_command_does_the_rest(
    tiny_model: Path, tmp_path: Path
) -> None:
    photos, out = tmp_path / "in", tmp_path / "out"
    names = [f"{number:03}.png" for number in range(120)]
    make_photos(photos, *names)
    arguments = (photos, "-o", out, "--model", tiny_model, "--quiet", "--shard")
    with (
        running(command(*arguments, "1/2"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as killed,
        running(command(*arguments, "2/2"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as other,
    ):
        wait_until(lambda: any(Shard(1, 2).has(f"in/{name}") for name in (tree(out) if out.exists() else [])), killed)
        killed.send_signal(signal.SIGKILL)
        killed.wait(DEADLINE_S)
        other.communicate(timeout=DEADLINE_S)
    assert other.returncode == 0
    left = len(set(names) - set(tree(out)))  # the killed one may also have left the hidden beginning of a file
    done = run(*arguments, "1/1")
    assert done.stdout == f"{left} written, {len(names) - left} skipped, 0 failed. Results: {out}\n", done.stderr
    assert tree(out) == names
    check_whole(out)


def test_under_torchrun_it_is_refused_with_advice(tiny_model: Path, tmp_path: Path) -> None:
    make_photos(tmp_path / "in", *NAMES[:1])
    environment = os.environ | {"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "WORLD_SIZE": "2"}
    done = run(tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model, env=environment)
    assert done.returncode == 2
    assert "--shard 3/16" in done.stderr
    assert not (tmp_path / "out").exists()
