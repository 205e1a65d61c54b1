"""The build of dictionaries from start to finish: a model and a text in, `.ep.h5` files out.

    1 open the model and the text
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

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ep.config import BuildConfig
from ep.corpus import Corpus, Passage
from ep.describing import Describer
from ep.errors import CorpusError
from ep.method.calibration import Calibration, CenterSum, Thresholds
from ep.method.draft import Draft
from ep.method.geometry import directions
from ep.method.members import Events
from ep.method.saturation import StopRule
from ep.storage import save
from ep.storage.checkpoint import WEIGHTS, Checkpoint, prepare_folder

if TYPE_CHECKING:
    from ep.models import Harvest, LanguageModel

CHECKPOINT_SECONDS = 300
Key = tuple[int, float]
T = TypeVar("T")


@dataclass(frozen=True)
class Progress:
    """The progress of a build.

    stage: "calibrate", "stream", "assign", "write" or "done".
    done: activations processed in this stage, or files written in stages "write" and "done".
    total: what `done` will reach; None when the build runs to the end of the text.
    regions: number of regions K so far, by (layer, percentile).
    truncated: passages read in this stage that were cut to the context; the rest of each is not in
        the dictionary.
    files: the files written so far.
    """

    stage: str
    done: int
    total: int | None = None
    regions: Mapping[Key, int] = field(default_factory=dict)
    truncated: int = 0
    files: tuple[Path, ...] = ()


def build(config: BuildConfig, resume: bool = False) -> Generator[Progress, None, None]:
    """Build every dictionary of `config`, yielding the progress after each batch.

    The last progress has stage "done" and names all files. Closing the generator stops the build
    between two batches: its state is saved in the output folder, and incomplete but usable
    dictionaries are written. With resume=True the build continues from that state and ends with the
    same files as a build that was never stopped. Input that cannot be used raises a subclass of
    InputError before any work is done that would be lost.
    """
    job = Job.open(config, resume)  # 1
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

    def __init__(self, config: BuildConfig, model: LanguageModel, corpus: Corpus) -> None:
        self.config = config
        self.model = model
        self.corpus = corpus
        self.corpus_digest = corpus.digest()
        inputs = {"corpus": self.corpus_digest, WEIGHTS: model.fingerprint}
        self.checkpoint = Checkpoint(config.out, config.deciding() | inputs)
        self.calibrations: dict[int, Calibration] = {}
        self.drafts: dict[Key, Draft] = {}
        self.passages_read = {"stream": 0, "assign": 0}  # in each pass over the corpus
        self.truncated = {"stream": 0, "assign": 0}
        self.started = monotonic()
        self.workers = ThreadPoolExecutor(os.cpu_count() or 1)

    @classmethod
    def open(cls, config: BuildConfig, resume: bool) -> Job:
        """Phase 1: open the text and the model; when resuming, restore the saved state."""
        corpus = Corpus(config.text, config.seed, config.field_name, config.chat)
        if next(iter(corpus), None) is None:
            raise CorpusError(
                f"{', '.join(config.text)} contains no text: expected at least one passage"
            )
        prepare_folder(config.folder)
        from ep.models import load

        model = load(config.model, config.device, config.dtype, config.revision)
        model.check_layers(config.layers)
        job = cls(config, model, corpus)
        if resume:
            job.restore()
        return job

    # -- phases ------------------------------------------------------------------------------------

    def calibrate(self) -> Iterator[Progress]:
        """Phase 2: measure the centre of each layer, then θ of each percentile.

        Both are measured on the head of the stream (protocol 1.1, 1.2), which is read twice: θ is a
        percentile of distances between directions from the finished centre.
        """
        config, total = self.config, 2 * self.config.calibration
        if self.drafts:
            return
        sums = {layer: CenterSum(self.model.width) for layer in config.layers}
        for done, x in self._head():
            for layer, layer_sum in sums.items():
                layer_sum.update(x[layer])
            yield Progress("calibrate", min(done, config.calibration), total)
        thresholds = {
            layer: Thresholds(layer_sum.center(), config.percentiles, config.protocol, config.seed)
            for layer, layer_sum in sums.items()
        }
        for done, x in self._head():
            for layer, layer_thresholds in thresholds.items():
                layer_thresholds.update(x[layer])
            yield Progress("calibrate", config.calibration + min(done, config.calibration), total)
        self._begin(
            {
                layer: layer_thresholds.calibration()
                for layer, layer_thresholds in thresholds.items()
            }
        )

    def stream(self) -> Iterator[Progress]:
        """Phase 3: feed each batch to every draft whose stopping rule is not met yet."""
        unfinished = {key: draft for key, draft in self.drafts.items() if draft.stop_reason is None}
        for harvest, events in self._pass("stream") if unfinished else ():
            self._feed(Draft.stream, unfinished, harvest, events)
            yield self._progress("stream", self.config.tokens)
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
            yield self._progress("assign", self._streamed())
            if self._assigned() >= self._streamed():
                break

    def write(self, complete: bool = True) -> Iterator[Progress]:
        """Phases 5 and 6: describe the regions of each draft and write its file."""
        files: list[Path] = []
        describer = Describer(
            self.config, self.model, self.corpus, self.corpus_digest, self.calibrations
        )
        regions = {key: len(draft) for key, draft in self.drafts.items()}
        passages = describer.passages(self.drafts)
        for (layer, percentile), draft in self.drafts.items():
            yield Progress(
                "write",
                len(files),
                len(self.drafts),
                regions,
                self.truncated["stream"],
                tuple(files),
            )
            wall_time = monotonic() - self.started
            counts = {
                "passages": self.passages_read["stream"],
                "truncated": self.truncated["stream"],
            }
            dictionary = describer.dictionary(
                layer, percentile, draft, passages, counts, wall_time, complete
            )
            path = self.config.folder / self.config.file_name(layer, percentile)
            save(dictionary, path)
            files.append(path)
        if complete:
            self.checkpoint.remove()
        yield Progress(
            "done", len(files), len(files), regions, self.truncated["stream"], tuple(files)
        )

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
        arrays = {f"read.{name}": np.array(count) for name, count in self.passages_read.items()}
        arrays |= {f"truncated.{name}": np.array(count) for name, count in self.truncated.items()}
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

        self.passages_read = {name: int(count) for name, count in part("read.").items()}
        self.truncated = {name: int(count) for name, count in part("truncated.").items()}
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
                context=config.context,
                rule=rule,
                seed=config.seed,
                rival_budget=config.rival_budget,
                # mps has no float64
                device=self.model.device if self.model.device.startswith("cuda") else "cpu",
            )
            for layer in config.layers
            for percentile in config.percentiles
        }

    def _harvests(self, passages: Iterable[Passage]) -> Iterator[tuple[int, int, Harvest]]:
        """For each batch: its number of passages, how many of them were truncated, its harvest."""
        from ep.models import harvest

        config = self.config
        for batch in self.model.tokens.batches(passages, config.batch, config.context):
            truncated = int(batch.truncated.sum())
            yield (
                len(batch.passage),
                truncated,
                harvest(self.model, batch, config.layers, config.positions),
            )

    def _head(self) -> Iterator[tuple[int, dict[int, np.ndarray]]]:
        """For each calibration batch: the number of activations so far, and the batch by layer.

        Each call reads the text from its start (W1). Under protocol "paper" θ is a mean over whole
        batches, so the last batch is not cut. Under protocol "global" θ must not depend on the
        batch size, so the last batch is cut at the budget.
        """
        done, budget = 0, self.config.calibration
        for _, _, harvest in self._harvests(self.corpus):
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
        for passages, truncated, harvest in self._harvests(
            islice(self.corpus, self.passages_read[name], None)
        ):
            self.passages_read[name] += passages
            self.truncated[name] += truncated
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
            layer: directions(harvest.x[layer], self.calibrations[layer].center) for layer in layers
        }
        futures = {
            key: self.workers.submit(step, draft, rows[key[0]], events)
            for key, draft in drafts.items()
        }
        return {key: future.result() for key, future in futures.items()}

    def _progress(self, stage: str, total: int | None) -> Progress:
        done = self._streamed() if stage == "stream" else self._assigned()
        regions = {key: len(draft) for key, draft in self.drafts.items()}
        return Progress(stage, done, total, regions, self.truncated[stage])

    def _streamed(self) -> int:
        return max((draft.n_seen for draft in self.drafts.values()), default=0)

    def _assigned(self) -> int:
        return max((draft.voronoi.n_seen for draft in self.drafts.values()), default=0)
