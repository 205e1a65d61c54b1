"""The stored study of the Behaviour page: refusal by the tuned demo model, and its ablation.

This stage of the recipe takes some minutes and writes data/demo/behaviour.json, which has a trial
on a dictionary of last tokens, trials on four orders of the stream with the centre taken from 6 %
and from 50 % refused prompts, and trials without controls on the demo's other dictionaries. All of
them use the held-out words and question templates.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from ep.models import LanguageModel, check_fits, load
from ep.models.answering import answer_length
from ep.storage import open as open_file
from ep.storage.sidecar import write_bytes
from ep.studies.behaviour import BEHAVING_SHARE
from ep.studies.experiment import Bench, Observed, observe, place, repeat
from ep.studies.held_out import HeldOut, hold_out
from ep.studies.judging import Judge, Phrases
from ep.studies.prompts import read_prompts
from ep.views import behaviour as plain
from ep.views.snippets_behaviour import Files

CHOICE, HELD_OUT, BENIGN = "train", ("held_out_words", "held_out_templates"), ("benign",)
"""Names of the demo's prompt files for the choice, for the trial, and of benign prompts."""
FILES = Files(
    f"data/demo/prompts/{CHOICE}.csv",
    tuple(f"data/demo/prompts/{name}.csv" for name in HELD_OUT),
    tuple(f"data/demo/prompts/{name}.csv" for name in BENIGN),
)
"""The same files as named in the code that the page shows."""
CHOSEN = "last-token/tuned-L4-final-p4.ep.h5"
OTHERS = (
    *(f"last-token/tuned-L4-final-p{p}.ep.h5" for p in (2, 8, 10, 16)),
    *(f"last-token/tuned-L2-final-p{p}.ep.h5" for p in (4,)),
    *(f"all-tokens/tuned-L4-p{p}.ep.h5" for p in (1, 4, 16)),
)
LAYER, PERCENTILE, SEEDS, HALF = 4, 4.0, 4, 0.5
TEXTS = 14
FILE = "behaviour.json"


def prompts(folder: Path) -> HeldOut:
    """The demo's prompts, split into those of the choice and those held out. folder: data/demo."""
    by_name = {
        name: read_prompts(folder / "prompts" / f"{name}.csv")
        for name in (CHOICE, *HELD_OUT, *BENIGN)
    }
    return hold_out(
        by_name[CHOICE], by_name[HELD_OUT[0]] + by_name[HELD_OUT[1]], by_name[BENIGN[0]]
    )


def run(folder: Path) -> dict[str, Any]:
    """Run the study and return it as plain data. folder: data/demo."""
    started, judge, held = perf_counter(), Phrases(), prompts(folder)
    model = load(str(folder / "models" / "tuned"))
    tokens = answer_length(model, held.choice.texts).tokens
    observed = observe(model, held.choice, LAYER, judge, tokens)
    bench = Bench(model, held, judge, tokens)
    chosen = open_file(folder / "dictionaries" / CHOSEN)
    regions = place(chosen, observed)
    main_trial = plain.trial(bench.attempt(regions, mode="swap"), held, judge, TEXTS)
    streams = [
        [
            plain.trial(one, held, judge, 0)
            for one in repeat(bench, observed, SEEDS, PERCENTILE, share)
        ]
        for share in (BEHAVING_SHARE, HALF)
    ]
    return {
        "made": datetime.now(UTC).date().isoformat(),
        "seconds": round(perf_counter() - started),
        "tokens": tokens,
        "sets": {"choice": [CHOICE], "held_out": list(HELD_OUT), "benign": list(BENIGN)},
        "choice": plain.choice(observed, held, regions, False, f"{len(judge.phrases)} phrases"),
        "trial": main_trial,
        "streams": streams,
        "others": list(_others(folder, model, bench, observed, judge)),
    }


def _others(
    folder: Path, model: LanguageModel, bench: Bench, observed: Observed, judge: Judge
) -> Iterator[dict[str, Any]]:
    """The trial, without controls and texts, on the other dictionaries of the tuned model."""
    for name in OTHERS:
        dictionary = open_file(folder / "dictionaries" / name)
        layer = check_fits(model, dictionary)
        at_layer = (
            observed
            if layer == observed.layer
            else observe(model, observed.prompts, layer, judge, bench.tokens)
        )
        attempt = bench.attempt(place(dictionary, at_layer), controls=False)
        yield plain.trial(attempt, bench.held, judge, 0)


def make(folder: Path, say: Callable[[str], None]) -> None:
    """Run the study and write behaviour.json. folder: data/demo. say: takes a line of progress."""
    study = run(folder)
    write_bytes(folder / FILE, (json.dumps(study, separators=(",", ":")) + "\n").encode())
    say(f"{FILE} written")
