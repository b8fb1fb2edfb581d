import ast
import dataclasses
import errno
import hashlib
import itertools
import os
import pathlib
import random
import ssl
import subprocess
import sys

import pytest
import trustme
from processes import DEADLINE_S, running

import colorgan
from colorgan.errors import Interrupted, OutputError, WeightsError
from colorgan.models import download
from colorgan.models.download import RemoteFile, fetch

CONTENT = random.Random(3).randbytes(700_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
BY_HAND = "Bring it from elsewhere."


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(download, "_PAUSE_S", 0.0)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "cache" / "weights.bin"


@pytest.fixture
def published(web):
    """A file at two addresses."""
    web.files = {"/first": CONTENT, "/mirror": CONTENT}
    return RemoteFile("weights of x", (web.address("/first"), web.address("/mirror")), SHA256, BY_HAND)


def refusal(published, target):
    """Return the message of a download that fails, and check that there is no target."""
    with pytest.raises(WeightsError) as caught:
        fetch(published, target, os.replace)
    assert not target.exists()
    assert (caught.value.expected, caught.value.advice) == ("weights of x", BY_HAND)
    return caught.value.found


def refuses(status):
    return lambda answer, content, start: answer.head(status, Content_Length=0)


def drops_after(count):
    """Return a server behavior that announces the whole answer and disconnects after `count` bytes."""

    def behave(answer, content, start):
        named = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        answer.head(206 if start else 200, Content_Length=len(content) - start, **named)
        answer.wfile.write(content[start : start + count])

    return behave


def stalls_after(count):
    def behave(answer, content, start):
        drops_after(count)(answer, content, start)
        answer.wfile.flush()
        answer.server.released.wait(10)

    return behave


def lies(answer, content, start):
    answer.head(200, Content_Length=len(content))
    answer.wfile.write(content[:-1] + bytes([content[-1] ^ 1]))


def ignores_ranges(answer, content, start):
    answer.head(200, Content_Length=len(content))
    answer.wfile.write(content)


def says_no_length(answer, content, start):
    answer.head(200, Connection="close")
    answer.wfile.write(content)


def misplaces(answer, content, start):
    answer.head(206, Content_Range=f"bytes 7-{len(content) - 1}/{len(content)}", Content_Length=len(content) - 7)
    answer.wfile.write(content[7:])


def babbles(answer, content, start):
    answer.wfile.write(b"\x1b[2J no HTTP at all\r\n\r\n")


def redirects(address):
    return lambda answer, content, start: answer.head(302, Location=address, Content_Length=0)


def test_a_file_is_fetched_whole_and_nothing_else_is_left(web, published, target):
    fetch(published, target, os.replace)
    assert target.read_bytes() == CONTENT
    assert web.requests == [("/first", 0)]
    assert {path.name for path in target.parent.iterdir()} <= {"weights.bin", "weights.bin.lock"}


def test_a_file_that_is_there_is_not_asked_for(web, published, target):
    target.parent.mkdir()
    target.write_bytes(b"whatever the cache holds")
    fetch(published, target, os.replace)
    assert web.requests == []


def test_the_start_of_a_sha256_is_enough_where_no_more_is_published(published, target):
    fetch(dataclasses.replace(published, sha256=SHA256[:8]), target, os.replace)
    assert target.read_bytes() == CONTENT


def test_progress_goes_up_to_the_whole(published, target):
    seen = []
    fetch(published, target, os.replace, lambda *numbers: seen.append(numbers))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [received for received, _ in seen] == sorted(received for received, _ in seen)


def test_what_is_fetched_is_converted_on_its_way(published, target):
    def convert(source, place):
        assert source.read_bytes() == CONTENT
        place.write_bytes(source.read_bytes()[:10])

    fetch(published, target, convert)
    assert target.read_bytes() == CONTENT[:10]
    assert not list(target.parent.glob("*.part"))


@pytest.mark.parametrize("status", [403, 404, 410, 500, 503])
def test_the_mirror_serves_where_the_first_address_refuses(web, published, target, status):
    web.behaviors["/first"] = itertools.repeat(refuses(status))
    fetch(published, target, os.replace)
    assert target.read_bytes() == CONTENT
    asked = [path for path, _ in web.requests]
    assert asked == ["/first"] * (1 if status < 500 else 3) + ["/mirror"]


@pytest.mark.parametrize(("status", "words"), [(403, "HTTP 403 Forbidden"), (404, "HTTP 404 Not Found")])
def test_a_refusal_everywhere_is_one_error_with_each_reason(web, published, target, status, words):
    web.behaviors = {"/first": itertools.repeat(refuses(status)), "/mirror": itertools.repeat(refuses(500))}
    found = refusal(published, target)
    assert found == f"the download failed (127.0.0.1: {words}; 127.0.0.1: HTTP 500 Internal Server Error)"


def test_a_busy_server_is_asked_again(web, published, target):
    web.behaviors["/first"] = iter([refuses(503), refuses(429)])
    fetch(published, target, os.replace)
    assert web.requests == [("/first", 0)] * 3


def test_a_dropped_connection_goes_on_where_it_stopped(web, published, target):
    web.behaviors["/first"] = iter([drops_after(200_000)] * 3)
    fetch(published, target, os.replace)
    assert target.read_bytes() == CONTENT
    assert web.requests == [("/first", start) for start in (0, 200_000, 400_000, 600_000)]


def test_a_truncated_answer_is_never_used_and_the_next_command_goes_on_with_it(web, published, target):
    web.behaviors = {path: iter([drops_after(1000)] + [drops_after(0)] * 9) for path in ("/first", "/mirror")}
    assert "the connection ended after 1000 of 700000 bytes" in refusal(published, target)
    web.behaviors, web.requests = {}, []
    fetch(published, target, os.replace)
    assert target.read_bytes() == CONTENT
    assert web.requests == [("/first", 2000)]


def test_a_stalled_server_counts_as_lost(web, published, target, monkeypatch):
    monkeypatch.setattr(download, "_STALL_S", 1.0)  # on a busy machine the good answer may take a while too
    web.behaviors["/first"] = iter([stalls_after(300_000)])
    fetch(published, target, os.replace)
    assert target.read_bytes() == CONTENT
    assert web.requests == [("/first", 0), ("/first", 300_000)]


def test_a_server_that_stalls_for_ever_is_given_up(web, published, target, monkeypatch):
    monkeypatch.setattr(download, "_STALL_S", 0.3)
    web.behaviors = {path: itertools.repeat(stalls_after(0)) for path in ("/first", "/mirror")}
    assert "no answer for 0.3 seconds" in refusal(published, target)


def test_a_server_that_lies_is_left_for_the_mirror(web, published, target):
    web.behaviors["/first"] = itertools.repeat(lies)
    fetch(published, target, os.replace)
    assert target.read_bytes() == CONTENT
    assert web.requests == [("/first", 0), ("/mirror", 0)]


def test_wrong_bytes_everywhere_leave_nothing_behind(web, published, target):
    web.behaviors = {path: itertools.repeat(lies) for path in ("/first", "/mirror")}
    assert "not the published one: the SHA-256 differs" in refusal(published, target)
    assert not list(target.parent.glob("*.part"))


def test_a_server_without_ranges_sends_it_all_again(web, published, target):
    web.behaviors["/first"] = iter([drops_after(300_000), ignores_ranges])
    fetch(published, target, os.replace)
    assert target.read_bytes() == CONTENT
    assert web.requests == [("/first", 0), ("/first", 300_000)]


def test_an_answer_without_a_length_is_good_if_its_hash_is(web, published, target):
    web.behaviors["/first"] = iter([says_no_length])
    fetch(published, target, os.replace)
    assert target.read_bytes() == CONTENT


def test_a_file_that_changed_on_the_server_is_fetched_from_the_start(web, published, target):
    web.files["/first"] = CONTENT[::-1]
    web.behaviors = {path: iter([drops_after(300_000)] + [drops_after(0)] * 5) for path in ("/first", "/mirror")}
    refusal(published, target)
    web.files["/first"], web.behaviors, web.requests = CONTENT, {}, []
    fetch(published, target, os.replace)
    assert target.read_bytes() == CONTENT
    assert [start for _, start in web.requests][-1] == 0


@pytest.mark.parametrize("rest", [CONTENT + b"more", bytes(len(CONTENT)), b"x" * 5000])
def test_damaged_remains_of_an_earlier_download_do_no_harm(published, target, rest):
    target.parent.mkdir()
    target.with_name(f"weights.bin.{SHA256[:8]}.part").write_bytes(rest)
    fetch(published, target, os.replace)
    assert target.read_bytes() == CONTENT


def test_a_download_that_was_whole_when_its_process_ended_is_not_asked_for_again(web, published, target):
    target.parent.mkdir()
    target.with_name(f"weights.bin.{SHA256[:8]}.part").write_bytes(CONTENT)
    fetch(published, target, os.replace)
    assert target.read_bytes() == CONTENT
    assert web.requests == []


def test_an_answer_from_another_place_of_the_file_is_not_appended(web, published, target):
    web.behaviors["/first"] = iter([drops_after(300_000), misplaces])
    fetch(published, target, os.replace)
    assert target.read_bytes() == CONTENT


def test_what_is_no_http_is_said_without_the_servers_own_words(web, published, target):
    web.behaviors = {path: itertools.repeat(babbles) for path in ("/first", "/mirror")}
    found = refusal(published, target)
    assert "invalid HTTP" in found
    assert found.isprintable()


def test_a_server_that_never_ends_fills_no_disk(published, target, monkeypatch):
    monkeypatch.setattr(download, "_LARGEST_BYTES", 10_000)
    assert "more data than any published file has" in refusal(published, target)
    assert not list(target.parent.glob("*.part"))


def test_a_redirect_on_the_way_is_followed(web, published, target):
    web.behaviors["/first"] = iter([redirects(web.address("/mirror"))])
    fetch(published, target, os.replace)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("address", ["http://example.org/weights.pth", "ftp://example.org/x", "file:///etc/passwd"])
def test_neither_an_address_nor_a_redirect_may_leave_https(web, published, target, address):
    assert f"{address!r} is not https" in refusal(dataclasses.replace(published, addresses=(address,)), target)
    web.behaviors = {path: itertools.repeat(redirects(address)) for path in ("/first", "/mirror")}
    reason = "HTTP 302" if address.startswith("file") else f"{address!r} is not https"  # urllib refuses those itself
    assert reason in refusal(published, target)


def test_the_certificates_of_the_system_are_trusted_and_no_others(web, published, target, tmp_path, monkeypatch):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    web.socket = context.wrap_socket(web.socket, server_side=True)
    secure = dataclasses.replace(published, addresses=(f"https://localhost:{web.server_port}/first",))
    assert "its certificate is not trusted here: unable to get local issuer certificate" in refusal(secure, target)
    assert web.requests == []
    root = tmp_path / "root.pem"
    authority.cert_pem.write_to_path(str(root))
    monkeypatch.setenv("SSL_CERT_FILE", str(root))  # as an administrator adds a company's root on Linux
    fetch(secure, target, os.replace)
    assert target.read_bytes() == CONTENT


def test_https_is_never_left_for_plain_http_on_this_machine():
    request = download.urllib.request.Request("https://example.org/weights.pth")
    with pytest.raises(download._PermanentError, match="is not https"):
        download._Redirects().redirect_request(request, None, 302, "", {}, "http://127.0.0.1:9/x")


def test_a_machine_without_a_network_gets_the_reason(published, target, web):
    nowhere = dataclasses.replace(published, addresses=("http://127.0.0.1:1/x",))
    assert os.strerror(errno.ECONNREFUSED).lower() in refusal(nowhere, target)


def test_offline_nothing_is_asked_for(web, published, target, monkeypatch):
    monkeypatch.setenv("COLORGAN_OFFLINE", "1")
    assert "COLORGAN_OFFLINE" in refusal(published, target)
    assert web.requests == []
    monkeypatch.setenv("COLORGAN_OFFLINE", "0")
    fetch(published, target, os.replace)
    assert target.exists()


def test_an_interrupted_download_goes_on_later(web, published, target):
    def interrupt(received, total):
        raise Interrupted(2, "again")

    with pytest.raises(Interrupted):
        fetch(published, target, os.replace, interrupt)
    assert not target.exists()
    fetch(published, target, os.replace)
    assert target.read_bytes() == CONTENT
    assert web.requests[-1][1] > 0


class FullDisk:
    """A file whose n-th write fails."""

    left = 0

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, data):
        FullDisk.left -= 1
        if FullDisk.left < 0:
            self.file.write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(data)


def test_a_full_disk_loses_nothing_whichever_write_fails(published, target, monkeypatch):
    real = pathlib.Path.open

    def opened(path, mode="r", *others, **more):
        file = real(path, mode, *others, **more)
        return FullDisk(file) if mode in ("wb", "ab") and path.suffix != ".lock" else file

    failures = []
    with monkeypatch.context() as patched:
        patched.setattr(pathlib.Path, "open", opened)
        for left in itertools.count():
            FullDisk.left = left
            try:
                fetch(published, target, os.replace)
                break
            except OutputError as error:
                failures.append((error.exit_code, error.expected, error.found, target.exists()))
    assert len(failures) >= 2
    assert set(failures) == {(4, f"to write {target}", os.strerror(errno.ENOSPC).lower(), False)}
    assert target.read_bytes() == CONTENT


def test_a_cache_that_cannot_be_a_folder_is_said_in_words(published, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OutputError, match="to write"):
        fetch(published, tmp_path / "cache" / "weights.bin", os.replace)


CONNECTORS = ("socket", "ssl", "urllib.request", "http.client", "ftplib", "urllib3", "requests", "httpx", "aiohttp")


def test_connections_are_opened_in_one_place_and_to_the_cluster_that_is_named():
    opening = set()
    for path in pathlib.Path(colorgan.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{name}" for name in names)]
            if any(name == known or name.startswith(f"{known}.") for name in names for known in CONNECTORS):
                opening.add(path.name)
    # access.py and answers.py give fsspec the system's certificates, and recognize its errors about them.
    assert opening == {"download.py", "ray_cluster.py", "access.py", "answers.py"}


PROCESS = """
import os, sys
from pathlib import Path
from colorgan.models.download import RemoteFile, fetch
def progress(received, total):
    print(received, total, flush=True)
fetch(RemoteFile("weights of x", tuple(sys.argv[3:]), sys.argv[2], "by hand"), Path(sys.argv[1]), os.replace, progress)
"""


def start_process(published, target):
    arguments = [sys.executable, "-c", PROCESS, str(target), published.sha256, *published.addresses]
    return running(arguments, stdout=subprocess.PIPE)


def serves_when_released(answer, content, start):
    """Send a first part, and the rest when the test releases it."""
    answer.head(200, Content_Length=len(content))
    answer.wfile.write(content[:400_000])
    answer.wfile.flush()
    answer.server.released.wait(DEADLINE_S)
    answer.wfile.write(content[400_000:])


def test_two_processes_share_one_download(web, published, target):
    web.behaviors["/first"] = iter([serves_when_released])
    with start_process(published, target) as first:
        assert first.stdout.readline()  # it has the lock: bytes arrive
        with start_process(published, target) as second:
            assert second.stdout.readline().endswith("None\n")  # it reports that it waits
            assert len(web.requests) == 1
            web.released.set()
            second.stdout.read()
            assert second.wait(DEADLINE_S) == 0
        first.stdout.read()
        assert first.wait(DEADLINE_S) == 0
    assert target.read_bytes() == CONTENT
    assert web.requests == [("/first", 0)]


def test_the_download_of_a_killed_process_is_taken_over(web, published, target):
    web.behaviors["/first"] = iter([serves_when_released])
    with start_process(published, target) as first:
        while int(first.stdout.readline().split()[0]) < 400_000:
            pass
        first.kill()
    assert not target.exists()
    with start_process(published, target) as second:
        second.stdout.read()
        assert second.wait(DEADLINE_S) == 0
    assert target.read_bytes() == CONTENT
    assert web.requests[-1][1] > 0
