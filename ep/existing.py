"""What a build finds in its output folder: earlier dictionaries, or a build that is unfinished.

Everything here is decided before the work begins, so that a build never ends by replacing the
result of another. Equal settings on an equal text and model give an equal dictionary, so such a
file may be built again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ep.config import LATER, BuildConfig
from ep.describing import portable
from ep.errors import ConfigError, DictionaryFileError
from ep.method.metrics import DEFAULT
from ep.storage.checkpoint import NAME
from ep.storage.file import header, printable

ADVICE = "choose another --out, or give --replace"


def targets(config: BuildConfig) -> Iterator[tuple[float, Path]]:
    """Yield (percentile, path) of every file that a build writes."""
    for layer in config.layers:
        for percentile in config.percentiles:
            yield percentile, config.folder / config.file_name(layer, percentile)


def refuse_other_state(folder: Path) -> None:
    """Raise ConfigError if the folder holds an unfinished build, which a new one would discard."""
    if (folder / NAME).exists():
        raise ConfigError(
            f"{printable(folder)} holds an unfinished build: continue it with --resume, "
            f"{ADVICE} to discard it"
        )


def refuse_other_files(config: BuildConfig, corpus_digest: str) -> None:
    """Raise ConfigError if a file of the build exists that states another model, text or setting.

    It needs no model, so it is the first check; `refuse_other_family` is the second.
    """
    for percentile, path in targets(config):
        info = _stated(path)
        if info is not None and (names := _differing(info, config, percentile, corpus_digest)):
            raise ConfigError(
                f"{printable(path)} exists, with another {' and another '.join(names)}: "
                f"{ADVICE} to build over it"
            )


def refuse_other_family(config: BuildConfig, family: str) -> None:
    """Raise ConfigError if a file of the build exists that belongs to another family.

    family: id of the build, which covers every setting and the model's tokenizer.
    """
    for _, path in targets(config):
        info = _stated(path)
        if info is not None and info.get("family") != family:
            raise ConfigError(
                f"{printable(path)} exists, with another tokenizer, budget, stopping rule, "
                f"dtype or extractor: {ADVICE} to build over it"
            )


def is_finished(path: Path) -> bool:
    """Return whether the file is a dictionary of a build that was not interrupted."""
    try:
        return path.exists() and bool(header(path)[0].get("complete", True))
    except DictionaryFileError:
        return False


def _stated(path: Path) -> Mapping[str, Any] | None:
    """Return the provenance of a file; None if there is no file.

    Raises ConfigError for a file that cannot be read: it may be worth more than it seems.
    """
    if not path.exists():
        return None
    try:
        return header(path)[0]
    except DictionaryFileError as error:
        raise ConfigError(f"{error}; to keep it, {ADVICE} to build over it") from error


def _differing(
    info: Mapping[str, Any], config: BuildConfig, percentile: float, corpus_digest: str
) -> list[str]:
    """Return the names of what the provenance states otherwise than the settings."""
    expected = {
        "model": portable(config.model, config.folder),
        "model_revision": config.revision,
        **{
            name: getattr(config, name)
            for name in ("positions", "context", "chat", "protocol", "batch", "seed")
        },
        "metric": None if config.metric == DEFAULT else config.metric,
    }
    expected |= {**LATER, **config.sifting(), **config.drawing(), "metric": config.metric}
    expected["adapter"] = config.adapter and portable(config.adapter, config.folder)
    if config.context is None:
        del expected["context"]  # the model decides it; `refuse_other_family` compares it
    expected |= {name: config.extra[name] for name in expected.keys() & config.extra.keys()}
    stated = {**LATER, **info, "adapter": (info.get("adapter") or {}).get("path")}
    names = [
        name.replace("_", " ") for name, value in expected.items() if stated.get(name) != value
    ]
    corpus = info.get("corpus")
    if not isinstance(corpus, dict) or corpus.get("digest") != corpus_digest:
        names.insert(0, "text")
    coarser = {info.get("coarser_percentile"), *(info.get("farther_percentiles") or ())} - {None}
    if not coarser <= set(config.coarser(percentile)):
        names.append("set of percentiles")  # the file counts members in regions of the others
    return names
