"""Compare models on the same photos, from inputs to results: each model is loaded once, each photo read once.

Per photo only a few numbers are held in memory; the examples are read and colored again at the end.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import PIL
import torch

from colorgan import __version__
from colorgan.addresses import Paths, path_list, refuse_addresses
from colorgan.callbacks import Callbacks, StopCheck
from colorgan.comparison.answer import answer, notes_on_gray
from colorgan.comparison.crops import failure, open_inputs, read_crops
from colorgan.comparison.evaluate import Accumulator, PhotoLog, batches_of, measure_all, photo_name
from colorgan.comparison.examples import PICTURES, SHEETS, choose, write_example
from colorgan.comparison.models import ComparedModel, device_of, load_models
from colorgan.comparison.options import RESTART_ADVICE, CompareOptions
from colorgan.comparison.perceptual import Perceptual, check_perceptual, notes_on_perceptual
from colorgan.comparison.published import comparable_published_rows
from colorgan.comparison.report.report import HTML_NAME, write_report
from colorgan.comparison.results import GRAY, ORIGINAL, Comparison, Example, PhotoName, Protocol, Row, photo_set
from colorgan.comparison.results_io import CSV_NAME, JSON_NAME, PreviousResults, read_previous, write_results
from colorgan.comparison.summary import differences_of, notes_on_copies, notes_on_photos, notes_on_weights, rows_of
from colorgan.data.filters import Reason
from colorgan.data.sources import Entry
from colorgan.devices import describe_device
from colorgan.errors import OutputError, PhotoError, UsageError
from colorgan.locks import locked_alone
from colorgan.metrics.bootstrap import LEVEL, RESAMPLES
from colorgan.metrics.registry import METRICS_VERSION

_LOCK_FILE = ".colorgan-lock"
_WRITTEN = (JSON_NAME, CSV_NAME, HTML_NAME, PICTURES, SHEETS)


def compare(
    inputs: Paths,
    output: str | os.PathLike[str],
    options: CompareOptions = CompareOptions(),
    *,
    callbacks: Callbacks | None = None,
) -> Comparison:
    """Compare models on photos and write the results.

    Args:
        inputs: photos, folders, .tar and .zip files; or one of them.
        output: folder for `results.json`, `results.csv`, `report.html`, pictures and sheets.
        options: which models, and how.
        callbacks: called with progress and warnings; `should_stop` ends the comparison.

    Returns:
        The content of `results.json`.

    Raises:
        UsageError: an input, a model or earlier results are missing or do not fit; or the folder already holds
            results or files of the same names.
        WeightsError: a model's weights cannot be loaded or downloaded.
        OutputError: the folder cannot be created or written.
        Interrupted: `callbacks.should_stop` asked for it; nothing was written.
    """
    paths = path_list(inputs)
    refuse_addresses([*paths, output], "a comparison")
    folder, callbacks = Path(output), callbacks or Callbacks()
    check = StopCheck(callbacks, RESTART_ADVICE)
    check_folder(folder, options.overwrite)
    with _staging_folder(folder) as staging:
        comparison = _compare(paths, staging, options, check)
        with _converting_errors(folder):
            write_report(staging, comparison)
            write_results(staging, comparison)
    return comparison


def check_folder(folder: Path, overwrite: bool) -> None:
    """Create the output folder, and check that no file in it (dangling links included) would be replaced.

    Raises:
        UsageError: a file would be, without `overwrite`; or the folder is a file.
        OutputError: the folder cannot be created.
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise UsageError("an output folder", f"{folder} is a file", "Name a folder.", parameter="output")
    taken = [name for name in _WRITTEN if os.path.lexists(folder / name)]
    if taken and not overwrite:
        advice = "Name another output folder, or overwrite what is there."
        expected = f"a folder for the results in {folder}"
        raise UsageError(expected, f"it already contains {', '.join(taken)}", advice, parameter="overwrite")
    with _converting_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def _staging_folder(folder: Path) -> Iterator[Path]:
    """Create a staging folder, whose files are moved into `folder` at the end unless an error is raised.

    A lock keeps other comparisons out of the folder meanwhile, since they would replace each other's results.
    """
    with ExitStack() as stack:
        with _converting_errors(folder):
            expected, advice = f"the folder {folder} for this comparison", "Wait for it, or name another output folder."
            stack.enter_context(locked_alone(folder / _LOCK_FILE, expected, "another is using it", advice))
            staging = Path(stack.enter_context(TemporaryDirectory(prefix=".colorgan-", dir=folder)))
        yield staging
        files = [path.relative_to(staging) for path in staging.rglob("*") if os.path.isfile(path)]
        with _converting_errors(folder):
            # `results.json` last: if it exists, everything else does too.
            for path in sorted(files, key=lambda path: (path.name == JSON_NAME, path)):
                (folder / path).parent.mkdir(exist_ok=True)
                (staging / path).replace(folder / path)


@contextmanager
def _converting_errors(folder: Path) -> Iterator[None]:
    """Convert an OSError to an OutputError that names the output folder, even if the staging folder caused it."""
    try:
        yield
    except OSError as error:
        raise OutputError.of(str(folder), error, "name another output folder", parameter="output") from error


def _compare(inputs: Sequence[str], folder: Path, options: CompareOptions, check: StopCheck) -> Comparison:
    """Open the inputs, load the models, and measure; pictures are written into `folder`."""
    sources = open_inputs([Path(path) for path in inputs], check)
    try:
        entries = [entry for source in sources for entry in source.entries]
        if options.perceptual:
            check_perceptual(len(entries))
        previous = [read_previous(path) for path in options.previous]
        if previous:
            _check_previous(previous, entries, options, check)
        models = load_models(options, check)
        return _measured(entries, models, previous, folder, options, check)
    finally:
        for source in sources:
            source.close()


def _measured(
    entries: Sequence[Entry],
    models: Sequence[ComparedModel],
    previous: Sequence[PreviousResults],
    folder: Path,
    options: CompareOptions,
    check: StopCheck,
) -> Comparison:
    names, device = [model.name for model in models], device_of(models)
    with ExitStack() as stack:
        perceptual = None
        if options.perceptual:
            crops = Path(stack.enter_context(TemporaryDirectory(prefix="colorgan-")))
            perceptual = Perceptual([GRAY, ORIGINAL, *names], device, crops)
        accumulator = Accumulator(names, device, perceptual)
        log = measure_all(entries, models, accumulator, options.size, check)
        others = perceptual.metrics() if perceptual else {}
    protocol = _protocol(log.photos, models, options)
    rows = rows_of(accumulator, models, options.seed, others)
    for part in previous:
        rows += list(part.aligned_rows(protocol, log.photos, [row.name for row in rows]))
    examples = _write_examples(folder, log, models, rows, options, check)
    differences = list(differences_of(rows, options.seed))
    return Comparison(
        protocol=protocol,
        photos=log.photos,
        rows=rows,
        differences=differences,
        examples=examples,
        failures=log.failures,
        left_out=dict(Counter(chosen.why for chosen in log.colorless)),
        published=comparable_published_rows((photo.name for photo in log.photos), options.size),
        notes=[
            *notes_on_photos(len(log.photos), log.enlarged),
            *notes_on_copies(log.copies),
            *notes_on_gray(rows, differences),
            *notes_on_weights(rows, log.photos),
            *(notes_on_perceptual(len(log.photos)) if options.perceptual else ()),
        ],
        answer=answer(rows, differences, len(log.photos)),
    )


def _check_previous(
    previous: Sequence[PreviousResults], entries: Sequence[Entry], options: CompareOptions, check: StopCheck
) -> None:
    """Raise a UsageError if earlier results are of other photos or another protocol, before hours are spent."""
    batches = batches_of(read_crops(entries, options.size, check), PhotoLog())
    photos = [photo_name(crop) for batch in batches for crop in batch]
    for part in previous:
        part.check(_protocol(photos, [], options))


def _protocol(photos: Sequence[PhotoName], models: Sequence[ComparedModel], options: CompareOptions) -> Protocol:
    prior = resources.files("colorgan").joinpath("assets/ab_prior.csv").read_bytes()
    return Protocol(
        metrics_version=METRICS_VERSION,
        size_px=options.size,
        resize="Pillow bicubic, antialiased",
        crop="center square of",
        color="colors by each file's profile",
        precision=options.precision,
        photos=len(photos),
        photo_set=photo_set(photos),
        prior=hashlib.sha256(prior).hexdigest(),
        seed=options.seed,
        resamples=RESAMPLES,
        level=LEVEL,
        device=describe_device(device_of(models)) if models else "",
        versions={"colorgan": __version__, "torch": torch.__version__, "Pillow": PIL.__version__},
    )


def _write_examples(
    folder: Path,
    log: PhotoLog,
    models: Sequence[ComparedModel],
    rows: Sequence[Row],
    options: CompareOptions,
    check: StopCheck,
) -> list[Example]:
    measured = [row for row in rows if row.kind == "model"]
    chosen = choose(log.entries, measured, options.examples, options.seed)
    chosen += [each for each in log.colorless if each.why != Reason.COLORIZED.value][: options.examples]
    examples = []
    for position, one in enumerate(chosen, start=1):
        check()
        try:
            with _converting_errors(folder.parent):
                examples.append(write_example(folder, position, one, models, rows))
        except PhotoError as error:
            log.failures.append(failure(one.entry, str(error)))
    return examples
