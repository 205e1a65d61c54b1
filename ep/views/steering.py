"""What one steering run is asked for, as plain data, and the four rows it makes of one prompt and
one seed.

Untouched, the regions taken out, the change asked for, and the same change along a random
direction. What becomes of them is in `ep.views.continuations`. Knows dictionaries and, handed in,
the model; no screen and no threads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ep.errors import ConfigError, ModelError, RequestError
from ep.method.dictionary import Dictionary
from ep.models import LanguageModel, Prompt
from ep.models.generation import Row, Sampling
from ep.models.interventions import Intervention, of_regions, random_control
from ep.models.pairing import check_fits
from ep.studies.steering import careful

MODES = ("ablate", "add", "swap", "clamp")
SHARES = ("ablate", "swap")
"""Modes whose strength is a share of what lies along the regions; that of the others is a
length.
"""
LONGEST = 256
"""Tokens of one run at most: four columns of text one can read."""
MOST_REGIONS = 8
_LAYERS = re.compile(r"\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*")


@dataclass(frozen=True)
class Setting:
    """Everything that decides the texts of a run; equal settings give equal texts.

    regions: ablated and swapped as one span, pushed towards as one step between them
    (`ep.models.interventions`).
    strength: in typical norms; for the modes of `SHARES` the share projected out. reference:
    "centre", "origin" or a region's id. target: whose mean a swap puts back. layers: "" for the
    dictionary's own, "all", or ids such as "2,4-6". temperature: 0 is greedy.
    """

    prompt: str
    chat: bool = False
    system: str = ""
    mode: str = "add"
    regions: tuple[int, ...] = ()
    strength: float = 1.0
    basis: str = "exemplar"
    reference: str | int = "centre"
    target: int | None = None
    scope: str = "all"
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


def parse_layers(text: str, own: int, n_layers: int) -> tuple[int, ...]:
    """The layers a setting names: "" the dictionary's own, "all", or ids and ranges; ModelError,
    RequestError.
    """
    plain = "".join(text.split()).casefold()
    if not plain:
        chosen = [own]
    elif plain == "all":
        chosen = list(range(n_layers))
    elif _LAYERS.fullmatch(plain):
        ends = [part.split("-") for part in plain.split(",")]
        chosen = sorted(
            {layer for pair in ends for layer in range(int(pair[0]), int(pair[-1]) + 1)}
        )
    else:
        raise RequestError(
            f"the layers {text[:40]!r} cannot be read: write numbers such as 2, 4-6, or all"
        )
    wrong = [layer for layer in chosen if not 0 <= layer < n_layers]
    if wrong or not chosen:
        raise ModelError(
            f"the model has layers 0 to {n_layers - 1}, and {text[:40] or own!r} was asked for"
        )
    return tuple(chosen)


def variants(
    dictionary: Dictionary, setting: Setting, n_layers: int
) -> tuple[tuple[Intervention, ...], ...]:
    """What is done to each of the four rows.

    ConfigError, UnknownRegion, RequestError in one line.
    """
    if not setting.regions:
        raise RequestError("no region is chosen: choose the one to steer along")
    layers = parse_layers(setting.layers, int(dictionary.info.get("layer") or 0), n_layers)

    def change(mode: str, strength: float) -> Intervention:
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

    steered, ablated = change(setting.mode, setting.strength), change("ablate", 1.0)
    return (), (ablated,), (steered,), (random_control(steered, setting.seed),)


def encoded(model: LanguageModel, setting: Setting) -> Prompt:
    """The prompt's tokens exactly as they are sent.

    RequestError when it is empty, ModelError without a template.
    """
    if not setting.prompt.strip():
        raise RequestError("there is no prompt: type some text")
    return model.encode_prompt(setting.messages() if setting.chat else setting.prompt)


def rows(dictionary: Dictionary, model: LanguageModel, setting: Setting) -> list[Row]:
    """The four rows of one batch, in the order of `COLUMNS`.

    ModelError for a dictionary of another model (its width, its layer or its tokenizer says so), or
    a prompt that leaves no room in the context.
    """
    check_fits(model, {"layer": 0, **dictionary.info}, dictionary.width)
    prompt = encoded(model, setting)
    if prompt.truncated or len(prompt.ids) >= model.context:
        raise ModelError(
            f"the prompt fills the model's context of {model.context:,} tokens: shorten it, to "
            "leave room to go on"
        )
    ids = tuple(prompt.ids)
    return [Row(ids, changes) for changes in variants(dictionary, setting, model.n_layers)]


def checked(setting: Setting, dictionary: Dictionary) -> Setting:
    """The setting itself.

    ConfigError, UnknownRegion for what no run could be made of, before a model is asked.
    """
    for region in setting.regions:
        dictionary.check(region)
    if setting.mode not in MODES:
        raise ConfigError(f"mode {setting.mode!r} is unknown: use one of {', '.join(MODES)}")
    if setting.mode == "swap" and setting.target is None:
        raise ConfigError("a swap puts the mean of another region back: choose that region")
    if not 1 <= setting.tokens <= LONGEST:
        raise ConfigError(f"{setting.tokens} tokens were asked for: expected 1 to {LONGEST}")
    return setting


def standard(dictionary: Dictionary, setting: Setting) -> float:
    """The strength to begin with: all of it for the modes of `SHARES`, else a careful length along
    these regions.
    """
    if setting.mode in SHARES or not setting.regions:
        return 1.0
    return careful(dictionary, setting.regions, setting.basis, setting.mode)


def abouts(setting: Setting) -> tuple[str, ...]:
    """A half-sentence for each row: what is done to it."""
    regions = listed(setting.regions)
    about = (
        setting.reference if isinstance(setting.reference, str) else f"region {setting.reference}"
    )
    point = "" if about == "centre" else f" about {'the origin' if about == 'origin' else about}"
    between = "between " if len(setting.regions) > 1 else ""
    steered = {
        "add": f"{setting.strength:+.2f} {between or 'towards '}{regions}",
        "ablate": f"{100 * setting.strength:.0f} % of {regions} projected out",
        "swap": f"{regions} swapped for {setting.target}",
        "clamp": f"held at {setting.strength:.2f} {between or 'along '}{regions}",
    }[setting.mode]
    several = len(setting.regions) > 1
    control = {
        "add": f"{setting.strength:+.2f} in a random direction",
        "clamp": f"held at {setting.strength:.2f} in a random direction",
    }.get(
        setting.mode, "the same along random directions" if several else "along a random direction"
    )
    return ("nothing changed", f"{regions} projected out{point}", steered, control)


def listed(regions: tuple[int, ...]) -> str:
    """Ids as a reader says them: 3 · 3 and 9 · 3, 9 and 12."""
    *first, last = map(str, regions or ("none",))
    return f"{', '.join(first)} and {last}" if first else last
