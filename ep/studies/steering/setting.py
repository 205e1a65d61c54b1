"""The settings of one steering run, their checks, and the interventions they stand for."""

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
"""Most tokens of one run: four columns of text must remain readable."""
MOST_REGIONS = 8
"""Most regions that users may choose for one run."""
_LAYERS = re.compile(r"\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*")


@dataclass(frozen=True)
class Setting:
    """Everything that decides the texts of a run; equal settings give equal texts.

    prompt: the text to continue, or the user's turn in a chat.
    chat: whether to send the prompt through the chat template.
    system: the system message of a chat; empty for none.
    mode: "add", "ablate", "swap" or "clamp", see `ep.models.interventions`.
    regions: ablated and swapped as one span, pushed along as one direction.
    strength: in typical norms for add and clamp, the share to project out for ablate and swap; None
        for the default of these regions, see `default_strength`.
    basis: directions of the regions, "exemplar" or "mean".
    reference: "centre", "origin" or a region's id.
    target: the region whose mean a swap puts in place.
    scope: positions to change, see `ep.models.interventions`.
    layers: "" for the dictionary's own, "all", or ids such as "2,4-6".
    tokens: most tokens to write.
    temperature: 0 for greedy decoding.
    seed: of the sampling and of the random control.
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
        """Return the chat messages, for the chat template."""
        system = [{"role": "system", "content": self.system}] if self.system.strip() else []
        return [*system, {"role": "user", "content": self.prompt}]

    def sampling(self) -> Sampling:
        """Return how tokens are chosen."""
        return Sampling(self.tokens, self.temperature, seed=self.seed)

    def strength_on(self, dictionary: Dictionary) -> float:
        """Return the strength as a number: that of the setting, or the default of its regions."""
        if self.strength is not None:
            return self.strength
        return default_strength(dictionary, self.regions, self.basis, self.mode)


def checked(setting: Setting, dictionary: Dictionary) -> Setting:
    """Return the setting with its strength as a number, after checks that need no model.

    Raises RequestError without a region, and ConfigError and UnknownRegion for a setting that
    cannot be run.
    """
    if not setting.regions:
        raise RequestError("no region is chosen: choose one to steer along")
    for region in setting.regions:
        dictionary.check(region)
    if setting.mode == "swap" and setting.target is None:
        raise ConfigError("a swap needs a region whose mean it puts in place: choose that region")
    if not 1 <= setting.tokens <= MOST_TOKENS:
        raise ConfigError(f"{setting.tokens} tokens were asked for: expected 1 to {MOST_TOKENS}")
    return replace(setting, strength=setting.strength_on(dictionary))


class Changes(NamedTuple):
    """The interventions on each of the four rows of a run."""

    default: tuple[Intervention, ...]
    ablated: tuple[Intervention, ...]
    steered: tuple[Intervention, ...]
    control: tuple[Intervention, ...]


def changes(dictionary: Dictionary, setting: Setting, n_layers: int) -> Changes:
    """Return the interventions of a setting, and their random control.

    n_layers: number of layers of the model.

    Raises ConfigError, UnknownRegion, RequestError and ModelError, each in one line.
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

    steered = change(setting.mode, setting.strength_on(dictionary))
    control = random_control(steered, setting.seed)
    return Changes((), (change("ablate", 1.0),), (steered,), (control,))


def chosen_layers(text: str, own: int | None, n_layers: int) -> tuple[int, ...]:
    """Return the layers that a text names: "all", ids and ranges, or "" for the dictionary's own.

    own: the dictionary's layer, or None where it has none.
    n_layers: number of layers of the model.

    Raises RequestError for a text that names no layers, and ModelError for layers that the model
    does not have.
    """
    compact = "".join(text.split()).casefold()
    if not compact:
        chosen = [] if own is None else [own]
    elif compact == "all":
        chosen = list(range(n_layers))
    elif _LAYERS.fullmatch(compact):
        ends = [part.split("-") for part in compact.split(",")]
        chosen = sorted({n for pair in ends for n in range(int(pair[0]), int(pair[-1]) + 1)})
    else:
        raise RequestError(
            f"the layers {text[:40]!r} cannot be read: write numbers such as 2, 4-6, or all"
        )
    if not chosen or not all(0 <= layer < n_layers for layer in chosen):
        requested = text[:40] or ("none" if own is None else str(own))
        raise ModelError(f"the model has layers 0 to {n_layers - 1}, and {requested} was asked for")
    return tuple(chosen)


def encoded(model: LanguageModel, setting: Setting) -> Prompt:
    """Return the tokens of the prompt exactly as they are sent.

    Raises RequestError when it is empty, and ModelError for a chat without a template.
    """
    if not setting.prompt.strip():
        raise RequestError("there is no prompt: type some text")
    return model.encode_prompt(setting.messages() if setting.chat else setting.prompt)


def rows(dictionary: Dictionary, model: LanguageModel, setting: Setting) -> list[Row]:
    """Return the four rows of one batch, in the order of `Changes`.

    Raises ModelError for a dictionary of another model (by its width, layer or tokenizer), and for
    a prompt that leaves no room in the context.
    """
    check_fits(model, dictionary)
    prompt = encoded(model, setting)
    if prompt.truncated or len(prompt.ids) >= model.context:
        raise ModelError(
            f"the prompt fills the model's context of {model.context:,} tokens: shorten it to "
            "leave room for an answer"
        )
    ids = tuple(prompt.ids)
    return [Row(ids, change) for change in changes(dictionary, setting, model.n_layers)]
