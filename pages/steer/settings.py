"""The steering setting of a visitor, in session and link: read, changed and stored.

A strength that nobody chose follows its regions. Runs nothing and draws nothing.
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
from pages.shared.links import integer, integers, number, one_of, parse_integer, text
from pages.shared.state import Opened

MOST_SYSTEM = 4000
MOST_SEED = 2**31 - 1
_TEXT, _CHAT = "text", "chat"


@dataclass(frozen=True)
class Settings:
    """The parts of `ep.Setting` that are not in the selection, as a link has them.

    sent_as: "chat" or "text"; None for the default of the dictionary.
    more: regions besides the selected one.
    strength: None for the default of these regions.
    reference: "centre", "origin" or a region's id.
    steered: the dictionary's key and the region for which these settings were last stored; in no
        link.
    """

    sent_as: str | None = one_of("schat", (_TEXT, _CHAT), None)
    system: str = text("ssys", longest=MOST_SYSTEM)
    mode: Mode = one_of("smode", MODES, "add")
    more: tuple[int, ...] = integers("sregs", MOST_REGIONS)
    strength: float | None = number("sstr", None, -STRONGEST, STRONGEST)
    basis: Basis = one_of("sbasis", BASES, "exemplar")
    reference: str = text("sref", "centre", 20)
    target: int | None = integer("starget")
    scope: Scope = one_of("sscope", SCOPES, "all")
    layers: str = text("slayers", longest=60)
    tokens: int = integer("stoks", 64, 1, MOST_TOKENS)
    temperature: float = number("stemp", 0.0, 0.0, 100.0)
    seed: int = integer("sseed", 0, 0, MOST_SEED)
    steered: tuple[str, int] | None = None


def setting() -> Setting:
    """Return the present setting, its strength a number.

    Values of a link that make no sense are replaced by their defaults. Raises NothingOpen where no
    dictionary is open.
    """
    opened = state.opened()
    settings = _after_selection(opened, state.settings(Settings))
    prompt, chat = _first_prompt(opened.dictionary)
    size = len(opened.dictionary)
    more = [k for k in settings.more if k < size and k != opened.region]
    regions = tuple(dict.fromkeys([opened.region, *more]))[:MOST_REGIONS]
    strength = settings.strength
    if strength is None:
        strength = default_strength_of(opened.key, regions, settings.basis, settings.mode)
    return Setting(
        prompt=opened.prompt or prompt,
        chat=chat if settings.sent_as is None else settings.sent_as == _CHAT,
        system=settings.system,
        mode=settings.mode,
        regions=regions,
        strength=strength,
        basis=settings.basis,
        reference=_reference(settings.reference, size),
        target=settings.target if settings.target is not None and settings.target < size else None,
        scope=settings.scope,
        layers=settings.layers,
        tokens=settings.tokens,
        temperature=settings.temperature,
        seed=settings.seed,
    )


def change(**parts: Any) -> None:
    """Change parts of the setting; for callbacks.

    A strength that was the default of the old setting becomes the default of the new one. So does
    one whose unit changes, because a share cannot be converted to a length.
    """
    old = setting()
    new = replace(old, **parts)
    unit_changed = (old.mode in PUSHING) != (new.mode in PUSHING)
    key = state.opened().key
    was_default = old.strength == default_strength_of(key, old.regions, old.basis, old.mode)
    if "strength" not in parts and (unit_changed or was_default):
        new = replace(new, strength=default_strength_of(key, new.regions, new.basis, new.mode))
    put(new)


def put(new: Setting) -> None:
    """Store a whole setting in session and link; its first region becomes the selected one."""
    first, *more = new.regions
    state.update_selection(prompt=new.prompt, region=first)
    state.put_settings(
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


def default_strength_of(key: str, regions: tuple[int, ...], basis: Basis, mode: Mode) -> float:
    """Return the default strength along regions of the dictionary with this key; cached."""
    return _default(loading.fingerprint(key), key, tuple(sorted(regions)), basis, mode)


@st.cache_data(show_spinner=False, max_entries=500)
def _default(
    fingerprint: str, key: str, regions: tuple[int, ...], basis: Basis, mode: Mode
) -> float:
    """Return the default strength, or 1 for regions that cancel each other; the run reports those.

    fingerprint: part of the key of the cache.
    """
    try:
        return default_strength(loading.dictionary(key), regions, basis, mode)
    except ConfigError:
        return 1.0


def _after_selection(opened: Opened, settings: Settings) -> Settings:
    """Return the settings, adapted if a region was selected on another page.

    That region is then steered alone, at its own default strength if the strength was the default
    before.
    """
    selection = (opened.key, opened.region)
    if settings.steered is None or settings.steered == selection:
        return settings
    key, region = settings.steered
    exists = loading.find(key) is not None and region < len(loading.dictionary(key))
    default = (
        default_strength_of(key, (region, *settings.more), settings.basis, settings.mode)
        if exists
        else None
    )
    strength = None if settings.strength == default else settings.strength
    return state.update_settings(Settings, more=(), strength=strength, steered=selection)


def _first_prompt(dictionary: Dictionary) -> tuple[str, bool]:
    """Return the first prompt of a visitor, and whether it is a chat turn."""
    if loading.is_demo(dictionary):
        return "How do I rob a bank?", True
    return "Once upon a time", bool(dictionary.info.get("chat"))


def _reference(value: str, size: int) -> str | int:
    if value in ("centre", "origin"):
        return value
    region = parse_integer(value, size)
    return "centre" if region is None else region
