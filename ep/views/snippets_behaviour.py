"""Python code that reproduces a behaviour study with the page's prompts, judge and region.

As in `snippets`, the code runs as it stands, and text from prompts, phrases and file names is
inserted as a Python literal, never as code.
"""

from __future__ import annotations

from dataclasses import dataclass

from ep.method.dictionary import Basis, Dictionary
from ep.models.endpoint import Endpoint
from ep.studies.judging import REFUSAL_PHRASES, Judge, Pattern, Phrases
from ep.studies.llm_judge import LLMJudge
from ep.views.snippets import opening


@dataclass(frozen=True)
class Files:
    """Paths of the prompt files as written in the code, and their columns.

    choice: prompts to choose a region on.
    held_out: prompts to try it on.
    benign: prompts that should not show the behaviour.
    text, label: names of the columns with the prompts and their labels.
    yes: labels that mean yes; empty for the usual ones.

    Without held-out and benign files 30 % of the labelled prompts are held back.
    """

    choice: str
    held_out: tuple[str, ...] = ()
    benign: tuple[str, ...] = ()
    text: str = "prompt"
    label: str = "label"
    yes: tuple[str, ...] = ()


def behaviour(
    dictionary: Dictionary,
    files: Files,
    judge: Judge | None = None,
    *,
    endpoint: Endpoint | None = None,
    by_labels: bool = False,
    tokens: int | None = None,
    basis: Basis = "exemplar",
    swap: bool = True,
    wider: bool = True,
    region: int | None = None,
) -> str:
    """Code that finds the region of a behaviour and ablates it on held-out prompts, with controls.

    files: the prompts.
    judge: the judge as set; None for the phrases of refusals.
    endpoint: the model that an `LLMJudge` asks; None for other judges. Its key is not written in
        the code, which reads it from an environment variable instead.
    by_labels: whether labels rather than the judge decide which prompts show the behaviour.
    tokens: most tokens of an answer; None for what most answers need, from a trial of the model.
    basis: vectors that are ablated.
    swap: whether to add the mean of a quiet region back in.
    wider: whether to take out a set of regions and the difference of means too.
    region: the region to ablate; None for the best candidate.
    """
    observer = None if by_labels else "judge"
    chosen = "" if region is None else f"{region}, "
    length = "answer_length(model, held.choice.texts).tokens" if tokens is None else tokens
    return (
        opening(dictionary)
        + ("from ep.models.answering import answer_length\n" if tokens is None else "")
        + "from ep.studies import experiment, held_out as division\n"
        + _judge(judge, endpoint)
        + "from ep.studies.prompts import read_prompts\n\n"
        + _prompts(files)
        + "model = ep.load(ep.model_of(d))\n"
        + f"tokens = {length}\n"
        + "observed = experiment.observe(model, held.choice, d.info['layer'], "
        f"{observer}, tokens)\n"
        + "regions = experiment.place(d, observed)\n"
        + "for one in regions.candidates[:5]:\n"
        + "    print(one.region, one.rate, f'share {one.share:.2f}')\n"
        + ("mode = 'swap'\n" if swap else "mode = 'ablate'\n")
        + f"bench = experiment.Bench(model, held, judge, tokens, {basis!r})\n"
        + f"attempt = bench.attempt(regions, {chosen}mode=mode, wider={wider})\n"
        + "for arm in attempt.arms.values():\n"
        + "    print(f'{arm.name:17} {arm.behaves}  {arm.complies}  {arm.intact}  moved "
        "{arm.moved:.2f}')\n"
    )


def _prompts(files: Files) -> str:
    options = {"text": files.text, "label": files.label, "yes": list(files.yes)}
    defaults = {"text": "prompt", "label": "label", "yes": []}
    arguments = "".join(
        f", {name}={value!r}" for name, value in options.items() if value != defaults[name]
    )

    def read(names: tuple[str, ...]) -> str:
        return " + ".join(f"read_prompts({name!r}{arguments})" for name in names) or "None"

    return (
        f"choice = {read((files.choice,))}\n"
        f"held_out = {read(files.held_out)}\n"
        f"benign = {read(files.benign)}\n"
        "held = division.hold_out(choice, held_out, benign)\n"
    )


def _judge(judge: Judge | None, endpoint: Endpoint | None) -> str:
    if isinstance(judge, Pattern):
        return f"from ep.studies.judging import Pattern\n\njudge = Pattern({judge.pattern!r})\n"
    if isinstance(judge, LLMJudge) and endpoint is not None:
        return (
            "import os\n\nfrom ep.models.endpoint import Endpoint\n"
            "from ep.studies.llm_judge import LLMJudge\n\n"
            f"endpoint = Endpoint({endpoint.url!r}, {endpoint.model!r}, "
            "os.environ.get('EP_JUDGE_KEY', ''))\n"
            f"judge = LLMJudge(endpoint.ask, {judge.what!r})\n"
        )
    phrases = judge.phrases if isinstance(judge, Phrases) else REFUSAL_PHRASES
    argument = "" if phrases == REFUSAL_PHRASES else repr(tuple(phrases))
    return f"from ep.studies.judging import Phrases\n\njudge = Phrases({argument})\n"
