"""The command `ep behaviour`, which finds the region that carries a behaviour and ablates it."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ep.commands.behaviour_printing import show
from ep.commands.behaviour_study import study
from ep.commands.options import add_command, add_model, report_path
from ep.commands.progress import on_stderr
from ep.errors import RequestError
from ep.method.dictionary import BASES
from ep.models.interventions import REMOVING

JUDGES = ("phrases", "regex", "endpoint", "label")
KEY = "EP_JUDGE_KEY"
"""Environment variable with the key of the endpoint; other users can read command lines."""


def add(subparsers: Any) -> None:
    """Add `behaviour`."""
    parser = add_command(
        subparsers,
        "behaviour",
        "find the region that carries a behaviour, and test it on held-out prompts",
        behaviour,
    )
    parser.add_argument("file", help="an .ep.h5 file")
    _add_prompts(parser)
    _add_judge(parser)
    _add_trial(parser)
    parser.add_argument(
        "--tokens",
        type=int,
        metavar="N",
        help="tokens of an answer at most (default: what most answers need, from a trial)",
    )
    add_model(parser)
    _add_output(parser)


def _add_prompts(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the prompts."""
    parser.add_argument(
        "--prompts",
        required=True,
        metavar="FILE",
        help="file to choose the region on: CSV, JSONL or JSON",
    )
    parser.add_argument(
        "--held-out",
        action="append",
        default=[],
        metavar="FILE",
        help="file to test the region on (default: 30 %% of --prompts)",
    )
    parser.add_argument("--benign", metavar="FILE", help="prompts whose answers must not change")
    parser.add_argument(
        "--text-column",
        default="prompt",
        metavar="NAME",
        help="column with the prompt (default prompt)",
    )
    parser.add_argument(
        "--label-column",
        default="label",
        metavar="NAME",
        help="column with the label (default label)",
    )
    parser.add_argument(
        "--yes",
        action="append",
        default=[],
        metavar="LABEL",
        help="a label that means yes, any word; all others then mean no; repeatable",
    )


def _add_judge(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide what counts as the behaviour."""
    parser.add_argument(
        "--judge",
        choices=JUDGES,
        default="phrases",
        help="how to tell which answers show the behaviour",
    )
    parser.add_argument(
        "--phrase",
        action="append",
        metavar="TEXT",
        help="a phrase to look for instead of refusals; repeatable",
    )
    parser.add_argument(
        "--pattern", default="", metavar="REGEX", help="expression for --judge regex"
    )
    parser.add_argument(
        "--endpoint",
        default="",
        metavar="URL",
        help=f"server for --judge endpoint; its key is in ${KEY}",
    )
    parser.add_argument(
        "--endpoint-model", default="", metavar="NAME", help="name of the model on that server"
    )


def _add_trial(parser: argparse.ArgumentParser) -> None:
    """Add the options of the trial and of its repeats."""
    parser.add_argument(
        "--region", type=int, metavar="ID", help="ablate this region instead of the best candidate"
    )
    parser.add_argument(
        "--mode",
        choices=REMOVING,
        default="ablate",
        help="swap also puts in the mean of a region that rarely behaves so (default ablate)",
    )
    parser.add_argument(
        "--basis", choices=BASES, default="exemplar", help="direction to ablate (default exemplar)"
    )
    parser.add_argument(
        "--region-only",
        action="store_true",
        help="leave out the set of regions and the difference of means, and their random span",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=4,
        metavar="N",
        help="number of orders of the stream to repeat the study on (default 4)",
    )
    parser.add_argument(
        "--share",
        type=float,
        metavar="S",
        help="share of behaving prompts in the stream that sets centre and θ of a repeat",
    )
    parser.add_argument(
        "--percentile",
        type=float,
        default=4.0,
        metavar="P",
        help="percentile p of the dictionaries of the repeats (default 4)",
    )
    parser.add_argument(
        "--layers",
        type=int,
        nargs="+",
        default=[],
        metavar="L",
        help="also try these layers, each on a dictionary of the prompts' last tokens there",
    )
    parser.add_argument(
        "--layer", type=int, metavar="L", help="fail unless this is the layer of the dictionary"
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    """Add the options of the output."""
    parser.add_argument(
        "--limit",
        type=int,
        default=10,
        metavar="N",
        help="regions, or answers, to print (default 10); 0 prints all",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--report", metavar="OUT.html", help="also write the results as one HTML file"
    )


def behaviour(arguments: argparse.Namespace) -> None:
    """Run the whole study: the table of regions, the trial, and its repeats."""
    from ep import storage
    from ep.storage.sidecar import write_bytes
    from ep.views import behaviour_html as markup
    from ep.views import behaviour_words as words

    if not 0 <= arguments.seeds <= 100:
        raise RequestError(f"seeds is {arguments.seeds}: expected 0 to 100")
    report = report_path(arguments.report) if arguments.report else None
    held, judge = _hold(arguments), _judge(arguments)
    dictionary = storage.open(arguments.file)
    _check_layer(arguments, dictionary)
    with on_stderr() as progress:
        found = study(arguments, dictionary, held, judge, _judge_name(arguments), progress)
    if report is not None:
        choice, trial = found.choice, found.trial
        paragraphs = [words.summary(choice), *words.told(choice, trial)]
        page = markup.report(
            choice, trial, [found.repeats], paragraphs, found.answers, found.layers
        )
        write_bytes(report, page.encode())
    if arguments.json:
        parts = {"choice": found.choice, "answers": found.answers, "trial": found.trial}
        print(
            json.dumps(
                {**parts, "streams": found.repeats, "layers": found.layers, "length": found.length},
                indent=1,
            )
        )
        return
    show(found, arguments.limit)


def _hold(arguments: argparse.Namespace) -> Any:
    """Read the prompts and divide them into those to choose the region on and those held out."""
    from ep.studies.held_out import hold_out
    from ep.studies.prompts import Prompts, read_prompts

    columns, yes = (arguments.text_column, arguments.label_column), tuple(arguments.yes)

    def read(path: str) -> Prompts:
        return read_prompts(path, "", *columns, yes)

    held_out = None
    for path in arguments.held_out:
        held_out = read(path) if held_out is None else held_out + read(path)
    choice = read(arguments.prompts)
    if yes and not any(choice.labels):
        raise RequestError(
            f"no prompt of {arguments.prompts} is labelled {' or '.join(map(repr, yes))} in its "
            f"column {arguments.label_column!r}: --yes takes labels as the file writes them"
        )
    return hold_out(choice, held_out, read(arguments.benign) if arguments.benign else None)


def _judge(arguments: argparse.Namespace) -> Any:
    import os

    from ep.models.endpoint import Endpoint
    from ep.studies.judging import REFUSAL_PHRASES, Pattern, Phrases
    from ep.studies.llm_judge import LLMJudge

    if arguments.judge == "regex":
        return Pattern(arguments.pattern)
    if arguments.judge == "endpoint":
        return LLMJudge(
            Endpoint(arguments.endpoint, arguments.endpoint_model, os.environ.get(KEY, "")).ask
        )
    return Phrases(tuple(arguments.phrase or REFUSAL_PHRASES))


def _judge_name(arguments: argparse.Namespace) -> str:
    if arguments.judge == "phrases":
        return f"{len(arguments.phrase)} phrases" if arguments.phrase else "the list of phrases"
    return {"regex": f"the pattern {arguments.pattern}", "label": "labels"}.get(
        arguments.judge, arguments.endpoint_model
    )


def _check_layer(arguments: argparse.Namespace, dictionary: Any) -> None:
    layer = dictionary.info.get("layer")
    if arguments.layer is not None and arguments.layer != layer:
        raise RequestError(
            f"the dictionary is of layer {layer} and --layer is {arguments.layer}: give another one"
        )
