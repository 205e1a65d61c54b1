"""Builds a dictionary again with another seed, as the null of a matching of two dictionaries.

`settings` looks for the model and the text from which a dictionary was built and returns the
settings of the same build with another seed; `rebuild` runs that build; `find_stored` looks for
the result of an earlier one.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path

from ep.building import build
from ep.config import BuildConfig
from ep.corpus import Corpus
from ep.errors import CorpusError, EPError, RequestError
from ep.method.dictionary import Dictionary
from ep.models import model_of
from ep.models.adapters import parts
from ep.reporting import Progress
from ep.storage import open as open_dictionary
from ep.studies.matching import same_setting
from ep.textfiles import SUFFIXES

HIDDEN = ".other-seeds"
"""The folder for these builds inside a folder of dictionaries; shelves skip hidden folders."""
PARENTS = 4
"""Number of folders above that of a dictionary's file in which its text is looked for."""
MOST_REGIONS = 20_000
"""Larger dictionaries are not built again: pairing them would take more than minutes."""
STAGES = {
    "read": (0.0, 0.0),
    "calibrate": (0.0, 0.55),
    "stream": (0.55, 0.2),
    "assign": (0.75, 0.2),
    "lens": (0.95, 0.0),
    "write": (0.95, 0.05),
}
"""Start and duration of each stage of a build, as shares of its total time."""


def text_of(dictionary: Dictionary) -> Path:
    """Return the text file from which a dictionary was built, recognised by its digest.

    Raises CorpusError when none of `text_candidates` is it, as for a text of several files.
    """
    digest = (dictionary.info.get("corpus") or {}).get("digest")
    for path in text_candidates(dictionary) if digest else ():
        if Corpus((str(path),)).digest() == digest:
            return path
    raise CorpusError(
        f"the text {_text_name(dictionary) or 'of this dictionary'} is not near its file: put it "
        "into a folder called text beside it, or build a dictionary of the same setting with "
        "another --seed and name that one"
    )


def text_candidates(dictionary: Dictionary) -> list[Path]:
    """Return the text files of the right name near a dictionary's file.

    They lie in its folder, in the PARENTS folders above, or in the subfolder `text` of these.
    """
    name = _text_name(dictionary)
    if dictionary.path is None or Path(name).suffix.lower() not in SUFFIXES:
        return []
    folders = list(dictionary.path.resolve().parents)[: PARENTS + 1]
    near = [path for folder in folders for path in (folder / name, folder / "text" / name)]
    return [path for path in near if path.is_file()]


def _text_name(dictionary: Dictionary) -> str:
    return Path(str((dictionary.info.get("corpus") or {}).get("name") or "")).name


def settings(dictionary: Dictionary, out: Path, seed: int | None = None) -> BuildConfig:
    """Return the settings that build a dictionary again with another seed.

    out: folder of dictionaries; the build writes to a folder below its folder HIDDEN.
    seed: the seed of the new build; by default that of the dictionary plus one.

    Raises RequestError for more than MOST_REGIONS regions and for a file that does not state its
    settings; errors as `text_of` and `ep.model_of` when text or model are not there.
    """
    info = dictionary.info
    if len(dictionary) > MOST_REGIONS:
        raise RequestError(
            f"the dictionary has {len(dictionary):,} regions, and other seeds are built of at most "
            f"{MOST_REGIONS:,}: build one of the same setting with another --seed"
        )
    if missing := [
        name for name in ("layer", "percentile", "n_activations") if info.get(name) is None
    ]:
        raise RequestError(f"the file does not state how it was built: no {', '.join(missing)}")
    seed = int(info.get("seed") or 0) + 1 if seed is None else seed
    (model, adapter), text = parts(model_of(dictionary)), text_of(dictionary)
    name = f"{info.get('family') or 'build'}-L{info['layer']}-p{info['percentile']:g}-seed{seed}"
    return BuildConfig(
        model=model,
        text=(str(text),),
        layers=(int(info["layer"]),),
        percentiles=(float(info["percentile"]),),
        out=str(out / HIDDEN / name),
        tokens=int(info["n_activations"]),
        context=int(info.get("context") or 128),
        positions=info.get("positions") or "all",
        skip_first=int(info.get("skip_first") or 0),
        norm_cap=info.get("norm_cap"),
        text_weights=info.get("text_weights"),
        deduplicate=bool(info.get("deduplicate")),
        chat=bool(info.get("chat")),
        protocol=info.get("protocol") or "paper",
        metric=dictionary.metric.name,
        calibration=int(info.get("n_calibration") or info["n_activations"]),
        batch=int(info.get("batch") or 128),
        seed=seed,
        adapter=adapter,
        title=f"{info.get('title') or 'Build'} · seed {seed}",
    )


def rebuild(config: BuildConfig) -> Generator[Progress, None, None]:
    """Build the dictionary of `settings`, yielding the progress of `ep.build`.

    If the generator is closed or fails before the build is done, the output folder is removed. The
    folder is of this build alone, so what an earlier attempt left in it is replaced.
    """
    steps, done = build(config, replace=True), False
    try:
        for progress in steps:
            done = progress.stage == "done"
            yield progress
    finally:
        if not done:
            steps.close()
            shutil.rmtree(config.folder, ignore_errors=True)


def share(progress: Progress) -> float:
    """Return the share of such a build that is done, in [0, 1]."""
    start, width = STAGES.get(progress.stage, (1.0, 0.0))
    return start + width * min(1.0, progress.done / progress.total if progress.total else 0.5)


def find_stored(
    dictionary: Dictionary, folders: Sequence[Path], files: Sequence[Path] = ()
) -> Dictionary | None:
    """Return a complete dictionary of the same setting and another seed; None when there is none.

    folders: folders of dictionaries, in whose folder HIDDEN earlier builds are looked for.
    files: further dictionaries, which are tried first.
    """
    hidden = [path for folder in folders for path in sorted((folder / HIDDEN).glob("*/*.ep.h5"))]
    for path in (*files, *hidden):
        with suppress(EPError):
            other = open_dictionary(path)
            is_same = same_setting(dictionary.info, other.info) and other.width == dictionary.width
            if is_same and other.info.get("complete", True):
                return other
    return None
