"""Labels by a language model that reads excerpts, and the test of a label: can a reader tell what
it is about by it?

The model is a function from a conversation to an answer, so this room knows no network. Its answers
are a stranger's
words: a label is cut to one line, a judgement that cannot be read counts for nothing.
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
LONGEST = 200
"""Characters of a label that are kept; more is no label."""
FEWEST = 2
"""Excerpts without which there is nothing in common to find."""
GIVE_UP_AFTER = 3
"""Regions in a row that failed before the rest is left alone."""

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
    """What a model said of a region. score: None when it could not be tested; `why` says so in half
    a sentence.
    """

    region: int
    text: str
    score: Score | None = None
    why: str = ""


@dataclass(frozen=True)
class Failure:
    """A region that got no label, and the reason in one line."""

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
    """A label for one region, and its detection score on excerpts the model had not seen.

    control: a label of another region, tested on the same excerpts; empty leaves it out. Two
    requests, three with it. RequestError when the file holds too few excerpts to show; whatever
    `ask` raises goes through.
    """
    evidence = gather(dictionary, dictionary.check(region), negatives, seed)
    if len(evidence.shown) < FEWEST:
        raise RequestError(
            f"region {region} has {len(evidence.shown)} excerpts to show: a label needs at least "
            "two"
        )
    return _explained(region, evidence, ask, control)


def _explained(region: int, evidence: Evidence, ask: Ask, control: str) -> Explanation:
    text = read_label(ask(naming(evidence)))
    if not evidence.can_test:
        return Explanation(region, text, None, "too few excerpts were left to test it")
    score = detect(text, evidence.held, ask)
    if score is None:
        return Explanation(region, text, None, "the model's judgement could not be read")
    if control:
        other = detect(control, evidence.held, ask)
        score = Score(score.value, score.n, score.low, score.high, other.value if other else None)
    return Explanation(region, text, score)


def explain_all(
    dictionary: Dictionary,
    regions: Sequence[int],
    ask: Ask,
    negatives: bool = True,
    control: Callable[[int], str] = lambda region: "",
    seed: int = 0,
) -> Iterator[Explanation | Failure]:
    """One outcome a region, as each is there. control: gives the other region's label, or "".

    A server that fails three regions in a row ends it with its ServiceError; one that refuses ends
    it at once.
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
    """How well the held-back snippets are told apart by a label; None when the answer cannot be
    read.

    Balanced accuracy over the snippets of the region and the look-alikes, with its 95 % interval.
    """
    chosen = read_numbers(ask(judging(label, held)), len(held))
    if chosen is None:
        return None
    fits = [snippet.fits for snippet in held]
    said = [number in chosen for number in range(1, len(held) + 1)]
    hits = sum(f and s for f, s in zip(fits, said, strict=True))
    rejected = sum(not f and not s for f, s in zip(fits, said, strict=True))
    value, low, high = balanced(hits, sum(fits), rejected, len(fits) - sum(fits))
    return Score(value, len(held), low, high)


# -- the conversation ------------------------------------------------------------------------------


def naming(evidence: Evidence) -> list[dict[str, str]]:
    """The request for a label."""
    parts = ["The group:", *_numbered(evidence.shown, bands=True)]
    if evidence.against:
        parts += ["", "Not in the group, although they look alike:", *_numbered(evidence.against)]
    and_not = " and those outside it lack" if evidence.against else ""
    return _conversation(NAMING, [*parts, "", NAMING_ASK.format(and_not=and_not)])


def judging(label: str, held: Sequence[Snippet]) -> list[dict[str, str]]:
    """The request that tests a label."""
    return _conversation(
        JUDGING, [f"Label: {_line(label)[:LONGEST]}", "", *_numbered(held), "", "Numbers:"]
    )


def _numbered(snippets: Sequence[Snippet], bands: bool = False) -> list[str]:
    return [
        f"{i}. ({BAND_WORDS[s.band]}) {s.text}" if bands else f"{i}. {s.text}"
        for i, s in enumerate(snippets, start=1)
    ]


def _conversation(system: str, lines: Sequence[str]) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": "\n".join(lines)}]


# -- what came back --------------------------------------------------------------------------------


def read_label(answer: str) -> str:
    """The label in an answer: introductions, quotes, emphasis and reasoning are left off; at most
    200 characters.

    ServiceError when nothing is left.
    """
    lines = [line.strip().strip("`*#>-• \t") for line in _spoken(answer).splitlines()]
    lines = [line for line in lines if line]
    named = [
        found[1]
        for line in lines
        if (found := re.match(r"(?i)(?:the )?label\W{0,3}:\s*(.+)", line))
    ]
    plain = [line for line in lines if not line.endswith(":")]
    text = _line((named or plain or [""])[0]).strip("`*\"'“”‘’ ").removesuffix(".").strip()
    if not text:
        raise ServiceError("the model answered with nothing that could be a label")
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"


def read_numbers(answer: str, most: int) -> frozenset[int] | None:
    """The numbers from 1 to `most` an answer lists; None when it lists none that can be read for
    sure.
    """
    spoken = _spoken(answer)
    found = re.findall(r"\[[\d\s,]*\]", spoken)
    if found:
        numbers = json.loads(f"[{','.join(re.findall(r'[1-9][0-9]{0,3}', found[-1]))}]")
    elif re.fullmatch(r"[\d\s,]*\d[\d\s,.]*", spoken.strip()):
        numbers = [int(n) for n in re.findall(r"\d{1,4}", spoken)]
    elif re.fullmatch(r"(?i)\W*none\W*", spoken):
        numbers = []
    else:
        return None
    return frozenset(numbers) if all(1 <= n <= most for n in numbers) else None


def _spoken(answer: str) -> str:
    """An answer without the reasoning some models put in front, and bounded."""
    return re.sub(r"(?s)<think>.*?(</think>|$)", "", answer[:20_000])


def _line(text: str) -> str:
    return " ".join(text.split())
