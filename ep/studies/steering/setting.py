"""What one steering run is asked for, as plain data; its checks, and the interventions it means.

Knows dictionaries and, handed in, the model; runs nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from ep.errors import ConfigError, ModelError, RequestError
from ep.method.dictionary import Basis, Dictionary
from ep.models import LanguageModel, Prompt, check_fits
from ep.models.generation import Row, Sampling
from ep.models.interventions import Intervention, Mode, Scope, of_regions, random_control
from ep.studies.steering.strength import default_strength

MOST_TOKENS = 256
"""Tokens of one run at most: four columns of text one can read."""
MOST_REGIONS = 8
_LAYERS = re.compile(r"\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*")


@dataclass(frozen=True)
class Setting:
    """Everything that decides the texts of a run; equal settings give equal texts.

    regions: ablated and swapped as one span, pushed towards as one step between them
    (`ep.models.interventions`). strength: in typical norms for add and clamp, the share projected
    out for ablate and swap; None is the default of these regions (`default_strength`). reference:
    "centre", "origin" or a region's id. target: the region whose mean a swap puts back. layers: ""
    for the dictionary's own, "all", or ids such as "2,4-6". temperature: 0 is greedy.
    """

    prompt: str
    chat: bool = False
    system: str = ""
    mode: Mode = "add"
    regions: tuple[int, ...] = ()
    strength: float | None = None
    basis: Basis = "exemplar"
    reference: str | int = "centre"
    target: int | None = None
    scope: Scope = "all"
    layers: str = ""
    tokens: int = 64
    temperature: float = 0.0
    seed: int = 0

    def messages(self) -> list[dict[str, str]]:
        """The turns sent through the chat template."""
        system = [{"role": "system", "content": self.system}] if self.system.strip() else []
        return [*system, {"role": "user", "content": self.prompt}]

    def sampling(self) -> Sampling:
        """How tokens are chosen."""
        return Sampling(self.tokens, self.temperature, seed=self.seed)

    def resolved(self, dictionary: Dictionary) -> Setting:
        """The same with a number for its strength."""
        if self.strength is not None or not self.regions:
            return self
        strength = default_strength(dictionary, self.regions, self.basis, self.mode)
        return replace(self, strength=strength)


def checked(setting: Setting, dictionary: Dictionary) -> Setting:
    """The setting, its strength resolved.

    RequestError without a region; ConfigError and UnknownRegion for what no run could be made of,
    before a model is asked.
    """
    if not setting.regions:
        raise RequestError("no region is chosen: choose the one to steer along")
    for region in setting.regions:
        dictionary.check(region)
    if setting.mode == "swap" and setting.target is None:
        raise ConfigError("a swap puts the mean of another region back: choose that region")
    if not 1 <= setting.tokens <= MOST_TOKENS:
        raise ConfigError(f"{setting.tokens} tokens were asked for: expected 1 to {MOST_TOKENS}")
    return setting.resolved(dictionary)


class Changes(NamedTuple):
    """What is done to each of the four rows of a run."""

    default: tuple[Intervention, ...]
    ablated: tuple[Intervention, ...]
    steered: tuple[Intervention, ...]
    control: tuple[Intervention, ...]


def changes(dictionary: Dictionary, setting: Setting, n_layers: int) -> Changes:
    """The interventions of a setting whose strength is resolved, and their random control.

    n_layers: of the model, which the setting's layers must lie in. ConfigError, UnknownRegion,
    RequestError and ModelError in one line.
    """
    layers = chosen_layers(setting.layers, dictionary.layer, n_layers)

    def change(mode: Mode, strength: float) -> Intervention:
        return of_regions(
            dictionary,
            mode,
            setting.regions,
            strength,
            basis=setting.basis,
            layers=layers,
            reference=setting.reference,
            target=setting.target if mode == "swap" else None,
            scope=setting.scope,
        )

    strength = setting.resolved(dictionary).strength
    steered = change(setting.mode, 1.0 if strength is None else strength)
    control = random_control(steered, setting.seed)
    return Changes((), (change("ablate", 1.0),), (steered,), (control,))


def chosen_layers(text: str, own: int | None, n_layers: int) -> tuple[int, ...]:
    """The layers a setting names: "" the dictionary's own, "all", or ids and ranges.

    RequestError for text that names none, ModelError for layers the model does not have.
    """
    plain = "".join(text.split()).casefold()
    if not plain:
        chosen = [] if own is None else [own]
    elif plain == "all":
        chosen = list(range(n_layers))
    elif _LAYERS.fullmatch(plain):
        ends = [part.split("-") for part in plain.split(",")]
        chosen = sorted({n for pair in ends for n in range(int(pair[0]), int(pair[-1]) + 1)})
    else:
        raise RequestError(
            f"the layers {text[:40]!r} cannot be read: write numbers such as 2, 4-6, or all"
        )
    if not chosen or not all(0 <= layer < n_layers for layer in chosen):
        asked = text[:40] or ("none" if own is None else str(own))
        raise ModelError(f"the model has layers 0 to {n_layers - 1}, and {asked} was asked for")
    return tuple(chosen)


def encoded(model: LanguageModel, setting: Setting) -> Prompt:
    """The prompt's tokens exactly as they are sent.

    RequestError when it is empty, ModelError without a template.
    """
    if not setting.prompt.strip():
        raise RequestError("there is no prompt: type some text")
    return model.encode_prompt(setting.messages() if setting.chat else setting.prompt)


def rows(dictionary: Dictionary, model: LanguageModel, setting: Setting) -> list[Row]:
    """The four rows of one batch, in the order of `Changes`.

    ModelError for a dictionary of another model (its width, its layer or its tokenizer says so),
    and for a prompt that leaves no room in the context.
    """
    check_fits(model, dictionary)
    prompt = encoded(model, setting)
    if prompt.truncated or len(prompt.ids) >= model.context:
        raise ModelError(
            f"the prompt fills the model's context of {model.context:,} tokens: shorten it, to "
            "leave room to go on"
        )
    ids = tuple(prompt.ids)
    return [Row(ids, change) for change in changes(dictionary, setting, model.n_layers)]
