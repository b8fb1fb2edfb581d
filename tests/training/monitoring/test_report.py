import json
import os
import re
import shutil
import subprocess
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import DEADLINE_S

from colorgan.training.monitoring.diagnosis import Objective, diagnose
from colorgan.training.monitoring.metrics_log import MetricsLog
from colorgan.training.monitoring.panels import DISCRIMINATOR, GENERATOR
from colorgan.training.monitoring.report import RunStatus, write_report
from colorgan.training.monitoring.sample_sheets import write_sheet
from colorgan.training.run_folder import describe_run

HOSTILE = "\"><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
OBJECTIVE = Objective("bce", 0.9)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TERMS = [
    *("d_loss", "d_real", "d_fake", "d_accuracy_real", "d_accuracy_fake"),
    *("g_loss", "g_adversarial", "g_l1", "g_perceptual", "g_saturation"),
    *("grad_adversarial", "grad_l1", "grad_perceptual"),
]


class Page(HTMLParser):
    """The content of a page as a browser parses it: its elements, and its text without scripts and styles."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._skipping = False
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._skipping = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._skipping = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._skipping else data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def run_folder(folder: Path, epochs: int = 4, saturated: bool = False, **names: str) -> Path:
    """The folder of a made-up adversarial run."""
    model = {"network": "liteunet", "options": {}, "started_from": "small", "trained_on": "x", "licence": "MIT"}
    options = {"lr": 2e-4, "epochs": epochs, "recipe": "report"} | names
    describe_run(folder, "train", options, "0123456789abcdef", "cpu", model | names)
    log = MetricsLog(folder / "metrics.jsonl")
    L, ab = torch.full((2, 1, 16, 16), 60.0), torch.full((2, 2, 16, 16), 30.0)
    for epoch in range(epochs + 1):
        terms = dict.fromkeys(TERMS, 0.163 if saturated else 0.5)
        if saturated:
            terms |= {"d_real": 0.325, "d_fake": 0.001, "d_accuracy_real": 0.999, "d_accuracy_fake": 1.0}
        if epoch:
            log.write("epoch", 10 * epoch, {"epoch": epoch} | terms)
        figures = {"auc": 88.0 + epoch, "auc_rebalanced": 61.0, "cf_hs": 20.0, "cf_hs_truth": 38.0}
        log.write("validation", 10 * epoch, {"epoch": epoch, "elapsed_s": 60.0 * epoch, "photos": 2} | figures)
        write_sheet(folder / "samples" / f"epoch-{epoch:03d}.jpg", epoch, L, ab * epoch / epochs, ab)
    for trouble in diagnose(log.read(), OBJECTIVE):
        log.write("trouble", 10 * trouble.epoch, asdict(trouble))
    return folder


def report(folder: Path, objective: Objective | None = OBJECTIVE, **changes: Any) -> Page:
    status = RunStatus(**({"epoch": 4, "epochs": 4, "best_epoch": 3} | changes))
    write_report(folder, MetricsLog(folder / "metrics.jsonl").read(), status, objective)
    return Page(folder / "report.html")


def test_every_term_of_both_losses_has_a_curve_and_a_sentence(tmp_path: Path) -> None:
    page = report(run_folder(tmp_path / "run"))
    labels = " ".join(svg.get("aria-label") or "" for svg in page.all("svg"))
    panels = [panel for panel in (*DISCRIMINATOR, *GENERATOR) if set(panel.figures) & set(TERMS)]
    assert {name for panel in panels for name in panel.figures} >= set(TERMS)
    for panel in panels:
        assert panel.should.endswith(".")
        assert panel.should in page.text
        assert f"{panel.title}. " in labels


def test_a_relativistic_run_shows_its_pairs_and_penalties_with_the_levels_of_its_loss(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", epochs=2)
    terms = {"d_pairs": 0.4, "d_accuracy": 0.7, "d_r1": 0.1, "d_r2": 0.2, "d_alone": 0.0}
    MetricsLog(folder / "metrics.jsonl").write("epoch", 50, {"epoch": 5} | terms)
    page = report(folder, Objective("relativistic"), epoch=5)
    labels = [svg.get("aria-label") or "" for svg in page.all("svg")]
    assert any(label.startswith("Loss of D on pairs. real beside generated: 0.4") for label in labels)
    for name in ("Accuracy of D on pairs", "Gradient penalties of D", "Share of steps in which D learns alone"):
        assert any(label.startswith(f"{name}. ") for label in labels)
    assert page.text.count("cannot tell") > report(folder, None).text.count("cannot tell")


def test_a_figure_without_a_panel_of_its_own_is_shown_too(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    MetricsLog(folder / "metrics.jsonl").write("epoch", 50, {"epoch": 5, "g_novel": 2.5})
    assert "g novel" in report(folder, epoch=5).text


def test_troubles_stand_with_their_advice_and_a_healthy_run_says_that_there_are_none(tmp_path: Path) -> None:
    assert "None so far" in report(run_folder(tmp_path / "healthy")).text
    text = report(run_folder(tmp_path / "saturated", saturated=True)).text
    assert "Epoch 2: the discriminator is saturated" in text
    assert "<code>recipe=balanced</code>" in text


def test_the_start_the_kept_and_the_last_epoch_stand_side_by_side_with_the_options_and_the_verdict(
    tmp_path: Path,
) -> None:
    text = report(run_folder(tmp_path / "run"), verdict=("It helped.", "D was alive.", "Epoch 3 was kept.")).text
    for words in (
        "start",
        "epoch 3, kept",
        "epoch 4, last",
        "recipe",
        "0123456789ab",
        "It helped.",
        "Epoch 3 was kept.",
    ):
        assert words in text


def test_a_supervised_run_has_the_same_page_without_a_discriminator(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    log = MetricsLog(folder / "metrics.jsonl")
    for epoch in (1, 2):
        log.write("train", 5 * epoch, {"epoch": epoch, "loss": 1.0 / epoch})
        log.write("validation", 5 * epoch, {"epoch": epoch, "photos": 2, "auc": 88.0})
    page = report(folder, None, epoch=2, best_epoch=2)
    assert "Discriminator" not in page.text
    assert [svg.get("aria-label") for svg in page.all("svg") if svg.get("role") == "img"] == [
        "AuC, %. predicted: from 88 to 88, lowest 88, highest 88",
        "Loss. loss: from 1 to 0.5, lowest 0.5, highest 1",
    ]


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    page = report(run_folder(tmp_path / "run"))
    text = (tmp_path / "run" / "report.html").read_text()
    assert re.findall(r"""(?:src|href)=["'](?!data:|#)""", text) == []
    assert "url(" not in text
    assert "default-src 'none'" in str(page.all("meta"))


def test_what_there_is_to_see_is_also_said(tmp_path: Path) -> None:
    page = report(run_folder(tmp_path / "run"))
    assert page.all("html") == [{"lang": "en"}]
    assert all(image.get("alt") for image in page.all("img"))
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in page.all("svg"))
    assert all(control.get("aria-label") for tag in ("button", "input") for control in page.all(tag))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {str(link["href"])[1:] for link in page.all("a")}
    assert targets <= set(ids)


def test_hostile_names_are_text(tmp_path: Path) -> None:
    name = "run" if os.name == "nt" else HOSTILE.replace("/", "|")  # what a file system takes in a name
    folder = run_folder(tmp_path / name, data=HOSTILE, started_from=HOSTILE, network=HOSTILE)
    path = folder / "metrics.jsonl"
    trouble = {"epoch": 4, "name": HOSTILE, "since": 1, "found": HOSTILE, "advice": HOSTILE}
    path.write_text(path.read_text() + json.dumps({"kind": "trouble", "step": 99} | trouble) + "\n")
    MetricsLog(path).write("epoch", 100, {"epoch": 5, HOSTILE: 1.0})
    page = report(folder, ended=HOSTILE, verdict=(HOSTILE,))
    assert len(page.all("script")) == 1
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert page.text.count(HOSTILE) >= 8
    if CHROMIUM:
        assert title_of(folder / "report.html") != "taken"


def dumped(path: Path) -> str:
    """Return the DOM of a page in a browser after its scripts ran."""
    plain = path.parent.parent / "page.html"
    plain.write_bytes(path.read_bytes())
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
        f"--user-data-dir={plain.parent / 'profile'}",
    ]
    done = subprocess.run(
        [str(CHROMIUM), *options, plain.as_uri()], capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    return done.stdout


def title_of(path: Path) -> str:
    match = re.search(r"<title>(.*?)</title>", dumped(path), re.DOTALL)
    assert match
    return match[1]


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_the_samples_can_be_leafed_through_in_a_browser(tmp_path: Path) -> None:
    report(run_folder(tmp_path / "run"))
    page = dumped(tmp_path / "run" / "report.html")
    assert re.search(r'<output id="shown"[^>]*>Epoch: 4</output>', page)
    assert re.search(r'<div class="leafing" id="leafing">', page)
    shown = [tag for tag in re.findall(r"<img[^>]*data-epoch[^>]*>", page) if "hidden" not in tag]
    assert len(shown) == 1
    assert 'data-epoch="4"' in shown[0]
