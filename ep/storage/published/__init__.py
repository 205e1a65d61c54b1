"""Converts published dictionaries, which are pickles, to `.ep.h5` files without unpickling them.

`machine` interprets the data opcodes of a pickle as inert values, `layout` checks them against the
classes of the reference code, `conversion` makes a dictionary of them, and `metadata` reads the
JSON beside the file. All of this happens in a child process with limited memory (`__main__`); this
module starts the process, passes its progress on, and moves the finished file into place.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from time import monotonic
from typing import Any

from ep.errors import DictionaryFileError, StorageError
from ep.leftovers import unfinished
from ep.progress import Report, silent
from ep.storage.file import header, printable
from ep.storage.replacing import comes_from, refuse_other
from ep.storage.schema import SUFFIX

TIMEOUT_S = 3600.0
POLL_S = 0.3
"""Seconds between two reports of progress, each of which may raise to stop the work."""

ROOT = Path(__file__).resolve().parents[3]


def convert(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    metadata: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    progress: Report | None = None,
    *,
    origin: Mapping[str, Any] | None = None,
    timeout: float = TIMEOUT_S,
    replace: bool = False,
) -> Path:
    """Convert a published dictionary to an `.ep.h5` file and return the path of that file.

    path: the published `.pkl` file.
    out: the file to write, or a folder in which it is named by model, layer and percentile; None
        writes it beside the source.
    metadata: the JSON published with the file, as a path or parsed; None looks for
        `<name>_metadata.json` beside it.
    progress: called several times a second with a message and a share in [0, 1] or None; if it
        raises, the work stops and no file is left behind.
    origin: where the file was downloaded from: repository, revision, file, licence, card_regions
        (the K that the card states).
    timeout: seconds after which the work is stopped.
    replace: whether to replace a file that is there, in one step. Without it only a dictionary of
        the same published file is replaced, to which nothing was added.

    Raises DictionaryFileError for a file that is not a published dictionary, damaged, hostile, or
    too large for memory, and StorageError when `out` cannot be written. ConfigError for
    another file that would be replaced.
    """
    source = Path(path)
    _check_start(source)
    target = Path(out) if out is not None else source.with_suffix(SUFFIX)
    folder = target if target.is_dir() else target.parent
    report = progress or silent

    def is_same(info: Mapping[str, Any]) -> bool:
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return comes_from(info, {"sha256": digest})

    if not target.is_dir():
        refuse_other(target, replace, is_same)
    with _scratch(folder) as scratch:
        request: dict[str, Any] = {
            "path": str(source.absolute()),
            "out": str(scratch / f"x{SUFFIX}"),
        }
        request |= {"metadata": _metadata(metadata, scratch), "origin": dict(origin or {})}
        try:
            _run(request, report, timeout)
        except DictionaryFileError as error:
            raise DictionaryFileError(f"{printable(source)}: {error}") from None
        except StorageError as error:
            said = str(error).replace(printable(scratch / f"x{SUFFIX}"), printable(target))
            raise StorageError(said) from None
        converted = scratch / f"x{SUFFIX}"
        if target.is_dir():
            target = target / name_for(header(converted)[0])
            refuse_other(target, replace, is_same)
        try:
            converted.replace(target)
        except OSError as error:
            raise StorageError(
                f"{printable(target)} could not be written ({error.strerror})"
            ) from error
    return target


def name_for(info: Mapping[str, Any]) -> str:
    """Return a file name for some provenance, such as gemma-2-2b-it-L20-p4.ep.h5."""
    stem = re.sub(
        r"[^A-Za-z0-9._-]+", "-", str(info.get("model") or info.get("title") or "").split("/")[-1]
    )
    layer = f"-L{info['layer']}" if info.get("layer") is not None else ""
    percentile = f"-p{info['percentile']:g}" if info.get("percentile") is not None else ""
    return f"{stem.strip('-.') or 'published'}{layer}{percentile}{SUFFIX}"


def _check_start(source: Path) -> None:
    """Raise DictionaryFileError unless the path is a regular file that begins like a pickle."""
    try:
        if not source.is_file():
            problem = (
                "this is not a file" if source.exists() else "there is no such file: check the path"
            )
            raise DictionaryFileError(f"{printable(source)}: {problem}")
        with source.open("rb") as file:
            head = file.read(2)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DictionaryFileError(
            f"{printable(source)}: the file cannot be read ({reason})"
        ) from None
    if len(head) < 2 or head[0] != 0x80 or not 2 <= head[1] <= 5:
        problem = "the file is empty" if not head else "this is not a published dictionary"
        raise DictionaryFileError(
            f"{printable(source)}: {problem}: expected a pickle of protocol 2 to 5, as on the Hub"
        )


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Create a hidden folder inside `folder` for files in progress, and remove it afterwards."""
    scratch = unfinished(folder / "importing")
    try:
        scratch.mkdir(mode=0o700)
    except OSError as error:
        raise StorageError(
            f"{printable(folder)} cannot be written ({error.strerror}): choose another folder"
        ) from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _metadata(
    metadata: str | os.PathLike[str] | Mapping[str, Any] | None, scratch: Path
) -> str | None:
    """The path of the metadata for the child process; parsed metadata is written to a file."""
    if metadata is None:
        return None
    if not isinstance(metadata, Mapping):
        return str(Path(metadata).absolute())
    path = scratch / "metadata.json"
    path.write_text(json.dumps(dict(metadata), default=str))
    return str(path)


# -- the child process -----------------------------------------------------------------------------


def _run(request: Mapping[str, Any], report: Report, timeout: float) -> None:
    """Run the child process, passing its progress on and raising its errors."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-P", "-m", "ep.storage.published"]
    with (
        tempfile.TemporaryFile() as stderr,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            text=True,
        ) as child,
    ):
        # A thread reads the child's output, so that progress is reported while the child is silent.
        lines: Queue[str | None] = Queue()
        reader = Thread(target=_read_lines, args=(child, lines), daemon=True)
        reader.start()
        try:
            _send(child, json.dumps(request, default=str))
            _follow(child, lines, report, monotonic() + timeout)
        finally:
            child.kill()
            child.wait()
            reader.join()


def _read_lines(child: subprocess.Popen[str], lines: Queue[str | None]) -> None:
    """Put every line of the child's output into a queue, and None at its end; run in a thread."""
    assert child.stdout is not None
    for line in child.stdout:
        lines.put(line)
    lines.put(None)


def _send(child: subprocess.Popen[str], request: str) -> None:
    assert child.stdin is not None
    with suppress(OSError):  # the child has ended: `_follow` raises its error
        child.stdin.write(request)
        child.stdin.close()


def _follow(
    child: subprocess.Popen[str], lines: Queue[str | None], report: Report, deadline: float
) -> None:
    """Pass the child's progress on until it is done; raise its error if it ends otherwise."""
    text: str = "reading"
    share: float | None = None
    while True:
        report(text, share)
        if monotonic() > deadline:
            raise DictionaryFileError(
                "reading took too long and was stopped: the file may be damaged"
            )
        try:
            line = lines.get(timeout=POLL_S)
        except Empty:
            continue
        if line is None:
            raise DictionaryFileError(_exit_reason(child.wait()))
        message = json.loads(line)
        if "said" in message:
            text, share = message["said"], message["share"]
        elif "done" in message:
            return
        elif "storage" in message:
            raise StorageError(message["storage"])
        else:
            raise DictionaryFileError(message["error"])


def _exit_reason(code: int) -> str:
    """The message for a child that ended without a result or an error."""
    if code < 0:
        return f"reading was ended by signal {-code}: the file may need more memory than there is"
    return (
        f"reading failed (exit code {code}): the file is damaged, or needs more memory than is "
        "allowed"
    )
