"""Published dictionaries (pickles of the reference code) become `.ep.h5` files, without ever being
unpickled.

`machine` interprets the data opcodes into inert values, `layout` knows the published classes and
checks every value, `conversion` makes one of our dictionaries of them, `metadata` reads the JSON
beside the file. All that happens in a child process with a limit on its memory (`__main__`); this
module starts it, listens, and turns each of its endings into a file or one line.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from time import monotonic
from typing import Any

from ep.errors import DictionaryFileError, StorageError
from ep.storage.file import header, shown
from ep.storage.schema import SUFFIX

Progress = Callable[[str, float | None], None]

TIMEOUT_S = 3600.0
LOOK_EVERY_S = 0.3
"""How often the caller is told how far it is, and may raise to stop the work."""

ROOT = Path(__file__).resolve().parents[3]


def convert(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    metadata: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    *,
    origin: Mapping[str, Any] | None = None,
    timeout: float = TIMEOUT_S,
) -> Path:
    """Read a published dictionary and write it as an `.ep.h5` file; returns where that lies.

    out: the file, or a folder to name it in by model, layer and percentile; beside the source when
    None.
    metadata: the JSON published with it, as a file or as parsed; None looks for
    `<name>_metadata.json` beside it.
    progress: called with a few words and a share in [0, 1] or None, several times a second; if it
    raises, the work stops and nothing is left behind.
    origin: where the file was downloaded from: repository, revision, file, licence, card_regions
    (the K that the card states).

    Raises DictionaryFileError for a file that is no published dictionary, damaged, hostile, or too
    large for memory; StorageError when `out` cannot be written. An existing file is replaced in one
    step or left as it was.
    """
    source = Path(path)
    _admit(source)
    target = Path(out) if out is not None else source.with_suffix(SUFFIX)
    folder = target if target.is_dir() else target.parent
    report = progress or (lambda said, share: None)
    with _scratch(folder) as scratch:
        request: dict[str, Any] = {
            "path": str(source.absolute()),
            "out": str(scratch / f"x{SUFFIX}"),
        }
        request |= {"metadata": _metadata(metadata, scratch), "origin": dict(origin or {})}
        try:
            _run(request, report, timeout)
        except DictionaryFileError as error:
            raise DictionaryFileError(f"{shown(source)}: {error}") from None
        made = scratch / f"x{SUFFIX}"
        if target.is_dir():
            target = target / name_for(header(made)[0])
        try:
            made.replace(target)
        except OSError as error:
            raise StorageError(
                f"{shown(target)} could not be written ({error.strerror})"
            ) from error
    return target


def name_for(info: Mapping[str, Any]) -> str:
    """A file name from provenance, such as gemma-2-2b-it-L20-p4.ep.h5."""
    stem = re.sub(
        r"[^A-Za-z0-9._-]+", "-", str(info.get("model") or info.get("title") or "").split("/")[-1]
    )
    layer = f"-L{info['layer']}" if info.get("layer") is not None else ""
    percentile = f"-p{info['percentile']:g}" if info.get("percentile") is not None else ""
    return f"{stem.strip('-.') or 'published'}{layer}{percentile}{SUFFIX}"


def _admit(source: Path) -> None:
    """A regular file that begins like a pickle, or one line."""
    try:
        if not source.is_file():
            what = (
                "this is not a file" if source.exists() else "there is no such file: check the path"
            )
            raise DictionaryFileError(f"{shown(source)}: {what}")
        with source.open("rb") as file:
            head = file.read(2)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DictionaryFileError(f"{shown(source)}: the file cannot be read ({reason})") from None
    if len(head) < 2 or head[0] != 0x80 or not 2 <= head[1] <= 5:
        what = "the file is empty" if not head else "this is no published dictionary"
        raise DictionaryFileError(
            f"{shown(source)}: {what}: expected a pickle of protocol 2 to 5, as on the Hub"
        )


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A hidden folder beside the target, gone afterwards, so that a half-written file is never
    seen.
    """
    try:
        made = Path(tempfile.mkdtemp(prefix=".importing-", dir=folder))
    except OSError as error:
        raise StorageError(
            f"{shown(folder)} cannot be written ({error.strerror}): choose another folder"
        ) from error
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _metadata(
    given: str | os.PathLike[str] | Mapping[str, Any] | None, scratch: Path
) -> str | None:
    """The path of the metadata for the child."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        return str(Path(given).absolute())
    path = scratch / "metadata.json"
    path.write_text(json.dumps(dict(given), default=str))
    return str(path)


# -- the child process -----------------------------------------------------------------------------


def _run(request: Mapping[str, Any], report: Progress, timeout: float) -> None:
    """Start the child, pass on what it says, and raise what it ended with."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-P", "-m", "ep.storage.published"]
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=environment,
            text=True,
        ) as child,
    ):
        heard: Queue[str | None] = Queue()
        ear = Thread(target=_hear, args=(child, heard), daemon=True)
        ear.start()
        try:
            _ask(child, json.dumps(request, default=str))
            _listen(child, heard, report, monotonic() + timeout)
        finally:
            child.kill()
            child.wait()
            ear.join()


def _hear(child: subprocess.Popen[str], heard: Queue[str | None]) -> None:
    """In a thread: every line the child says, and None when it says no more."""
    assert child.stdout is not None
    for line in child.stdout:
        heard.put(line)
    heard.put(None)


def _ask(child: subprocess.Popen[str], request: str) -> None:
    assert child.stdin is not None
    with suppress(OSError):  # it ended already: what it said, or its exit code, tells why
        child.stdin.write(request)
        child.stdin.close()


def _listen(
    child: subprocess.Popen[str], heard: Queue[str | None], report: Progress, deadline: float
) -> None:
    """Until the child is done: pass its progress on; raise DictionaryFileError or StorageError for
    any other end.
    """
    said: str = "reading"
    share: float | None = None
    while True:
        report(said, share)
        if monotonic() > deadline:
            raise DictionaryFileError(
                "reading took too long and was stopped: the file may be damaged"
            )
        try:
            line = heard.get(timeout=LOOK_EVERY_S)
        except Empty:
            continue
        if line is None:
            raise DictionaryFileError(_ending(child.wait()))
        message = json.loads(line)
        if "said" in message:
            said, share = message["said"], message["share"]
        elif "done" in message:
            return
        elif "storage" in message:
            raise StorageError(message["storage"])
        else:
            raise DictionaryFileError(message["error"])


def _ending(code: int) -> str:
    """Why a child that said nothing ended."""
    if code < 0:
        return f"reading it was ended by signal {-code}: it may need more memory than there is"
    return (
        f"reading it failed (exit code {code}): the file is damaged, or needs more memory than "
        "is allowed"
    )
