"""Python code that reproduces what a page shows, for visitors to copy.

The code runs as it stands, prints the page's results, and uses only public names of `ep`. Text from
prompts, files and links is inserted as a Python literal, never as code. This module does not depend
on Streamlit and runs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from ep.method.dictionary import Basis, Dictionary
from ep.studies.steering import Setting

ROOT = Path(__file__).resolve().parents[2]
"""The project's folder. Files inside it are named relative to it."""
MOST_LISTED = 2000
"""Largest number of region ids written out in the code."""
Regions = Sequence[int] | np.ndarray


def opening(dictionary: Dictionary) -> str:
    """Code that imports `ep` and opens the dictionary as `d`."""
    return f"import ep\n\nfile = {file_of(dictionary)!r}\nd = ep.open(file)\n"


def atlas(
    dictionary: Dictionary, layout: str = "pca-sphere", regions: Regions | None = None
) -> str:
    """Code for the map's coordinates and the table beside it.

    layout: one of `ep.views.layouts.LAYOUTS`.
    regions: the regions of the table, in order; None for the 20 largest.
    """
    if regions is None:
        shown = "shown = (-members).argsort(kind='stable')[:20]\n"
    else:
        cut = (
            ""
            if len(regions) <= MOST_LISTED
            else f"  # the first {MOST_LISTED:,} of {len(regions):,}"
        )
        shown = f"shown = {[int(k) for k in regions[:MOST_LISTED]]}{cut}\n"
    return (
        opening(dictionary)
        + f"place = ep.coordinates(d, {layout!r})  # one row a region\n"
        + "members = d.members\n"
        + shown
        + "print(d)\n"
        + "for k in shown:\n"
        + "    lens = [score.token for score in d.lens(k)[:4]]\n"
        + "    print(k, members[k], place[k].round(3), lens)\n"
    )


def listed(dictionary: Dictionary, regions: Regions) -> str:
    """Code that prints the stored columns of several regions, such as a selection on the map."""
    return (
        opening(dictionary)
        + f"for k in {[int(k) for k in regions[:MOST_LISTED]]}:\n"
        + "    region = d.region(k)\n"
        + "    print(k, region.columns, [score.token for score in d.lens(k)])\n"
    )


def search(dictionary: Dictionary, query: str) -> str:
    """Code for the results of the search box, including matches in labels."""
    return (
        opening(dictionary)
        + "labels = dict(enumerate(ep.automatic(d))) | ep.Labels.open(file).texts()\n"
        + f"result = ep.Index(d).find({query!r}, labels)\n"
        + "print(result.summary())\n"
        + "for k in result.regions[:20]:\n"
        + "    print(k, repr(labels.get(int(k), '')), [score.token for score in d.lens(k)[:4]])\n"
    )


def meaning(dictionary: Dictionary, text: str) -> str:
    """Code that ranks the regions near the tokens of a text."""
    return (
        _reading(dictionary, text, False, "")
        + "content = [not (t or b) for t, b in zip(template, model.tokens.bos_only(ids))]\n"
        + "ranked = ep.rank(d, x, content)\n"
        + "for k, score, n in list(zip(ranked.regions, ranked.score, ranked.nearest))[:20]:\n"
        + "    print(k, f'{score:.2f}', n, [score.token for score in d.lens(k)[:4]])\n"
    )


def region(dictionary: Dictionary, region: int) -> str:
    """Code that prints everything on the page of one region."""
    return (
        opening(dictionary)
        + f"r = d.region({int(region)})\n"
        + "for name, value in r.columns.items():\n"
        + "    print(name, value)\n"
        + "for name, scores in r.lens.items():\n"
        + "    print(name, [(score.token, round(score.value, 2)) for score in scores])\n"
        + "print('tokens', [(score.token, int(score.value)) for score in r.tokens])\n"
        + "print('next', [(score.token, int(score.value)) for score in r.next_tokens])\n"
        + "print('nearest', [(k, round(distance, 3)) for k, distance in r.nearest])\n"
        + "for label in ep.Labels.open(file, d).of(r.id):\n"
        + "    print('label', label.source, label.text)\n"
        + "for e in ([r.founder] if r.founder else []) + list(r.excerpts):\n"
        + "    print(e.band, f'{e.distance:.3f}', repr(e.token), repr(''.join(e.pieces)))\n"
    )


def prompt(dictionary: Dictionary, text: str, chat: bool = False, system: str = "") -> str:
    """Code that reads a prompt and prints each token's nearest region and distance.

    chat: whether the text is a user turn. system: the system message before it, if any.
    """
    return (
        _reading(dictionary, text, chat, system)
        + "regions, distances, _ = d.assign(x)\n"
        + "for token, k, distance in zip(tokens, regions, distances):\n"
        + "    lens = [score.token for score in d.lens(k)[:4]]\n"
        + "    is_far = distance > d.threshold\n"
        + "    print(f'{token!r:16} {k:6} {distance:.2f}', 'beyond θ' if is_far else lens)\n"
    )


def lens_grid(
    dictionary: Dictionary, text: str, chat: bool, system: str, lens: str, token: int | None
) -> str:
    """Code that prints the most probable token at every layer and position of a prompt.

    chat, system: as in `prompt`. lens: "jacobian" or "logit". token: the id of a token whose ranks
    are printed too; None for none.
    """
    found = "ep.find_lens(model)" if lens == "jacobian" else "None"
    code = (
        opening(dictionary)
        + "model = ep.load(ep.model_of(d))\n"
        + f"lens = {found}\n"
        + f"grid = ep.lens_grid(model, {_request(text, chat, system)!r}, lens)\n"
        + "for layer, name in enumerate(grid.lenses):\n"
        + "    print(layer, name, [grid.pieces[i] for i in grid.ids[layer, :, 0]])\n"
    )
    if token is not None:
        code += (
            f"ranks = ep.token_ranks(model, grid.prompt_ids, {token}, lens)\n"
            "print(ranks)  # (layers, positions), 1 for the most probable token\n"
        )
    return code


def between(dictionary: Dictionary, a: int, b: int, basis: Basis = "exemplar") -> str:
    """Code for the regions between A and B on one basis, with their cosines to both."""
    return (
        opening(dictionary)
        + f"between = ep.between(d.basis({basis!r}), {int(a)}, {int(b)})\n"
        + "print(f'cosine of A and B {1 - between.distance:.3f}, regions between: "
        "{len(between)}')\n"
        + "for k, to_a, to_b in zip(between.regions, between.from_a, between.to_b):\n"
        + "    print(k, f'{1 - to_a:.3f} {1 - to_b:.3f}', [score.token for score in "
        "d.lens(k)[:4]])\n"
    )


def path(
    dictionary: Dictionary,
    a: int,
    b: int,
    basis: Basis = "exemplar",
    k: int = 3,
    weighted: bool = False,
) -> str:
    """Code for the path from A to B in the graph that joins each region to its k nearest.

    weighted: as in `ep.path`.
    """
    return (
        opening(dictionary)
        + f"vectors = d.basis({basis!r})\n"
        + f"path = ep.path(vectors, ep.neighbours(vectors), {int(a)}, {int(b)}, k={int(k)}, "
        f"weighted={weighted})\n" + "print(path)\n"
    )


def resolution(ladder: Sequence[Dictionary], origin: int, region: int) -> str:
    """Code that follows a region of ladder[origin] through dictionaries from coarse to fine."""
    files = "".join(f"    {file_of(dictionary)!r},\n" for dictionary in ladder)
    return (
        f"import ep\n\nfiles = [\n{files}]\n"
        + "ladder = [ep.open(file) for file in files]  # coarse to fine\n"
        + f"flow = ep.follow(ladder, {int(origin)}, {int(region)})\n"
        + "for level in flow.levels:\n"
        + "    print(f'p = {level.percentile:g}, nearest region {level.carried} at cosine "
        "{level.cosine:.3f}')\n"
        + "    for node in level.nodes:\n"
        + "        print('   ', node.region, f'{node.members:.0f} of its members, "
        "{node.share:.0%}')\n"
    )


def match(
    a: Dictionary, b: Dictionary, basis: Basis = "mean", centre: str = "own", cutoff: float = 0.7
) -> str:
    """Code that matches two dictionaries region by region and counts the verdicts.

    basis, centre: as in `ep.match`. cutoff: as in `ep.summary`.
    """
    return (
        f"import ep\n\na = ep.open({file_of(a)!r})\nb = ep.open({file_of(b)!r})\n"
        + f"match = ep.match(a, b, basis={basis!r}, centre={centre!r})\n"
        + f"summary = ep.summary(match, cutoff={cutoff:g})\n"
        + "print(f'{summary.pairs} pairs persist; the centres have cosine "
        "{match.centres.cosine:.3f}')\n"
        + "for name, side in (('A', summary.a), ('B', summary.b)):\n"
        + "    print(name, {kind: share.hits for kind, share in side.items()})  # 0 persisted, 1 "
        "moved, 2 only here\n"
        + "for k in match.a.cosine.argsort()[:20]:  # the regions of A that changed most\n"
        + "    print(k, match.a.partner[k], f'{match.a.cosine[k]:.3f}')\n"
    )


def _reading(dictionary: Dictionary, text: str, chat: bool, system: str) -> str:
    """Code that opens the dictionary, loads its model and reads the activations `x` of a prompt."""
    request = _request(text, chat, system)
    return (
        opening(dictionary)
        + "model = ep.load(ep.model_of(d))\n"
        + f"prompt = model.encode_prompt({request!r})\n"
        + "ids, template = prompt.ids[:1024], prompt.is_template[:1024]\n"
        + "tokens = [model.tokens.piece(i).decode(errors='replace') for i in ids]\n"
        + "layer = d.info['layer']\n"
        + "x = ep.read(model, ids, [layer])[layer]  # raw activations\n"
    )


def _request(text: str, chat: bool, system: str) -> str | list[dict[str, str]]:
    """The text, or the messages of a chat turn."""
    turns = [{"role": "system", "content": system}] if system.strip() else []
    return [*turns, {"role": "user", "content": text}] if chat else text


def steer(dictionary: Dictionary, setting: Setting) -> str:
    """Code that continues one prompt four times.

    The continuations are: nothing changed, the regions ablated, the intervention of the setting,
    and its random control.
    """
    default = Setting("")
    values = {one.name: getattr(setting, one.name) for one in fields(setting)}
    changed = {name: value for name, value in values.items() if value != getattr(default, name)}
    parts = "".join(f"    {name}={value!r},\n" for name, value in changed.items())
    return (
        opening(dictionary)
        + "model = ep.load(ep.model_of(d))\n"
        + f"setting = ep.Setting(\n{parts})\n"
        + "*_, run = ep.steer(d, model, setting)\n"
        + "for one in run.continuations:\n"
        + "    print(one.name, one.ending, 'moved', one.moved, 'of', one.requested, "
        + "repr(one.text))\n"
    )


def file_of(dictionary: Dictionary) -> str:
    """The path of the dictionary's file as code names it: relative inside the project's folder."""
    path = dictionary.path or Path("my.ep.h5")
    inside = path.is_absolute() and path.is_relative_to(ROOT)
    return os.fspath(path.relative_to(ROOT) if inside else path)
