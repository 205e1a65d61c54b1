"""The Python behind a behaviour study: the prompts, the judge and the region as they are set,
printed as the page does.

Text from prompts, phrases and file names enters as a Python literal, never as code. Knows no screen
and runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from ep.method.dictionary import Basis, Dictionary
from ep.models.endpoint import Endpoint
from ep.studies.experiment import TOKENS
from ep.studies.judging import REFUSAL_PHRASES, Judge, Pattern, Phrases
from ep.studies.llm_judge import LLMJudge
from ep.views.snippets import opening


@dataclass(frozen=True)
class Files:
    """Names of the prompt files, as the code reads them. text, label: their columns. yes: labels
    that mean yes.

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
    tokens: int = TOKENS,
    basis: Basis = "exemplar",
    swap: bool = True,
    region: int | None = None,
) -> str:
    """The region that carries a behaviour, taken out on held-out prompts beside its controls.

    judge: as set, by default the phrases of refusals; endpoint: where a judge asks, if it asks
    anybody. by_labels: whether labels choose the region. region: the one taken out, None for the
    best. The key of an endpoint never
    enters: the code names the variable it is read from.
    """
    seen_by = None if by_labels else "judge"
    wanted = "" if region is None else f"{region}, "
    return (
        opening(dictionary)
        + "from ep.studies import experiment, holding\n"
        + _judge(judge, endpoint)
        + "from ep.studies.prompts import read_prompts\n\n"
        + _prompts(files)
        + "model = ep.load(ep.model_of(d))\n"
        + f"seen = experiment.observe(model, held.choice, d.info['layer'], {seen_by}, {tokens})\n"
        + "found = experiment.find(d, seen)\n"
        + "for one in found.candidates[:5]:\n"
        + "    print(one.region, one.rate, f'share {one.share:.2f}')\n"
        + (
            "mode = 'swap' if experiment.quiet_region(found.scored) is not None else 'ablate'\n"
            if swap
            else "mode = 'ablate'\n"
        )
        + f"bench = experiment.Bench(model, held, judge, {tokens}, {basis!r})\n"
        + f"tried = bench.attempt(found, {wanted}mode=mode)\n"
        + "for arm in tried.arms.values():\n"
        + "    print(f'{arm.name:17} {arm.behaves}  {arm.complies}  {arm.intact}  moved "
        "{arm.moved:.2f}')\n"
    )


def _prompts(files: Files) -> str:
    options = {"text": files.text, "label": files.label, "yes": list(files.yes)}
    usual = {"text": "prompt", "label": "label", "yes": []}
    ending = "".join(
        f", {name}={value!r}" for name, value in options.items() if value != usual[name]
    )

    def read(names: tuple[str, ...]) -> str:
        return " + ".join(f"read_prompts({name!r}{ending})" for name in names) or "None"

    return (
        f"choice = {read((files.choice,))}\n"
        f"held_out = {read(files.held_out)}\n"
        f"benign = {read(files.benign)}\n"
        "held = holding.hold(choice, held_out, benign)\n"
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
    given = "" if phrases == REFUSAL_PHRASES else repr(tuple(phrases))
    return f"from ep.studies.judging import Phrases\n\njudge = Phrases({given})\n"
