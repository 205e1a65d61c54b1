"""The Python behind the views of two dictionaries and their models: last tokens, one prompt, shared
inputs.

As in `snippets`: the code runs as shown, and what comes from outside enters as a Python literal.
"""

from __future__ import annotations

from collections.abc import Sequence

from ep.method.dictionary import Basis, Dictionary
from ep.views.snippets import file_of


def final_token(
    a: Dictionary,
    b: Dictionary,
    basis: Basis = "mean",
    centre: str = "own",
    folder: str = "",
    names: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> str:
    """How each model's last token tells behaving prompts from others, and by how much one does
    better.

    folder, names: where labelled prompts lie, the files of the choice and those of the measure;
    without names, one file whose every second prompt chooses.
    """
    if names[0]:
        prompts = (
            f"folder = {folder!r}\n"
            + f"first, held = {list(names[0])!r}, {list(names[1])!r}\n"
            + "def read(files):\n"
            + "    return sum((read_prompts(f'{folder}/{name}') for name in files), Prompts((), "
            "()))\n\n" + "chosen = read(first)\nheld = read(held).without(chosen.texts)\n"
        )
    else:
        prompts = (
            f"given = read_prompts({folder!r})\n"
            + "chosen, held = (Prompts(given.texts[at::2], given.labels[at::2]) for at in (0, 1))\n"
        )
    found = f"ep.match(a, b, basis={basis!r}, centre={centre!r})" if a.width == b.width else "None"
    return (
        _opening(
            a, b, "from ep import comparing\nfrom ep.studies.prompts import Prompts, read_prompts\n"
        )
        + _models()
        + prompts
        + f"found = comparing.final((a, b), models, chosen, held, {found}, lambda share: None)\n"
        + "for name, one in (('A', found.a), ('B', found.b)):\n"
        + "    print(f'{name}: AUROC {one.auroc:.3f} ({one.interval[0]:.3f} to "
        "{one.interval[1]:.3f})')\n"
        + "value, low, high = found.gap\n"
        + "print(f'A better than B by {value:.3f} ({low:.3f} to {high:.3f}); regions "
        "{found.regions}')\n"
    )


def prompt(a: Dictionary, b: Dictionary, text: str, chat: bool = False) -> str:
    """One text through both models: the region of each token in either dictionary."""
    given = [{"role": "user", "content": text}] if chat else text
    return (
        _opening(a, b)
        + _models()
        + "for name, d, model in zip('AB', (a, b), models):\n"
        + f"    ids = model.encode_prompt({given!r}).ids[:1024]\n"
        + "    layer = d.info['layer']\n"
        + "    region, distance, _ = d.assign(ep.read(model, ids, [layer])[layer])\n"
        + "    for id, k, far in zip(ids, region, distance):\n"
        + "        print(name, repr(model.tokens.piece(id).decode(errors='replace')), k, "
        "f'{far:.2f}')\n"
    )


def shared_inputs(a: Dictionary, b: Dictionary) -> str:
    """Regions related by the positions both models read, and the round trip of founding
    passages.
    """
    return (
        _opening(a, b, "from ep import comparing\n")
        + _models()
        + "found = comparing.shared((a, b), models, lambda share: None)  # texts=[...] reads "
        "others than the stored\n"
        + "together = found.together\n"
        + "print(f'{together.n} positions, {together.agreement:.3f} in mutually best regions, "
        "chance "
        + "{together.chance:.3f}')\n"
        + "if found.trip is not None:\n"
        + "    print(f'{found.trip.hits} of {len(found.trip.regions)} regions return')\n"
        + "for row in zip(together.a[:20], together.b[:20], together.both[:20]):\n"
        + "    print(*row)\n"
    )


def _opening(a: Dictionary, b: Dictionary, more: str = "") -> str:
    files = f"files = {file_of(a)!r}, {file_of(b)!r}\n"
    return f"import ep\n{more}\n{files}a, b = (ep.open(file) for file in files)\n"


def _models() -> str:
    return "models = tuple(ep.load(ep.model_of(d)) for d in (a, b))\n"
