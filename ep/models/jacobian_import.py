"""Reads a published Jacobian lens, a `.pt` file, in a child process with limited memory.

Published files are dicts with `J` {layer: (d, d) float16}, `n_prompts`, `source_layers` and
`d_model`. `torch.load(weights_only=True)` reads them: it builds tensors and plain values and runs
no code of the file. The child checks what it read and writes it as a file of this program, which
the parent then reads.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ep.errors import EPError, ModelError
from ep.leftovers import scratch, system_scratch
from ep.models.jacobian import JacobianLens
from ep.models.jacobian_store import load, save
from ep.text import one_line

TIMEOUT_S = 600.0
READING_BYTES = 2**30
"""Memory that reading may use beside the process itself and `COPIES` of the file."""
COPIES = 8
"""float32 matrices are two copies of a float16 file, and are there twice while they are written."""
MOST_LAYERS = 1_000
ROOT = Path(__file__).resolve().parents[2]


def published(path: Path, timeout: float = TIMEOUT_S) -> JacobianLens:
    """Return the lens in a published file; its fingerprint is empty, see `JacobianLens.of`.

    timeout: seconds after which the reading is stopped.

    Raises ModelError for a file that is missing, damaged, hostile or something else.
    """
    if not path.is_file():
        raise ModelError(f"{path} is not a file: expected a published lens (.pt)")
    with scratch(system_scratch("ep-lens")) as folder:
        out = folder / "lens.safetensors"
        request = json.dumps({"path": str(path.resolve()), "out": str(out)})
        try:
            child = subprocess.run(
                [sys.executable, "-P", "-m", "ep.models.jacobian_import"],
                input=request,
                capture_output=True,
                text=True,
                timeout=timeout,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
            )
        except subprocess.TimeoutExpired:
            raise ModelError(f"{path}: reading took too long: the file may be damaged") from None
        if child.returncode or child.stdout:
            why = one_line(child.stdout, 300) or f"reading ended with exit code {child.returncode}"
            raise ModelError(f"{path} is not a published Jacobian lens: {why}")
        return load(out)


def main() -> int:
    """Read the file of the request on stdin; print what is wrong with it, if anything is."""
    import torch  # noqa: F401  (the limit counts from the memory of a process that has it)

    request = json.loads(sys.stdin.read())
    path = Path(request["path"])
    try:
        _limit_memory(READING_BYTES + COPIES * path.stat().st_size)
        save(read(path), request["out"])
    except (EPError, MemoryError, OSError) as error:
        print(str(error) or "it needs more memory than is allowed")  # noqa: T201
    return 0


def read(path: Path) -> JacobianLens:
    """Return the lens in a published file, read in this process without a limit of its memory.

    Raises ModelError for a file that is damaged, hostile or something else.
    """
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the bytes of a file lead it to
        raise ModelError(_reason(error)) from error
    matrices = _matrices(content)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    n_prompts = content.get("n_prompts")
    is_count = isinstance(n_prompts, int) and n_prompts >= 0
    origin = {"imported": path.name, "file_sha256": digest}
    return JacobianLens(matrices, "", int(n_prompts) if is_count else 0, origin)


def _reason(error: Exception) -> str:
    """Return why torch could not read a file, in a few words of our own."""
    if any(f"unsupported {what}" in str(error).lower() for what in ("global", "class")):
        return "it holds more than tensors and plain values, which is not read"
    if isinstance(error, MemoryError) or "memory" in str(error):
        return "it needs more memory than is allowed"
    return f"it is damaged or of another kind ({type(error).__name__})"


def _matrices(content: Any) -> dict[int, np.ndarray]:
    """Return the checked matrices in float32, by layer; ModelError for anything unexpected."""
    import torch

    matrices = content.get("J") if isinstance(content, Mapping) else None
    if not isinstance(matrices, Mapping) or not matrices:
        raise ModelError("expected a dict with matrices by layer under 'J'")
    width = content.get("d_model")
    found: dict[int, np.ndarray] = {}
    if len(matrices) > MOST_LAYERS:
        raise ModelError(f"it has {len(matrices):,} layers, and at most {MOST_LAYERS:,} are read")
    for layer, matrix in matrices.items():
        if type(layer) is not int or not 0 <= layer < MOST_LAYERS:
            raise ModelError("expected whole numbers as layers")
        is_plain = isinstance(matrix, torch.Tensor) and matrix.layout == torch.strided
        if not is_plain or not matrix.is_floating_point() or matrix.device.type != "cpu":
            raise ModelError(f"layer {layer} has no matrix of plain numbers")
        if matrix.ndim != 2 or tuple(matrix.shape) != (width, width):
            raise ModelError(
                f"layer {layer} has the shape {tuple(matrix.shape)}, and d_model is {width!r}"[:160]
            )
        if not matrix.is_contiguous():
            raise ModelError(f"layer {layer} has a matrix that is not stored row by row")
        found[layer] = matrix.detach().float().numpy()
    return found


def _limit_memory(allowance: int) -> None:
    """Limit the address space to the present one and `allowance` bytes, where that is possible."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        return  # the system supports no such limit
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = pages * resource.getpagesize() + allowance
    resource.setrlimit(
        resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
    )


if __name__ == "__main__":
    sys.exit(main())
