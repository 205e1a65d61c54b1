"""Python code that reproduces the comparisons of two dictionaries with their models.

As in `snippets`, the code runs as it stands, and text from outside is inserted as a Python literal.
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
    """Code that measures how well each model's last token separates behaving prompts from others.

    a, b: the dictionaries. basis, centre: of their matching, as in `ep.match`.
    folder: folder of labelled prompts; without names, the path of a single file.
    names: the files to choose regions on, and the files to measure on. Without names, the prompts
        of the single file alternate between the two.
    """
    if names[0]:
        prompts = (
            f"folder = {folder!r}\n"
            + f"choice_files, held_files = {list(names[0])!r}, {list(names[1])!r}\n\n"
            + "def read(files):\n"
            + "    return sum((read_prompts(f'{folder}/{name}') for name in files), Prompts((), "
            "()))\n\n"
            + "choice = read(choice_files)\nheld = read(held_files).without(choice.texts)\n"
        )
    else:
        prompts = (
            f"prompts = read_prompts({folder!r})\n"
            + "choice, held = (\n"
            + "    Prompts(prompts.texts[i::2], prompts.labels[i::2]) for i in (0, 1)\n)\n"
        )
    matching = (
        f"ep.match(a, b, basis={basis!r}, centre={centre!r})" if a.width == b.width else "None"
    )
    return (
        _opening(
            a, b, "from ep import comparing\nfrom ep.studies.prompts import Prompts, read_prompts\n"
        )
        + _models()
        + prompts
        + "result = comparing.final(\n"
        + f"    (a, b), models, choice, held, {matching}, lambda share: None\n)\n"
        + "for name, one in (('A', result.a), ('B', result.b)):\n"
        + "    print(f'{name}: AUROC {one.auroc:.3f} ({one.interval[0]:.3f} to "
        "{one.interval[1]:.3f})')\n"
        + "value, low, high = result.gap\n"
        + "print(f'A better than B by {value:.3f} ({low:.3f} to {high:.3f}); regions "
        "{result.regions}')\n"
    )


def prompt(a: Dictionary, b: Dictionary, text: str, chat: bool = False) -> str:
    """Code that reads one text with both models and prints each token's region and distance.

    chat: whether the text is a user turn.
    """
    request = [{"role": "user", "content": text}] if chat else text
    return (
        _opening(a, b)
        + _models()
        + "for name, d, model in zip('AB', (a, b), models):\n"
        + f"    ids = model.encode_prompt({request!r}).ids[:1024]\n"
        + "    layer = d.info['layer']\n"
        + "    regions, distances, _ = d.assign(ep.read(model, ids, [layer])[layer])\n"
        + "    for token, k, distance in zip(ids, regions, distances):\n"
        + "        piece = model.tokens.piece(token).decode(errors='replace')\n"
        + "        print(name, repr(piece), k, f'{distance:.2f}')\n"
    )


def shared_inputs(a: Dictionary, b: Dictionary) -> str:
    """Code that relates regions by positions both models read, and by round trips of passages."""
    return (
        _opening(a, b, "from ep import comparing\n")
        + _models()
        + "result = comparing.shared((a, b), models, lambda share: None)  # texts=[...] to read "
        "other texts than the stored ones\n"
        + "together = result.together\n"
        + "print(f'{together.n} positions, {together.agreement:.3f} in mutually best regions, "
        "chance "
        + "{together.chance:.3f}')\n"
        + "if result.trip is not None:\n"
        + "    print(f'{result.trip.hits} of {len(result.trip.regions)} regions return')\n"
        + "for row in zip(together.a[:20], together.b[:20], together.both[:20]):\n"
        + "    print(*row)\n"
    )


def _opening(a: Dictionary, b: Dictionary, more: str = "") -> str:
    files = f"files = {file_of(a)!r}, {file_of(b)!r}\n"
    return f"import ep\n{more}\n{files}a, b = (ep.open(file) for file in files)\n"


def _models() -> str:
    return "models = tuple(ep.load(ep.model_of(d)) for d in (a, b))\n"
