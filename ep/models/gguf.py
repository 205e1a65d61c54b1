"""Models in GGUF files, the format of llama.cpp: read by transformers, and kept as safetensors.

transformers dequantises the weights to float32, which takes long, so the result is written once to
the folder of converted models and loaded from there like any other model. It is the model that the
file holds: the numbers of quantised weights, not those they were quantised from.
"""

from __future__ import annotations

import hashlib
import math
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ep.errors import ModelError
from ep.models import conversions
from ep.models.conversions import Conversion
from ep.models.fingerprint import samples
from ep.models.reports import check_complete, check_supported, log_captured, short_errors
from ep.progress import Report, silent

_MAGIC = b"GGUF"
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
_HEADER, _TOKENIZER, _WEIGHTS, _DEQUANTISED = 0.3, 0.4, 0.8, 0.9
"""Shares of a conversion after which the header is read, the tokenizer, the names of the weights,
and their numbers; then they are written."""
_SAMPLES, _SAMPLE_BYTES = 256, 1 << 16  # 16 MB of a file tell it from others


def converted(file: Path, name: str, report: Report = silent) -> Conversion:
    """Return the model of a GGUF file as a directory of safetensors, converted if it is not yet.

    name: how the model was named by the caller, for messages.
    report: called while it is converted.

    Raises ModelError for a file that is no GGUF, is cut short or one part of several, has no
    tokenizer, or is of an architecture or a quantisation that cannot be read; StorageError where
    the conversion cannot be written.
    """
    _check_beginning(file, name)
    place = conversions.folder() / _key(file)
    if (found := conversions.find(place)) is None:
        _convert(file, name, place, report)
        found = conversions.find(place)
    if found is None:
        raise ModelError(f"{name}: its conversion {place} was removed meanwhile: try again")
    return found


def is_converted(file: Path) -> bool:
    """Return whether a GGUF file was converted before, so that its model loads in seconds."""
    try:
        return conversions.find(conversions.folder() / _key(file)) is not None
    except OSError:
        return False


def _check_beginning(file: Path, name: str) -> None:
    """Raise ModelError for a file that does not begin as a GGUF of its own."""
    with short_errors(name), file.open("rb") as opened:
        start = opened.read(64)
    if start.startswith(b"version https://git-lfs"):
        raise ModelError(
            f"{name} is a pointer of Git LFS, not the file itself: run `git lfs pull` in its "
            "folder, or download it again"
        )
    if not start.startswith(_MAGIC):
        raise ModelError(f"{name} is not a GGUF file: it does not begin with {_MAGIC.decode()}")
    if _PART.search(file.name):
        raise ModelError(
            f"{name} is one of several parts: join them with `llama-gguf-split --merge`, and give "
            "the result"
        )


def _key(file: Path) -> str:
    """Return the name of a file's conversion: its stem, and a hash that other files do not share.

    The hash covers length, time of change, evenly spaced samples of the bytes, and the versions of
    the libraries that convert.
    """
    status = file.stat()
    versions = [version(library) for library in ("gguf", "transformers")]
    facts = (status.st_size, status.st_mtime_ns, *versions)
    sha = hashlib.sha256(repr(facts).encode())
    with file.open("rb") as opened:
        sha.update(samples(opened, 0, status.st_size, _SAMPLES, _SAMPLE_BYTES))
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip("-.")[:80] or "model"
    return f"{stem}-{sha.hexdigest()[:16]}"


def _convert(file: Path, name: str, place: Path, report: Report) -> None:
    """Convert a GGUF file that can be read, to the directory `place`."""
    report("reading the header of the GGUF file", 0.0)
    reader = _reader(file, name)
    with _shared(reader, report):
        quantization = _checked(reader, file, name)
        with _made(place.name) as directory, short_errors(name), log_captured() as messages:
            _write(file, directory, report)
            check_complete(messages, name)
            note = {"source": file.name, "quantization": quantization}
            with _writing():
                conversions.finish(directory, place, note)


def _write(file: Path, directory: Path, report: Report) -> None:
    """Write the model and the tokenizer of a GGUF file to a directory, as transformers reads them.

    Weights that the file lacks are random numbers: the log of transformers says so.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    origin = {"gguf_file": file.name, "trust_remote_code": False}
    report("reading the tokenizer of the GGUF file", _HEADER)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **origin)
    report("reading the weights of the GGUF file", _TOKENIZER)
    model = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **origin)
    # what is saved is a plain model: a quantised one would be asked for its GGUF again
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    report("writing the dequantised model", _DEQUANTISED)
    with _writing():
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)


@contextmanager
def _made(name: str) -> Iterator[Path]:
    """Yield a directory to convert into; it is removed unless it was renamed."""
    directory = conversions.unfinished(name)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _shared(reader: Any, report: Report) -> Iterator[None]:
    """Let transformers use a reader of the file, and report the tensors that it dequantises.

    transformers would read the header, which takes seconds, once for each thing it wants of it, and
    print a progress bar that no setting of its own hides.
    """
    import gguf as library
    from transformers import modeling_gguf_pytorch_utils as reading

    def counted(tensors: Iterable[Any], **_: Any) -> Iterator[Any]:
        tensors = list(tensors)
        for done, tensor in enumerate(tensors):
            share = _WEIGHTS + (_DEQUANTISED - _WEIGHTS) * done / len(tensors)
            report(f"dequantising the GGUF file, tensor {done + 1:,} of {len(tensors):,}", share)
            yield tensor

    with (
        _patched(reading, "tqdm", counted),
        _patched(library, "GGUFReader", lambda _file: reader),
    ):
        yield


@contextmanager
def _patched(module: Any, name: str, value: Any) -> Iterator[None]:
    """Let a name of a module stand for another value for a while."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextmanager
def _writing() -> Iterator[None]:
    """Turn what goes wrong while writing into a StorageError."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        raise conversions.not_written(error) from error


def _checked(reader: Any, file: Path, name: str) -> str:
    """Return the quantisation of a GGUF file that can be converted; ModelError for any other."""
    _check_architecture(file, _field(reader, "general.architecture"), name)
    if "tokenizer.ggml.tokens" not in reader.fields:
        raise ModelError(f"{name} has no tokenizer inside: convert the model again with one")
    _check_types(reader, name)
    needed = 4 * sum(math.prod(map(int, tensor.shape)) for tensor in reader.tensors)
    _check_space(needed)
    return _quantization(reader)


def _reader(file: Path, name: str) -> Any:
    """Return gguf's reader of a file, which maps all tensors; ModelError if some are not there."""
    from gguf import GGUFReader

    try:
        return GGUFReader(file)
    except (ValueError, LookupError, TypeError, OverflowError, MemoryError) as error:
        if "GGMLQuantizationType" in str(error):
            raise ModelError(
                f"{name} has tensors of a quantisation that gguf does not know ({error})"
            ) from error
        raise ModelError(
            f"{name} is cut short or damaged ({file.stat().st_size:,} bytes are not all that its "
            "header lists): download it again"
        ) from error


def _field(reader: Any, key: str) -> Any:
    """Return the value of an entry of the header, or None."""
    field = reader.fields.get(key)
    return None if field is None else field.contents()


def _check_architecture(file: Path, architecture: Any, name: str) -> None:
    """Raise ModelError for an architecture that transformers or TransformerLens cannot read."""
    from transformers import AutoConfig

    try:
        with log_captured():
            config = AutoConfig.from_pretrained(
                file.parent, gguf_file=file.name, trust_remote_code=False
            )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{name} is a GGUF of the architecture {str(architecture)[:40]!r}, which transformers "
            "cannot read: give the model as safetensors"
        ) from error
    check_supported(config, name)


def _check_types(reader: Any, name: str) -> None:
    """Raise ModelError for a quantisation that gguf cannot dequantise."""
    from gguf import dequantize

    firsts = {tensor.tensor_type: tensor for tensor in reversed(reader.tensors)}
    for kind, tensor in firsts.items():
        try:
            dequantize(tensor.data[:1], kind)
        except NotImplementedError as error:
            raise ModelError(
                f"{name} has tensors quantised as {kind.name}, which cannot be dequantised: give a "
                "file of another quantisation, such as Q8_0 or Q4_K_M"
            ) from error


def _check_space(needed: int) -> None:
    """Raise StorageError if the conversion does not fit the disk. needed: bytes of its weights."""
    place = conversions.folder()
    existing = next(path for path in (place, *place.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise conversions.not_written(
            OSError(0, f"{needed / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free")
        )


def _quantization(reader: Any) -> str:
    """Return the name of a file's quantisation, such as "Q4_K_M".

    It is the file's own statement; without one, the type of most of the weights.
    """
    from gguf import LlamaFileType

    try:
        kind = LlamaFileType(int(_field(reader, "general.file_type")))
    except (TypeError, ValueError):
        numbers: Counter[str] = Counter()
        for tensor in reader.tensors:
            numbers[tensor.tensor_type.name] += math.prod(map(int, tensor.shape))
        return numbers.most_common(1)[0][0]
    return kind.name.removeprefix("MOSTLY_").removeprefix("ALL_")
