"""The same build from another order of the stream: what the matching of two dictionaries is held
against.

Finds the model and the text a dictionary was built from where they are still beside it, and builds
one file of the same setting with another seed: hand `settings` to `rebuilt`. It knows settings and
files, no screen.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path

from ep.building import Progress, build
from ep.config import BuildConfig
from ep.corpus import SUFFIXES, Corpus
from ep.errors import CorpusError, EPError, RequestError
from ep.method.dictionary import Dictionary
from ep.models import model_of
from ep.storage import open as open_dictionary
from ep.studies.matching import same_setting

HIDDEN = ".other-seeds"
"""Folder, inside a folder of dictionaries, that such builds are kept in: shelves leave hidden
folders out.
"""
PARENTS = 4
"""Folders above a dictionary's file in which its text is looked for."""
MOST_REGIONS = 20_000
"""Regions up to which two dictionaries are paired in minutes; of more, no other seed is built."""
STAGES = {
    "calibrate": (0.0, 0.55),
    "stream": (0.55, 0.2),
    "assign": (0.75, 0.2),
    "write": (0.95, 0.05),
}
"""Where each stage of a build begins and how much of the whole it is, in shares of its time."""


def text_of(dictionary: Dictionary) -> Path:
    """The file of text a dictionary was built from, found by its name near the dictionary and known
    by its digest.

    CorpusError when it is not there any more, or was made of several files.
    """
    corpus = dictionary.info.get("corpus") or {}
    name, digest = Path(str(corpus.get("name") or "")).name, corpus.get("digest")
    where = dictionary.path.resolve() if dictionary.path else Path()
    if name and digest and Path(name).suffix.lower() in SUFFIXES:
        for folder in list(where.parents)[: PARENTS + 1]:
            for path in (folder / name, folder / "text" / name):
                if path.is_file() and Corpus((str(path),)).digest() == digest:
                    return path
    raise CorpusError(
        f"the text {name or 'of this dictionary'} is not near its file: put it into a folder "
        "called text beside it, or "
        "build a dictionary of the same setting with another --seed and name that one"
    )


def settings(dictionary: Dictionary, out: Path, seed: int | None = None) -> BuildConfig:
    """The build of one dictionary over again with another seed. Errors as `text_of` and `model_of`.

    seed: by default the dictionary's own, plus one. out: the folder that gets a folder for this
    build. RequestError for more than MOST_REGIONS regions and for files that do not say how they
    were built.
    """
    info = dictionary.info
    if len(dictionary) > MOST_REGIONS:
        raise RequestError(
            f"it holds {len(dictionary):,} regions, and other seeds are built up to "
            f"{MOST_REGIONS:,}: build one of the "
            "same setting with another --seed"
        )
    if missing := [
        name for name in ("layer", "percentile", "n_activations") if info.get(name) is None
    ]:
        raise RequestError(f"its file does not say how it was built ({', '.join(missing)})")
    seed = int(info.get("seed") or 0) + 1 if seed is None else seed
    model, text = model_of(dictionary), text_of(dictionary)
    name = f"{info.get('family') or 'build'}-L{info['layer']}-p{info['percentile']:g}-seed{seed}"
    return BuildConfig(
        model=model,
        text=(str(text),),
        layers=(int(info["layer"]),),
        percentiles=(float(info["percentile"]),),
        out=str(out / HIDDEN / name),
        tokens=int(info["n_activations"]),
        context=int(info.get("context") or 128),
        positions=str(info.get("positions") or "all"),
        chat=bool(info.get("chat")),
        protocol=str(info.get("protocol") or "paper"),
        calibration=int(info.get("n_calibration") or info["n_activations"]),
        batch=int(info.get("batch") or 128),
        seed=seed,
        title=f"{info.get('title') or 'Build'} · seed {seed}",
    )


def rebuilt(config: BuildConfig) -> Generator[Progress, None, None]:
    """Builds it, with the progress of `ep.build`; ended before it is done, nothing of it is left
    behind.
    """
    steps, done = build(config), False
    try:
        for progress in steps:
            done = progress.stage == "done"
            yield progress
    finally:
        if not done:
            steps.close()
            shutil.rmtree(config.folder, ignore_errors=True)


def share(progress: Progress) -> float:
    """How far such a build is, in [0, 1]."""
    start, width = STAGES.get(progress.stage, (1.0, 0.0))
    return start + width * min(1.0, progress.done / progress.total if progress.total else 0.5)


def kept(
    dictionary: Dictionary, folders: Sequence[Path], files: Sequence[Path] = ()
) -> Dictionary | None:
    """A dictionary of the same setting and another seed among `files` or kept in the hidden folder
    of `folders`.
    """
    hidden = [path for folder in folders for path in sorted((folder / HIDDEN).glob("*/*.ep.h5"))]
    for path in (*files, *hidden):
        with suppress(EPError):
            other = open_dictionary(path)
            same = same_setting(dictionary.info, other.info) and other.width == dictionary.width
            if same and other.info.get("complete", True):
                return other
    return None
