"""Downloading published files: complete and checked, or not at all. The only place in `models` with connections."""

from __future__ import annotations

import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import truststore

from colorgan import __version__
from colorgan.errors import OutputError, WeightsError, reason_of
from colorgan.files import sha256_of
from colorgan.locks import locked_in_turn

Progress = Callable[[int, "int | None"], None]

_CHUNK_BYTES = 1 << 18
_LARGEST_BYTES = 2 << 30  # the largest published file is VGG19 with 0.55 GB: an endless answer fills no disk
_STALL_S = 10.0  # without a byte for this long, the connection counts as lost; a signal waits no longer either
_TRIES, _PAUSE_S = 3, 0.5  # of one address without progress; the pause doubles
_FURTHER_BYTES = 1 << 16  # the least that counts as progress
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Attributes:
        what: its name in errors, such as "weights of eccv16".
        addresses: its addresses, in the order in which they are tried; https, or http on this machine itself.
        sha256: in hex; only its start, if no more is published.
        without_network: advice for a machine that cannot reach the addresses.
    """

    what: str
    addresses: tuple[str, ...]
    sha256: str
    without_network: str


class _PermanentError(Exception):
    """This address cannot give the file."""


class _TransientError(_PermanentError):
    """This address did not give the file this time; another try may succeed."""


class _OutOfRangeError(_TransientError):
    """The server has no bytes beyond those already downloaded."""


def is_offline() -> bool:
    """Whether COLORGAN_OFFLINE forbids any connection."""
    return os.environ.get("COLORGAN_OFFLINE", "") not in ("", "0")


def fetch(
    file: RemoteFile, target: Path, convert: Callable[[Path, Path], object], progress: Progress | None = None
) -> None:
    """Download a published file and convert it to `target`, unless that exists.

    A partial download is kept beside the target, so that the next call resumes it; the target is made only once the
    SHA-256 of the download was checked. Processes that want the same target wait for the one that is fetching it.

    Args:
        file: the file to fetch.
        target: the path of the result.
        convert: makes the target, atomically, out of the downloaded file.
        progress: called with the number of bytes received so far and the total, None if that is unknown; may raise to
            stop the download.

    Raises:
        WeightsError: offline, or no address gives this file.
        OutputError: the target cannot be written.
    """
    if os.path.isfile(target):
        return
    if is_offline():
        found = f"not downloaded yet ({target}), and COLORGAN_OFFLINE forbids it"
        raise WeightsError(file.what, found, file.without_network)
    part = target.with_name(f"{target.name}.{file.sha256[:8]}.part")
    progress = progress or (lambda received, total: None)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked_in_turn(target.with_name(f"{target.name}.lock"), lambda: progress(_size(part), None)):
            if os.path.isfile(target):  # another process fetched it meanwhile
                return
            if not _is_whole(part, file.sha256):
                _download(file, part, progress)
            convert(part, target)
            part.unlink(missing_ok=True)
    except OSError as error:
        elsewhere = "set COLORGAN_CACHE to another folder; the same command then resumes"
        raise OutputError.of(str(target), error, elsewhere) from error


def _download(file: RemoteFile, part: Path, progress: Progress) -> None:
    """Download the whole file to `part`, from the first address that gives it."""
    failures = []
    for address in file.addresses:
        try:
            _download_from(address, file.sha256, part, progress)
            return
        except _PermanentError as failure:
            if _size(part) > _LARGEST_BYTES:
                part.unlink()
            failures.append(f"{urlsplit(address).hostname}: {failure}")
    raise WeightsError(file.what, f"the download failed ({'; '.join(failures)})", file.without_network)


def _download_from(address: str, sha256: str, part: Path, progress: Progress) -> None:
    """Download to `part` from one address, resuming after a lost connection for as long as there is progress."""
    tries = 0
    while True:
        before = _size(part)
        try:
            _receive(address, part, progress)
            _check(part, sha256, resumed=before > 0)
            return
        except _TransientError:
            tries = 1 if _size(part) - before >= _FURTHER_BYTES else tries + 1
            if tries == _TRIES:
                raise
        time.sleep(_PAUSE_S * 2 ** (tries - 1))
        progress(_size(part), None)


def _check(part: Path, sha256: str, resumed: bool) -> None:
    if _is_whole(part, sha256):
        return
    part.unlink()
    # What was resumed may have been of another file, or damaged: once more, from the start.
    raise (_TransientError if resumed else _PermanentError)("its file is not the published one: the SHA-256 differs")


def _receive(address: str, part: Path, progress: Progress) -> None:
    """Append the missing bytes to `part`, or write all of it anew if the server does not support ranges."""
    have = _size(part)
    try:
        answer = _ask(address, have)
    except _OutOfRangeError:
        part.unlink(missing_ok=True)  # longer than the file can be
        raise
    with answer:
        start = _start_of(answer)
        if start not in (0, have):
            part.unlink()
            raise _TransientError("it sent another part of the file than requested")
        length = answer.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        with part.open("ab" if start else "wb") as file:
            for received in _copy(answer, file, start):
                progress(received, total)
        if total is not None and _size(part) < total:
            raise _TransientError(f"the connection ended after {_size(part)} of {total} bytes")


def _copy(answer: http.client.HTTPResponse, file: IO[bytes], start: int) -> Iterator[int]:
    """Write an answer to the file, and yield the number of bytes so far."""
    received = start
    while True:
        with _converting_network_errors():
            chunk = answer.read1(_CHUNK_BYTES)
        if not chunk:
            return
        file.write(chunk)
        received += len(chunk)
        if received > _LARGEST_BYTES:
            raise _PermanentError("it sends more data than any published file has")
        yield received


def _ask(address: str, have: int) -> http.client.HTTPResponse:
    """Request a file from its byte `have` on."""
    _check_address(address)
    request = urllib.request.Request(address, headers={"User-Agent": f"colorgan/{__version__}"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    https = urllib.request.HTTPSHandler(context=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    opener = urllib.request.build_opener(_Redirects, https)
    with _converting_network_errors():
        answer: http.client.HTTPResponse = opener.open(request, timeout=_STALL_S)
    return answer


def _start_of(answer: http.client.HTTPResponse) -> int:
    """Return the position of the first byte in an answer; -1 if it is unknown."""
    if answer.status != HTTPStatus.PARTIAL_CONTENT:
        return 0
    start = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(start) if start.isdecimal() else -1


class _Redirects(urllib.request.HTTPRedirectHandler):
    """A handler that follows redirects to addresses that `_check_address` allows, and never from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        _check_address(newurl)
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise _PermanentError(f"it redirects to {newurl[:80]!r}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(address: str) -> None:
    """Raise _PermanentError for an address whose content could be read or changed on its way."""
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise _PermanentError(f"{address[:80]!r} is not https")


@contextmanager
def _converting_network_errors() -> Iterator[None]:
    """Convert errors of the network, unlike those of the disk, to _PermanentError or _TransientError."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        words = f"HTTP {error.code} {http.client.responses.get(error.code, '')}".rstrip()
        raise _kind_of(error.code)(words) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise _PermanentError(f"its certificate is not trusted here: {error.reason.verify_message}") from error
        raise _TransientError(_reason(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _TransientError(_reason(error)) from error


def _kind_of(status: int) -> type[_PermanentError]:
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return _OutOfRangeError
    return _TransientError if status >= 500 or status in _PASSING else _PermanentError


def _reason(error: BaseException | str) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer for {_STALL_S:g} seconds"
    if isinstance(error, http.client.HTTPException):
        return f"invalid HTTP ({type(error).__name__})"  # its message can be the server's
    return error if isinstance(error, str) else reason_of(error)


def _size(path: Path) -> int:
    return path.stat().st_size if os.path.exists(path) else 0


def _is_whole(path: Path, sha256: str) -> bool:
    return os.path.exists(path) and sha256_of(path).startswith(sha256)
