"""Activations from vLLM, which writes the residual stream of some layers to a file for each text.

vLLM has extracted hidden states since version 0.18, by a speculative method without a draft
("extract_hidden_states") and a KV connector that stores what the method caches
(docs.vllm.ai, Features, Hidden State Extraction). This is how it is used here:

- Layer ids count what was computed: id 0 is the embedding, and L + 1 the stream after block L.
  States are stored in rising order of them, whatever the order in which they are asked for.
- A file holds `hidden_states` (tokens, layers, d) and `token_ids` (tokens,), both in the order of
  the prompt. Its path is in `kv_transfer_params` of the output.
- Chunked prefill must be off. So must the prefix cache: a prefix that was cached is not computed,
  and its states are missing (vLLM issue 44485).
- One token has to be generated for each text, so a text must be shorter than the model's context.

vLLM's kernels round otherwise than those of transformers. With one process for scheduler and
engine, equal batches are computed alike (docs.vllm.ai, Reproducibility); parts are such batches.

`import vllm` is in functions only. None of this has been run with vLLM itself: the tests use an
engine that behaves as documented.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ep.errors import FailureError, ModelError
from ep.extras import require
from ep.leftovers import system_scratch, unfinished
from ep.models.extraction import Part, Residuals
from ep.models.loading import LanguageModel
from ep.models.source import files_of
from ep.shapes import Float32, Int64

OLDEST = (0, 18)
"""The first version of vLLM that extracts hidden states."""
TOKENS_AT_ONCE = 16_512
"""Tokens that vLLM computes in one step: those of a part, so that a part is one batch."""
SHARE_OF_FREE = 0.9
"""Share of the GPU's free memory that vLLM may take."""
_CONNECTOR = "vllm.distributed.kv_transfer.kv_connector.v1.example_hidden_states_connector"
_REFUSALS = (RuntimeError, ValueError, TypeError, AssertionError, ImportError, OSError)
"""What vLLM raises for a model, device or setting that it cannot run."""


class VllmRunner:
    """Runs parts through vLLM on one GPU, see `ep.models.extraction.Runner`.

    model: the model, whose files vLLM loads once more; an adapter cannot be merged into them.
    layers: those that parts may want. longest: tokens of the longest passage, BOS included.

    Raises ModuleNotFoundError without vLLM, and ModelError for an earlier version, without a GPU
    that it can use, and for a model that it cannot run.
    """

    def __init__(self, model: LanguageModel, layers: Sequence[int], longest: int) -> None:
        require("vllm")
        # The scheduler is deterministic in the process of the engine only. An environment variable
        # is the only way to say so, and it is read when vllm is imported.
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        self._layers, self._width = sorted(set(layers)), model.width
        self._name = model.title
        _check(model)
        self._folder = unfinished(system_scratch("ep-vllm"))
        self._folder.mkdir(mode=0o700)
        try:
            self._engine: Any = _engine(model, self._layers, longest, self._folder)
        except BaseException:
            self.close()
            raise

    def run(self, part: Part) -> Residuals:
        """Return the residuals of a part.

        Passages of which nothing is wanted are not run. Raises FailureError where vLLM does not
        give what it documents.
        """
        from vllm import SamplingParams

        wanted = np.flatnonzero(part.keep.any(axis=1))
        texts = [part.ids[row][part.mask[row]] for row in wanted]
        prompts = [{"prompt_token_ids": ids.tolist()} for ids in texts]
        sampling = SamplingParams(max_tokens=1, temperature=0.0)
        try:
            outputs = self._engine.generate(prompts, sampling, use_tqdm=False) if prompts else []
        except _REFUSALS as error:
            raise FailureError(f"vLLM could not run a part ({_line(error)})") from error
        if len(outputs) != len(prompts):
            raise FailureError(
                f"vLLM gave {len(outputs)} outputs for {len(prompts)} texts: give another "
                "--extractor"
            )
        found: dict[int, list[np.ndarray]] = {layer: [] for layer in part.layers}
        for row, ids, output in zip(wanted, texts, outputs, strict=True):
            states = self._states(ids, output)
            for layer in part.layers:
                kept = part.keep[row][part.mask[row]]
                found[layer].append(states[kept, self._layers.index(layer)])
        empty = np.empty((0, self._width), np.float32)
        return {layer: np.concatenate([empty, *rows]) for layer, rows in found.items()}

    def close(self) -> None:
        """Forget the engine, whose memory is then free, and remove its files."""
        self._engine = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _states(self, ids: Int64[np.ndarray, " t"], output: Any) -> Float32[np.ndarray, "t l d"]:
        """Return the states (t, layers, d) of one text from the file that an output names."""
        path = str((output.kv_transfer_params or {}).get("hidden_states_path") or "")
        if not path:
            raise FailureError("vLLM wrote no hidden states of a text: give another --extractor")
        try:
            tensors = _loaded(path)
            states = tensors["hidden_states"].float().numpy()
            tokens = tensors["token_ids"].numpy()
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise FailureError(f"vLLM wrote no hidden states of a text ({_line(error)})") from error
        finally:
            for leftover in (path, f"{path}.lock"):
                with suppress(OSError):
                    Path(leftover).unlink()
        expected = (len(ids), len(self._layers), self._width)
        if states.shape != expected or not np.array_equal(tokens, ids):
            raise FailureError(
                f"vLLM gave states {states.shape} of {len(tokens)} tokens instead of {expected} of "
                f"those it was given ({self._name}, layers {self._layers}): another version of it "
                "may not; give another --extractor"
            )
        return states


def _check(model: LanguageModel) -> None:
    """Raise ModelError for a vLLM without hidden states, or without a GPU that it can use."""
    import vllm
    from vllm.platforms import current_platform

    version = str(vllm.__version__)
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST and numbers != (0, 0):  # a build from source may have no number
        raise ModelError(
            f"vLLM {version} is installed: hidden states need {'.'.join(map(str, OLDEST))} or later"
        )
    if not current_platform.is_cuda_alike():
        raise ModelError(
            "vLLM extracts hidden states on a GPU, and finds none here: give --extractor "
            "transformers"
        )
    if model.device.partition(":")[2] not in ("", "0"):
        raise ModelError(
            f"device is {model.device}: vLLM takes the first GPU that it sees; give --device cuda, "
            "and choose with CUDA_VISIBLE_DEVICES"
        )
    if model.adapter:
        raise ModelError(
            "vLLM loads a model from its files, without the adapter: give another --extractor"
        )


def _engine(model: LanguageModel, layers: Sequence[int], longest: int, folder: Path) -> Any:
    """Return an engine that stores the states of some layers in a folder."""
    from vllm import LLM

    try:
        return LLM(**options(model, layers, longest, folder), **_memory())
    except _REFUSALS as error:
        raise ModelError(
            f"vLLM cannot run {model.title} ({_line(error)}): give --extractor transformers"
        ) from error


def options(
    model: LanguageModel, layers: Sequence[int], longest: int, folder: Path
) -> dict[str, Any]:
    """Return the arguments of `vllm.LLM`, but the memory that it may take.

    layers: in rising order. longest: tokens of the longest text. folder: where states are written.
    """
    return {
        "model": str(files_of(model.name, model.revision)),
        "dtype": model.dtype,
        "seed": 0,
        "max_model_len": longest + 1,
        "max_num_batched_tokens": max(TOKENS_AT_ONCE, longest + 1),
        "enable_chunked_prefill": False,
        "enable_prefix_caching": False,
        "enforce_eager": True,
        "speculative_config": {
            "method": "extract_hidden_states",
            "num_speculative_tokens": 1,
            "draft_model_config": {
                "hf_config": {"eagle_aux_hidden_state_layer_ids": [layer + 1 for layer in layers]}
            },
        },
        "kv_transfer_config": {
            "kv_connector": "ExampleHiddenStatesConnector",
            "kv_role": "kv_producer",
            "kv_connector_extra_config": {"shared_storage_path": str(folder)},
        },
    }


def _memory() -> dict[str, float]:
    """Return the share of the GPU that vLLM may take: most of what the bridge leaves free."""
    import torch

    if not torch.cuda.is_available():
        return {}
    free, total = torch.cuda.mem_get_info()
    return {"gpu_memory_utilization": round(SHARE_OF_FREE * free / total, 3)}


def _loaded(path: str) -> Mapping[str, Any]:
    """Return the tensors in a file of the connector, once it is whole.

    Later versions write in the background, and have a function that waits for it.
    """
    from importlib import import_module

    from safetensors.torch import load_file

    load = getattr(import_module(_CONNECTOR), "load_hidden_states", load_file)
    found: Mapping[str, Any] = load(path)
    return found


def _line(error: BaseException) -> str:
    """Return an error as one short line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
