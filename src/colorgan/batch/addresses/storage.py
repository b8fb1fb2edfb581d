"""Photos and results at addresses, such as s3://bucket/photos: listed, read and written through fsspec.

Nothing here keeps an open file or a cache of listings, so that all of it can be called in any process. A store's errors
are raised with our own messages: its texts and addresses may hold keys and signatures.
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
from colorgan.stores.answers import code_of, converting_store_errors

_MARK = "made-by-colorgan"  # key in an object's metadata, if the store has metadata
UNKNOWN = FileState(-3, -3)  # of an object that was not looked up
_ATTEMPTS = 3  # to read an object if the connection breaks off
_AT_ONCE = 16  # small objects that are read in parallel
_PAGE_KEYS = 1000  # of a listing: the most that a store returns
# A photo's path and state, and those of its hint files.
_Found: TypeAlias = tuple[str, FileState, tuple[tuple[str, FileState], ...]]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A photo at an address.

    Attributes:
        key: its path below the folder that is listed.
        state: its size, modification time and ETag.
        hints: addresses and states of the hint files beside it.
    """

    key: str
    state: FileState
    hints: tuple[tuple[str, FileState], ...] = ()


def list_photos(address: str, left_out: Callable[[str], None]) -> Iterator[RemoteFile]:
    """Yield the photos below an address, in the store's own order, holding at most a page or a folder in memory.

    `left_out` is called with each hidden or housekeeping folder, whose photos are skipped.

    Raises:
        UsageError: there is no such bucket or folder, or the address is a web server's.
        StorageError: the store denies access or does not answer.
    """
    scheme, path = split_address(address)
    if scheme in WEB:
        raise UsageError(
            "the address of one photo", f"{shown_address(address)}: web servers do not list files", "Name a photo."
        )
    root = path.rstrip("/") + "/"
    with converting_store_errors("to list", address, is_place=True):
        store = file_system(address)
        is_s3 = scheme in S3
        found = pair_with_hints(_s3_objects(store, root, left_out)) if is_s3 else _by_folders(store, root, left_out)
        for path, state, hints in found:
            beside = tuple((f"{scheme}://{name}", of_hints) for name, of_hints in hints)
            yield RemoteFile(path[len(root) :], state, beside)


def _s3_objects(store: Any, root: str, left_out: Callable[[str], None]) -> Iterator[tuple[str, FileState]]:
    """Yield the photos and hint files of a bucket, a page of a thousand at a time: s3fs itself would hold all names."""
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
    """Return the size, modification time and ETag of one object.

    Raises:
        UsageError: it does not exist.
        StorageError: the store denies access or does not answer.
    """
    with converting_store_errors("to look at", address, is_place=True):
        return _state(file_system(address).info(object_name(address)))


def hints_of(address: str) -> tuple[tuple[str, FileState], ...]:
    """Return the addresses and states of the hint files beside one photo; a web server is not asked for any.

    Raises:
        StorageError: the store does not answer.
    """
    if split_address(address)[0] in WEB:
        return ()
    found = []
    for name in hints_names(address):
        # Some stores answer "forbidden" for an object that does not exist.
        with contextlib.suppress(PhotoError), converting_store_errors("to look at", name, is_place=False):
            found.append((name, _state(file_system(name).info(object_name(name)))))
    return tuple(found)


def _state(entry: dict[str, Any]) -> FileState:
    time = next((entry[key] for key in ("LastModified", "last_modified", "mtime", "created") if entry.get(key)), 0)
    seconds = time.timestamp() if isinstance(time, datetime) else time if isinstance(time, int | float) else 0
    tag = str(entry.get("ETag") or entry.get("etag") or "").strip('"')
    return FileState(int(entry.get("size") or 0), round(seconds * 1e9), tag.encode())


def is_same(found: FileState, recorded: FileState) -> bool:
    """Whether an object is unchanged since it was recorded, by ETag or by size and time; true if one is `UNKNOWN`."""
    if UNKNOWN in (found, recorded):
        return True
    if found.digest and recorded.digest:
        return found.digest == recorded.digest
    return found.is_dated_as(recorded)


def read_object(address: str, expected: FileState) -> bytes:
    """Read a whole object, which has to be the one that was listed.

    Raises:
        PhotoError: it is gone, may not be read, or was changed since it was listed or while it was read.
        StorageError: the store denies access or does not answer.
    """
    with converting_store_errors("to read", address, is_place=False):
        store, name = file_system(address), object_name(address)
        if split_address(address)[0] in S3:
            return _read_of_s3(store, name, expected)
        data: bytes = store.cat_file(name)
        now = _state(store.info(name)) if expected != UNKNOWN else UNKNOWN
        if not is_same(now, expected) or (expected.size_bytes > 0 and len(data) != expected.size_bytes):
            raise _changed_error()
        return data


def _read_of_s3(store: Any, name: str, expected: FileState) -> bytes:
    """Read an object in one request, conditional on its ETag: the store refuses it if it has changed."""
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
                raise _changed_error() from None
            if code_of(error) or attempt == _ATTEMPTS - 1:  # an error without a code is a broken connection
                raise
    raise AssertionError


def _changed_error() -> PhotoError:
    found = "it changed while it was read; run the same command again to use the new version"
    return PhotoError("an unchanged object", found, "Run the same command again.")


def open_photo(source: str, expected: FileState | None) -> Path | io.BytesIO:
    """Return a photo as a decoder reads it: a file's path, or an object's bytes.

    Raises:
        PhotoError: as for `read_object`.
        StorageError: as for `read_object`.
    """
    if not is_address(source):
        return Path(source)
    return io.BytesIO(read_object(source, UNKNOWN if expected is None else expected))


def write_result(target: str, data: bytes, *, overwrite: bool) -> None:
    """Write a file or an object, whole or not at all; `overwrite` concerns addresses alone, a file is always replaced.

    Raises:
        PhotoError: a foreign object exists at the address, or the disk does not allow the file name.
        OutputError: the file cannot be written.
        StorageError: the store denies access or does not answer.
    """
    if is_address(target):
        put_object(target, data, overwrite=overwrite)
    else:
        from colorgan.images.encode import write_bytes  # imports NumPy and Pillow, which must not delay the start

        write_bytes(data, Path(target))


def put_object(address: str, data: bytes, *, overwrite: bool) -> None:
    """Write an object, whole or not at all; an object that colorgan did not make is only replaced with `overwrite`.

    Raises:
        PhotoError: an object exists there that was not made by colorgan, or was changed since.
        StorageError: the store denies access or does not answer.
    """
    scheme, _ = split_address(address)
    with converting_store_errors("to write", address, is_place=True):
        store, name = file_system(address), object_name(address)
        kind = mimetypes.guess_type(address)[0] or "application/octet-stream"
        facts = {"Metadata": {_MARK: "1"}, "ContentType": kind} if scheme in S3 else {}
        try:
            store.pipe_file(name, data, mode="overwrite" if overwrite else "create", **facts)
        except FileExistsError:
            is_ours, is_same = _inspect_existing(store, name, data, has_marks=bool(facts))
            if not is_ours:
                what = "an object that colorgan did not make, or that was changed since"
                found = f"{shown_address(address)} is {what}; overwriting replaces it"
                raise PhotoError("a place for a result", found, "Overwrite it.", parameter="overwrite") from None
            if not is_same:
                store.pipe_file(name, data, **facts)


def _inspect_existing(store: Any, name: str, data: bytes, *, has_marks: bool) -> tuple[bool, bool]:
    """Return whether an existing object was made by colorgan, and whether its content is `data`.

    If the store has no metadata for the mark, only an object with this content counts as colorgan's.
    """
    if has_marks:
        bucket, _, key = name.partition("/")
        answer = store.call_s3("head_object", Bucket=bucket, Key=key)
        tag = hashlib.md5(data, usedforsecurity=False).hexdigest()  # never equal for a multipart upload
        return _MARK in answer.get("Metadata", {}), answer["ETag"].strip('"') == tag
    is_same = bool(store.info(name)["size"] == len(data) and store.cat_file(name) == data)
    return is_same, is_same


def find_objects(address: str, suffix: str) -> list[str]:
    """Return the addresses of all objects below an address whose names end in `suffix`.

    Raises:
        StorageError: the store denies access or does not answer.
    """
    scheme, path = split_address(address)
    with converting_store_errors("to look at", address, is_place=True):
        names = file_system(address).find(path)
    return [f"{scheme}://{name.lstrip('/')}" for name in names if name.endswith(suffix)]


def read_objects(addresses: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the addresses and bytes of objects, in their order, read in parallel.

    Raises:
        StorageError: the store denies access or does not answer.
    """
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for start in range(0, len(addresses), _AT_ONCE):
            some = addresses[start : start + _AT_ONCE]
            yield from zip(some, threads.map(read_bytes, some), strict=True)


def is_one_photo(address: str) -> bool:
    """Whether an address is that of one photo, judged by its name."""
    return not address.endswith("/") and has_photo_suffix(shown_address(address).rpartition("/")[2])
