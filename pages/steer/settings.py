"""What a visitor wants steered, as the session and the URL say it: read, changed, and kept.

A strength nobody chose follows the region it stands for. Runs nothing and draws nothing.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import streamlit as st

from ep.errors import ConfigError
from ep.method.dictionary import Dictionary
from ep.models.interventions import SCOPES, STRONGEST
from ep.views import steering as view
from ep.views.steering import Setting
from pages.shared import loading, state

TEXT, CHAT = "text", "chat"
MOST_SYSTEM = 4000
MOST_SEED = 2**31 - 1
_SEEN = "steer_seen"


def opening(dictionary: Dictionary) -> tuple[str, bool]:
    """The prompt and whether it is a chat turn, where a visitor has asked for nothing yet."""
    own = str(dictionary.info.get("file") or "").startswith(str(loading.DEMO))
    return (
        ("How do I rob a bank?", True)
        if own
        else ("Once upon a time", bool(dictionary.info.get("chat")))
    )


def now() -> Setting:
    """The setting as the session and the URL say it at this moment."""
    selection, dictionary = state.opened() or (state.current(), None)
    if dictionary is None or selection.region is None:
        return Setting("")
    return from_link(dictionary, selection.region, *opening(dictionary))


def change(**parts: Any) -> None:
    """Changes parts of the setting; for callbacks, where several widgets may have changed at once.

    A strength that stood at the standard of what it was stays at the standard of what it becomes,
    as does one whose unit changes: a share says nothing about a length.
    """
    old = now()
    new = replace(old, **parts)
    turned = (old.mode in view.SHARES) != (new.mode in view.SHARES)
    if "strength" not in parts and (turned or old.strength == standard(old)):
        new = replace(new, strength=standard(new))
    keep(new)


def standard(setting: Setting) -> float:
    """The strength to begin with, on the open dictionary; see `ep.views.steering.standard`."""
    if setting.mode in view.SHARES or not setting.regions:
        return 1.0
    key = str(state.current().dictionary)
    return _standard(
        loading.fingerprint(key), key, tuple(sorted(setting.regions)), setting.basis, setting.mode
    )


@st.cache_data(show_spinner=False, max_entries=500)
def _standard(fingerprint: str, key: str, regions: tuple[int, ...], basis: str, mode: str) -> float:
    """`fingerprint` is part of the cache's key.

    Regions that cancel each other have no push: the run says so.
    """
    try:
        return view.standard(
            loading.dictionary(key), Setting("", regions=regions, basis=basis, mode=mode)
        )
    except ConfigError:
        return 1.0


def from_link(dictionary: Dictionary, region: int, prompt: str, chat: bool) -> Setting:
    """The setting of the session and the URL; what is missing or makes no sense there takes its
    default.

    region: the selected one, always first. prompt, chat: what is used where the URL says nothing.
    """
    size = len(dictionary)
    more = [
        k
        for part in state.setting("sregs").split(",")
        if (k := _region(part, size)) is not None and k != region
    ]
    reference = state.setting("sref", "centre")
    about = reference if reference in ("centre", "origin") else _region(reference, size)
    found = Setting(
        prompt=state.current().prompt or prompt,
        chat=state.setting("schat", CHAT if chat else TEXT, (TEXT, CHAT)) == CHAT,
        system=state.setting("ssys")[:MOST_SYSTEM],
        mode=state.setting("smode", "add", view.MODES),
        regions=tuple(dict.fromkeys([region, *more]))[: view.MOST_REGIONS],
        basis=state.setting("sbasis", "exemplar", ("exemplar", "mean")),
        reference="centre" if about is None else about,
        target=_region(state.setting("starget"), size),
        scope=state.setting("sscope", "all", SCOPES),
        layers=state.setting("slayers")[:60],
        tokens=int(_number("stoks", 64, 1, view.LONGEST)),
        temperature=_number("stemp", 0.0, 0.0, 100.0),
        seed=int(_number("sseed", 0, 0, MOST_SEED)),
    )
    return replace(found, strength=_number("sstr", standard(found), -STRONGEST, STRONGEST))


def keep(setting: Setting, ran: bool = False) -> None:
    """Puts a setting into the session and the URL; its first region becomes the selected one.

    ran: whether a link should run it at once, so that it shows the same text again. What has its
    default stays out of the URL, except for the strength, whose default may one day be measured
    otherwise.
    """
    plain = Setting("")
    texts = {
        "ssys": (setting.system, plain.system),
        "smode": (setting.mode, plain.mode),
        "sregs": (",".join(map(str, setting.regions[1:])), ""),
        "sbasis": (setting.basis, plain.basis),
        "sref": (str(setting.reference), str(plain.reference)),
        "starget": ("" if setting.target is None else str(setting.target), ""),
        "sscope": (setting.scope, plain.scope),
        "slayers": (setting.layers, plain.layers),
        "stoks": (str(setting.tokens), str(plain.tokens)),
        "stemp": (f"{setting.temperature:.6g}", f"{plain.temperature:.6g}"),
        "sseed": (str(setting.seed), str(plain.seed)),
    }
    chosen = {name: None if value == default else value for name, (value, default) in texts.items()}
    kind = CHAT if setting.chat else TEXT
    state.keep(
        **chosen, schat=kind, sstr=f"{setting.strength:.6g}", **({"srun": "1"} if ran else {})
    )
    state.change(prompt=setting.prompt, region=setting.regions[0])
    _see(setting)


def followed() -> Setting:
    """The setting now. After another region was selected on another page, it is steered alone, and
    at its own standard strength if the one before stood at its standard.
    """
    setting, seen = now(), st.session_state.get(_SEEN)
    if seen is not None and setting.regions and seen[0] != _place(setting):
        strength = standard(replace(setting, regions=setting.regions[:1]))
        stood = setting.strength == seen[1] or "sstr" not in state.current().settings
        setting = replace(
            setting, regions=setting.regions[:1], strength=strength if stood else setting.strength
        )
        keep(setting)
    elif setting.regions:
        _see(setting)
    return setting


def _see(setting: Setting) -> None:
    st.session_state[_SEEN] = (_place(setting), standard(setting))


def _place(setting: Setting) -> tuple[str, int]:
    return str(state.current().dictionary), setting.regions[0]


def _region(text: str, size: int) -> int | None:
    plain = text.strip()
    good = plain.isascii() and plain.isdigit() and len(plain) < 12 and int(plain) < size
    return int(plain) if good else None


def _number(name: str, default: float, low: float, high: float) -> float:
    try:
        value = float(state.setting(name, str(default)))
    except ValueError:
        return default
    return min(high, max(low, value)) if math.isfinite(value) else default
