"""A run over many photos: which are to do, all of them in order, and what became of each; none ends the others."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from colorgan.batch.backlog import Backlog, color_all
from colorgan.batch.gallery import Gallery, check_place
from colorgan.batch.jobs import Job, OutputRules
from colorgan.batch.journals.journals import Journals
from colorgan.batch.journals.records import LocalFiles
from colorgan.batch.loading import Loading
from colorgan.batch.options import BatchOptions, settings_digest
from colorgan.batch.planner import plan_outputs
from colorgan.batch.shards import Shard, check_is_alone
from colorgan.callbacks import Callbacks, PhotoOutcome, PhotoStatus
from colorgan.colorize.options import DEFAULT_MODEL, ColorizeOptions
from colorgan.errors import EXIT_SOME_FAILED, Interrupted, PhotoError, UsageError
from colorgan.files import Paths, is_address, path_list, sha256_of, shown_address
from colorgan.images.discovery import stable_hash
from colorgan.images.formats import PHOTO_SUFFIXES
from colorgan.ordered_pool import OrderedPool, Pending, Workers

if TYPE_CHECKING:
    from colorgan.batch.album import Album
    from colorgan.batch.worker import PhotoWorker
    from colorgan.colorize.colorizer import Colorizer

RESUME_ADVICE = "Every result so far is whole; the same command again goes on with the rest."


@dataclass(frozen=True)
class Summary:
    """What became of the photos of a run.

    Attributes:
        counts: of the photos, by what became of them.
        dry_run: whether nothing was done.
        had_color: how many of those that were written were in color already.
        left_out_folders: hidden and housekeeping folders below the inputs, which were not searched.
        other_files: files in the inputs that are no photos by their names, by suffix.
        page: the page to look at, where one was asked for.
    """

    counts: Mapping[PhotoStatus, int]
    dry_run: bool = False
    had_color: int = 0
    left_out_folders: int = 0
    other_files: Mapping[str, int] = field(default_factory=dict)
    page: Path | None = None

    @property
    def exit_code(self) -> int:
        """What a command ends with."""
        return EXIT_SOME_FAILED if self.counts.get(PhotoStatus.failed) and not self.dry_run else 0


def colorize_files(
    inputs: Paths,
    output: str | os.PathLike[str] | None = None,
    options: ColorizeOptions = ColorizeOptions(),
    *,
    batch: BatchOptions = BatchOptions(),
    model: str = DEFAULT_MODEL,
    listed: Iterable[str] | None = None,
    ray: str = "",
    callbacks: Callbacks | None = None,
) -> Summary:
    """Color photos and folders of photos, as `colorgan colorize` does.

    The same call again does what is left, and nothing twice: a journal in the output folder says what was made of
    which photo with which settings.

    Args:
        inputs: photos, and folders of photos, or one of them; paths, or with the extra `cloud` addresses such as s3://bucket/photos.
        output: a folder, which mirrors the inputs' own; a file, where the input is one photo; or None for
            NAME-color.EXT beside each photo. A name that ends in a slash is a folder's. Also an address.
        options: of the photos.
        batch: of the run.
        model: the name or path of the weights.
        listed: paths of further photos, as many as there are, each asked for when its turn comes.
        ray: color with the actors of a Ray cluster (the extra `ray`): at an address, or with `auto` that of
            RAY_ADDRESS, one that runs here, or a new one for this call. Empty colors in this process.
        callbacks: are told what goes on, and say when to stop.

    Returns:
        What became of the photos; those that failed are counted, and told of by `callbacks.on_photo`.

    Raises:
        UsageError: no photos, a missing input, an output that cannot be meant, or a value out of its range.
        WeightsError: the model is missing or damaged.
        DeviceError: no such device.
        OutputError: the place for the results cannot be written.
        StorageError: a store of objects refuses, or does not answer.
        Interrupted: `callbacks.should_stop` said so; what was under way is finished.
    """
    check_is_alone()
    for name, is_wanted in (("page", batch.page), ("album", batch.album)):
        if ray and is_wanted:
            advice = "Leave one of the two out."
            raise UsageError(f"`{name}` without a Ray cluster", "one is named", advice, parameter="ray")
    if options.like and not Path(options.like).is_file():
        raise UsageError("a reference in color", f"no file {options.like}", "Check the name.", parameter="like")
    names = path_list(inputs)
    text = None if output is None else os.fspath(output)
    passed_over = _PassedOver()
    plan = _plan(names, text, options, batch, listed, passed_over)
    run = _Run(_at_least_one(plan.jobs, names), plan, options, batch, model, ray, callbacks or Callbacks())
    return replace(run.go(), left_out_folders=passed_over.folders, other_files=passed_over.files)


@dataclass
class _PassedOver:
    """What a search met and left: how many hidden and housekeeping folders, and files that are no photos by suffix."""

    folders: int = 0
    files: Counter[str] = field(default_factory=Counter)

    def folder(self, path: str) -> None:
        self.folders += 1

    def file(self, suffix: str) -> None:
        self.files[suffix] += 1


@dataclass(frozen=True)
class _Plan:
    """The photos of a run, and where it is noted what becomes of them.

    Attributes:
        jobs: photos and places; found while they are asked for.
        homes: folders that get a journal.
        inputs: as they were given.
        is_beside: whether results stand beside their photos.
        page_folder: where a page is to be; None without one.
        album_folder: where the palette of an album is to be; None without one.
    """

    jobs: Iterator[Job]
    homes: Sequence[str | Path]
    inputs: Sequence[str]
    is_beside: bool = False
    page_folder: Path | None = None
    album_folder: Path | None = None


def _plan(
    inputs: Sequence[str],
    output: str | None,
    options: ColorizeOptions,
    batch: BatchOptions,
    listed: Iterable[str] | None,
    passed_over: _PassedOver,
) -> _Plan:
    if listed is not None:
        rest = iter(listed)
        first = list(itertools.islice(rest, 1))
        listed = itertools.chain(first, rest)
    else:
        first = []
    if any(is_address(each) for each in (*inputs, *first, *filter(None, [output]))):
        unknown = {
            "all_pages": batch.all_pages,
            "page": batch.page,
            "album": batch.album,
            "hints": options.has_hints,
        }
        for name, is_wanted in unknown.items():
            if is_wanted:
                advice = "Leave it out, or name folders."
                raise UsageError("photos and results on disks for this", "an address", advice, parameter=name)
        from colorgan.batch.address_planner import home_of, plan_addresses

        jobs = plan_addresses(inputs, output, options.suffix, listed, passed_over.folder)
        return _Plan(jobs, [home_of(inputs, output or "", listed)], inputs)
    rules = OutputRules(
        None if output is None else Path(output),
        names_folder=output is not None and output.endswith(("/", os.sep)),
        suffix=options.suffix,
        sidecar_suffixes=options.sidecar_suffixes,
        pages=_count_pages if batch.all_pages else None,
        hints=options.hints_files if options.has_hints else None,
    )
    if batch.album:
        _check_album(rules, batch)
    if batch.page:
        check_place(rules.output, rules.is_for_one_file and listed is None, batch.overwrite)
    paths = [Path(path) for path in inputs]
    if options.has_hints:
        _check_hints(paths, listed)
    jobs = plan_outputs(paths, rules, () if listed is None else listed, passed_over.folder, passed_over.file)
    page_folder = rules.output if batch.page else None
    album_folder = rules.output if batch.album else None
    homes = _journal_homes(paths, rules, listed)
    return _Plan(jobs, homes, inputs, rules.output is None, page_folder, album_folder)


def _check_album(rules: OutputRules, batch: BatchOptions) -> None:
    """Refuse an album of which a process does a part, or that has no folder of its own."""
    if Shard.resolve(batch.shard).count > 1:
        advice = "Color it in one process; the others could not know its palette."
        raise UsageError("an album in one process", "a shard of it", advice, parameter="shard")
    if rules.output is None or rules.is_for_one_file:
        found = "one photo's file" if rules.output else "results beside their photos"
        raise UsageError("an output folder for an album", found, "Name a folder as `output`.", parameter="album")


def _looked_at(job: Job) -> PhotoOutcome:
    """What would become of a photo that is to do, as far as can be told without decoding it."""
    if not is_address(job.source):
        from colorgan.images.decode import check_start

        try:
            check_start(Path(job.source))
        except PhotoError as error:
            return job.failed(error)
    return job.outcome(PhotoStatus.written, (job.note,) if job.note else ())


def _check_hints(inputs: Sequence[Path], listed: Iterable[str] | None) -> None:
    """Refuse hints for several photos, since the places of one are not those of another."""
    if listed is not None or len(inputs) != 1 or inputs[0].is_dir():
        advice = "Put NAME.hints.png or NAME.hints.json beside each photo NAME; they are taken from there."
        raise UsageError("one photo for hints", "several photos or a folder", advice, parameter="hints")


def _count_pages(path: str) -> int:
    from colorgan.images.decode import count_pages

    return count_pages(Path(path))


def _at_least_one(jobs: Iterator[Job], inputs: Sequence[str]) -> Iterator[Job]:
    """The photos, of which there is at least one."""
    first = next(jobs, None)
    if first is None:
        named = ", ".join(os.fsencode(shown_address(path)).decode(errors="replace") for path in inputs[:3])
        found = f"none in {named or 'the list'}" + (f" and {len(inputs) - 3} more" if len(inputs) > 3 else "")
        advice = f"Photos are told by their suffix: {' '.join(PHOTO_SUFFIXES)}."
        raise UsageError("photos to color", found, advice, parameter="inputs")
    return itertools.chain([first], jobs)


def _journal_homes(inputs: Sequence[Path], rules: OutputRules, listed: Iterable[str] | None) -> list[Path]:
    """The folders that get a journal."""
    if rules.output is not None:
        return [rules.output.parent if rules.is_for_one_file and listed is None else rules.output]
    return [path if path.is_dir() else path.parent for path in inputs]


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Run:
    """One run, and what it holds while it goes on."""

    def __init__(
        self,
        jobs: Iterator[Job],
        plan: _Plan,
        options: ColorizeOptions,
        batch: BatchOptions,
        model: str,
        ray: str,
        callbacks: Callbacks,
    ) -> None:
        self._jobs, self._homes, self._is_beside = jobs, plan.homes, plan.is_beside
        self._page_folder, self._album_folder = plan.page_folder, plan.album_folder
        self._options, self._batch, self._model, self._callbacks = options, batch, model, callbacks
        self._ray = ray
        self._shard = Shard.resolve(batch.shard)
        self._is_far = any(is_address(str(place)) for place in (*plan.homes, *plan.inputs))
        self._workers = batch.workers or available_cores()
        self._loading = Loading(self._load)
        self._counts: Counter[PhotoStatus] = Counter()
        self._had_color = 0
        self._gallery: Gallery | None = None
        self._album: Album | None = None

    def go(self) -> Summary:
        """Do it."""
        if self._shard.count > 1:
            self._say_shard()
        self._callbacks.on_start()
        read_only = self._batch.dry_run
        with Journals(
            self._homes,
            self._callbacks.on_warning,
            beyond=self._is_beside,
            shard=self._shard,
            read_only=read_only,
            check=self._check,
        ) as journals:
            settings = self._settings()
            if self._album_folder:
                settings = self._share_palette(settings, self._album_folder)
            if self._page_folder and not read_only:
                self._gallery = Gallery(
                    self._page_folder, self._options, self._model, settings, self._album is not None
                )
            todo = Backlog(
                self._jobs,
                journals,
                settings,
                sidecar_suffixes=self._options.sidecar_suffixes,
                overwrite=self._batch.overwrite,
                skip_color=self._batch.skip_color,
                shard=self._shard,
                read_only=read_only,
                gallery=self._gallery,
            )
            with closing(self._steps(todo)) as outcomes:
                for outcome in outcomes:
                    self._counts[outcome.status] += 1
                    self._had_color += outcome.had_color
                    self._callbacks.on_photo(outcome)
        if self._album:
            self._album.forget_predictions()
        page = self._gallery.write() if self._gallery else None
        return Summary(self._counts, self._batch.dry_run, self._had_color, page=page)

    def _settings(self) -> bytes:
        """What tells results of this run from those of others."""
        words = [self._model_digest(), self._batch.precision]
        if self._options.like:
            words.append(sha256_of(Path(self._options.like)))
        return settings_digest(self._options, " ".join(words))

    def _share_palette(self, settings: bytes, folder: Path) -> bytes:
        """Find the palette of an album, or make it by a first pass; what tells its results from others.

        An album of one photo has no palette to share.
        """
        jobs = list(self._jobs)
        self._jobs = iter(jobs)
        photos = [job for job in jobs if not job.problem]
        if len(photos) < 2:
            return settings
        from colorgan.batch.album import Album

        album = Album(folder, settings)
        if not self._batch.overwrite and album.open():
            later = [job for job in photos if stable_hash(job.identity) not in album.numbers]
            if later:
                self._callbacks.on_warning(
                    f"Photos that came after the album's palette was made, and take it as it is: {len(later)}. "
                    "Overwriting colors all of the album anew."
                )
        elif self._batch.dry_run or not self._first_pass(album, photos):
            return settings
        self._album = album
        return hashlib.blake2b(settings + album.digest, digest_size=16).digest()

    def _first_pass(self, album: Album, photos: Sequence[Job]) -> bool:
        """Run the network on all photos, and tell whether a palette could be made of what it says."""
        from colorgan.batch.worker import PredictionKeeper

        self._callbacks.on_log("looking", f"Looking at {len(photos)} photos for one palette ...")
        states = [(job, LocalFiles().state(job.source)) for job in photos]
        worker = self._worker(PredictionKeeper, album)
        with Workers(worker.threads, worker) as started:
            pool = OrderedPool(started, group=self._group, before=self._load_model, check=self._check)
            steps = (Pending(job) for job, state in states if not album.has(job, state))
            for done, _ in enumerate(pool.results(steps), start=1):
                self._callbacks.on_progress(done, len(photos))
        return album.make(states)

    def _say_shard(self) -> None:
        """Say that this process leaves photos out: a variable may be left over, or meant otherwise."""
        part, variable = f"{self._shard.number}/{self._shard.count}", self._shard.variable
        why = f"since the environment has {variable}" if variable else "as asked for"
        self._callbacks.on_log("sharing", f"Shard {part} of the photos alone, {why}.", shard=part, variable=variable)

    def _check(self) -> None:
        number = self._callbacks.should_stop()
        if number is not None:
            raise Interrupted(number, RESUME_ADVICE, leaves_thread=self._loading.is_under_way)

    def _steps(self, todo: Backlog) -> Generator[PhotoOutcome, None, None]:
        if self._batch.dry_run:
            return self._plan(todo)
        return self._color_on_ray(todo) if self._ray else self._color(todo)

    def _plan(self, todo: Backlog) -> Generator[PhotoOutcome, None, None]:
        """What would be done: `written` stands for what is to do."""
        for step in todo.steps():
            self._check()
            if isinstance(step, Pending):
                yield _looked_at(step.task)
            else:
                yield step

    def _color(self, todo: Backlog) -> Generator[PhotoOutcome, None, None]:
        from colorgan.batch.worker import PhotoWorker

        crew = nullcontext(self._worker(PhotoWorker, self._album))
        return color_all(todo, crew, group=self._group, before=self._load_model, check=self._check)

    def _worker(self, kind: type[PhotoWorker], album: Album | None) -> PhotoWorker:
        from colorgan.batch.worker import THREADS_A_CORE, THREADS_A_CORE_FAR, PixelBudget

        return kind(
            self._loading.get,
            self._options,
            all_pages=self._batch.all_pages,
            skip_color=self._batch.skip_color,
            cores=self._workers,
            threads_a_core=THREADS_A_CORE_FAR if self._is_far else THREADS_A_CORE,
            budget=PixelBudget(),
            gallery=self._gallery,
            with_confidence=self._batch.page,
            album=album,
        )

    def _color_on_ray(self, todo: Backlog) -> Generator[PhotoOutcome, None, None]:
        from colorgan.batch.ray_backend import ActorSetup, RayCrew, ray_crew
        from colorgan.models.registry import weights_file

        batch = self._batch
        crew: list[RayCrew] = []

        @contextmanager
        def started() -> Iterator[RayCrew]:
            self._callbacks.on_log("loading", f"Starting actors of Ray with {self._model} ...", model=self._model)
            with weights_file(self._model) as weights:

                def make_setup(device: str, cores: int) -> ActorSetup:
                    return ActorSetup(
                        self._options, batch.all_pages, batch.skip_color, weights.name, batch.precision, device, cores
                    )

                with ray_crew(
                    self._ray,
                    make_setup,
                    weights,
                    workers=batch.workers,
                    device=batch.device,
                    notify=self._callbacks.on_warning,
                    check=self._check,
                ) as colorists:
                    crew.append(colorists)
                    text = f"Computing on {colorists.count} actors of Ray."
                    self._callbacks.on_log("computing", text, device="ray")
                    yield colorists

        return color_all(
            todo, started(), group=lambda: batch.batch_size or crew[0].group, before=lambda: None, check=self._check
        )

    def _group(self) -> int:
        if self._batch.batch_size:
            return self._batch.batch_size
        return self._loading.get().batch_size if self._loading.is_done else 1

    def _model_digest(self) -> str:
        """A digest of the weights; empty where they are not here, and nothing is to be fetched."""
        from colorgan.models.registry import model_digest

        digest = model_digest(self._model)
        if not digest and not self._batch.dry_run:
            self._load_model()
            digest = model_digest(self._model)
        return digest

    def _load_model(self) -> None:
        """Load the model, unless that was done, and say so."""
        if self._loading.is_done:
            return
        self._callbacks.on_log("loading", f"Loading {self._model} ...", model=self._model)
        colorizer = self._loading.wait(self._check)
        from colorgan.devices import describe_device

        device = str(colorizer.device)
        threads = f"{self._workers} thread{'s' * (self._workers > 1)}"
        where = f"cpu ({threads})" if device == "cpu" else describe_device(colorizer.device)
        self._callbacks.on_log("computing", f"Computing on {where}.", device=device)
        if self._options.like:
            colorizer.palette_of(self._options.like)  # a wrong reference is refused before any photo is read

    def _load(self) -> Colorizer:
        from colorgan.colorize.colorizer import Colorizer

        return Colorizer.load(
            self._model,
            device=self._batch.device,
            precision=self._batch.precision,
            notify=self._callbacks.on_warning,
            progress=self._downloaded,
        )

    def _downloaded(self, received_bytes: int, total_bytes: int | None) -> None:
        self._callbacks.on_download(self._model, received_bytes, total_bytes)
        self._check()
