"""LoRA adapters in peft's format: their files, checked before a model is loaded.

An adapter is a folder with adapter_config.json and adapter_model.safetensors. A tuned model is a
base model and an adapter; `ep.models.merging` joins them. Nothing here needs peft or torch, and
nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ep.config import GGUF, model_name
from ep.errors import ModelError
from ep.models.weights import check_length, check_pointer
from ep.text import plain

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PICKLED = "adapter_model.bin"
_MOST_BYTES = 2**20
"""The largest adapter_config.json that is read."""
_READ = frozenset(
    {
        "r",
        "lora_alpha",
        "target_modules",
        "exclude_modules",
        "fan_in_fan_out",
        "bias",
        "use_rslora",
        "use_dora",
        "modules_to_save",
        "layers_to_transform",
        "layers_pattern",
        "rank_pattern",
        "alpha_pattern",
        "lora_bias",
        "target_parameters",
        "trainable_token_indices",
    }
)
"""The entries of a config that decide the merged weights; only these are passed on to peft."""
_WITHOUT_EFFECT = frozenset(
    {
        "peft_type",
        "task_type",
        "base_model_name_or_path",
        "revision",
        "auto_mapping",
        "inference_mode",
        "peft_version",
        "lora_dropout",
        "init_lora_weights",
        "loftq_config",
        "eva_config",
        "runtime_config",
        "megatron_core",
        "qalora_group_size",
        "ensure_weight_tying",
    }
)
"""The entries that say nothing of the merged weights, or not by themselves."""
_PLAIN_BEGINNINGS = (None, True, False, "gaussian", "eva", "orthogonal")
"""Values of init_lora_weights that leave the weights of the base model as they are."""
_LOCAL = re.compile(r"[./~\\]|[A-Za-z]:")
"""The beginning of a path that names nothing on another machine."""
_QUANTISED = re.compile(r"[.-](f16|f32|bf16|i?q\d\w*)$")
"""The end of a GGUF file's name that states its quantisation."""


@dataclass(frozen=True)
class Tuned:
    """What to pass to `ep.load` for a base model with an adapter.

    model: path or Hub name of the base model.
    adapter: path of the adapter's folder.
    """

    model: str
    adapter: str

    def __str__(self) -> str:
        return f"{self.model} with the adapter {self.adapter}"


Named = str | Tuned
"""What names a model that can be loaded: a path, a Hub name, or a base model with an adapter."""


def parts(named: Named) -> tuple[str, str | None]:
    """Return the base model and the adapter's folder, which is None for a model without one."""
    return (named.model, named.adapter) if isinstance(named, Tuned) else (named, None)


def with_adapter(model: str, adapter: str | None) -> Named:
    """Return what names a model and an adapter, if there is one."""
    return Tuned(model, adapter) if adapter else model


@dataclass(frozen=True)
class Adapter:
    """The files of a LoRA adapter.

    folder: as it was given.
    settings: the entries of its config that decide the merged weights.
    base: the model that its config says it was trained on; empty where it does not say.
    digest: SHA-256 of those settings and of the weights, as 64 hexadecimal digits.
    """

    folder: Path
    settings: Mapping[str, Any] = field(repr=False)
    base: str
    digest: str

    @property
    def weights(self) -> Path:
        """The file of the weights."""
        return self.folder / WEIGHTS

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.resolve().name

    def doubt(self, model: str) -> str | None:
        """Return one line if the adapter says that it was trained on a model of another name.

        It is no error: the same model may lie in a folder of any name. An adapter of other shapes
        is refused when it is merged.
        """
        if not self.base or _same_model(self.base, model):
            return None
        return (
            f"the adapter {shown(self.name)} says it was trained on {shown(self.base)}, and "
            f"it is merged into {shown(model)}: if that is another model, results mean nothing"
        )

    def combined(self, fingerprint: str) -> str:
        """Return the fingerprint of the merged weights, from that of the base model's."""
        return hashlib.sha256(f"{fingerprint} {self.digest}".encode()).hexdigest()

    def facts(self, path: str) -> dict[str, Any]:
        """Return the entry `adapter` of a dictionary's provenance.

        path: of the adapter's folder, relative to that of the dictionary.
        """
        return {
            "name": self.name,
            "path": path,
            "type": _kind(self.settings),
            "rank": self.settings["r"],
            "alpha": self.settings.get("lora_alpha", 8),
            "target_modules": self.settings.get("target_modules"),
            "base": _ending(self.base) if _LOCAL.match(self.base) else self.base,
            "digest": self.digest,
        }


def _kind(settings: Mapping[str, Any]) -> str:
    """Return the kind of a LoRA in a word."""
    return "DoRA" if settings.get("use_dora") else "LoRA"


def _ending(name: str) -> str:
    """Return the last part of a path or a Hub name."""
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1]


def _same_model(stated: str, given: str) -> bool:
    """Return whether two names of a model end alike, apart from a GGUF file's quantisation."""
    ends = [_ending(name).lower() for name in (stated, given)]
    if ends[1].endswith(GGUF):
        ends[1] = ends[1].removesuffix(GGUF)
        return ends[0] in (ends[1], _QUANTISED.sub("", ends[1]))
    return ends[0] == ends[1] or ends[0] == model_name(given).split("/")[-1].lower()


def read(folder: str | os.PathLike[str]) -> Adapter:
    """Read the config of an adapter and check that its files are whole; weights are only hashed.

    Raises ModelError, in one line, for a folder without an adapter, for pickled weights, pointers
    of Git LFS and files that are cut short, and for adapters that are not LoRA or that cannot be
    merged.
    """
    place = Path(folder).expanduser()
    name = f"the adapter {shown(folder)}"
    _check_files(place, name)
    config = _config(place / CONFIG, name)
    settings = _settings(config, name)
    sha = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    with (place / WEIGHTS).open("rb") as file:
        sha.update(hashlib.file_digest(file, "sha256").digest())
    base = config.get("base_model_name_or_path")
    return Adapter(place, settings, base if isinstance(base, str) else "", sha.hexdigest())


def _check_files(folder: Path, name: str) -> None:
    """Raise ModelError unless a folder has both files of an adapter, whole."""
    files = f"expected a folder with {CONFIG} and {WEIGHTS}"
    try:
        if not folder.is_dir():
            what = "is a file" if folder.exists() else "is not there"
            raise ModelError(
                f"{name} {what}: {files} (`hf download OWNER/NAME --local-dir DIR` gets one)"
            )
        for wanted in (CONFIG, WEIGHTS):
            if (folder / wanted).is_file():
                check_pointer(folder / wanted, name)
    except (OSError, ValueError) as error:  # names that no file can have
        raise ModelError(f"{name} cannot be read ({error}): {files}") from error
    if not (folder / CONFIG).is_file():
        whole = (folder / "config.json").is_file()
        hint = "; it is a whole model: give it as the model" if whole else ""
        raise ModelError(f"{name} has no {CONFIG}: {files}{hint}")
    if not (folder / WEIGHTS).is_file():
        if (folder / PICKLED).is_file():
            raise ModelError(
                f"{name} has its weights only in {PICKLED}, a pickle, which is not read: load it "
                f"with peft and save it again, which writes {WEIGHTS}"
            )
        raise ModelError(f"{name} has no {WEIGHTS}: {files}")
    check_length(folder / WEIGHTS, name)


def _config(path: Path, name: str) -> dict[str, Any]:
    """Return the JSON object in a config; ModelError for anything else."""
    try:
        with path.open("rb") as file:
            config = json.loads(file.read(_MOST_BYTES))
    except (ValueError, RecursionError, OSError) as error:
        raise ModelError(f"{name}: its {CONFIG} is damaged: download it again") from error
    if not isinstance(config, dict):
        raise ModelError(f"{name}: its {CONFIG} is not a JSON object")
    return config


def _settings(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the entries that decide the merged weights; ModelError where they cannot be merged.

    Entries that are not known here may mean anything, so they are refused unless they are off.
    """
    kind = config.get("peft_type")
    if kind != "LORA":
        raise ModelError(
            f"{name} is of the type {shown(kind)}: only LoRA adapters can be merged into a model"
        )
    beginning = config.get("init_lora_weights")
    if beginning not in _PLAIN_BEGINNINGS:
        raise ModelError(
            f"{name} was begun by {shown(beginning)}, which changes the base model too: convert "
            "it with peft (save_pretrained with path_initial_model_for_weight_conversion)"
        )
    unknown = [key for key, value in config.items() if value and key not in _READ | _WITHOUT_EFFECT]
    if unknown:
        raise ModelError(
            f"{name} uses {shown(sorted(unknown)[0])}, with which it cannot be merged into a model"
        )
    settings = {key: config[key] for key in sorted(_READ) if config.get(key) is not None}
    for key, value in settings.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            settings[key] = sorted(value)  # peft writes sets of names, in any order
    rank = settings.get("r")
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise ModelError(f"{name} states the rank r = {shown(rank)}: expected a whole number")
    return settings


def shown(value: Any, longest: int = 200) -> str:
    """Return a name or a value from a file as one line of harmless text, for a message."""
    return plain(" ".join(str(value).split()))[:longest] or "nothing"
