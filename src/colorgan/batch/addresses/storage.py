"""Photos and results at addresses, such as s3://bucket/photos: listed, read and written through fsspec.

Nothing here keeps an open file or a cache of listings, so that all of it can be called in any process. What a store
says is put into words of our own: its texts and addresses may hold keys and signatures.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import mimetypes
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from colorgan.addresses import is_address, shown_address, split_address
from colorgan.batch.journals.records import FileState
from colorgan.errors import PhotoError, UsageError
from colorgan.images.discovery import (
    has_photo_suffix,
    hints_names,
    is_hints_file,
    is_housekeeping,
    pair_with_hints,
)
from colorgan.stores.access import S3, WEB, file_system, object_name, read_bytes
from colorgan.stores.answers import code_of, explained

_MARK = "made-by-colorgan"  # among an object's metadata, where the store has such
UNKNOWN = FileState(-3, -3)  # of an object that nobody was asked about
_ATTEMPTS = 3  # to read an object whose bytes break off
_AT_ONCE = 16  # small objects that are read together
_PAGE_KEYS = 1000  # of a listing; a store gives no more
# A photo, and the files of hints beside it.
_Found: TypeAlias = tuple[str, FileState, tuple[tuple[str, FileState], ...]]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A photo at an address.

    Attributes:
        key: its path below the folder where it was looked for.
        state: its size and time, and what tells its content.
        hints: the addresses of the files of hints beside it, and the same of each.
    """

    key: str
    state: FileState
    hints: tuple[tuple[str, FileState], ...] = ()


def list_photos(address: str, left_out: Callable[[str], None]) -> Iterator[RemoteFile]:
    """Find the photos below an address, in the store's own order; no more than a page or a folder is held.

    `left_out` is told of each hidden or housekeeping folder, whose photos are not given.

    Raises:
        UsageError: no such place.
        StorageError: the store refuses, or does not answer.
    """
    scheme, path = split_address(address)
    if scheme in WEB:
        raise UsageError(
            "the address of one photo", f"{shown_address(address)}: a web server lists none", "Name a photo."
        )
    root = path.rstrip("/") + "/"
    with explained("to list", address, is_place=True):
        store = file_system(address)
        is_s3 = scheme in S3
        found = pair_with_hints(_s3_objects(store, root, left_out)) if is_s3 else _by_folders(store, root, left_out)
        for path, state, hints in found:
            beside = tuple((f"{scheme}://{name}", of_hints) for name, of_hints in hints)
            yield RemoteFile(path[len(root) :], state, beside)


def _s3_objects(store: Any, root: str, left_out: Callable[[str], None]) -> Iterator[tuple[str, FileState]]:
    """Photos and hints of a bucket, a page of a thousand at a time: s3fs itself would hold all names."""
    from fsspec.asyn import sync

    bucket, _, prefix = root.partition("/")
    sync(store.loop, store.set_session)
    client = sync(store.loop, store.get_s3, bucket)
    paginator = client.get_paginator("list_objects_v2")
    pages = paginator.paginate(Bucket=bucket, Prefix=prefix, MaxKeys=_PAGE_KEYS, **store.req_kw).__aiter__()

    async def next_page() -> dict[str, Any] | None:
        return await anext(pages, None)

    reported: set[str] = set()
    while (page := sync(store.loop, next_page)) is not None:
        for entry in page.get("Contents", ()):
            key = entry["Key"]
            if not _is_wanted(key.rpartition("/")[2]):
                continue
            folder = next((part for part in key[len(prefix) :].split("/")[:-1] if is_housekeeping(part)), None)
            if folder is None:
                yield f"{bucket}/{key}", _state(entry | {"size": entry["Size"]})
            elif (place := key[: key.index(f"{folder}/") + len(folder)]) not in reported:
                reported.add(place)
                left_out(place)


def _is_wanted(name: str) -> bool:
    return has_photo_suffix(name) or is_hints_file(name)


def _by_folders(store: Any, root: str, left_out: Callable[[str], None]) -> Iterator[_Found]:
    waiting = [root.rstrip("/")]
    while waiting:
        folders, files = [], []
        for entry in sorted(store.ls(waiting.pop(), detail=True), key=lambda entry: entry["name"]):
            path = entry["name"].strip("/")
            name = path.rpartition("/")[2]
            if entry["type"] == "directory":
                folders.append(path) if not is_housekeeping(name) else left_out(path)
            elif _is_wanted(name):
                files.append((path, _state(entry)))
        yield from pair_with_hints(files)
        waiting += reversed(folders)


def state_of(address: str) -> FileState:
    """Size, time and what tells the content of one object.

    Raises:
        UsageError: it is not there.
        StorageError: the store refuses, or does not answer.
    """
    with explained("to look at", address, is_place=True):
        return _state(file_system(address).info(object_name(address)))


def hints_of(address: str) -> tuple[tuple[str, FileState], ...]:
    """The files of hints beside one photo that was named itself, and their states; a web server is asked for none.

    Raises:
        StorageError: the store does not answer.
    """
    if split_address(address)[0] in WEB:
        return ()
    found = []
    for name in hints_names(address):
        # A store may forbid to look at what is not there.
        with contextlib.suppress(PhotoError), explained("to look at", name, is_place=False):
            found.append((name, _state(file_system(name).info(object_name(name)))))
    return tuple(found)


def _state(entry: dict[str, Any]) -> FileState:
    time = next((entry[key] for key in ("LastModified", "last_modified", "mtime", "created") if entry.get(key)), 0)
    seconds = time.timestamp() if isinstance(time, datetime) else time if isinstance(time, int | float) else 0
    tag = str(entry.get("ETag") or entry.get("etag") or "").strip('"')
    return FileState(int(entry.get("size") or 0), round(seconds * 1e9), tag.encode())


def is_same(found: FileState, noted: FileState) -> bool:
    """Whether an object is the one that was noted; one that nobody was asked about is taken to be."""
    if UNKNOWN in (found, noted):
        return True
    if found.digest and noted.digest:
        return found.digest == noted.digest
    return found.is_dated_as(noted)


def read_object(address: str, expected: FileState) -> bytes:
    """Read an object whole, which has to be the one that was listed.

    Raises:
        PhotoError: it is gone, may not be read, or was changed since it was listed or while it was read.
        StorageError: the store refuses, or does not answer.
    """
    with explained("to read", address, is_place=False):
        store, name = file_system(address), object_name(address)
        if split_address(address)[0] in S3:
            return _read_of_s3(store, name, expected)
        data: bytes = store.cat_file(name)
        now = _state(store.info(name)) if expected != UNKNOWN else UNKNOWN
        if not is_same(now, expected) or (expected.size_bytes > 0 and len(data) != expected.size_bytes):
            raise _changed()
        return data


def _read_of_s3(store: Any, name: str, expected: FileState) -> bytes:
    """Read an object in one request, which the store refuses where it is not the one that was listed."""
    from fsspec.asyn import sync

    bucket, _, key = name.partition("/")
    only = {"IfMatch": expected.digest.decode()} if expected.digest else {}

    async def read() -> bytes:
        answer = await store._call_s3("get_object", Bucket=bucket, Key=key, **only, **store.req_kw)
        async with answer["Body"] as body:
            data: bytes = await body.read()
            return data

    for attempt in range(_ATTEMPTS):
        try:
            return bytes(sync(store.loop, read))
        except Exception as error:
            if code_of(error) == "PreconditionFailed":
                raise _changed() from None
            if code_of(error) or attempt == _ATTEMPTS - 1:  # else it broke off
                raise
    raise AssertionError


def _changed() -> PhotoError:
    found = "it was changed while it was read; the same command again takes it as it is now"
    return PhotoError("an object that stays as it is", found, "Do the same again.")


def open_photo(source: str, expected: FileState | None) -> Path | io.BytesIO:
    """What a decoder reads: a path as it is, an object as its bytes.

    Raises:
        PhotoError: as for `read_object`.
        StorageError: likewise.
    """
    if not is_address(source):
        return Path(source)
    return io.BytesIO(read_object(source, UNKNOWN if expected is None else expected))


def write_result(target: str, data: bytes, *, overwrite: bool) -> None:
    """Write a file or an object, whole or not at all; `overwrite` is for addresses, as whoever names a path has looked.

    Raises:
        PhotoError: something else stands at the address, or the disk knows no such name.
        OutputError: the place cannot be written.
        StorageError: the store refuses, or does not answer.
    """
    if is_address(target):
        put_object(target, data, overwrite=overwrite)
    else:
        from colorgan.images.encode import write_bytes  # NumPy and Pillow, for which no first word waits

        write_bytes(data, Path(target))


def put_object(address: str, data: bytes, *, overwrite: bool) -> None:
    """Write an object in one piece, whole or not at all; what is not ours is only replaced to `overwrite` it.

    Raises:
        PhotoError: something stands there that was not made by colorgan, or was changed since.
        StorageError: the store refuses, or does not answer.
    """
    scheme, _ = split_address(address)
    with explained("to write", address, is_place=True):
        store, name = file_system(address), object_name(address)
        kind = mimetypes.guess_type(address)[0] or "application/octet-stream"
        facts = {"Metadata": {_MARK: "1"}, "ContentType": kind} if scheme in S3 else {}
        try:
            store.pipe_file(name, data, mode="overwrite" if overwrite else "create", **facts)
        except FileExistsError:
            is_ours, is_same = _standing(store, name, data, has_marks=bool(facts))
            if not is_ours:
                what = "an object that was not made by colorgan, or was changed since"
                found = f"at {shown_address(address)} stands {what}; overwriting replaces it"
                raise PhotoError("a place for a result", found, "Overwrite it.", parameter="overwrite") from None
            if not is_same:
                store.pipe_file(name, data, **facts)


def _standing(store: Any, name: str, data: bytes, *, has_marks: bool) -> tuple[bool, bool]:
    """Whether an object was made by colorgan, and whether it has the bytes that it is to have.

    Where objects bear no marks, one with these bytes alone is known to be colorgan's.
    """
    if has_marks:
        bucket, _, key = name.partition("/")
        answer = store.call_s3("head_object", Bucket=bucket, Key=key)
        tag = hashlib.md5(data, usedforsecurity=False).hexdigest()  # a large object's is made otherwise, and differs
        return _MARK in answer.get("Metadata", {}), answer["ETag"].strip('"') == tag
    is_same = bool(store.info(name)["size"] == len(data) and store.cat_file(name) == data)
    return is_same, is_same


def find_objects(address: str, suffix: str) -> list[str]:
    """The addresses of all objects below one whose names end so; none where there is nothing.

    Raises:
        StorageError: the store refuses, or does not answer.
    """
    scheme, path = split_address(address)
    with explained("to look at", address, is_place=True):
        names = file_system(address).find(path)
    return [f"{scheme}://{name.lstrip('/')}" for name in names if name.endswith(suffix)]


def read_objects(addresses: list[str]) -> Iterator[tuple[str, bytes]]:
    """The addresses and bytes of objects, in their order, some at a time.

    Raises:
        StorageError: the store refuses, or does not answer.
    """
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for start in range(0, len(addresses), _AT_ONCE):
            some = addresses[start : start + _AT_ONCE]
            yield from zip(some, threads.map(read_bytes, some), strict=True)


def is_one_photo(address: str) -> bool:
    """Whether an address is that of one photo, going by its name."""
    return not address.endswith("/") and has_photo_suffix(shown_address(address).rpartition("/")[2])
