"""A local S3 server, behind a proxy whose answers tests can change."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image
from processes import DEADLINE_S, running

# The server does not check the signature, but refuses private objects without one.
_SIGNED = "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=a"
REFUSAL = "<?xml version='1.0'?><Error><Code>{}</Code><Message>secret words</Message></Error>"
_READ_PORT = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.disable(logging.CRITICAL)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@dataclass
class Request:
    """A client's request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Behavior = Callable[[Request], tuple[int, bytes] | None]  # None: the answer of the server behind the proxy


@dataclass(eq=False)
class Store:
    """A bucket named `bucket` behind a proxy.

    Attributes:
        address: of the proxy.
        requests: method and path of each request.
        stored: the key of each successful PUT.
        behavior: called for each request; may return an answer in place of the server's.
    """

    address: str
    requests: list[tuple[str, str]] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    behavior: Behavior | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which a process uses the store, with short timeouts."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "key-that-is-secret",
            "AWS_SECRET_ACCESS_KEY": "secret-that-is-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "2",
            "AWS_EC2_METADATA_DISABLED": "true",
            "FSSPEC_S3": '{"config_kwargs": {"read_timeout": 2, "connect_timeout": 2}}',
            "no_proxy": "*",
        }

    def put(self, key: str, data: bytes) -> None:
        self._ask("PUT", key, data)

    def get(self, key: str) -> bytes:
        return self._ask("GET", key)

    def keys(self, prefix: str = "") -> list[str]:
        listing = self._ask("GET", f"?list-type=2&prefix={prefix}").decode()
        return [part.partition("</Key>")[0] for part in listing.split("<Key>")[1:]]

    def _ask(self, method: str, key: str, data: bytes | None = None) -> bytes:
        address = f"{self.behind}/bucket/{key}".rstrip("/")
        headers = {"Content-Type": "application/octet-stream", "Authorization": _SIGNED}
        request = urllib.request.Request(address, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return answer.read()

    behind: str = ""

    def puts(self, prefix: str) -> list[str]:
        """Return the key of each PUT below a prefix, successful or not."""
        start = f"/bucket/{prefix}"
        return [path[len("/bucket/") :] for method, path in self.requests if method == "PUT" and path.startswith(start)]


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        store: Store = self.server.store
        body = self._body()
        request = Request(self.command, self.path, {key.lower(): value for key, value in self.headers.items()}, body)
        store.requests.append((self.command, self.path))
        told = store.behavior(request) if store.behavior else None
        status, headers, data = (told[0], {}, told[1]) if told else self._ask_behind(store.behind, body)
        if self.command == "PUT" and status == 200:
            store.stored.append(self.path.removeprefix("/bucket/"))
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = headers.get("Content-Length", len(data)) if self.command == "HEAD" else len(data)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _ask_behind(self, behind: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {key: value for key, value in self.headers.items() if key.lower() != "transfer-encoding"}
        request = urllib.request.Request(behind + self.path, body or None, headers, method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _answer  # noqa: N815 (the names are the library's)

    def log_message(self, *_: object) -> None:
        pass


class _ProxyServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore errors of connections to clients that a test kills."""


@contextmanager
def s3_server() -> Iterator[str]:
    """Start a server without buckets; yield its address."""
    with running([sys.executable, "-c", _READ_PORT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


@contextmanager
def empty_bucket(behind: str) -> Iterator[Store]:
    """Reset a server, create a bucket, and start a proxy before the server."""
    urllib.request.urlopen(
        urllib.request.Request(f"{behind}/moto-api/reset", method="POST"), timeout=DEADLINE_S
    ).close()
    with _ProxyServer(("127.0.0.1", 0), _Proxy) as server:
        store = Store(f"http://127.0.0.1:{server.server_port}", behind=behind)
        server.store = store
        store.put("", b"")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield store
        finally:
            server.shutdown()
            thread.join()


def find_from_here(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    """Make this process use a store, with short timeouts."""
    import fsspec
    import s3fs

    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("COLORGAN_OFFLINE", raising=False)
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setitem(fsspec.config.conf, "s3", json.loads(store.environment["FSSPEC_S3"]))
    s3fs.S3FileSystem.clear_instance_cache()


def photo_bytes(seed: int = 0, file_format: str = "PNG") -> bytes:
    noise = np.random.default_rng(seed).integers(30, 220, (20, 30), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, file_format)
    return buffer.getvalue()


def check_whole(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
