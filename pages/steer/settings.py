"""What a visitor wants steered, as the session and the link say it: read, changed, and kept.

A strength nobody chose follows the regions it stands for. Runs nothing and draws nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from ep.errors import ConfigError
from ep.method.dictionary import BASES, Basis, Dictionary
from ep.models.interventions import MODES, PUSHING, SCOPES, STRONGEST, Mode, Scope
from ep.studies.steering import MOST_REGIONS, MOST_TOKENS, Setting, default_strength
from pages.shared import loading, state
from pages.shared.links import number, one_of, text, whole, whole_number, wholes
from pages.shared.state import Opened

MOST_SYSTEM = 4000
MOST_SEED = 2**31 - 1
_TEXT, _CHAT = "text", "chat"


@dataclass(frozen=True)
class Settings:
    """The parts of `ep.Setting` that are not in the selection, as a link has them.

    sent_as: "chat" or "text", None as the dictionary has it. more: regions besides the selected
    one. strength: None for the default of these regions. reference: "centre", "origin" or a
    region's id. steered: the dictionary's key and the region these settings were last kept for; in
    no link.
    """

    sent_as: str | None = one_of("schat", (_TEXT, _CHAT), None)
    system: str = text("ssys", longest=MOST_SYSTEM)
    mode: Mode = one_of("smode", MODES, "add")
    more: tuple[int, ...] = wholes("sregs", MOST_REGIONS)
    strength: float | None = number("sstr", None, -STRONGEST, STRONGEST)
    basis: Basis = one_of("sbasis", BASES, "exemplar")
    reference: str = text("sref", "centre", 20)
    target: int | None = whole("starget")
    scope: Scope = one_of("sscope", SCOPES, "all")
    layers: str = text("slayers", longest=60)
    tokens: int = whole("stoks", 64, 1, MOST_TOKENS)
    temperature: float = number("stemp", 0.0, 0.0, 100.0)
    seed: int = whole("sseed", 0, 0, MOST_SEED)
    steered: tuple[str, int] | None = None


def setting() -> Setting:
    """What is to be steered now, its strength a number; what makes no sense in a link takes its
    default. NothingOpen where no dictionary is open.
    """
    opened = state.opened()
    now = _followed(opened, state.settings(Settings))
    prompt, chat = _first_prompt(opened.dictionary)
    size = len(opened.dictionary)
    more = [k for k in now.more if k < size and k != opened.region]
    regions = tuple(dict.fromkeys([opened.region, *more]))[:MOST_REGIONS]
    strength = now.strength
    if strength is None:
        strength = default_of(opened.key, regions, now.basis, now.mode)
    return Setting(
        prompt=opened.prompt or prompt,
        chat=chat if now.sent_as is None else now.sent_as == _CHAT,
        system=now.system,
        mode=now.mode,
        regions=regions,
        strength=strength,
        basis=now.basis,
        reference=_reference(now.reference, size),
        target=now.target if now.target is not None and now.target < size else None,
        scope=now.scope,
        layers=now.layers,
        tokens=now.tokens,
        temperature=now.temperature,
        seed=now.seed,
    )


def change(**parts: Any) -> None:
    """Changes parts of the setting; for callbacks.

    A strength that stood at the default of what it was stays at the default of what it becomes, as
    does one whose unit changes: a share says nothing about a length.
    """
    old = setting()
    new = replace(old, **parts)
    turned = (old.mode in PUSHING) != (new.mode in PUSHING)
    key = state.opened().key
    stood = old.strength == default_of(key, old.regions, old.basis, old.mode)
    if "strength" not in parts and (turned or stood):
        new = replace(new, strength=default_of(key, new.regions, new.basis, new.mode))
    put(new)


def put(new: Setting) -> None:
    """Puts a whole setting into session and link; its first region becomes the selected one."""
    first, *more = new.regions
    state.change(prompt=new.prompt, region=first)
    state.put(
        Settings(
            sent_as=_CHAT if new.chat else _TEXT,
            system=new.system,
            mode=new.mode,
            more=tuple(more),
            strength=new.strength,
            basis=new.basis,
            reference=str(new.reference),
            target=new.target,
            scope=new.scope,
            layers=new.layers,
            tokens=new.tokens,
            temperature=new.temperature,
            seed=new.seed,
            steered=(state.opened().key, first),
        )
    )


def default_of(key: str, regions: tuple[int, ...], basis: Basis, mode: Mode) -> float:
    """The default strength along regions of the dictionary with this key, worked out once."""
    return _default(loading.fingerprint(key), key, tuple(sorted(regions)), basis, mode)


@st.cache_data(show_spinner=False, max_entries=500)
def _default(
    fingerprint: str, key: str, regions: tuple[int, ...], basis: Basis, mode: Mode
) -> float:
    """`fingerprint` is part of the cache's key. Regions that cancel each other have no push: the
    run says so.
    """
    try:
        return default_strength(loading.dictionary(key), regions, basis, mode)
    except ConfigError:
        return 1.0


def _followed(opened: Opened, now: Settings) -> Settings:
    """The settings after another region was selected on another page: it is steered alone, and at
    its own default strength if the one before stood at its default.
    """
    here = (opened.key, opened.region)
    if now.steered is None or now.steered == here:
        return now
    key, region = now.steered
    known = loading.find(key) is not None and region < len(loading.dictionary(key))
    before = default_of(key, (region, *now.more), now.basis, now.mode) if known else None
    strength = None if now.strength == before else now.strength
    return state.keep(Settings, more=(), strength=strength, steered=here)


def _first_prompt(dictionary: Dictionary) -> tuple[str, bool]:
    """The prompt and whether it is a chat turn, where a visitor has asked for nothing yet."""
    if loading.is_demo(dictionary):
        return "How do I rob a bank?", True
    return "Once upon a time", bool(dictionary.info.get("chat"))


def _reference(given: str, size: int) -> str | int:
    if given in ("centre", "origin"):
        return given
    region = whole_number(given, size)
    return "centre" if region is None else region
