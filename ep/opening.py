"""Phase 1 of a build: opens the text, the model and what runs it, and refuses what would be lost.

The checks come in the order of their cost: settings and text, what the output folder holds, the
model, and at last the workers of a cluster.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ep import existing
from ep.cluster import RayExtractor, check_cluster
from ep.config import BuildConfig
from ep.corpus import Corpus
from ep.describing import family
from ep.errors import CorpusError
from ep.extras import require
from ep.models.adapters import read as read_adapter
from ep.progress import Report, silent
from ep.storage.hub.texts import corpus_of

if TYPE_CHECKING:
    from ep.models import LanguageModel, LocalExtractor
    from ep.models.extraction import Extractor


@dataclass(frozen=True)
class Opened:
    """What a build works with. Whoever has it closes the extractor.

    config: the settings, with a context that the model can read. digest: of the text.
    """

    config: BuildConfig
    model: LanguageModel
    corpus: Corpus
    digest: str
    extractor: Extractor


def opened(config: BuildConfig, is_new: bool, replace: bool, report: Report = silent) -> Opened:
    """Open the text and the model of a build.

    is_new: whether nothing is continued; an unfinished build in the folder is then in the way.
    replace: whether what is in the output folder may be of another build.
    report: called while a GGUF file is converted.

    Raises the errors of `ep.build`; nothing is then left open.
    """
    if config.adapter:
        read_adapter(config.adapter)  # its errors come before the text is read
    if config.extractor == "vllm":
        require("vllm")
    check_cluster(config)
    corpus = corpus_of(config)
    if corpus.is_empty():
        raise CorpusError(
            f"{', '.join(config.text)} contains no text: expected at least one passage"
        )
    digest = corpus.digest()
    if not replace:
        existing.refuse_other_files(config, digest)
        if is_new:
            existing.refuse_other_state(config.folder)
    from ep.models import load

    model = load(config.model, config.device, config.dtype, config.revision, config.adapter, report)
    model.check_layers(config.layers)
    config = config.fitted(longest_text(config, model))
    config, local = _with_extractor(config, model, report)
    try:
        if not replace:
            existing.refuse_other_family(config, family(config, model, digest))
        extractor: Extractor = local
        if config.ray is not None:
            extractor = RayExtractor(config, model, local)
    except BaseException:
        local.close()
        raise
    return Opened(config, model, corpus, digest, extractor)


def longest_text(config: BuildConfig, model: LanguageModel) -> int:
    """Return how many tokens of a passage can be read, not counting BOS.

    vLLM generates one token behind each passage, for which there must be room.
    """
    return model.context - (model.tokens.bos is not None) - (config.extractor == "vllm")


def _with_extractor(
    config: BuildConfig, model: LanguageModel, report: Report
) -> tuple[BuildConfig, LocalExtractor]:
    """Return what runs the model in this process, and the settings with what it turned out to be.

    Its name stands in the provenance unless it is the bridge's.
    """
    from ep.models import LocalExtractor
    from ep.models.probing import rounds_otherwise
    from ep.models.runners import label, longest_passage, runner_of

    name = config.extractor
    if name == "bridge":
        return config, LocalExtractor(model)
    report(f"preparing {name}", None)
    runner = runner_of(name, model, config.layers, longest_passage(config, model))
    try:
        own_bits = rounds_otherwise(model, config.layers, runner.run, name)
    except BaseException:
        runner.close()
        raise
    extra = config.extra | {"extractor": label(name)}
    found = dataclasses.replace(config, rounds_otherwise=own_bits, extra=extra)
    return found, LocalExtractor(model, runner)
