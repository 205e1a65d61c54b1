"""How many regions different texts need: their curves at one θ, and what only one of them founded.

    1 read each text once, as far as the budget; the shortest decides n, which holds for all
    2 calibrate: centre and θ from the same number of activations of each, one of each in turn
    3 partition each text alone, in several orders and in halves, and all of them together
    4 measure how near the activations of the others come to each exemplar
    5 describe the regions, and write a dictionary of each text where a folder is given

θ is always the global percentile, and nothing depends on the batch size. Within each text the
stream is that of a build with the same seed. The texts take turns in the order of their digests, so
that neither their names nor the order in which they were given changes a figure.

The module is not called `saturate` because `ep.saturate` is the function.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import disk_usage
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from ep import existing
from ep.config import CONTEXT, BuildConfig
from ep.describing import Describer, family
from ep.errors import ConfigError, CorpusError, StorageError
from ep.method.calibration import Calibration, Thresholds
from ep.method.draft import Draft
from ep.method.laws import law_of
from ep.method.moments import MetricSum
from ep.method.outliers import Measured, Norms, Spread
from ep.method.saturation import StopRule
from ep.progress import Report, silent
from ep.saturating_rows import Text, interleaved
from ep.saturating_work import Founded, Reach, founded_of, joint_of
from ep.storage.checkpoint import prepare_folder
from ep.storage.output import temporary_folder
from ep.storage.replacing import save_over
from ep.studies.rates import Rate
from ep.studies.saturation import chao, curve_of, growth_of, recent
from ep.studies.saturation_result import Comparison, Domain, Saturation
from ep.text import one_line

if TYPE_CHECKING:
    from ep.models import LanguageModel

FEWEST, MOST = 2, 4
"""Texts that can be compared."""
LEAST_N = 100
"""Activations of each text below which nothing is compared."""
LONGEST_NAME = 40
BATCH = 16
"""Passages that go through the model at once, whatever the settings say: a model rounds otherwise
in another batch, and nothing else would depend on it. Few, so that little is read beyond n."""
READING = 0.6
"""Share of the work that reading is taken for in the progress."""


@dataclass(frozen=True)
class Step:
    """How far a study is: what it does, and the share done in [0, 1]."""

    activity: str
    share: float


def saturate(
    config: BuildConfig,
    corpora: Mapping[str, Sequence[str]],
    out: str | Path | None = None,
    model: LanguageModel | None = None,
    report: Report = silent,
) -> Generator[Step | Saturation, None, None]:
    """Compare texts by the regions they need; yields steps, and at last the `Saturation`.

    config: settings of the builds; `text`, `out` and `batch` are ignored, and θ is measured by
        protocol "global". `tokens` is the most activations of a text; without it, all of the
        shortest.
    corpora: files of each text by name, two to four.
    out: folder for one dictionary of each text, layer and percentile; None writes none.
    model: the model of the settings, if it is loaded; report: told how far loading it is.

    Where a text is shorter than the budget, all are cut to it, which a note of the result says.
    Closing the generator leaves nothing behind. Raises ConfigError for settings that have no
    meaning here, CorpusError for texts that cannot be used, and the errors of a build.
    """
    check(config, corpora)
    config = replace(config, protocol="global", batch=BATCH)
    if model is None:
        from ep.models import load

        model = load(
            config.model, config.device, config.dtype, config.revision, config.adapter, report
        )
    model.check_layers(config.layers)
    config = config.fitted(model.context - (model.tokens.bos is not None))
    with temporary_folder("ep-saturate-") as folder:
        _check_room(config, model, len(corpora), folder)
        norms: dict[int, Norms] = {}
        texts = [
            Text.open(name, _settings(config, name, files, out), model, folder / str(number), norms)
            for number, (name, files) in enumerate(corpora.items())
        ]
        yield from _Study(config, model, texts, out).run()


def check(config: BuildConfig, corpora: Mapping[str, Sequence[str]]) -> None:
    """Raise ConfigError for names or settings that cannot be used."""
    if not FEWEST <= len(corpora) <= MOST:
        raise ConfigError(
            f"{len(corpora)} texts were given: {FEWEST} to {MOST} can be compared, each under a "
            "name of its own"
        )
    folders: dict[str, str] = {}
    for name in corpora:
        if not name.strip() or len(name) > LONGEST_NAME or not (slug := folder_name(name)):
            raise ConfigError(
                f"{one_line(name, 60)!r} is no name of a text: expected 1 to {LONGEST_NAME} "
                "characters with a letter or digit"
            )
        if folders.setdefault(slug, name) != name:
            raise ConfigError(f"{folders[slug]!r} and {name!r} are too alike: give other names")
    for setting in ("stop_rate", "quiet_batches", "norm_cap", "text_weights", "lens_prompts"):
        if getattr(config, setting) is not None:
            raise ConfigError(
                f"{setting} has no meaning when texts are compared at equal sizes: leave it out"
            )


def _check_room(config: BuildConfig, model: LanguageModel, texts: int, folder: Path) -> None:
    """Raise StorageError where the activations of the budget do not fit on the disk."""
    needed = (config.tokens or 0) * texts * len(config.layers) * model.width * 4
    if needed > (free := disk_usage(folder).free):
        raise StorageError(
            f"the activations take {needed / 1e9:.1f} GB and {folder.parent} has "
            f"{free / 1e9:.1f} GB free: make room, lower --tokens, or set TMPDIR to another disk"
        )


def folder_name(name: str) -> str:
    """Return the folder of a text's dictionaries."""
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.")


def _settings(
    config: BuildConfig, name: str, files: Sequence[str], out: str | Path | None
) -> BuildConfig:
    """Return the settings of one text."""
    folder = str(Path(out) / folder_name(name)) if out is not None else config.out
    title = config.title or f"{config.model_name} on {name}"
    return replace(config, text=tuple(files), out=folder, title=title)


class _Study:
    """One study, from the opened texts to the result."""

    def __init__(
        self, config: BuildConfig, model: LanguageModel, texts: list[Text], out: str | Path | None
    ) -> None:
        self.config, self.model, self.texts, self.out = config, model, texts, out
        self.turns = sorted(texts, key=lambda text: (text.digest, text.name))
        self.n = 0
        self.notes: list[str] = []
        self.started = monotonic()
        self.device = model.device if model.device.startswith("cuda") else "cpu"
        facts = [config.deciding(), [text.digest for text in self.turns], model.digest]
        self.id = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def run(self) -> Iterator[Step | Saturation]:
        """Do all of it."""
        if self.out is not None:
            for text in self.texts:
                prepare_folder(text.config.folder)
                existing.refuse_other_family(text.config, self._family(text))
        yield from self._read()
        calibrations, measured, shared = self._calibrated()
        comparisons = []
        keys = [(layer, p) for layer in self.config.layers for p in self.config.percentiles]
        for done, (layer, p) in enumerate(keys):
            steps = self._compare(layer, p, calibrations, measured)
            while True:
                try:
                    activity, share = next(steps)
                except StopIteration as end:
                    comparisons.append(end.value)
                    break
                yield Step(activity, READING + (1 - READING) * (done + share) / len(keys))
        yield Saturation(tuple(comparisons), self.n, shared, tuple(self.notes))

    def _read(self) -> Iterator[Step]:
        budget = self.config.tokens
        for number, text in enumerate(self.texts):
            for done in text.read():
                share = min(1.0, done / budget) if budget else 0.5
                yield Step(f"reading {text.name}", READING * (number + share) / len(self.texts))
        shortest = min(self.texts, key=lambda text: text.n)
        self.n = shortest.n
        if self.n < LEAST_N:
            raise CorpusError(
                f"{shortest.name} gave {self.n:,} activations: expected at least {LEAST_N}; give "
                "more text"
            )
        if budget is not None and self.n < budget:
            self.notes.append(
                f"{shortest.name} gave {self.n:,} activations of {budget:,}: all were cut to that"
            )
        for text in self.texts:
            if text.counts.truncated:
                self.notes.append(
                    f"{text.name}: {text.counts.truncated:,} of {text.counts.passages:,} passages "
                    f"were cut to {text.config.context} tokens"
                )

    def _calibrated(self) -> tuple[dict[int, Calibration], dict[int, Measured], int]:
        """Measure centre and θ of each layer on the same number of activations of each text."""
        config, calibrations, measured = self.config, {}, {}
        shared = min(self.n, max(LEAST_N, config.calibration // len(self.texts)))
        for layer in config.layers:
            rows = [text.rows(layer) for text in self.turns]
            moments = MetricSum(self.model.width, config.metric)
            for x in interleaved(rows, shared):
                moments.update(x)
            metric = moments.metric()
            thresholds = Thresholds(metric, config.percentiles, "global", config.seed)
            spread = Spread(metric.center)
            for x in interleaved(rows, shared):
                thresholds.update(x)
                spread.update(x)
            calibrations[layer] = thresholds.calibration()
            measured[layer] = Measured(
                self.turns[0].norms[layer].outliers(),
                spread.largest(),
                self.turns[0].sieves[layer],
            )
        return calibrations, measured, shared

    # -- one layer and percentile ------------------------------------------------------------------

    def _compare(
        self,
        layer: int,
        p: float,
        calibrations: dict[int, Calibration],
        measured: dict[int, Measured],
    ) -> Generator[tuple[str, float], None, Comparison]:
        calibration = calibrations[layer]
        theta, metric = calibration.thresholds[p], calibration.metric
        law, total = law_of(self.config.metric), 3 * len(self.texts) + 1
        found: dict[str, Founded] = {}
        for done, text in enumerate(self.texts):
            yield f"founding the regions of {text.name}", done / total
            draft = self._draft(theta)
            found[text.name] = yield from _timed(
                founded_of(draft, metric, text, layer, self.n), text.name, done / total
            )
        yield "founding the regions of all", len(self.texts) / total
        order = [text.name for text in self.turns]
        joint = joint_of(
            law.leaders(theta, self.model.width, self.device),
            metric,
            [text.rows(layer) for text in self.turns],
            [text.name for text in self.texts],
            order,
            self.n,
        )
        reach = Reach(law, theta, metric, {t.name: t.rows(layer) for t in self.texts}, self.n)
        domains = []
        for done, text in enumerate(self.texts):
            at = (len(self.texts) + 1 + 2 * done) / total
            yield f"comparing {text.name} with the others", at
            domain = self._domain(text, found, reach)
            yield f"describing the regions of {text.name}", at + 1 / total
            domains.append(self._described(domain, text, layer, p, calibrations, measured))
        return Comparison(layer, p, theta, tuple(domains), joint)

    def _draft(self, theta: float) -> Draft:
        config = self.config
        return Draft(
            theta,
            width=self.model.width,
            context=config.context or CONTEXT,
            rule=StopRule(self.n),
            seed=config.seed,
            device=self.device,
            rival_budget=config.rival_budget,
            metric=config.metric,
        )

    def _domain(self, text: Text, found: Mapping[str, Founded], reach: Reach) -> _Found:
        """Measure which regions of a text are its own, and its control."""
        mine = found[text.name]
        early = mine.exemplars[: mine.early]
        away = {one.name: reach.whole(mine.exemplars, one.name) for one in self._others(text)}
        is_own = ~np.any([reach.joins(score) for score in away.values()], axis=0)
        control, *apart = (
            reach.apart(reach.late(early, name), reach.early(mine.late, name))
            for name in (text.name, *away)
        )
        distances = {name: reach.law.distance(score) for name, score in away.items()}
        shares = dict(zip(away, apart, strict=True))
        return _Found(mine, np.flatnonzero(is_own), distances, control, shares)

    def _others(self, text: Text) -> list[Text]:
        return [other for other in self.texts if other is not text]

    def _described(
        self,
        found: _Found,
        text: Text,
        layer: int,
        p: float,
        calibrations: dict[int, Calibration],
        measured: dict[int, Measured],
    ) -> Domain:
        """Estimate the limit of a text, and make its dictionary."""
        mine, n = found.founded, self.n
        study = {"id": self.id, "name": text.name, "texts": [one.name for one in self.texts]}
        extra = {**text.config.extra, "family": self._family(text), "saturation": study}
        describer = Describer(
            replace(text.config, extra=extra, tokens=n),
            self.model,
            text.corpus,
            text.digest,
            calibrations,
            measured,
        )
        passages = describer.passages({p: mine.draft})
        facts = text.counts.facts() | text.stream.left_out(text.counts.passages)
        seconds = monotonic() - self.started
        dictionary = describer.dictionary(layer, p, mine.draft, passages, facts, seconds, True)
        file = None
        if self.out is not None:
            file = text.config.folder / text.config.file_name(layer, p)
            save_over(dictionary, file)
        first, curves = mine.orders[0], [curve_of(one.founded_at, n) for one in mine.orders]
        return Domain(
            name=text.name,
            n=n,
            curve=curves[0],
            members=chao(first.members, n),
            passages=chao(first.passages, mine.n_passages),
            rate=recent(first.founded_at, n),
            growth=growth_of(curves),
            orders=tuple(len(one.founded_at) for one in mine.orders[1:]),
            halves=(mine.early, len(mine.late)),
            own=found.own,
            away=found.away,
            control=found.control,
            apart=found.apart,
            dictionary=dictionary,
            file=file,
        )

    def _family(self, text: Text) -> str:
        """Return the id of a text's dictionaries, which no plain build of the text has."""
        parts = [family(text.config, self.model, text.digest), self.id, text.name]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Found:
    """What was measured of one text beside the others; see `Domain`."""

    founded: Founded
    own: np.ndarray
    away: Mapping[str, np.ndarray]
    control: Rate
    apart: Mapping[str, Rate]


def _timed(
    steps: Generator[None, None, Founded], name: str, share: float
) -> Generator[tuple[str, float], None, Founded]:
    """Yield the same activity at every step, so that the work can be stopped there."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        yield f"founding the regions of {name}", share
