"""`colorgan colorize` as a process against a real S3 server on this machine."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from colorizing import Call, command, run
from processes import DEADLINE_S, running, wait_until
from stores import REFUSAL, Request, check_whole, empty_bucket, find_from_here, photo_bytes, s3_server

pytest.importorskip("s3fs")
pytestmark = pytest.mark.usefixtures("alone")
COUNT = 40


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


def test_a_killed_run_repeats_no_result_and_every_photo_is_there_once_and_whole(server: str, tiny_model: Path) -> None:
    with empty_bucket(server) as store:
        environment = os.environ | store.environment
        names = [f"{number:03}.png" for number in range(COUNT)]
        for number, name in enumerate(names):
            store.put(f"photos/{name}", photo_bytes(number))
        arguments = ("s3://bucket/photos", "-o", "s3://bucket/out", "--model", tiny_model, "--workers", 2, "--quiet")
        killed = command(*arguments)
        with running(killed, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            wait_until(lambda: len(store.puts("out/")) >= 5, process)
            process.send_signal(signal.SIGKILL)
            process.wait(DEADLINE_S)
        done = run(*arguments, env=environment)
        assert done.returncode == 0, done.stderr
        results = [key for key in store.stored if key.startswith("out/") and key.endswith(".png")]
        assert sorted(results) == [f"out/{name}" for name in names], "a result was stored twice"
        assert done.stdout == f"{COUNT} written, 0 skipped, 0 failed. Results: s3://bucket/out\n"
        assert [key for key in store.keys("out/") if key.endswith(".png")] == [f"out/{name}" for name in names]
        for name in names:
            check_whole(store.get(f"out/{name}"))
            expected = hashlib.sha256(photo_bytes(int(name[:3]))).hexdigest()
            assert hashlib.sha256(store.get(f"photos/{name}")).hexdigest() == expected
        assert not [key for key in store.keys("") if "sqlite" in key]
        again = run(*arguments, env=environment)
        assert again.stdout == f"0 written, {COUNT} skipped, 0 failed. Results: s3://bucket/out\n"
        for text in (done, again):
            assert "that-is-secret" not in text.stdout + text.stderr


def test_a_refusal_is_printed_in_three_parts_and_without_keys(server: str, tiny_model: Path, tmp_path: Path) -> None:
    with empty_bucket(server) as store:
        environment = os.environ | store.environment
        arguments = ("s3://no-such-bucket/photos", "-o", tmp_path / "out", "--model", tiny_model)
        done = run(*arguments, env=environment)
        assert done.returncode == 2
        assert "there is no such bucket" in done.stderr
        assert "that-is-secret" not in done.stderr
        offline = run(*arguments, env=environment | {"COLORGAN_OFFLINE": "1"})
        assert offline.returncode == 2
        assert "COLORGAN_OFFLINE is set" in offline.stderr


@pytest.mark.parametrize(
    ("part", "answer", "status", "code", "words"),
    [
        ("list-type", "NoSuchBucket", 404, 2, "there is no such bucket"),
        ("list-type", "AccessDenied", 403, 4, "no permission"),
        ("GET /bucket/photos/a", "AccessDenied", 403, 3, "no permission to read it"),
        ("GET /bucket/photos/", "ExpiredToken", 400, 4, "the credentials have expired"),
        ("GET /bucket/photos/", "SlowDown", 503, 4, "the store is too busy"),
        ("GET /bucket/photos/", "slow", 200, 4, "does not answer"),
        ("PUT /bucket/out/", "QuotaExceeded", 403, 4, "its quota is reached"),
        ("GET /bucket/photos/a", "changes", 200, 3, "it changed while it was read"),
    ],
)
def test_what_a_store_answers_ends_the_command_with_its_code_and_nothing_half_written(
    server: str,
    tiny_model: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    answer: str,
    status: int,
    code: int,
    words: str,
) -> None:
    def behave(request: Request) -> tuple[int, bytes] | None:
        if part not in f"{request.method} {request.path}":
            return None
        if answer == "changes":
            store.put("photos/a.png", photo_bytes(9))
        elif answer == "slow":
            time.sleep(3)
        else:
            return status, REFUSAL.format(answer).encode()
        return None

    arguments = ("s3://bucket/photos", "-o", "s3://bucket/out", "--model", tiny_model, "--workers", 2)
    with empty_bucket(server) as store:
        find_from_here(monkeypatch, store)
        for name in ("a", "b"):
            store.put(f"photos/{name}.png", photo_bytes())
        store.behavior = behave
        found, _, printed = call(*arguments)
        assert (found, words in printed) == (code, True), printed
        assert "secret" not in printed
        for key in store.keys("out/"):
            assert "manifest" in key or check_whole(store.get(key)) is None
        store.behavior = None
        assert call(*arguments)[0] == 0
