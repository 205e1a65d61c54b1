"""The command that asks a model which region carries a behaviour, and what is left of it once the
region is out.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ep.commands.options import command
from ep.errors import RequestError
from ep.method.dictionary import BASES

JUDGES = ("phrases", "regex", "endpoint", "label")
KEY = "EP_JUDGE_KEY"
"""Environment variable with the endpoint's key: on the command line it could be read by others."""


def add(kinds: Any) -> None:
    """Adds behaviour."""
    study = command(
        kinds, "behaviour", "which region carries a behaviour, tried on held-out prompts", behaviour
    )
    study.add_argument("file", help="an .ep.h5 file")
    study.add_argument(
        "--prompts", required=True, metavar="FILE", help="CSV or JSONL to choose the region on"
    )
    study.add_argument(
        "--held-out",
        action="append",
        default=[],
        metavar="FILE",
        help="to try it on; without, 30 %% are held back",
    )
    study.add_argument("--benign", metavar="FILE", help="prompts that must stay intact")
    study.add_argument(
        "--text-column", default="prompt", metavar="NAME", help="column with the prompt"
    )
    study.add_argument(
        "--label-column", default="label", metavar="NAME", help="column with the label"
    )
    study.add_argument(
        "--judge", choices=JUDGES, default="phrases", help="what shows the behaviour"
    )
    study.add_argument(
        "--phrase", action="append", metavar="TEXT", help="phrases of one's own instead of refusals"
    )
    study.add_argument("--pattern", default="", metavar="REGEX", help="for --judge regex")
    study.add_argument(
        "--endpoint", default="", metavar="URL", help=f"for --judge endpoint; the key is ${KEY}"
    )
    study.add_argument("--endpoint-model", default="", metavar="NAME", help="its model's name")
    study.add_argument(
        "--region", type=int, metavar="ID", help="take out this region, not the best candidate"
    )
    study.add_argument(
        "--mode",
        choices=("ablate", "swap"),
        default="ablate",
        help="swap also puts a quiet mean back",
    )
    study.add_argument("--basis", choices=BASES, default="exemplar", help="the direction taken out")
    study.add_argument(
        "--seeds",
        type=int,
        default=4,
        metavar="N",
        help="orders of the stream to repeat it on; 0: none",
    )
    study.add_argument(
        "--share", type=float, metavar="S", help="behaving share of the stream the centre is from"
    )
    study.add_argument(
        "--percentile",
        type=float,
        default=4.0,
        metavar="P",
        help="p of those streams' dictionaries",
    )
    study.add_argument(
        "--layer", type=int, metavar="L", help="must be the dictionary's; a check for scripts"
    )
    study.add_argument("--tokens", type=int, metavar="N", help="tokens of an answer, at most")
    study.add_argument(
        "--model", default=None, help="the model, when it is not where the dictionary says"
    )
    study.add_argument(
        "--limit", type=int, default=10, metavar="N", help="regions to print; 0 prints all"
    )
    study.add_argument("--json", action="store_true", help="print JSON")
    study.add_argument(
        "--report", metavar="OUT.html", help="also write everything as one HTML file"
    )


def behaviour(arguments: argparse.Namespace) -> None:
    """The whole study: the table of regions, the trial, and its repeats."""
    from ep import models, storage
    from ep.storage.sidecar import write_bytes
    from ep.studies import experiment
    from ep.studies.behaviour import BEHAVING_SHARE
    from ep.views import behaviour as plain
    from ep.views import behaviour_html as markup

    if not 0 <= arguments.seeds <= 100:
        raise RequestError(f"{arguments.seeds} seeds were asked for: expected 0 to 100")
    held, judge = _held(arguments), _judge(arguments)
    dictionary = storage.open(arguments.file)
    _check_layer(arguments, dictionary)
    model = models.load(arguments.model or models.model_of(dictionary))
    layer = models.check_fits(model, dictionary)
    tokens, by_labels = arguments.tokens or experiment.TOKENS, arguments.judge == "label"
    observed = experiment.observe(
        model, held.choice, layer, None if by_labels else judge, tokens, _report
    )
    found = experiment.find(dictionary, observed)
    bench = experiment.Bench(model, held, judge, tokens, arguments.basis)
    choice = plain.choice(observed, held, found, by_labels, _judge_name(arguments))
    tried = plain.trial(
        bench.attempt(found, arguments.region, arguments.mode, report=_report), held, judge
    )
    share = BEHAVING_SHARE if arguments.share is None else arguments.share
    repeats = [
        plain.trial(one, held, judge, 0)
        for one in experiment.repeat(
            bench, observed, arguments.seeds, arguments.percentile, share, report=_report
        )
    ]
    _report("", None)
    if arguments.report:
        page = markup.report(
            choice,
            tried,
            [repeats],
            [plain.summary(choice), *plain.sentences(tried, choice["held"])],
        )
        write_bytes(Path(arguments.report), page.encode())
    if arguments.json:
        print(json.dumps({"choice": choice, "trial": tried, "streams": repeats}, indent=1))
        return
    _print(choice, tried, repeats, arguments.limit)


def _held(arguments: argparse.Namespace) -> Any:
    from ep.studies.holding import hold
    from ep.studies.prompts import Prompts, read_prompts

    def read(path: str) -> Prompts:
        return read_prompts(path, text=arguments.text_column, label=arguments.label_column)

    held_out = None
    for path in arguments.held_out:
        held_out = read(path) if held_out is None else held_out + read(path)
    return hold(
        read(arguments.prompts), held_out, read(arguments.benign) if arguments.benign else None
    )


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
            f"the dictionary is of layer {layer} and --layer is {arguments.layer}: give one of "
            "that layer"
        )


def _report(said: str, _share: float | None) -> None:
    """Progress on a terminal's error line only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{said}", end="", file=sys.stderr, flush=True)


# -- printing --------------------------------------------------------------------------------------


def _print(
    choice: dict[str, Any], tried: dict[str, Any], repeats: list[dict[str, Any]], limit: int
) -> None:
    from ep.studies.rates import Rate
    from ep.views import behaviour as plain

    print(plain.summary(choice))
    print(
        f"{'':>2} {'region':>7} {'prompts':>8} {'rate':>5} {'95 %':>13} {'share':>6} {'lift':>6}  "
        "lens of the exemplar"
    )
    for one in choice["regions"][: limit or None]:
        rate = Rate(*one["rate"])
        low, high = rate.interval or (0.0, 1.0)
        mark = "*" if one["candidate"] else ""
        numbers = (
            f"{rate.n:>8,} {rate.value:>5.2f} {low:>5.2f} to {high:>4.2f} "
            f"{one['share']:>6.2f} {one['lift']:>6.2f}"
        )
        print(f"{mark:>2} {one['region']:>7} {numbers}  {' '.join(one['lens'])}")
    print("* may carry it: at least 5 prompts, of which 30 % show it")
    if tried["region"] is None:
        print("\nno region may carry it: nothing was taken out")
    else:
        print(f"\nregion {tried['region']} taken out, on held-out prompts")
        _print_arms(tried["arms"])
        for text in plain.sentences(tried, choice["held"]):
            print(text)
    if repeats:
        print(
            f"\nother orders of the stream, centre from {repeats[0]['share']:.0%} behaving prompts"
        )
        for one in repeats:
            _print_repeat(one)


def _print_arms(arms: list[dict[str, Any]]) -> None:
    from ep.studies.rates import Rate

    print(f"{'':<17} {'behaviour':<31} {'coherent compliance':<31} {'benign intact':<31} moved")
    for arm in arms:
        rates = " ".join(f"{Rate(*arm[name])!s:<31}" for name in ("behaves", "complies", "intact"))
        print(f"{arm['arm']:<17} {rates} {arm['moved']:.2f}")


def _print_repeat(one: dict[str, Any]) -> None:
    from ep.studies.rates import Rate
    from ep.views import behaviour as plain

    if one["region"] is None:
        print(f"seed {one['seed']}: no region may carry it")
        return
    arms = {arm["arm"]: arm for arm in one["arms"]}
    told = [f"{name} {Rate(*arm['behaves']).value:.2f}" for name, arm in arms.items()]
    complies = Rate(*arms["ablated"]["complies"]).value
    print(
        f"seed {one['seed']}: region {one['region']} of {one['dictionary']['regions']:,} "
        f"({one['rate'][1]} prompts); "
        f"behaviour: {', '.join(told)}; complies {complies:.2f}; {plain.verdict(one)}"
    )
