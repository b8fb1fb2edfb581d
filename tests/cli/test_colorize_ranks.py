"""`colorgan colorize` on several processes, as `torchrun` starts them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from colorizing import Call, check_whole, make_photos, tree
from processes import DEADLINE_S, running, wait_until

from colorgan.batch.shards import Shard

pytestmark = pytest.mark.usefixtures("alone")


def pid_of_rank(rank: int, torchrun: int) -> int | None:
    """The process of a rank, among the children of torchrun."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == torchrun and f"RANK={rank}".encode() in (process / "environ").read_bytes().split(b"\0"):
                return int(process.name)
        except OSError:  # it has just ended
            continue
    return None


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the ranks in /proc")
def test_one_of_two_ranks_is_killed_and_all_photos_are_done_and_added_up(tiny_model: Path, tmp_path: Path) -> None:
    photos, out = tmp_path / "in", tmp_path / "out"
    make_photos(photos, *(f"{number:03}.png" for number in range(120)))
    (photos / "bad.jpg").write_text("no photo")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--max-restarts=1"]
    command = [*torchrun, "-m", "colorgan", "colorize", photos, "-o", out, "--model", tiny_model]
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: out.exists() and len(tree(out)) >= 2, process)
        os.kill(pid_of_rank(1, process.pid) or 0, signal.SIGKILL)
        printed, words = process.communicate(timeout=DEADLINE_S)
    assert tree(out) == [f"{number:03}.png" for number in range(120)]
    check_whole(out)
    (line,) = [line for line in printed.splitlines() if "written" in line and "interrupted" not in line][-1:]
    match = re.fullmatch(r"(\d+) written, (\d+) skipped, 1 failed\. Results: .*", line)
    assert match, printed
    assert int(match[1]) + int(match[2]) == 120
    assert int(match[2]) >= 1, "nothing was done before the kill"
    assert "failed: " in words
    assert process.returncode != 0


def test_without_torchrun_each_process_of_a_job_array_does_its_share(
    tiny_model: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, out = tmp_path / "in", tmp_path / "out"
    names = [f"{number:03}.png" for number in range(20)]
    make_photos(photos, *names)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in range(2):
        monkeypatch.setenv("RANK", f"{rank}")
        own = [name for name in names if Shard(rank, 2).has(f"in/{name}")]
        code, printed, _ = call(photos, "-o", out, "--model", tiny_model)
        assert code == 0
        assert f"{len(own)} written, 0 skipped" in printed
    assert tree(out) == names
    monkeypatch.setenv("RANK", "2")
    code, _, err = call(photos, "-o", out, "--model", tiny_model)
    assert code == 2
    assert "RANK=2" in err
