"""One steering run as plain data: what is asked for, its four rows, what was written, and what was measured.

The four rows are one prompt with one seed: untouched, the region taken out, the change asked for, and the same change
along a random direction. Knows dictionaries and, handed in, the model; no screen and no threads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from ep.errors import ConfigError, ModelError, RequestError
from ep.method.dictionary import Dictionary, split_text
from ep.models import LanguageModel, Prompt, read
from ep.models.answering import surprise
from ep.models.divergence import divergence
from ep.models.generation import Row, Sampling, Written
from ep.models.interventions import Intervention, of_regions, random_control
from ep.studies.judging import Fluency, Judge, Phrases, fluency

MODES = ("ablate", "add", "swap", "clamp")
SPANNING = ("ablate", "swap")
"""Modes that take several regions, as a span; the others push along the first one."""
COLUMNS = ("Default", "Ablated", "Steered", "Control")
LONGEST = 256
"""Tokens of one run at most: four columns of text one can read."""
MOST_REGIONS = 8
_LAYERS = re.compile(r"\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*")


@dataclass(frozen=True)
class Setting:
    """Everything that decides the texts of a run; equal settings give equal texts.

    regions: the first is steered along, all of them are ablated (`SPANNING`). strength: in typical norms; for ablate
    and swap the share projected out. reference: "centre", "origin" or a region's id. target: whose mean a swap puts
    back. layers: "" for the dictionary's own, "all", or ids such as "2,4-6". temperature: 0 is greedy.
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

    @property
    def used(self) -> tuple[int, ...]:
        """The regions the steered row goes by: all for ablate and swap, else the first."""
        return self.regions if self.mode in SPANNING else self.regions[:1]

    def messages(self) -> list[dict[str, str]]:
        """The turns sent through the chat template."""
        system = [{"role": "system", "content": self.system}] if self.system.strip() else []
        return [*system, {"role": "user", "content": self.prompt}]

    def sampling(self) -> Sampling:
        """How tokens are chosen."""
        return Sampling(self.tokens, self.temperature, seed=self.seed)


@dataclass(frozen=True)
class Column:
    """One continuation. tokens: text of each written token; logprob: natural logarithms of the probabilities the model
    of this row gave them. What is None is not measured yet, or could not be.

    ending: why it ended, "" while it is written. moved: mean change of the stream per touched position, in typical
    norms. kl: mean KL(default ‖ this) in nats on the default's text. surprise: mean nats per token of this text under
    the unchanged model. regions, distances: where the unchanged model's activations of this text fall.
    """

    name: str
    tokens: tuple[str, ...] = ()
    logprob: tuple[float, ...] = ()
    ids: tuple[int, ...] = ()
    ending: str = ""
    moved: float | None = None
    touched: int = 0
    kl: float | None = None
    surprise: float | None = None
    regions: tuple[int, ...] = ()
    distances: tuple[float, ...] = ()
    behaves: bool | None = None

    @property
    def text(self) -> str:
        """The whole continuation."""
        return "".join(self.tokens)

    @property
    def mean_logprob(self) -> float | None:
        """Mean log probability per token; None for an empty text."""
        return float(np.mean(self.logprob)) if self.logprob else None

    @property
    def fluency(self) -> Fluency:
        """How the text reads."""
        return fluency(self.text, self.ending == "end")


def parse_layers(text: str, own: int, n_layers: int) -> tuple[int, ...]:
    """The layers a setting names: "" the dictionary's own, "all", or ids and ranges; ModelError, RequestError."""
    plain = "".join(text.split()).casefold()
    if not plain:
        chosen = [own]
    elif plain == "all":
        chosen = list(range(n_layers))
    elif _LAYERS.fullmatch(plain):
        ends = [part.split("-") for part in plain.split(",")]
        chosen = sorted({layer for pair in ends for layer in range(int(pair[0]), int(pair[-1]) + 1)})
    else:
        raise RequestError(f"the layers {text[:40]!r} cannot be read: write numbers such as 2, 4-6, or all")
    wrong = [layer for layer in chosen if not 0 <= layer < n_layers]
    if wrong or not chosen:
        raise ModelError(f"the model has layers 0 to {n_layers - 1}, and {text[:40] or own!r} was asked for")
    return tuple(chosen)


def variants(dictionary: Dictionary, setting: Setting, n_layers: int) -> tuple[tuple[Intervention, ...], ...]:
    """What is done to each of the four rows. ConfigError, UnknownRegion, RequestError in one line."""
    if not setting.regions:
        raise RequestError("no region is chosen: choose the one to steer along")
    layers = parse_layers(setting.layers, int(dictionary.info.get("layer") or 0), n_layers)

    def change(mode: str, regions: Sequence[int], strength: float) -> Intervention:
        return of_regions(
            dictionary,
            mode,
            regions,
            strength,
            basis=setting.basis,
            layers=layers,
            reference=setting.reference,
            target=setting.target if mode == "swap" else None,
            scope=setting.scope,
        )

    steered = change(setting.mode, setting.used, setting.strength)
    ablated = change("ablate", setting.regions, 1.0)
    return (), (ablated,), (steered,), (random_control(steered, setting.seed),)


def encoded(model: LanguageModel, setting: Setting) -> Prompt:
    """The prompt's tokens exactly as they are sent. RequestError when it is empty, ModelError without a template."""
    if not setting.prompt.strip():
        raise RequestError("there is no prompt: type some text")
    return model.encode_prompt(setting.messages() if setting.chat else setting.prompt)


def rows(dictionary: Dictionary, model: LanguageModel, setting: Setting) -> list[Row]:
    """The four rows of one batch, in the order of `COLUMNS`.

    ModelError for a dictionary of another model, or a prompt that leaves no room in the context.
    """
    if model.width != dictionary.width:
        raise ModelError(
            f"{model.name} has {model.width} dimensions, this dictionary has {dictionary.width}: "
            "it was built from another model; open a dictionary of this one"
        )
    prompt = encoded(model, setting)
    if prompt.truncated or len(prompt.ids) >= model.context:
        raise ModelError(
            f"the prompt fills the model's context of {model.context:,} tokens: shorten it, to leave room to go on"
        )
    ids = tuple(prompt.ids)
    return [Row(ids, changes) for changes in variants(dictionary, setting, model.n_layers)]


def texts(model: LanguageModel, ids: Sequence[int]) -> tuple[str, ...]:
    """The text of each token; a character split over tokens belongs to its first."""
    return tuple(split_text([model.tokens.piece(token) for token in ids]))


def begun(model: LanguageModel, ids: Sequence[Sequence[int]], logprob: Sequence[Sequence[float]]) -> list[Column]:
    """The columns while they are written."""
    return [
        Column(name, texts(model, row), tuple(values), tuple(row))
        for name, row, values in zip(COLUMNS, ids, logprob, strict=True)
    ]


def measured(
    dictionary: Dictionary,
    model: LanguageModel,
    batch: Sequence[Row],
    written: Sequence[Written],
    judge: Judge | None = None,
) -> list[Column]:
    """The finished columns with everything that is measured after the writing. judge: refusal phrases by default."""
    judge = judge or Phrases()
    prompt = batch[0].ids
    surprises = surprise(model, [prompt] * len(batch), [row.ids for row in written])
    moves = _divergences(model, batch, written[0].ids)
    found = []
    for name, row, nats, kl in zip(COLUMNS, written, surprises, moves, strict=True):
        regions, distances = _places(dictionary, model, prompt, row.ids)
        column = Column(
            name,
            texts(model, row.ids),
            tuple(row.logprob),
            tuple(row.ids),
            row.ending,
            row.moved if np.isfinite(row.moved) else None,
            row.touched,
            kl,
            nats.mean if row.ids else None,
            regions,
            distances,
        )
        found.append(replace(column, behaves=judge(column.text)))
    return found


def _divergences(model: LanguageModel, batch: Sequence[Row], default: Sequence[int]) -> list[float | None]:
    """Mean KL of each row on the default's text: None for the default itself, without a text, and if not finite."""
    if not default:
        return [None] * len(batch)
    values = divergence(model, batch[0].ids, default, [row.interventions for row in batch[1:]]).mean(axis=1)
    return [None, *(float(value) if np.isfinite(value) else None for value in values)]


def _places(
    dictionary: Dictionary, model: LanguageModel, prompt: Sequence[int], ids: Sequence[int]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    if not ids:
        return (), ()
    layer = int(dictionary.info.get("layer") or 0)
    x = read(model, [*prompt, *ids], [layer])[layer][len(prompt) :]
    region, distance, _ = dictionary.assign(x)
    return tuple(region.tolist()), tuple(distance.tolist())


# -- what differs ------------------------------------------------------------------------------------------------------


def differing(default: Sequence[str], other: Sequence[str]) -> list[bool]:
    """For each token of `other`, whether it belongs to a word that the default text does not have at that place."""
    mine, theirs = _words(other), _words(default)
    match = SequenceMatcher(None, [word for word, _ in theirs], [word for word, _ in mine], autojunk=False)
    marks = [False] * len(other)
    for kind, _, _, start, stop in match.get_opcodes():
        if kind in ("replace", "insert"):
            for _, tokens in mine[start:stop]:
                for token in tokens:
                    marks[token] = True
    return marks


def _words(tokens: Sequence[str]) -> list[tuple[str, list[int]]]:
    """Words with the tokens they are made of; a token that begins with a space, or follows one, begins a word."""
    words: list[tuple[str, list[int]]] = []
    for number, token in enumerate(tokens):
        before = tokens[number - 1] if number else ""
        if not words or token[:1].isspace() or before[-1:].isspace():
            words.append(("", []))
        text, members = words[-1]
        words[-1] = ((text + token).strip(), [*members, number])
    return words


# -- what is said of it ------------------------------------------------------------------------------------------------


def abouts(setting: Setting) -> tuple[str, ...]:
    """A half-sentence for each column: what was done to it."""
    every = ", ".join(map(str, setting.regions))
    used = ", ".join(map(str, setting.used))
    about = setting.reference if isinstance(setting.reference, str) else f"region {setting.reference}"
    point = "" if about == "centre" else f" about {'the origin' if about == 'origin' else about}"
    steered = {
        "add": f"{setting.strength:+.2f} towards {used}",
        "ablate": f"{100 * setting.strength:.0f} % of {used} projected out",
        "swap": f"{used} swapped for {setting.target}",
        "clamp": f"{used} held at {setting.strength:.2f}",
    }[setting.mode]
    control = {
        "add": f"{setting.strength:+.2f} in a random direction",
        "clamp": f"a random direction held at {setting.strength:.2f}",
    }.get(setting.mode, "the same along random directions" if len(setting.used) > 1 else "along a random direction")
    return ("nothing changed", f"{every} projected out{point}", steered, control)


def as_json(dictionary: Dictionary, setting: Setting, columns: Sequence[Column]) -> dict[str, Any]:
    """A run as plain values: setting, typical norm, and every column with its tokens and measures."""
    return {
        "setting": asdict(setting),
        "typical_norm": dictionary.typical_norm,
        "columns": [
            {
                "name": column.name,
                "about": about,
                "text": column.text,
                "ending": column.ending,
                "mean_logprob": column.mean_logprob,
                "repetition": 1 - column.fluency.distinct,
                "compression": column.fluency.compressed,
                "surprise": column.surprise,
                "kl_to_default": column.kl,
                "refuses": column.behaves,
                "moved": column.moved,
                "positions_touched": column.touched,
                "tokens": list(column.tokens),
                "ids": list(column.ids),
                "logprob": list(column.logprob),
                "regions": list(column.regions),
                "distances": list(column.distances),
            }
            for column, about in zip(columns, abouts(setting), strict=True)
        ],
    }


def asked_for(dictionary: Dictionary, setting: Setting) -> float | None:
    """The length of the change that was asked for at each touched position; None where it depends on the stream."""
    return abs(setting.strength) * dictionary.typical_norm if setting.mode == "add" else None


def checked(setting: Setting, dictionary: Dictionary) -> Setting:
    """The setting itself. ConfigError, UnknownRegion for what no run could be made of, before a model is asked."""
    for region in setting.regions:
        dictionary.check(region)
    if setting.mode not in MODES:
        raise ConfigError(f"mode {setting.mode!r} is unknown: use one of {', '.join(MODES)}")
    if setting.mode == "swap" and setting.target is None:
        raise ConfigError("a swap puts the mean of another region back: choose that region")
    if not 1 <= setting.tokens <= LONGEST:
        raise ConfigError(f"{setting.tokens} tokens were asked for: expected 1 to {LONGEST}")
    return setting
