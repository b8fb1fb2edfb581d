"""Every message that the page on troubleshooting explains is one that the program prints."""

import re
import sys

import pytest
from pages import CHECKOUT

from colorgan.cli import prepare
from colorgan.cli.app import main

PAGE = (CHECKOUT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^###? `(.*)`$", PAGE, re.MULTILINE)
# What a reader does to meet each message, after `prepare` made a set in `data`.
PROVOKED = {
    "photos to color: none in": "colorize empty",
    "damaged or incomplete": "colorize cut.jpg",
    "not a JPEG, PNG": "colorize page.jpg",
    "weights of eccv16": "colorize grandma.jpg --model eccv16",
    "weights of finetuned: no file": "colorize grandma.jpg --model finetuned",
    "a model:": "colorize grandma.jpg --model compct",
    "a device named": "colorize grandma.jpg --device nope",
    "a set written by colorgan prepare": "finetune --data empty --from compact",
    "a place for the set": "prepare my-photos -o data",
    "photos in": "prepare empty -o other",
    "the run in": "finetune --data data --from compact --run run --loss l1",
    "weights of VGG19": "train --data data --from compact --run new",
}
TINY = "--epochs 1 --size 32 --batch-size 8 --val-photos 2"


def printed(capsys, monkeypatch, line):
    monkeypatch.setattr(sys, "argv", ["colorgan", *line.split()])
    with pytest.raises(SystemExit) as done:
        main()
    return done.value.code, capsys.readouterr().err


def test_the_page_explains_these_messages():
    assert {*PROVOKED, "This is a bug in colorgan"} == set(HEADINGS)


@pytest.mark.parametrize("heading", PROVOKED)
def test_the_message_is_printed(heading, reader, capsys, monkeypatch):
    (reader / "empty").mkdir()
    (reader / "page.jpg").write_text("<html>", encoding="utf-8")
    (reader / "cut.jpg").write_bytes((reader / "grandma.jpg").read_bytes()[:2000])
    if "data" in PROVOKED[heading]:
        assert printed(capsys, monkeypatch, "prepare my-photos -o data --val-fraction 0.25 --min-side 16")[0] == 0
    if "--run run" in PROVOKED[heading]:
        assert printed(capsys, monkeypatch, f"finetune --data data --from compact --run run {TINY}")[0] == 0
    code, words = printed(capsys, monkeypatch, PROVOKED[heading])
    assert code in (2, 3, 4)
    assert heading in words


def test_a_bug_is_called_one(reader, capsys, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("unheard of")

    monkeypatch.setattr(prepare, "PrepareOptions", broken)
    code, words = printed(capsys, monkeypatch, "prepare my-photos -o data")
    assert code == 1
    assert HEADINGS[-1] in words
