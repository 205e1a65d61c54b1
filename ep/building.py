"""The build of dictionaries from start to finish: a model and a text in, `.ep.h5` files out.

    1 open the model and the text, and read the text once for what cannot be used
    2 calibrate: measure the centre and θ
    3 stream: found the regions
    4 assign: stream again, to the finished regions (Voronoi members, rivals, excerpts)
    5 describe: compute the lens, the surroundings and the passages
    6 write one file for each layer and percentile

One forward pass serves every layer, one calibration every percentile, and one stream every
combination of the two. Memory grows with the dictionaries, not with the stream. A build reports its
progress to the caller and displays nothing itself.

The module is not called `build` because `ep.build` is the function.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ep import existing
from ep.config import CONTEXT, BuildConfig
from ep.corpus import Corpus, Passage, Survey
from ep.describing import Describer, family
from ep.errors import CorpusError
from ep.method.calibration import Calibration, Thresholds
from ep.method.draft import Draft
from ep.method.members import Events
from ep.method.moments import MetricSum
from ep.method.saturation import StopRule
from ep.storage.checkpoint import WEIGHTS, Checkpoint, prepare_folder
from ep.storage.replacing import save_over

if TYPE_CHECKING:
    from ep.models import Harvest, LanguageModel
    from ep.models.tokens import TokenBatch

CHECKPOINT_SECONDS = 300
Key = tuple[int, float]
T = TypeVar("T")


@dataclass
class Counts:
    """What one pass over the text has read.

    passages: all passages, those without tokens included.
    truncated: passages that were cut to the context.
    tokens: tokens up to the context, BOS included.
    cut: tokens beyond the context, which are in no dictionary.
    """

    passages: int = 0
    truncated: int = 0
    tokens: int = 0
    cut: int = 0

    def add(self, batch: TokenBatch) -> None:
        """Count a batch."""
        self.passages += batch.n_passages
        self.truncated += int(batch.truncated.sum())
        self.tokens += batch.n_tokens
        self.cut += batch.n_cut

    @property
    def cut_share(self) -> float:
        """Share of the tokens of all passages that is beyond the context."""
        return self.cut / max(1, self.tokens + self.cut)


@dataclass(frozen=True)
class Progress:
    """The progress of a build.

    stage: "read", "calibrate", "stream", "assign", "write" or "done".
    done: rows of text read in stage "read", files written in stages "write" and "done", otherwise
        activations processed in this stage.
    total: what `done` will reach; None when the build runs to the end of the text.
    regions: number of regions K so far, by (layer, percentile).
    counts: what was read in this stage, and how much of it was cut to the context.
    left_out: what the text holds that is in no passage; see `Survey`.
    context: tokens read of each passage; 0 before the model is open.
    files: the files written so far.
    set_aside: label files of replaced dictionaries with other regions, under their new names.
    """

    stage: str
    done: int
    total: int | None = None
    regions: Mapping[Key, int] = field(default_factory=dict)
    counts: Counts = field(default_factory=lambda: Counts())
    left_out: Survey = field(default_factory=Survey)
    context: int = 0
    files: tuple[Path, ...] = ()
    set_aside: tuple[Path, ...] = ()


def build(
    config: BuildConfig, resume: bool = False, replace: bool = False
) -> Generator[Progress, None, None]:
    """Build every dictionary of `config`, yielding the progress before a stage and after a batch.

    The last progress has stage "done" and names all files. Closing the generator stops the build
    between two batches: its state is saved in the output folder, and incomplete but usable
    dictionaries are written. With resume=True the build continues from that state and ends with the
    same files as a build that was never stopped. Input that cannot be used raises a subclass of
    InputError before any work is done that would be lost.

    A build of other settings, text or model that already has a file of the same name, or is
    unfinished in the same folder, is refused with ConfigError; with replace=True it is replaced.
    """
    job = Job.open(config, resume, replace)  # 1
    yield from job.read()
    try:
        yield from job.calibrate()  # 2
        yield from job.stream()  # 3
        yield from job.assign()  # 4
    except GeneratorExit:
        job.save_unfinished()
        raise
    finally:
        job.workers.shutdown()
    job.save_state()  # a build that is closed while it writes can then be resumed
    yield from job.write()  # 5, 6


class Job:
    """The state of one build, with one method for each phase."""

    def __init__(
        self, config: BuildConfig, model: LanguageModel, corpus: Corpus, corpus_digest: str
    ) -> None:
        self.config = config
        self.model = model
        self.context = config.context or CONTEXT
        self.corpus = corpus
        self.survey = Survey()
        self.corpus_digest = corpus_digest
        inputs = {"corpus": corpus_digest, WEIGHTS: model.fingerprint}
        self.checkpoint = Checkpoint(config.out, config.deciding() | inputs)
        self.calibrations: dict[int, Calibration] = {}
        self.drafts: dict[Key, Draft] = {}
        self.counts = {"stream": Counts(), "assign": Counts()}  # of each pass over the corpus
        self.started = monotonic()
        self.workers = ThreadPoolExecutor(os.cpu_count() or 1)

    @classmethod
    def open(cls, config: BuildConfig, resume: bool, replace: bool) -> Job:
        """Phase 1: open the text and the model; when resuming, restore the saved state.

        Without `replace`, what is in the output folder must be of the same build.
        """
        corpus = Corpus(config.text, config.seed, config.field_name, config.chat)
        if corpus.is_empty():
            raise CorpusError(
                f"{', '.join(config.text)} contains no text: expected at least one passage"
            )
        prepare_folder(config.folder)
        digest = corpus.digest()
        if not replace:
            existing.refuse_other_files(config, digest)
            if not resume:
                existing.refuse_other_state(config.folder)
        from ep.models import load

        model = load(config.model, config.device, config.dtype, config.revision)
        model.check_layers(config.layers)
        longest = model.context - (model.tokens.bos is not None)
        config = config.fitted(longest)
        if not replace:
            existing.refuse_other_family(config, family(config, model, digest))
        job = cls(config, model, corpus, digest)
        if resume:
            job.restore()
        return job

    # -- phases ------------------------------------------------------------------------------------

    def read(self) -> Iterator[Progress]:
        """Phase 1: count the rows that cannot be used; CorpusError where they are too many."""

        def refusal(passage: Passage) -> str:
            why = self.model.tokens.refusal(passage.messages) if passage.messages else ""
            return why and f"cannot be read: {why}"

        for survey in self.corpus.survey(refusal):
            self.survey = survey
            yield Progress("read", survey.rows, left_out=survey, context=self.context)
        self.survey.check()

    def calibrate(self) -> Iterator[Progress]:
        """Phase 2: measure the centre of each layer, then θ of each percentile.

        Both are measured on the head of the stream (protocol 1.1, 1.2), which is read twice: θ is a
        percentile of distances between directions from the finished centre.
        """
        config, total = self.config, 0
        if self.drafts:
            return
        yield Progress("calibrate", 0)
        sums = {layer: MetricSum(self.model.width, config.metric) for layer in config.layers}
        for done, x in self._head():
            for layer, layer_sum in sums.items():
                layer_sum.update(x[layer])
            total = 2 * done
            yield Progress("calibrate", done)  # the text may have fewer than `calibration`
        thresholds = {
            layer: Thresholds(layer_sum.metric(), config.percentiles, config.protocol, config.seed)
            for layer, layer_sum in sums.items()
        }
        for done, x in self._head():
            for layer, layer_thresholds in thresholds.items():
                layer_thresholds.update(x[layer])
            yield Progress("calibrate", total // 2 + done, total)
        self._begin(
            {
                layer: layer_thresholds.calibration()
                for layer, layer_thresholds in thresholds.items()
            }
        )

    def stream(self) -> Iterator[Progress]:
        """Phase 3: feed each batch to every draft whose stopping rule is not met yet."""
        unfinished = {key: draft for key, draft in self.drafts.items() if draft.stop_reason is None}
        if unfinished:
            yield self._progress("stream", self._streamed(), self.config.tokens)
        for harvest, events in self._pass("stream") if unfinished else ():
            self._feed(Draft.stream, unfinished, harvest, events)
            yield self._progress("stream", self._streamed(), self.config.tokens)
            unfinished = {
                key: draft for key, draft in unfinished.items() if draft.stop_reason is None
            }
            if not unfinished:
                break
        for draft in unfinished.values():
            draft.stop_reason = "end of text"
        if not self._streamed():
            raise CorpusError(
                "the text gave no activations: no passage has tokens beside BOS and template"
            )

    def assign(self) -> Iterator[Progress]:
        """Phase 4: assign the same activations to the nearest exemplars of the finished drafts."""
        if self._assigned() >= self._streamed():
            return
        yield self._progress("assign", self._assigned(), self._streamed())
        coarser = {key: self.config.coarser(key[1]) for key in self.drafts}
        # A coarser draft may have stopped earlier in the stream than a finer one. It assigns the
        # finer one's activations all the same, so that every member gets a coarser region.
        for (layer, finer), above in coarser.items():
            for p in above:
                self.drafts[layer, p].reach = max(
                    self.drafts[layer, p].reach, self.drafts[layer, finer].n_seen
                )
        for harvest, events in self._pass("assign"):
            regions = self._feed(Draft.reassign, self.drafts, harvest, events)
            for (layer, finer), above in coarser.items():
                if above:
                    self.drafts[layer, finer].nest(
                        regions[layer, finer], {p: regions[layer, p] for p in above}, events
                    )
            yield self._progress("assign", self._assigned(), self._streamed())
            if self._assigned() >= self._streamed():
                break

    def write(self, complete: bool = True) -> Iterator[Progress]:
        """Phases 5 and 6: describe the regions of each draft and write its file."""
        files: list[Path] = []
        set_aside: list[Path] = []
        describer = Describer(
            self.config, self.model, self.corpus, self.corpus_digest, self.calibrations
        )
        passages = describer.passages(self.drafts)
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
            if (moved := save_over(dictionary, path)) is not None:
                set_aside.append(moved)
            files.append(path)
        if complete:
            self.checkpoint.remove()
        last = self._progress("done", len(files), len(files), tuple(files))
        yield dataclasses.replace(last, set_aside=tuple(set_aside))

    def _provenance(self) -> dict[str, Any]:
        """What was read of the text, and what was left out of it."""
        counts = self.counts["stream"]
        facts: dict[str, Any] = {"passages": counts.passages, "truncated": counts.truncated}
        if counts.cut:
            facts["cut_share"] = round(counts.cut_share, 4)
        return facts | self.survey.left_out()

    # -- interrupting and resuming -----------------------------------------------------------------

    def save_unfinished(self) -> None:
        """Save the state, and write the drafts so far as incomplete but usable dictionaries."""
        if self._streamed():
            self.save_state()
            for _ in self.write(complete=False):
                pass

    def save_state(self) -> None:
        """Save all drafts and calibrations as plain arrays, from which the build can resume.

        A resumed build gives the same files as one that was never stopped.
        """
        arrays = {
            f"counts.{stage}.{name}": np.array(count)
            for stage, counts in self.counts.items()
            for name, count in asdict(counts).items()
        }
        for layer, calibration in self.calibrations.items():
            arrays |= {
                f"calibration.{layer}.{name}": array for name, array in calibration.state().items()
            }
        for (layer, percentile), draft in self.drafts.items():
            arrays |= {
                f"draft.{layer}.{percentile!r}.{name}": array
                for name, array in draft.state().items()
            }
        self.checkpoint.save(arrays)

    def restore(self) -> None:
        """Restore the saved state.

        Raises ConfigError when there is none, or when it belongs to other settings.
        """
        arrays = self.checkpoint.load()

        def part(prefix: str) -> dict[str, np.ndarray]:
            return {
                name[len(prefix) :]: array
                for name, array in arrays.items()
                if name.startswith(prefix)
            }

        for stage in self.counts:
            counts = {name: int(count) for name, count in part(f"counts.{stage}.").items()}
            self.counts[stage] = Counts(**counts)
        self._begin(
            {
                layer: Calibration.from_state(part(f"calibration.{layer}."))
                for layer in self.config.layers
            },
        )
        for (layer, percentile), draft in self.drafts.items():
            draft.restore(part(f"draft.{layer}.{percentile!r}."))

    # -- parts -------------------------------------------------------------------------------------

    def _begin(self, calibrations: dict[int, Calibration]) -> None:
        """Create an empty draft for every layer and percentile."""
        config = self.config
        rule = StopRule(config.tokens, config.stop_rate, config.stop_window, config.quiet_batches)
        self.calibrations = calibrations
        self.drafts = {
            (layer, percentile): Draft(
                calibrations[layer].thresholds[percentile],
                width=self.model.width,
                context=self.context,
                rule=rule,
                seed=config.seed,
                rival_budget=config.rival_budget,
                # mps has no float64
                device=self.model.device if self.model.device.startswith("cuda") else "cpu",
            )
            for layer in config.layers
            for percentile in config.percentiles
        }

    def _harvests(self, start: int = 0) -> Iterator[tuple[TokenBatch, Harvest]]:
        """The batches of the text from passage `start` of the stream, and their harvests."""
        from ep.models import harvest

        config = self.config
        accepted = (passage for passage in self.corpus if passage.id not in self.survey.refused)
        passages = islice(accepted, start, None)
        for batch in self.model.tokens.batches(passages, config.batch, self.context):
            yield batch, harvest(self.model, batch, config.layers, config.positions)

    def _head(self) -> Iterator[tuple[int, dict[int, np.ndarray]]]:
        """For each calibration batch: the number of activations so far, and the batch by layer.

        Each call reads the text from its start (W1). Under protocol "paper" θ is a mean over whole
        batches, so the last batch is not cut. Under protocol "global" θ must not depend on the
        batch size, so the last batch is cut at the budget.
        """
        done, budget = 0, self.config.calibration
        for _, harvest in self._harvests():
            rows = (
                len(harvest)
                if self.config.protocol == "paper"
                else min(len(harvest), budget - done)
            )
            done += rows
            yield done, {layer: x[:rows] for layer, x in harvest.x.items()}
            if done >= budget:
                return

    def _pass(self, name: str) -> Iterator[tuple[Harvest, Events]]:
        """The rest of one pass over the corpus, saving the state every CHECKPOINT_SECONDS."""
        index = self._streamed() if name == "stream" else self._assigned()
        last = monotonic()
        for batch, harvest in self._harvests(self.counts[name].passages):
            self.counts[name].add(batch)
            yield harvest, harvest.events.starting_at(index)
            index += len(harvest)
            if monotonic() - last > CHECKPOINT_SECONDS:
                self.save_state()
                last = monotonic()

    def _feed(
        self,
        step: Callable[[Draft, np.ndarray, Events], T],
        drafts: Mapping[Key, Draft],
        harvest: Harvest,
        events: Events,
    ) -> dict[Key, T]:
        """Call `step` with one batch on every draft, in parallel: the drafts are independent.

        The directions of the batch are computed once for each layer.
        """
        layers = {layer for layer, _ in drafts}
        rows = {
            layer: self.calibrations[layer].metric.directions(harvest.x[layer]) for layer in layers
        }
        futures = {
            key: self.workers.submit(step, draft, rows[key[0]], events)
            for key, draft in drafts.items()
        }
        return {key: future.result() for key, future in futures.items()}

    def _progress(
        self, stage: str, done: int, total: int | None, files: tuple[Path, ...] = ()
    ) -> Progress:
        regions = {key: len(draft) for key, draft in self.drafts.items()}
        counts = dataclasses.replace(self.counts["assign" if stage == "assign" else "stream"])
        return Progress(stage, done, total, regions, counts, self.survey, self.context, files)

    def _streamed(self) -> int:
        return max((draft.n_seen for draft in self.drafts.values()), default=0)

    def _assigned(self) -> int:
        return max((draft.voronoi.n_seen for draft in self.drafts.values()), default=0)
