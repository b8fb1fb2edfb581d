from __future__ import annotations

import io
import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image
from stores import REFUSAL, Behavior, Request, Store, check_whole, empty_bucket, find_from_here, photo_bytes, s3_server

from colorgan.batch.addresses.storage import list_photos
from colorgan.batch.options import BatchOptions
from colorgan.batch.run import Summary, colorize_files
from colorgan.callbacks import Callbacks, PhotoOutcome, PhotoStatus
from colorgan.colorize.options import ColorizeOptions
from colorgan.errors import ColorganError, StorageError, UsageError

pytest.importorskip("s3fs")
NAMES = ("a.png", "x/b.png", "x/c.png")


@dataclass
class Told(Callbacks):
    outcomes: list[PhotoOutcome] = field(default_factory=list)

    def on_photo(self, outcome: PhotoOutcome) -> None:
        self.outcomes.append(outcome)

    @property
    def words(self) -> str:
        return " ".join(word for outcome in self.outcomes for word in outcome.words)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def store(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with empty_bucket(server) as store:
        find_from_here(monkeypatch, store)
        for number, name in enumerate(NAMES):
            store.put(f"photos/{name}", photo_bytes(number))
        yield store


def run(
    model: Path, source: str = "s3://bucket/photos", output: str = "s3://bucket/out", **batch: object
) -> tuple[Summary, Told]:
    told = Told()
    options = batch.pop("options", ColorizeOptions())
    settings = BatchOptions(**{"workers": 2, "device": "cpu"} | batch)
    return colorize_files([source], output, options, batch=settings, model=str(model), callbacks=told), told


def results(store: Store) -> list[str]:
    return [key for key in store.keys("out/") if "manifest" not in key]


def test_a_bucket_is_colored_into_a_bucket_and_nothing_twice(store: Store, tiny_model: Path) -> None:
    store.put("photos/@eaDir/thumb.png", photo_bytes())
    store.put("photos/words.txt", b"words")
    summary, _ = run(tiny_model)
    assert (summary.counts, summary.left_out_folders) == (Counter({PhotoStatus.written: 3}), 1)
    assert results(store) == [f"out/{name}" for name in NAMES]
    for key in results(store):
        check_whole(store.get(key))
    store.requests.clear()
    summary, _ = run(tiny_model)
    assert summary.counts == Counter({PhotoStatus.skipped: 3})
    assert not [path for method, path in store.requests if method == "PUT" or path.endswith(".png")]


def test_each_result_is_one_put_and_each_photo_one_get(store: Store, tiny_model: Path) -> None:
    run(tiny_model)
    asked = Counter((method, path) for method, path in store.requests if path.endswith(".png"))
    expected = [("GET", f"/bucket/photos/{name}") for name in NAMES] + [
        ("PUT", f"/bucket/out/{name}") for name in NAMES
    ]
    assert asked == Counter(expected)


def places(*hints: tuple[int, int, str]) -> bytes:
    rows = [{"x": x, "y": y, "color": color} for x, y, color in hints]
    return json.dumps({"format": "colorgan-hints", "version": 1, "hints": rows}).encode()


def test_hints_beside_photos_of_a_bucket_hold_and_an_edited_one_colors_its_photo_alone(
    store: Store, tiny_model: Path
) -> None:
    summary, _ = run(tiny_model)
    plain = {key: store.get(key) for key in results(store)}
    painted = io.BytesIO()
    Image.new("RGBA", (30, 20), "#3a4a8a").save(painted, "PNG")
    store.put("photos/a.hints.json", places((5, 5, "#8b1a1a")))
    store.put("photos/x/b.hints.png", painted.getvalue())
    store.requests.clear()
    summary, told = run(tiny_model)
    assert summary.counts == Counter({PhotoStatus.written: 2, PhotoStatus.skipped: 1}), told.words
    asked = Counter(path for method, path in store.requests if ".hints." in path and method in ("GET", "HEAD"))
    assert asked == {"/bucket/photos/a.hints.json": 1, "/bucket/photos/x/b.hints.png": 1}
    hinted = {key: store.get(key) for key in results(store)}
    assert [key for key in plain if hinted[key] != plain[key]] == ["out/a.png", "out/x/b.png"]
    assert run(tiny_model)[0].counts == Counter({PhotoStatus.skipped: 3})
    store.put("photos/a.hints.json", places((5, 5, "#1a8b1a")))
    assert run(tiny_model)[0].counts == Counter({PhotoStatus.written: 1, PhotoStatus.skipped: 2})
    assert store.get("out/a.png") != hinted["out/a.png"]
    store.put("photos/x/c.hints.json", places((99, 5, "red")))
    summary, told = run(tiny_model)
    assert summary.counts == Counter({PhotoStatus.failed: 1, PhotoStatus.skipped: 2})
    assert "the hint at 99,5 lies outside of its 30 x 20 pixels" in told.words


def test_no_page_of_a_listing_parts_hints_from_their_photos(
    store: Store, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = ("b.0.png", "b.JPG", "b.avif", "b.hints.json", "b.hints.png", "b.jpg", "c.bmp", "c.hints.png", "c.x.png")
    for name in named:
        store.put(f"pages/{name}", b"x")
    for size in range(1, len(named) + 1):
        monkeypatch.setattr("colorgan.batch.addresses.storage._PAGE_KEYS", size)
        store.requests.clear()
        found = {file.key: [address for address, _ in file.hints] for file in list_photos("s3://bucket/pages", print)}
        assert len([path for _, path in store.requests if "list-type=2" in path]) == -(-len(named) // size)
        both = ["s3://bucket/pages/b.hints.png", "s3://bucket/pages/b.hints.json"]
        assert found == {
            "b.0.png": [],
            "b.JPG": both,
            "b.avif": both,
            "b.jpg": both,
            "c.bmp": ["s3://bucket/pages/c.hints.png"],
            "c.x.png": [],
        }


def test_a_photo_that_is_named_itself_has_its_hints_too(store: Store, tiny_model: Path, tmp_path: Path) -> None:
    source = "s3://bucket/photos/a.png"
    run(tiny_model, source, str(tmp_path / "plain.png"))
    store.put("photos/a.hints.json", places((5, 5, "#8b1a1a")))
    run(tiny_model, source, str(tmp_path / "hinted.png"))
    assert (tmp_path / "plain.png").read_bytes() != (tmp_path / "hinted.png").read_bytes()


def test_hints_on_a_disk_go_into_a_bucket_with_their_photo(store: Store, tiny_model: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "b.png"):
        (photos / name).write_bytes(photo_bytes(1))
    assert run(tiny_model, str(photos))[0].counts == Counter({PhotoStatus.written: 2})
    assert store.get("out/a.png") == store.get("out/b.png")
    (photos / "a.hints.json").write_bytes(places((5, 5, "#8b1a1a")))
    assert run(tiny_model, str(photos))[0].counts == Counter({PhotoStatus.written: 1, PhotoStatus.skipped: 1})
    assert store.get("out/a.png") != store.get("out/b.png")


def test_a_changed_photo_and_changed_settings_are_colored_anew(store: Store, tiny_model: Path) -> None:
    run(tiny_model)
    store.put("photos/a.png", photo_bytes(9))
    assert run(tiny_model)[0].counts == Counter({PhotoStatus.skipped: 2, PhotoStatus.written: 1})
    strong = ColorizeOptions(saturation=2.0)
    assert run(tiny_model, options=strong)[0].counts == Counter({PhotoStatus.written: 3})


def test_shards_of_any_number_know_what_others_did(store: Store, tiny_model: Path) -> None:
    parts = [run(tiny_model, shard=f"{number}/2")[0].counts[PhotoStatus.written] for number in (1, 2)]
    assert sum(parts) == 3
    for shard in ("1/1", "2/3"):
        assert set(run(tiny_model, shard=shard)[0].counts) <= {PhotoStatus.skipped}


def test_results_of_another_kind_keep_the_whole_name_of_their_photo(store: Store, tiny_model: Path) -> None:
    store.put("photos/a.jpg", photo_bytes(file_format="JPEG"))
    options = ColorizeOptions(format="jpg", confidence=True, variants=2)
    run(tiny_model, options=options)
    beside = ("", "-confidence.png", "-variant-2.jpg")
    names = ("a.jpg", *(f"{name}.jpg" for name in NAMES))
    assert results(store) == sorted(f"out/{name}{suffix}" for name in names for suffix in beside)


def test_what_a_user_put_in_a_results_place_stays(store: Store, tiny_model: Path) -> None:
    store.put("out/a.png", b"mine")
    summary, told = run(tiny_model)
    assert summary.counts == Counter({PhotoStatus.written: 2, PhotoStatus.failed: 1})
    assert "s3://bucket/out/a.png is an object that colorgan did not make" in told.words
    assert store.get("out/a.png") == b"mine"
    store.put("out/x/b.png", b"retouched")
    summary, _ = run(tiny_model, options=ColorizeOptions(saturation=2.0))
    assert summary.counts == Counter({PhotoStatus.written: 1, PhotoStatus.failed: 2})
    assert store.get("out/x/b.png") == b"retouched"
    assert run(tiny_model, overwrite=True)[0].counts == Counter({PhotoStatus.written: 3})
    check_whole(store.get("out/a.png"))


def test_from_a_bucket_to_a_folder_and_from_a_folder_to_a_bucket(
    store: Store, tiny_model: Path, tmp_path: Path
) -> None:
    out = f"{tmp_path / 'out'}"
    for status in (PhotoStatus.written, PhotoStatus.skipped):
        assert run(tiny_model, output=out)[0].counts == Counter({status: 3})
    (tmp_path / "out" / "a.png").write_bytes(b"")
    assert run(tiny_model, output=out)[0].counts == Counter({PhotoStatus.skipped: 2, PhotoStatus.written: 1})
    (tmp_path / "gray" / "x").mkdir(parents=True)
    for number, name in enumerate(NAMES):
        (tmp_path / "gray" / name).write_bytes(photo_bytes(number))
    for status in (PhotoStatus.written, PhotoStatus.skipped):
        summary, _ = run(tiny_model, source=f"{tmp_path / 'gray'}", output="s3://bucket/back")
        assert summary.counts == Counter({status: 3})
    assert store.keys("back/x/") == ["back/x/b.png", "back/x/c.png"]
    summary, _ = run(tiny_model, source="s3://bucket/photos/x/b.png", output="s3://bucket/one.jpg")
    assert summary.counts == Counter({PhotoStatus.written: 1})
    assert store.get("one.jpg")[:2] == b"\xff\xd8"


def test_results_below_the_photos_are_no_photos(store: Store, tiny_model: Path) -> None:
    for _ in range(2):
        summary, _ = run(tiny_model, output="s3://bucket/photos/color")
        assert summary.counts.total() == 3
    with pytest.raises(UsageError, match="is an input itself"):
        run(tiny_model, output="s3://bucket/photos/")


# --- what stores answer ---


def refusing(code: str, status: int, method: str = "", part: str = "") -> Behavior:
    def behave(request: Request) -> tuple[int, bytes] | None:
        is_meant = request.method == (method or request.method) and part in request.path
        return (status, REFUSAL.format(code).encode()) if is_meant else None

    return behave


def slow(request: Request) -> None:
    if request.method == "PUT":
        time.sleep(3)


@pytest.mark.parametrize(
    ("behavior", "error", "found"),
    [
        (refusing("NoSuchBucket", 404, part="list-type"), UsageError, "no such bucket"),
        (refusing("AccessDenied", 403, part="list-type"), StorageError, "no permission"),
        (refusing("ExpiredToken", 400), StorageError, "expired"),
        (refusing("ExpiredToken", 400, "GET", ".png"), StorageError, "expired"),
        (refusing("InvalidAccessKeyId", 403), StorageError, "refused"),
        (refusing("AccessDenied", 403, "PUT"), StorageError, "no permission"),
        (refusing("ServiceUnavailable", 503, "PUT"), StorageError, "too busy"),
        (refusing("SlowDown", 503, "GET", ".png"), StorageError, "too busy"),
        (refusing("QuotaExceeded", 403, "PUT"), StorageError, "quota"),
        (slow, StorageError, "does not answer"),
    ],
)
def test_what_ends_a_run_is_one_clear_error_and_nothing_is_half_written(
    store: Store, tiny_model: Path, behavior: Behavior, error: type[ColorganError], found: str
) -> None:
    store.behavior = behavior
    with pytest.raises(error, match=found) as caught:
        run(tiny_model)
    assert caught.value.exit_code == (2 if error is UsageError else 4)
    assert "secret" not in str(caught.value)
    store.behavior = None
    for key in results(store):
        check_whole(store.get(key))
    assert run(tiny_model)[0].counts.total() == 3
    assert results(store) == [f"out/{name}" for name in NAMES]


@pytest.mark.parametrize(
    ("behavior", "found"),
    [
        (refusing("AccessDenied", 403, "GET", "photos/a.png"), "no permission"),
        (refusing("NoSuchKey", 404, "GET", "photos/a.png"), "no such object"),
    ],
)
def test_what_is_wrong_with_one_object_fails_that_photo_alone(
    store: Store, tiny_model: Path, behavior: Behavior, found: str
) -> None:
    store.behavior = behavior
    summary, told = run(tiny_model)
    assert (summary.exit_code, summary.counts) == (3, Counter({PhotoStatus.written: 2, PhotoStatus.failed: 1}))
    assert found in told.words


def test_an_object_that_changes_while_it_is_read_fails_and_is_taken_as_it_is_the_next_time(
    store: Store, tiny_model: Path
) -> None:
    def change(request: Request) -> None:
        if request.method == "GET" and request.path.endswith("photos/a.png"):
            store.put("photos/a.png", photo_bytes(9))

    store.behavior = change
    summary, told = run(tiny_model)
    assert summary.counts == Counter({PhotoStatus.written: 2, PhotoStatus.failed: 1})
    assert "changed while it was read" in told.words
    store.behavior = None
    assert run(tiny_model)[0].counts == Counter({PhotoStatus.written: 1, PhotoStatus.skipped: 2})


def test_a_store_that_is_busy_once_is_asked_again(store: Store, tiny_model: Path) -> None:
    asked = Counter[str]()

    def busy_once(request: Request) -> tuple[int, bytes] | None:
        asked[request.method + request.path] += 1
        return (
            (503, REFUSAL.format("ServiceUnavailable").encode()) if asked[request.method + request.path] == 1 else None
        )

    store.behavior = busy_once
    assert run(tiny_model)[0].counts == Counter({PhotoStatus.written: 3})


# --- addresses ---


def test_without_a_network_an_address_is_refused(
    store: Store, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLORGAN_OFFLINE", "1")
    with pytest.raises(UsageError, match="COLORGAN_OFFLINE"):
        run(tiny_model)
    assert not store.requests


@pytest.mark.parametrize(
    ("source", "output", "found"),
    [
        ("s3://key:word@bucket/photos", "out", "an address without a password"),
        ("nothing://bucket/photos", "out", "a supported kind of address"),
        ("https://example.com/photos/", "out", "web servers do not list files"),
        ("s3://bucket/photos", None, "an output for photos at addresses"),
    ],
)
def test_an_address_that_cannot_be_meant_is_wrong_usage(
    store: Store, tiny_model: Path, source: str, output: str | None, found: str
) -> None:
    with pytest.raises(UsageError, match=found) as caught:
        run(tiny_model, source=source, output=output)
    assert "word@" not in str(caught.value)


def test_what_is_not_installed_is_named(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError

    monkeypatch.setattr("fsspec.filesystem", missing)
    with pytest.raises(UsageError, match=r"colorgan\[cloud\]"):
        run(tiny_model)


def test_a_photo_from_the_web_comes_without_its_signature(tiny_model: Path, tmp_path: Path, web) -> None:
    web.files["/a.png?Signature=secret"] = photo_bytes()
    for status in ("written", "skipped"):
        _, told = run(tiny_model, source=web.address("/a.png?Signature=secret"), output=f"{tmp_path / 'out'}/")
        (outcome,) = told.outcomes
        assert (outcome.status.value, Path(outcome.target).name) == (status, "a.png")
        assert "secret" not in repr(outcome)
    journal = (tmp_path / "out" / ".colorgan-journal.sqlite3").read_bytes()
    assert b"secret" not in journal


def test_a_web_server_that_does_not_answer_is_not_taken_for_one_without_the_photo(tiny_model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(StorageError, match="does not answer"):
        run(tiny_model, source=f"http://127.0.0.1:{port}/a.png", output="memory://out")
