"""The ways to run a model, by the names that a build gives them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from ep.config import BuildConfig
from ep.models.extraction import BridgeRunner, Runner
from ep.models.loading import LanguageModel
from ep.models.plain import PlainRunner
from ep.models.vllm_states import VllmRunner
from ep.settings import ExtractorName


def runner_of(
    name: ExtractorName, model: LanguageModel, layers: Sequence[int], longest: int
) -> Runner:
    """Return what runs parts of a model's layers; it is to be closed.

    longest: tokens of the longest passage, BOS included. Errors as those of the runner.
    """
    if name == "transformers":
        return PlainRunner(model)
    if name == "vllm":
        return VllmRunner(model, layers, longest)
    return BridgeRunner(model)


def longest_passage(config: BuildConfig, model: LanguageModel) -> int:
    """Return the tokens of the longest passage that a build can read, BOS included."""
    room = model.context - (config.extractor == "vllm")  # for the token that it generates
    return room if config.context is None else min(room, config.context + 1)


def label(name: ExtractorName) -> str:
    """Return what the provenance says of a way to run a model: vLLM's numbers are of a version."""
    if name != "vllm":
        return name
    try:
        return f"{name} {version('vllm')}"
    except PackageNotFoundError:  # a source tree that is not installed
        return name
