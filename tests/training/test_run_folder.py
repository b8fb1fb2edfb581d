import json
from pathlib import Path

import pytest

from colorgan.errors import CheckpointError, UsageError
from colorgan.training.run_folder import describe_run, hold_run, open_run, read_run

MODEL = {"network": "liteunet", "options": {}, "trained_on": "nothing", "licence": "MIT"}
OPTIONS = {"lr": 0.1, "epochs": 3, "loss": "l1"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    assert not open_run(folder, "finetune", OPTIONS, "set-1", overwrite=False)
    describe_run(folder, "finetune", OPTIONS, "set-1", "cpu", MODEL)
    return folder


def test_the_same_run_is_known_again_also_when_it_is_to_go_on_longer(run: Path) -> None:
    assert open_run(run, "finetune", OPTIONS, "set-1", overwrite=False)
    assert open_run(run, "finetune", OPTIONS | {"epochs": 9}, "set-1", overwrite=False)


@pytest.mark.parametrize(
    ("options", "identity", "words"),
    [(OPTIONS | {"lr": 0.2}, "set-1", "lr 0.1 there, 0.2 here"), (OPTIONS, "set-2", "set set-1 there, set-2 here")],
)
def test_another_run_is_refused_with_the_difference(run: Path, options: dict, identity: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_run(run, "finetune", options, identity, overwrite=False)
    assert read_run(run) is not None


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (2, 1, "an address read by 2 processes there, an address read by 1 process here"),
        (1, 0, "an address read by 1 process there, a set on a disk here"),
        (0, 2, "a set on a disk there, an address read by 2 processes here"),
    ],
)
def test_a_run_whose_photos_would_come_in_another_order_is_refused(
    tmp_path: Path, before: int, now: int, words: str
) -> None:
    describe_run(tmp_path, "finetune", OPTIONS, "set-1", "cpu", MODEL, before)
    with pytest.raises(UsageError, match=words):
        open_run(tmp_path, "finetune", OPTIONS, "set-1", overwrite=False, read_by=now)
    assert open_run(tmp_path, "finetune", OPTIONS, "set-1", overwrite=False, read_by=before)


def test_a_run_of_the_other_command_is_refused_as_one(run: Path) -> None:
    with pytest.raises(UsageError, match="one of `colorgan finetune`"):
        open_run(run, "train", OPTIONS | {"d_lr": 0.1}, "set-1", overwrite=False)


def test_overwriting_removes_a_run_and_nothing_that_is_none(run: Path, tmp_path: Path) -> None:
    (run / "metrics.jsonl").write_text("{}\n")
    assert not open_run(run, "finetune", OPTIONS | {"lr": 0.2}, "set-1", overwrite=True)
    assert list(run.iterdir()) == []
    describe_run(run, "finetune", OPTIONS, "set-1", "cpu", MODEL)
    (run / "notes.txt").write_text("mine")
    (run / "weights").mkdir()
    assert not open_run(run, "finetune", OPTIONS | {"lr": 0.2}, "set-1", overwrite=True)
    assert [path.name for path in run.iterdir()] == ["notes.txt"]
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    with pytest.raises(UsageError, match="other files"):
        open_run(tmp_path / "letters", "finetune", OPTIONS, "set-1", overwrite=True)
    assert (tmp_path / "letters" / "dear.txt").exists()


def test_a_folder_is_held_by_one_training_and_stays_so_while_it_is_emptied(run: Path) -> None:
    with hold_run(run, pytest.fail):
        assert not open_run(run, "finetune", OPTIONS | {"lr": 0.2}, "set-1", overwrite=True)
        assert [path.name for path in run.iterdir()] == ["lock"]
        with pytest.raises(UsageError, match="another is using it"), hold_run(run, pytest.fail):
            pytest.fail("two hold it")
        describe_run(run, "finetune", OPTIONS, "set-1", "cpu", MODEL)
    assert [path.name for path in run.iterdir()] == ["run.json"]


def test_a_folder_that_was_held_for_nothing_is_gone_and_a_file_is_no_folder(tmp_path: Path) -> None:
    with hold_run(tmp_path / "runs" / "one", pytest.fail):
        assert (tmp_path / "runs" / "one").is_dir()
    assert not (tmp_path / "runs").exists()
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UsageError, match="it is a file"), hold_run(place, pytest.fail):
            pytest.fail("it was held")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "options": 3}', '{"format": 1, "options": {}, "model": {}}']
)
def test_a_damaged_description_is_an_error_that_names_the_file(run: Path, text: str) -> None:
    (run / "run.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"run\.json"):
        read_run(run)


def test_a_run_says_what_made_it(run: Path) -> None:
    described = json.loads((run / "run.json").read_text())
    assert described["options"] == OPTIONS
    assert set(described["versions"]) == {"colorgan", "torch", "python"}
    assert described["device"] == "cpu"
