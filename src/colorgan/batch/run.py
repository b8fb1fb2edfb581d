"""A run over many photos, with the outcome of each in input order; one photo's failure does not end the run."""

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
    """Counts and results of a run.

    Attributes:
        counts: number of photos by status.
        dry_run: whether this was a dry run, which writes nothing.
        had_color: how many of the written photos were in color already.
        left_out_folders: number of hidden and housekeeping folders below the inputs, which were not searched.
        other_files: number of files in the input folders that are not photos by their names, by suffix.
        page: path of the written `index.html`, if one was asked for.
    """

    counts: Mapping[PhotoStatus, int]
    dry_run: bool = False
    had_color: int = 0
    left_out_folders: int = 0
    other_files: Mapping[str, int] = field(default_factory=dict)
    page: Path | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of the command: nonzero if a photo failed and this was no dry run."""
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

    The same call again does what is left, and nothing twice: a journal in the output folder records which result was
    made of which photo with which settings.

    Args:
        inputs: photos, and folders of photos, or one of them; paths, or with the extra `cloud` addresses such as s3://bucket/photos.
        output: a folder, which mirrors the tree of the inputs; a file, if the input is one photo; or None for
            NAME-color.EXT beside each photo. A name that ends in a slash is a folder's. Also an address.
        options: how each photo is read, colored and written.
        batch: how the run goes.
        model: the name or path of the weights.
        listed: paths of further photos, consumed lazily.
        ray: color with the actors of a Ray cluster (the extra `ray`): at an address, or with `auto` that of
            RAY_ADDRESS, one that runs here, or a new one for this call. Empty colors in this process.
        callbacks: receive progress and outcomes, and decide when to stop.

    Returns:
        The counts of the run. Failed photos are counted, and reported one by one to `callbacks.on_photo`.

    Raises:
        UsageError: no photos, a missing input, an invalid output, or an option out of its range.
        WeightsError: the model is missing or damaged.
        DeviceError: no such device.
        OutputError: the results cannot be written.
        StorageError: an object store denies access or does not answer.
        Interrupted: `callbacks.should_stop` asked to stop; the photos under way were finished first.
    """
    plan = plan_run(path_list(inputs), None if output is None else os.fspath(output), options, batch, listed, ray)
    return _Run(plan, options, batch, model, ray, callbacks or Callbacks()).run()


class _Run:
    """One run with its state: the model being loaded, the journals' settings, the page, the album, the Ray actors."""

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

    def run(self) -> Summary:
        """Color all photos and return the counts."""
        if self._shard.count > 1:
            self._log_shard()
        self._callbacks.on_start()
        counts: Counter[PhotoStatus] = Counter()
        had_color, read_only = 0, self._batch.dry_run
        with (
            ExitStack() as held,
            Journals(
                self._plan.homes,
                self._callbacks.on_warning,
                search_parents=self._plan.is_beside,
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
        return Summary(counts, read_only, had_color, self._plan.passed_over.folders, self._plan.passed_over.files, page)

    def _log_shard(self) -> None:
        """Log that this process skips photos: the environment variable may be stale or meant for something else."""
        part, variable = f"{self._shard.number}/{self._shard.count}", self._shard.variable
        why = f"since {variable} is set" if variable else "as requested"
        self._callbacks.on_log("sharing", f"Coloring shard {part} only, {why}.", shard=part, variable=variable)

    def _settings(self) -> bytes:
        """Return the digest of options, model, precision and reference under which results are journaled."""
        words = [self._loading.digest(fetches=not self._batch.dry_run), self._batch.precision]
        if self._options.like:
            words.append(sha256_of(Path(self._options.like)))
        return settings_digest(self._options, " ".join(words))

    def _share_palette(self, settings: bytes, folder: Path, held: ExitStack) -> bytes:
        """Load the palette of an album, or make it in a first pass; return the settings digest that includes it.

        An album of one photo has no palette to share, and keeps `settings`. The album stays locked until `held` exits.
        """
        jobs = list(self._jobs)
        self._jobs = iter(jobs)
        photos = [job for job in jobs if not job.problem]
        if len(photos) < 2:
            return settings
        from colorgan.batch.album import Album

        album = Album(folder, settings)
        if not self._batch.dry_run:
            held.enter_context(album.locked())
        if not self._batch.overwrite and album.load():
            later = [job for job in photos if stable_hash(job.identity) not in album.numbers]
            if later:
                self._callbacks.on_warning(
                    f"Photos added after the album's palette was made, which use it unchanged: {len(later)}. "
                    "Overwriting recolors the whole album."
                )
        elif self._batch.dry_run or not self._first_pass(album, photos):
            return settings
        self._album = album
        return hashlib.blake2b(settings + album.digest, digest_size=16).digest()

    def _first_pass(self, album: Album, photos: Sequence[Job]) -> bool:
        """Run the network on all photos, and return whether a palette could be made from its predictions."""
        from colorgan.batch.worker import PredictionKeeper

        self._callbacks.on_log("looking", f"Computing one palette from {len(photos)} photos ...")
        states = [(job, file_state(job.source)) for job in photos]
        worker = self._worker(PredictionKeeper, album)
        with Workers(worker.threads, worker) as started:
            pool = OrderedPool(started, group=self._group_size, before=self._loading.wait, check=self._check)
            steps = (Pending(job) for job, state in states if not album.has(job, state))
            for done, _ in enumerate(pool.results(steps), start=1):
                self._callbacks.on_progress(done, len(photos))
        return album.make(states)

    def _outcomes(self, todo: Backlog) -> Generator[PhotoOutcome, None, None]:
        """Yield each photo's outcome; in a dry run the expected one, `written` for each photo that is to be done."""
        if self._batch.dry_run:
            return self._dry_run(todo)
        if self._ray:
            return color_all(todo, self._ray_crew(), group=self._group_size, before=lambda: None, check=self._check)
        from colorgan.batch.worker import PhotoWorker

        crew = nullcontext(self._worker(PhotoWorker, self._album))
        return color_all(todo, crew, group=self._group_size, before=self._loading.wait, check=self._check)

    def _dry_run(self, todo: Backlog) -> Generator[PhotoOutcome, None, None]:
        for step in todo.steps():
            self._check()
            yield _expected_outcome(step.task) if isinstance(step, Pending) else step

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

        self._callbacks.on_log("loading", f"Starting Ray actors with {self._model} ...", model=self._model)
        notify, check = self._callbacks.on_warning, self._check
        weights = model_path(self._model)
        with ray_crew(self._ray, self._options, self._batch, weights, notify=notify, check=check) as self._crew:
            self._callbacks.on_log("computing", f"Computing on {self._crew.count} Ray actors.", device="ray")
            yield self._crew

    def _group_size(self) -> int:
        """Return how many photos a worker gets at once to batch by shape: 1 until the model is loaded."""
        if self._batch.batch_size:
            return self._batch.batch_size
        if self._crew:
            return self._crew.group
        return self._loading.get().batch_size if self._loading.is_done else 1


def _expected_outcome(job: Job) -> PhotoOutcome:
    """Return the outcome that a pending photo would have, from the first bytes of its file alone."""
    if not is_address(job.source):
        from colorgan.images.decode import check_start

        try:
            check_start(Path(job.source))
        except PhotoError as error:
            return job.failed(error)
    return job.outcome(PhotoStatus.written, (job.note,) if job.note else ())
