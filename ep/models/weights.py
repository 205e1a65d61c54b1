"""Checks of a model's weights: their files before anything is read, their numbers afterwards.

transformers reports most faults of a file by an error of some other library, or not at all: it
reads a pointer of Git LFS as a damaged file, and NaN as a number.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ep.errors import ModelError
from ep.models.pieces import Pieces

_LFS = b"version https://git-lfs"
"""The first bytes of the file that Git LFS leaves in place of a large one."""
_HEADER_BYTES = 100 * 2**20
"""The largest header that the safetensors library reads."""


def check_files(directory: Path, name: str) -> None:
    """Raise ModelError for files that cannot be those of a model.

    These are pointers of Git LFS, and safetensors files that are missing or shorter than they say.
    Only headers are read, and only of files that transformers would read too.
    """
    weights = weight_files(directory, name)
    for path in (*directory.glob("*.json"), *directory.glob("*.model"), *weights):
        check_pointer(path, name)
    for path in weights:
        if path.suffix == ".safetensors":
            check_length(path, name)


def check_pointer(path: Path, name: str) -> None:
    """Raise ModelError for a file that is a pointer of Git LFS."""
    with path.open("rb") as file:
        if file.read(len(_LFS)) == _LFS:
            raise ModelError(
                f"{name}: {path.name} is a pointer of Git LFS, not the file itself: run "
                "`git lfs pull` in its folder, or download it again"
            )


def weight_files(directory: Path, name: str) -> list[Path]:
    """Return the weight files of a directory; ModelError if its index names a missing one."""
    single, index = (directory / f"model.safetensors{end}" for end in ("", ".index.json"))
    if single.is_file():
        return [single]
    if not index.is_file():
        return sorted(directory.glob("*.bin"))
    try:
        parts = sorted(
            {directory / part for part in json.loads(index.read_bytes())["weight_map"].values()}
        )
    except (ValueError, RecursionError, AttributeError, TypeError, LookupError) as error:
        raise ModelError(f"{name}: {index.name} is damaged: download the model again") from error
    if missing := [part.name for part in parts if not part.is_file()]:
        raise ModelError(
            f"{name}: {missing[0]} is missing, one of {len(parts)} files of weights: download the "
            "model again"
        )
    return parts


def check_length(path: Path, name: str) -> None:
    """Raise ModelError unless a safetensors file is as long as its header says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= _HEADER_BYTES:
            raise ModelError(
                f"{name}: {path.name} is not a safetensors file: download the model again"
            )
        try:
            header = json.loads(file.read(length)) if 8 + length <= size else {}
            ends = [part["data_offsets"][1] for key, part in header.items() if key[:2] != "__"]
        except (ValueError, RecursionError, AttributeError, TypeError, LookupError) as error:
            raise ModelError(
                f"{name}: the header of {path.name} is damaged: download the model again"
            ) from error
    expected = 8 + length + max((end for end in ends if isinstance(end, int)), default=0)
    if size < expected:
        raise ModelError(
            f"{name}: {path.name} is cut short: it has {size:,} bytes, and its header says at "
            f"least {expected:,}; download the model again"
        )


def check_finite(model: Any, name: str) -> None:
    """Raise ModelError for a model with weights that are NaN or infinite."""
    import torch

    with torch.inference_mode():
        for weights, parameter in model.named_parameters():
            if not parameter.numel() or not parameter.is_floating_point():
                continue
            # the extremes are NaN where any number is, and take no memory
            if not all(torch.isfinite(extreme) for extreme in parameter.aminmax()):
                kind = str(parameter.dtype).removeprefix("torch.")
                # the bridge wraps the modules, and the checkpoint does not know of that
                weights = weights.replace("_original_component.", "")
                raise ModelError(
                    f"{name} has weights that are not finite numbers in {kind}, such as {weights}: "
                    "its files are damaged, or it was saved after training had failed"
                )


def check_vocabulary(tokenizer: Any, rows: int, name: str) -> None:
    """Raise ModelError for a tokenizer whose words do not fit the embedding.

    rows: number of rows of the embedding.

    A special token may lie beyond it, as an image token of a model for text does; it is refused
    where it is used, see `LanguageModel.check_ids`.
    """
    special = Pieces.of(tokenizer).special - {tokenizer.bos_token_id}
    last = max((id for id in tokenizer.get_vocab().values() if id not in special), default=-1)
    if last >= rows:
        raise ModelError(
            f"{name} has an embedding of {rows:,} tokens, and its tokenizer has ids up to "
            f"{last:,}: the tokenizer belongs to another model"
        )
