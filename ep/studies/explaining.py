"""Labels by a language model that reads excerpts, and a test of each label on excerpts held back.

The model is a function from a conversation to an answer. Its answers are untrusted: a label is cut
to one line, and a judgement that cannot be parsed gives no score.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ep.errors import RequestError, ServiceError
from ep.method.dictionary import Dictionary
from ep.storage.edits import Score
from ep.studies.evidence import CLOSE, OPEN, Evidence, Snippet, gather
from ep.studies.rates import balanced

Ask = Callable[[Sequence[Mapping[str, str]]], str]
"""Called with a conversation; returns the answer."""
LONGEST = 200
"""Most characters of a label; the rest is cut off."""
FEWEST = 2
"""Fewest excerpts that can have something in common."""
GIVE_UP_AFTER = 3
"""Number of regions in a row that may fail before the work ends."""

NAMING = f"""You name groups of text snippets. In every snippet one spot is marked, like \
{OPEN}this{CLOSE}. A snippet
is in the group because of what a language model computes at its marked spot: the marked word, \
what came before it, or
what is about to follow. ⏎ stands for a line break.
Answer with one label of at most twelve words and nothing else: no quotes, no introduction, no \
full stop."""
NAMING_ASK = """Find what the marked spots of the group share{and_not}. Be as particular as the \
snippets allow, but
cover most of them; if it is simply one word, name the word and the setting it stands in. Label:"""
JUDGING = f"""You check labels. A label describes the spot marked like {OPEN}this{CLOSE} in some \
snippets. You get a
label and numbered snippets, some of which it was not made for. ⏎ stands for a line break.
Answer with a JSON list of the numbers of the snippets whose marked spot the label describes, \
such as [2, 5], and
nothing else. If it describes none of them, answer []."""
BAND_WORDS = {"near": "typical", "spread": "ordinary", "far": "borderline"}


@dataclass(frozen=True)
class Explanation:
    """The label that a model gave a region.

    region: its id.
    text: the label.
    score: its detection score; None when the label could not be tested.
    why: the reason for that, as half a sentence.
    """

    region: int
    text: str
    score: Score | None = None
    why: str = ""


@dataclass(frozen=True)
class Failure:
    """A region that got no label.

    region: its id.
    why: the reason in one line.
    """

    region: int
    why: str


def explain(
    dictionary: Dictionary,
    region: int,
    ask: Ask,
    negatives: bool = True,
    control: str = "",
    seed: int = 0,
) -> Explanation:
    """Ask for a label for one region, and score it on excerpts that the model has not seen.

    ask: the model.
    negatives: whether to show look-alikes from the neighbours.
    control: a label of another region, which is tested on the same excerpts; empty for none.
    seed: of the choice of excerpts.

    Takes two requests, or three with a control. Raises RequestError when the file has too few
    excerpts; errors of `ask` are passed on.
    """
    evidence = gather(dictionary, dictionary.check(region), negatives, seed)
    if len(evidence.shown) < FEWEST:
        raise RequestError(
            f"region {region} has {len(evidence.shown)} excerpts to show: a label needs at least "
            "two"
        )
    return _explained(region, evidence, ask, control)


def _explained(region: int, evidence: Evidence, ask: Ask, control: str) -> Explanation:
    """Ask for a label, and for a judgement of the snippets held back."""
    text = read_label(ask(naming(evidence)))
    if not evidence.can_test:
        return Explanation(region, text, None, "too few excerpts were left to test it")
    score = detect(text, evidence.held, ask)
    if score is None:
        return Explanation(region, text, None, "the model's judgement could not be read")
    if control:
        control_score = detect(control, evidence.held, ask)
        score = Score(
            score.value,
            score.n,
            score.low,
            score.high,
            control_score.value if control_score else None,
        )
    return Explanation(region, text, score)


def explain_all(
    dictionary: Dictionary,
    regions: Sequence[int],
    ask: Ask,
    negatives: bool = True,
    control: Callable[[int], str] = lambda region: "",
    seed: int = 0,
) -> Iterator[Explanation | Failure]:
    """Yield one outcome for each region as soon as it is known.

    control: gives the control label for a region, or "" for none; see `explain`.

    A server that fails for three regions in a row ends the work with its ServiceError; one that
    refuses a request ends it immediately.
    """
    failed = 0
    for region in regions:
        try:
            evidence = gather(dictionary, dictionary.check(region), negatives, seed)
            if len(evidence.shown) < FEWEST:
                yield Failure(region, "it has too few excerpts to show")
                continue
            yield _explained(region, evidence, ask, control(region))
            failed = 0
        except ServiceError as error:
            failed += 1
            if failed == GIVE_UP_AFTER or len(regions) == 1:
                raise
            yield Failure(region, str(error))


def detect(label: str, held: Sequence[Snippet], ask: Ask) -> Score | None:
    """Return how well a model separates snippets by a label, or None for an unreadable answer.

    label: the label.
    held: snippets of the region and look-alikes.
    ask: the model.

    The score is balanced accuracy over the two kinds, with its 95 % interval.
    """
    chosen = read_numbers(ask(judging(label, held)), len(held))
    if chosen is None:
        return None
    fits = [snippet.fits for snippet in held]
    selected = [number in chosen for number in range(1, len(held) + 1)]
    hits = sum(f and s for f, s in zip(fits, selected, strict=True))
    rejected = sum(not f and not s for f, s in zip(fits, selected, strict=True))
    value, low, high = balanced(hits, sum(fits), rejected, len(fits) - sum(fits))
    return Score(value, len(held), low, high)


# -- the conversation ------------------------------------------------------------------------------


def naming(evidence: Evidence) -> list[dict[str, str]]:
    """Return the conversation that asks for a label."""
    parts = ["The group:", *_numbered(evidence.shown, bands=True)]
    if evidence.against:
        parts += ["", "Not in the group, although they look alike:", *_numbered(evidence.against)]
    and_not = " and those outside it lack" if evidence.against else ""
    return _conversation(NAMING, [*parts, "", NAMING_ASK.format(and_not=and_not)])


def judging(label: str, held: Sequence[Snippet]) -> list[dict[str, str]]:
    """Return the conversation that tests a label."""
    return _conversation(
        JUDGING, [f"Label: {_line(label)[:LONGEST]}", "", *_numbered(held), "", "Numbers:"]
    )


def _numbered(snippets: Sequence[Snippet], bands: bool = False) -> list[str]:
    """Return the snippets as numbered lines, with their bands in words where asked for."""
    return [
        f"{i}. ({BAND_WORDS[s.band]}) {s.text}" if bands else f"{i}. {s.text}"
        for i, s in enumerate(snippets, start=1)
    ]


def _conversation(system: str, lines: Sequence[str]) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": "\n".join(lines)}]


# -- what came back --------------------------------------------------------------------------------


def read_label(answer: str) -> str:
    """Return the label in an answer, without introductions, quotes, emphasis and reasoning.

    It is cut to 200 characters. Raises ServiceError when nothing is left.
    """
    lines = [line.strip().strip("`*#>-• \t") for line in _reply(answer).splitlines()]
    lines = [line for line in lines if line]
    named = [
        match[1]
        for line in lines
        if (match := re.match(r"(?i)(?:the )?label\W{0,3}:\s*(.+)", line))
    ]
    plain = [line for line in lines if not line.endswith(":")]
    text = _line((named or plain or [""])[0]).strip("`*\"'“”‘’ ").removesuffix(".").strip()
    if not text:
        raise ServiceError("the model answered with nothing that could be a label")
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"


def read_numbers(answer: str, most: int) -> frozenset[int] | None:
    """Return the numbers from 1 to `most` that an answer lists.

    None when they cannot be determined with certainty, or when a number is out of range.
    """
    reply = _reply(answer)
    lists = re.findall(r"\[[\d\s,]*\]", reply)
    if lists:
        numbers = json.loads(f"[{','.join(re.findall(r'[1-9][0-9]{0,3}', lists[-1]))}]")
    elif re.fullmatch(r"[\d\s,]*\d[\d\s,.]*", reply.strip()):
        numbers = [int(n) for n in re.findall(r"\d{1,4}", reply)]
    elif re.fullmatch(r"(?i)\W*none\W*", reply):
        numbers = []
    else:
        return None
    return frozenset(numbers) if all(1 <= n <= most for n in numbers) else None


def _reply(answer: str) -> str:
    """Return an answer without leading reasoning in <think> tags, cut to 20,000 characters."""
    return re.sub(r"(?s)<think>.*?(</think>|$)", "", answer[:20_000])


def _line(text: str) -> str:
    """Return a text on one line with single spaces."""
    return " ".join(text.split())
