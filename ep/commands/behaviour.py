"""The command `ep behaviour`, which finds the region that carries a behaviour and ablates it."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ep.commands.options import add_command, add_model, load_model, report_path
from ep.commands.progress import Printer, on_stderr
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
    parser.add_argument("--tokens", type=int, metavar="N", help="tokens of an answer at most")
    add_model(parser)
    _add_output(parser)


def _add_prompts(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the prompts."""
    parser.add_argument(
        "--prompts", required=True, metavar="FILE", help="CSV or JSONL to choose the region on"
    )
    parser.add_argument(
        "--held-out",
        action="append",
        default=[],
        metavar="FILE",
        help="CSV or JSONL to test the region on (default: 30 %% of --prompts)",
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
        "--layer", type=int, metavar="L", help="fail unless this is the layer of the dictionary"
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    """Add the options of the output."""
    parser.add_argument(
        "--limit",
        type=int,
        default=10,
        metavar="N",
        help="regions to print (default 10); 0 prints all",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--report", metavar="OUT.html", help="also write the results as one HTML file"
    )


def behaviour(arguments: argparse.Namespace) -> None:
    """Run the whole study: the table of regions, the trial, and its repeats."""
    from ep import storage
    from ep.storage.sidecar import write_bytes
    from ep.views import behaviour as plain
    from ep.views import behaviour_html as markup

    if not 0 <= arguments.seeds <= 100:
        raise RequestError(f"seeds is {arguments.seeds}: expected 0 to 100")
    report = report_path(arguments.report) if arguments.report else None
    held, judge = _hold(arguments), _judge(arguments)
    dictionary = storage.open(arguments.file)
    _check_layer(arguments, dictionary)
    with on_stderr() as progress:
        choice, trial, repeats = _study(arguments, dictionary, held, judge, progress)
    if report is not None:
        page = markup.report(
            choice,
            trial,
            [repeats],
            [plain.summary(choice), *plain.sentences(trial, choice["held"])],
        )
        write_bytes(report, page.encode())
    if arguments.json:
        print(json.dumps({"choice": choice, "trial": trial, "streams": repeats}, indent=1))
        return
    _print(choice, trial, repeats, arguments.limit)


def _study(
    arguments: argparse.Namespace, dictionary: Any, held: Any, judge: Any, progress: Printer
) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """The choice of a region, its trial on held-out prompts, and the repeats, as plain values."""
    from ep import models
    from ep.studies import experiment
    from ep.studies.behaviour import BEHAVING_SHARE
    from ep.views import behaviour as plain

    model = load_model(arguments, dictionary, progress)
    layer = models.check_fits(model, dictionary)
    tokens, by_labels = arguments.tokens or experiment.TOKENS, arguments.judge == "label"
    progress.stage("choosing the region")
    observed = experiment.observe(
        model, held.choice, layer, None if by_labels else judge, tokens, progress
    )
    regions = experiment.place(dictionary, observed)
    bench = experiment.Bench(model, held, judge, tokens, arguments.basis)
    choice = plain.choice(observed, held, regions, by_labels, _judge_name(arguments))
    progress.stage("trying it on held-out prompts")
    attempt = bench.attempt(regions, arguments.region, arguments.mode, report=progress)
    trial = plain.trial(attempt, held, judge)
    share = BEHAVING_SHARE if arguments.share is None else arguments.share
    progress.stage("repeating it on other orders of the stream")
    repeats = [
        plain.trial(repeat, held, judge, 0)
        for repeat in experiment.repeat(
            bench,
            observed,
            arguments.seeds,
            arguments.percentile,
            share,
            report=progress,
            metric=dictionary.metric.name,
        )
    ]
    return choice, trial, repeats


def _hold(arguments: argparse.Namespace) -> Any:
    """Read the prompts and divide them into those to choose the region on and those held out."""
    from ep.studies.held_out import hold_out
    from ep.studies.prompts import Prompts, read_prompts

    def read(path: str) -> Prompts:
        return read_prompts(path, text=arguments.text_column, label=arguments.label_column)

    held_out = None
    for path in arguments.held_out:
        held_out = read(path) if held_out is None else held_out + read(path)
    return hold_out(
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
            f"the dictionary is of layer {layer} and --layer is {arguments.layer}: give another one"
        )


# -- printing --------------------------------------------------------------------------------------


def _print(
    choice: dict[str, Any], trial: dict[str, Any], repeats: list[dict[str, Any]], limit: int
) -> None:
    from ep.studies.names import short
    from ep.studies.rates import Rate
    from ep.views import behaviour as plain

    print(plain.summary(choice))
    numbers = f"{'prompts':>8} {'rate':>5} {'95 %':>13} {'share':>6} {'lift':>6}"
    print(f"{'':>2} {'region':>7} {numbers}  {'name':24} lens tokens")
    for row in choice["regions"][: limit or None]:
        rate = Rate(*row["rate"])
        low, high = rate.interval or (0.0, 1.0)
        mark = "*" if row["candidate"] else ""
        numbers = (
            f"{rate.n:>8,} {rate.value:>5.2f} {low:>5.2f} to {high:>4.2f} "
            f"{row['share']:>6.2f} {row['lift']:>6.2f}"
        )
        called = f"{short(row['name'], 24):24} {' '.join(row['lens'])}"
        print(f"{mark:>2} {row['region']:>7} {numbers}  {called}")
    print("* candidate: at least 5 prompts, of which at least 30 % show the behaviour")
    if trial["region"] is None:
        print("\nno region is a candidate: nothing was ablated")
    else:
        print(f"\nregion {trial['region']} ablated, on held-out prompts")
        _print_arms(trial["arms"])
        for text in plain.sentences(trial, choice["held"]):
            print(text)
    if repeats:
        print(
            f"\nother orders of the stream, centre from {repeats[0]['share']:.0%} behaving prompts"
        )
        for repeat in repeats:
            _print_repeat(repeat)


def _print_arms(arms: list[dict[str, Any]]) -> None:
    from ep.studies.rates import Rate

    print(f"{'':<17} {'behaviour':<31} {'coherent compliance':<31} {'benign intact':<31} moved")
    for arm in arms:
        rates = " ".join(f"{Rate(*arm[name])!s:<31}" for name in ("behaves", "complies", "intact"))
        print(f"{arm['arm']:<17} {rates} {arm['moved']:.2f}")


def _print_repeat(repeat: dict[str, Any]) -> None:
    from ep.studies.rates import Rate
    from ep.views import behaviour as plain

    if repeat["region"] is None:
        print(f"seed {repeat['seed']}: no region is a candidate")
        return
    arms = {arm["arm"]: arm for arm in repeat["arms"]}
    rates = [f"{name} {Rate(*arm['behaves']).value:.2f}" for name, arm in arms.items()]
    complies = Rate(*arms["ablated"]["complies"]).value
    print(
        f"seed {repeat['seed']}: region {repeat['region']} of {repeat['dictionary']['regions']:,} "
        f"({repeat['rate'][1]} prompts); "
        f"behaviour: {', '.join(rates)}; complies {complies:.2f}; {plain.verdict(repeat)}"
    )
