"""A run over many photos: which are to do, all of them in order, and what became of each; none ends the others."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from colorgan.addresses import Paths, is_address, path_list
from colorgan.batch.backlog import Backlog, color_all
from colorgan.batch.gallery import Gallery
from colorgan.batch.jobs import Job
from colorgan.batch.journals.journals import Journals
from colorgan.batch.journals.records import file_state
from colorgan.batch.loading import Loading
from colorgan.batch.options import BatchOptions, settings_digest
from colorgan.batch.run_plan import RunPlan, plan_run
from colorgan.batch.shards import Shard
from colorgan.callbacks import Callbacks, PhotoOutcome, PhotoStatus
from colorgan.colorize.options import DEFAULT_MODEL, ColorizeOptions
from colorgan.errors import EXIT_SOME_FAILED, PhotoError
from colorgan.files import sha256_of
from colorgan.images.discovery import stable_hash
from colorgan.ordered_pool import OrderedPool, Pending, Workers

if TYPE_CHECKING:
    from colorgan.batch.album import Album
    from colorgan.batch.ray_backend import RayCrew
    from colorgan.batch.worker import PhotoWorker


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
    plan = plan_run(path_list(inputs), None if output is None else os.fspath(output), options, batch, listed, ray)
    return _Run(plan, options, batch, model, ray, callbacks or Callbacks()).go()


class _Run:
    """One run, and what it holds while it goes on."""

    def __init__(
        self, plan: RunPlan, options: ColorizeOptions, batch: BatchOptions, model: str, ray: str, callbacks: Callbacks
    ) -> None:
        self._plan, self._options, self._batch, self._model = plan, options, batch, model
        self._ray, self._callbacks = ray, callbacks
        self._shard = Shard.resolve(batch.shard)
        self._loading = Loading(model, batch, callbacks, options.like)
        self._check = self._loading.check
        self._jobs = plan.jobs
        self._gallery: Gallery | None = None
        self._album: Album | None = None
        self._crew: RayCrew | None = None

    def go(self) -> Summary:
        """Do it."""
        if self._shard.count > 1:
            self._say_shard()
        self._callbacks.on_start()
        counts: Counter[PhotoStatus] = Counter()
        had_color, read_only = 0, self._batch.dry_run
        with (
            ExitStack() as held,
            Journals(
                self._plan.homes,
                self._callbacks.on_warning,
                beyond=self._plan.is_beside,
                shard=self._shard,
                read_only=read_only,
                check=self._check,
            ) as journals,
        ):
            settings = self._settings()
            if self._plan.album_folder:
                settings = self._share_palette(settings, self._plan.album_folder, held)
            if self._plan.page_folder and not read_only:
                is_album = self._album is not None
                self._gallery = Gallery(self._plan.page_folder, self._options, self._model, settings, is_album)
            todo = Backlog(
                self._jobs, journals, settings, self._options, self._batch, shard=self._shard, gallery=self._gallery
            )
            with closing(self._outcomes(todo)) as outcomes:
                for outcome in outcomes:
                    counts[outcome.status] += 1
                    had_color += outcome.had_color
                    self._callbacks.on_photo(outcome)
            if self._album and not read_only:
                self._album.forget_predictions()
        page = self._gallery.write() if self._gallery else None
        passed_over = self._plan.passed_over
        return Summary(counts, read_only, had_color, passed_over.folders, passed_over.files, page)

    def _say_shard(self) -> None:
        """Say that this process leaves photos out: a variable may be left over, or meant otherwise."""
        part, variable = f"{self._shard.number}/{self._shard.count}", self._shard.variable
        why = f"since the environment has {variable}" if variable else "as asked for"
        self._callbacks.on_log("sharing", f"Shard {part} of the photos alone, {why}.", shard=part, variable=variable)

    def _settings(self) -> bytes:
        """What tells results of this run from those of others."""
        words = [self._loading.digest(fetches=not self._batch.dry_run), self._batch.precision]
        if self._options.like:
            words.append(sha256_of(Path(self._options.like)))
        return settings_digest(self._options, " ".join(words))

    def _share_palette(self, settings: bytes, folder: Path, held: ExitStack) -> bytes:
        """Find the palette of an album, or make it by a first pass; what tells its results from others.

        An album of one photo has no palette to share. No other process is at work on it until `held` ends.
        """
        jobs = list(self._jobs)
        self._jobs = iter(jobs)
        photos = [job for job in jobs if not job.problem]
        if len(photos) < 2:
            return settings
        from colorgan.batch.album import Album

        album = Album(folder, settings)
        if not self._batch.dry_run:
            held.enter_context(album.held())
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
        states = [(job, file_state(job.source)) for job in photos]
        worker = self._worker(PredictionKeeper, album)
        with Workers(worker.threads, worker) as started:
            pool = OrderedPool(started, group=self._group, before=self._loading.wait, check=self._check)
            steps = (Pending(job) for job, state in states if not album.has(job, state))
            for done, _ in enumerate(pool.results(steps), start=1):
                self._callbacks.on_progress(done, len(photos))
        return album.make(states)

    def _outcomes(self, todo: Backlog) -> Generator[PhotoOutcome, None, None]:
        """What became of each photo; in a dry run what would, where `written` stands for what is to do."""
        if self._batch.dry_run:
            return self._look(todo)
        if self._ray:
            return color_all(todo, self._ray_crew(), group=self._group, before=lambda: None, check=self._check)
        from colorgan.batch.worker import PhotoWorker

        crew = nullcontext(self._worker(PhotoWorker, self._album))
        return color_all(todo, crew, group=self._group, before=self._loading.wait, check=self._check)

    def _look(self, todo: Backlog) -> Generator[PhotoOutcome, None, None]:
        for step in todo.steps():
            self._check()
            yield _looked_at(step.task) if isinstance(step, Pending) else step

    def _worker(self, kind: type[PhotoWorker], album: Album | None) -> PhotoWorker:
        from colorgan.batch.worker import THREADS_A_CORE, THREADS_A_CORE_FAR

        return kind(
            self._loading.get,
            self._options,
            self._batch,
            threads_a_core=THREADS_A_CORE_FAR if self._plan.is_remote else THREADS_A_CORE,
            gallery=self._gallery,
            album=album,
        )

    @contextmanager
    def _ray_crew(self) -> Iterator[RayCrew]:
        from colorgan.batch.ray_backend import ray_crew
        from colorgan.models.registry import model_path

        self._callbacks.on_log("loading", f"Starting actors of Ray with {self._model} ...", model=self._model)
        notify, check = self._callbacks.on_warning, self._check
        weights = model_path(self._model)
        with ray_crew(self._ray, self._options, self._batch, weights, notify=notify, check=check) as self._crew:
            words = f"Computing on {self._crew.count} actors of Ray."
            self._callbacks.on_log("computing", words, device="ray")
            yield self._crew

    def _group(self) -> int:
        """How many photos of like shape are worth computing together, as far as is known."""
        if self._batch.batch_size:
            return self._batch.batch_size
        if self._crew:
            return self._crew.group
        return self._loading.get().batch_size if self._loading.is_done else 1


def _looked_at(job: Job) -> PhotoOutcome:
    """What would become of a photo that is to do, as far as can be told without decoding it."""
    if not is_address(job.source):
        from colorgan.images.decode import check_start

        try:
            check_start(Path(job.source))
        except PhotoError as error:
            return job.failed(error)
    return job.outcome(PhotoStatus.written, (job.note,) if job.note else ())
