"""The build of dictionaries from start to finish: a model and a text in, `.ep.h5` files out.

    1 open the model and the text, and read the text once for what cannot be used
    2 calibrate: measure the centre and θ
    3 stream: found the regions
    4 assign: stream again, to the finished regions (Voronoi members, rivals, excerpts)
    5 describe: fit a Jacobian lens if asked to; compute lenses, surroundings and passages
    6 write one file for each layer and percentile

One forward pass serves every layer, one calibration every percentile, and one stream every
combination of the two. The model runs once for every token (`caching.py`), and the state is saved
in every stage (`resuming.py`), so that a killed build loses half a minute. Memory grows with the
dictionaries, not with the stream. A build reports its progress to the caller and displays nothing
itself.

The module is not called `build` because `ep.build` is the function.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ep import existing
from ep.caching import ActivationCache
from ep.calibrating import Calibrating
from ep.config import CONTEXT, BuildConfig
from ep.corpus import Watch
from ep.describing import Describer
from ep.drafting import Ladder
from ep.errors import InputError, StorageError
from ep.lensing import LensPart
from ep.method.calibration import Calibration
from ep.method.outliers import Measured
from ep.method.sieve import Sifted
from ep.opening import Opened, opened
from ep.progress import Report, silent
from ep.reporting import Counts, Progress
from ep.resuming import (
    Saver,
    calibrations_in,
    counts_in,
    draft_name,
    measured_in,
    named,
    packed,
    part,
)
from ep.storage.checkpoint import WEIGHTS, Checkpoint, prepare_folder
from ep.storage.lock import FolderLock
from ep.storage.replacing import save_over
from ep.streaming import Stream

if TYPE_CHECKING:
    from ep.models.tokens import TokenBatch


def build(
    config: BuildConfig, resume: bool = False, replace: bool = False, report: Report = silent
) -> Generator[Progress, None, None]:
    """Build every dictionary of `config`, yielding the progress every few seconds.

    The last progress has stage "done" and names all files. Closing the generator stops the build:
    its state is saved in the output folder, and incomplete but usable dictionaries are written.
    With resume=True the build continues from the saved state, if there is one, and ends with the
    same files as a build that was never stopped; this holds for a killed process too. Input that
    cannot be used raises a subclass of InputError before any work is done that would be lost.

    A build of other settings, text or model that already has a file of the same name, or is
    unfinished in the same folder, is refused with ConfigError; with replace=True it is replaced. So
    is a folder in which another build is at work.

    A full disk while the state is saved is a note in the progress; while a file is written it is a
    StorageError, after which resume=True goes on with that file.

    report: called before the first progress, while a GGUF file is converted, which takes long.
    """
    lock = FolderLock(config.folder)
    prepare_folder(config.folder)
    lock.claim()
    job: Job | None = None
    try:
        job = Job.open(config, resume, replace, report)  # 1
        yield from job.read()
        try:
            yield from job.calibrate()  # 2
            yield from job.stream()  # 3
            yield from job.assign()  # 4
            yield from job.fit_lens(resume)  # 5
        except GeneratorExit:
            job.save_unfinished()
            raise
        except InputError:
            job.forget_refused()
            raise
        job.settle()
        yield from job.write()  # 5, 6
    finally:
        if job is not None:
            job.close()
        lock.release()


class Job:
    """The state of one build, with one method for each phase."""

    def __init__(self, base: Opened) -> None:
        config, model, digest = base.config, base.model, base.digest
        self.config, self.model, self.corpus = config, model, base.corpus
        self.extractor, self.corpus_digest = base.extractor, digest
        self.context = config.context or CONTEXT
        self.cache = ActivationCache(config, model, digest)
        self.source = Stream(config, model, base.corpus, self.context, self.cache, base.extractor)
        self.calibrating = Calibrating(self.source)
        self.text = Watch(base.corpus, digest)
        inputs = {"corpus": digest, WEIGHTS: model.fingerprint}
        self.saver = Saver(Checkpoint(config.out, config.deciding() | inputs))
        self.calibrations: dict[int, Calibration] = {}
        self.measured: dict[int, Measured] = {}
        self.ladder = Ladder(config, model.width, self.context, model.device)
        self.drafts = self.ladder.drafts
        self.counts = {"stream": Counts(), "assign": Counts()}  # of each pass over the corpus
        self.batch: TokenBatch | None = None  # the one that was read last, for the progress
        self.started = monotonic()
        self.lens = LensPart(model, config.layers, config.lens_prompts, config.folder)

    @classmethod
    def open(cls, config: BuildConfig, resume: bool, replace: bool, report: Report = silent) -> Job:
        """Phase 1: open the text and the model; when resuming, restore the saved state.

        Without `replace`, what is in the output folder must be of the same build.
        """
        with ExitStack() as undo:  # until the caller has the job, which it closes
            base = opened(config, not resume, replace, report)
            undo.callback(base.extractor.close)
            job = cls(base)
            undo.pop_all()
            undo.callback(job.close)
            job.saver.checkpoint.clear_partial()
            if resume:
                job.restore()
            else:
                job.saver.checkpoint.remove()
            undo.pop_all()
        return job

    # -- phases ------------------------------------------------------------------------------------

    def read(self) -> Iterator[Progress]:
        """Phase 1: count the rows that cannot be used; CorpusError where they are too many."""
        seconds = self.lens.seconds()
        for survey in self.source.read():
            yield Progress(
                "read", survey.rows, left_out=survey, context=self.context, lens_seconds=seconds
            )

    def calibrate(self) -> Iterator[Progress]:
        """Phase 2: measure the head of the stream."""
        if self.drafts:
            return
        for _ in self.calibrating.run():
            yield self._progress("calibrate", self.calibrating.done, self.calibrating.total)
            self._save_if_due()
        self._begin(self.calibrating.calibrations(), self.calibrating.measured())
        self.save_state()

    def stream(self) -> Iterator[Progress]:
        """Phase 3: feed each batch to every draft whose stopping rule is not met yet."""
        if not self.drafts.unfinished():
            return
        yield self._progress("stream", self.drafts.streamed(), self.config.tokens)
        for parts in self._pass("stream"):
            goes_on = parts is None or self.ladder.stream(parts)
            yield self._progress("stream", self.drafts.streamed(), self.config.tokens)
            if not goes_on:
                break
        self.ladder.end_stream()

    def assign(self) -> Iterator[Progress]:
        """Phase 4: assign the same activations to the nearest exemplars of the finished drafts."""
        if self.drafts.are_assigned():
            return
        yield self._progress("assign", self.drafts.assigned(), self.drafts.streamed())
        self.ladder.begin_assignment()
        for parts in self._pass("assign"):
            goes_on = parts is None or self.ladder.assign(parts)
            yield self._progress("assign", self.drafts.assigned(), self.drafts.streamed())
            if not goes_on:
                break

    def fit_lens(self, resume: bool) -> Iterator[Progress]:
        """Phase 5, first part: fit the Jacobian lens of the layers, if the settings ask for one."""
        for step in self.lens.fit(self.corpus, resume):
            yield self._progress("lens", step.done, step.total)

    def write(self, complete: bool = True) -> Iterator[Progress]:
        """Phases 5 and 6: describe the regions of each draft and write its file."""
        files: list[Path] = []
        set_aside: list[Path] = []
        describer = Describer(
            self.config,
            self.model,
            self.corpus,
            self.corpus_digest,
            self.calibrations,
            self.measured,
            self.lens.jacobian,
        )
        passages = describer.passages(self.drafts)
        self.text.check()
        total = len(self.drafts)
        for (layer, percentile), draft in self.drafts.items():
            yield self._progress("write", len(files), total, tuple(files))
            path = self.config.folder / self.config.file_name(layer, percentile)
            if not complete and existing.is_finished(path):
                continue  # a part never replaces a whole; the state is saved
            wall_time = monotonic() - self.started
            dictionary = describer.dictionary(
                layer, percentile, draft, passages, self._provenance(), wall_time, complete
            )
            try:
                moved = save_over(dictionary, path)
            except StorageError as error:
                kept = "" if self.saver.note else "; the state is saved: continue with --resume"
                raise StorageError(f"{error}{kept}") from error
            set_aside += [] if moved is None else [moved]
            files.append(path)
        if complete:
            self.saver.checkpoint.remove()
        last = self._progress("done", len(files), len(files), tuple(files))
        yield dataclasses.replace(last, set_aside=tuple(set_aside))

    def _provenance(self) -> dict[str, Any]:
        """What was read of the text, and what was left out of it."""
        counts = self.counts["stream"]
        return counts.facts() | self.source.left_out(counts.passages)

    # -- interrupting and resuming -----------------------------------------------------------------

    def settle(self) -> None:
        """Save the state when only writing is left, and remove the activations to make room."""
        self.text.check()
        is_saved = self.save_state()
        self.cache.close(remove=True)
        if not is_saved:
            self.save_state()

    def save_unfinished(self) -> None:
        """Save the state, and write the drafts so far as incomplete but usable dictionaries."""
        is_saved = self.save_state()
        if self.drafts.streamed():
            for _ in self.write(complete=False):
                pass
        if not is_saved:
            raise StorageError(self.saver.note)

    def forget_refused(self) -> None:
        """Leave nothing in the folder when the input is refused before the first region."""
        if not self.drafts:
            self.saver.checkpoint.remove()
            self.cache.close(remove=True)

    def save_state(self) -> bool:
        """Save all drafts and calibrations as plain arrays, from which the build can resume.

        A resumed build gives the same files as one that was never stopped. Returns False where the
        disk refuses.
        """
        arrays = packed(self.counts, self.calibrations, self.measured, self.drafts)
        if not self.drafts:
            arrays |= named("calibrating.", self.calibrating.state())
        return self.saver.save(arrays)

    def _save_if_due(self) -> None:
        if self.saver.is_due:
            self.save_state()

    def restore(self) -> None:
        """Restore the saved state, if there is one; ConfigError when it is of other settings."""
        arrays = self.saver.checkpoint.load()
        if arrays is None:
            return
        self.counts = counts_in(arrays)
        if calibrating := part(arrays, "calibrating."):
            self.calibrating.restore(calibrating)
            return
        self._begin(calibrations_in(arrays), measured_in(arrays))
        for key, draft in self.drafts.items():
            draft.restore(part(arrays, draft_name(key)))

    def close(self) -> None:
        """Stop the threads and workers, and give back the stored activations."""
        self.ladder.close()
        self.extractor.close()
        self.cache.close()

    # -- parts -------------------------------------------------------------------------------------

    def _begin(self, calibrations: dict[int, Calibration], measured: dict[int, Measured]) -> None:
        """Create an empty draft for every layer and percentile."""
        self.calibrations, self.measured = calibrations, measured
        self.source.sieves = {layer: of_layer.sieve for layer, of_layer in measured.items()}
        self.ladder.begin(calibrations)

    def _pass(self, name: str) -> Iterator[dict[int, Sifted] | None]:
        """The rest of one pass over the corpus; None stands for a part of a batch."""
        count = self.drafts.streamed if name == "stream" else self.drafts.assigned
        index = {layer: count(layer) for layer in self.config.layers}
        self.text.check()
        for item in self.source.batches(self.counts[name].passages):
            if item is None:
                yield None
                continue
            batch, harvest = item
            self.counts[name].add(batch)
            self.batch = batch
            parts = self.source.sifted(harvest)
            yield {layer: part.starting_at(index[layer]) for layer, part in parts.items()}
            index = {layer: index[layer] + len(part) for layer, part in parts.items()}
            self._save_if_due()

    def _progress(
        self, stage: str, done: int, total: int | None, files: tuple[Path, ...] = ()
    ) -> Progress:
        if stage in ("stream", "assign"):
            ahead = done + self.source.ahead
            done = ahead if total is None else min(ahead, total)
        notes = (*self.cache.notes, *self.source.notes, *filter(None, [self.saver.note]))
        regions = {key: len(draft) for key, draft in self.drafts.items()}
        counts = dataclasses.replace(self.counts["assign" if stage == "assign" else "stream"])
        return Progress(
            stage,
            done,
            total,
            regions,
            counts,
            self.source.survey,
            self.context,
            files,
            measured=self.measured,
            not_kept={key: draft.left_out for key, draft in self.drafts.items()},
            notes=notes,
            drafts=MappingProxyType(self.drafts),
            batch=self.batch,
            tokens=self.model.tokens,
        )
