"""Data sets of the Hub as texts: read row by row, never downloaded as a whole.

A text is named as the Hub's file system names it, `hf://datasets/OWNER/NAME`, followed by
`@REVISION` and by `:CONFIG` or `:CONFIG:SPLIT` where the data set has several. The revision is
pinned to its commit when the text is opened, so every pass reads the same rows. The library
`datasets` knows configurations, splits and file formats, and fetches what is read.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ep.config import BuildConfig
from ep.corpus import Corpus
from ep.errors import CorpusError, EPError, ServiceError
from ep.mixing import Mix
from ep.spool import Spool
from ep.storage.hub.refusals import refusals
from ep.text import one_line
from ep.textfiles import Row, cell

PREFIX = "hf://"
FORM = "hf://datasets/OWNER/NAME[@REVISION][:CONFIG[:SPLIT]]"
_NAME = re.compile(
    r"hf://datasets/(?P<repository>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[^:]+))?"
    r"(?::(?P<config>[^:]*))?(?::(?P<split>[^:]+))?"
)


def opened(sources: Iterable[str | Path], field: str | None) -> list[Path | HubText]:
    """Return the sources of a text, those on the Hub open.

    field: the column with the text; by default "text", else "messages".

    Raises CorpusError for a name that is not of the form FORM, and the errors of `HubText`.
    """
    return [
        HubText(str(source), field) if str(source).startswith(PREFIX) else Path(source)
        for source in sources
    ]


def corpus_of(config: BuildConfig) -> Corpus:
    """Return the text of a build: its sources one after the other, or mixed by weights.

    Errors as `opened` and `Corpus`.
    """
    settings = (config.seed, config.field_name, config.chat)
    texts = opened(config.text, config.field_name)
    if config.text_weights is None:
        return Corpus(texts, *settings, deduplicate=config.deduplicate)
    parts = [Corpus([text], *settings, deduplicate=config.deduplicate) for text in texts]
    return Mix(parts, [Path(text).name for text in config.text], config.text_weights, config.seed)


class HubText:
    """One split of a data set on the Hub.

    source: its name, see FORM. field: as in `opened`.

    Raises CorpusError for a configuration, split or column that is not there, naming those that
    are; RequestError where the data set does not exist or is not accessible; ServiceError where the
    Hub cannot be reached, also while it is read.
    """

    def __init__(self, source: str, field: str | None = None) -> None:
        if not (found := _NAME.fullmatch(source)):
            raise CorpusError(f"{source} names no data set on the Hub: expected {FORM}")
        self.name, self.field = source, field
        self.repository, revision, self.config, split = found.groups()
        self.config = self.config or None
        with _asked(source):
            self.revision = _commit(self.repository, revision)
            self._data, self.split = self._split(split)
            self.columns = _columns(self._data)
        names = (field,) if field else ("text", "messages")
        if not set(names) & set(self.columns):
            raise CorpusError(
                f"{source} has no column {names[0]!r}, only {self.columns}: name the text's column"
            )
        self._spool = Spool(self._read)

    def rows(self) -> Iterator[Row]:
        """Yield the rows in order; what was read before comes from disk."""
        return iter(self._spool)

    def facts(self) -> dict[str, Any]:
        """What determines the rows, as an entry of a file's provenance."""
        return {
            "repository": self.repository,
            "revision": self.revision,
            "config": self.config,
            "split": self.split,
        }

    def digest(self) -> bytes:
        """SHA-256 of what determines the rows."""
        return hashlib.sha256(json.dumps(self.facts(), sort_keys=True).encode()).digest()

    def _split(self, split: str | None) -> tuple[Any, str]:
        """The data of a split and its name; of "train" by default, or of the only one."""
        from datasets import disable_progress_bars, load_dataset

        disable_progress_bars()
        splits = load_dataset(self.repository, self.config, revision=self.revision, streaming=True)
        name = split or ("train" if "train" in splits or len(splits) != 1 else next(iter(splits)))
        if name not in splits:
            raise CorpusError(
                f"{self.name} has no split {name!r}, only {sorted(splits)}: give one as {FORM}"
            )
        return splits[name], name

    def _read(self) -> Iterator[Row]:
        with _asked(self.name):
            for number, row in enumerate(self._data, 1):
                yield f"row {number}", cell(row, self.field)


def _commit(repository: str, revision: str | None) -> str:
    from huggingface_hub import HfApi, constants

    api = HfApi(endpoint=constants.ENDPOINT)
    commit = str(api.dataset_info(repository, revision=revision).sha)
    api.auth_check(repository, repo_type="dataset")  # a gated one tells its commit to everybody
    return commit


def _columns(data: Any) -> list[str]:
    """The columns of a data set; where it does not state them, those of its first row."""
    return list(data.column_names or next(iter(data), {}))


@contextmanager
def _asked(target: str) -> Iterator[None]:
    """Convert the errors of `datasets`, which mostly come from others that say more."""
    from datasets.exceptions import DatasetsError

    with refusals(target):
        try:
            yield
        except EPError:
            raise
        except (DatasetsError, ValueError, OSError) as error:
            raise _said(target, error) from error


def _said(target: str, error: Exception) -> Exception:
    """The error behind one of `datasets`: of the Hub, of the network, or one line of its own."""
    from httpx2 import TransportError
    from huggingface_hub.errors import HfHubHTTPError

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, HfHubHTTPError | TransportError):
            return cause
        if isinstance(cause, ConnectionError):
            return ServiceError(
                f"{target}: the Hub cannot be reached; check the connection and try again"
            )
        cause = cause.__cause__ or cause.__context__
    return CorpusError(f"{target} cannot be read: {one_line(str(error), 300)}")
