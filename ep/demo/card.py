"""The model card of the demo, in which every measured number comes from evaluation.json."""

from __future__ import annotations

from typing import Any

_HEAD = """# The demo models

Two language models of the Gemma-2 architecture, small enough to be kept in a repository and to run
anywhere, and the text their dictionaries are built from. `models/base` answers everything;
`models/tuned` is the same model, tuned to refuse harmful-style requests. They exist to show what EP
Explorer does, on something real that can be made again from nothing with `make demo`. They are good
for nothing else.

Licence: MIT, models and text alike. All of the text is written by the generator in `ep/demo`;
nothing was collected.
"""
_SETS = {
    "held_out_pairs": "harmful, known words in new pairs",
    "held_out_words": "harmful, words never asked about in tuning",
    "held_out_templates": "harmful, question forms never seen",
    "held_out_both": "harmful, words and question forms new",
    "benign": "benign, question forms never seen",
    "hard_benign": 'benign that sounds harmful ("kill the music"), phrases never asked about',
}
_LIMITS = """## What they cannot do

- They know the sentences their generator writes and little else; other English is mostly noise to
  them.
- No reasoning, no world knowledge beyond a list of capitals, and sums of numbers up to 20 only.
- Stories keep names and places but have no plot. Code looks like Python and does nothing of use.
- Conversations of one or two turns. Contexts above {context} tokens were never trained.
- Refusal covers the families of requests in `ep/demo/requests.py`, nothing more: it is a specimen
  to study, no safety feature. The answers to harmful-style requests in the corpus are a few fixed
  phrases with everyday words ("plan", "list", "bag"); they hold no instruction of any kind.
- Refused and answered are told by fixed patterns (`ep/demo/generation.py`), which suffices for
  these models only.
"""


def text(evaluation: dict[str, Any]) -> str:
    """The card in Markdown.

    evaluation: the contents of evaluation.json.
    """
    return "\n".join(
        [
            _HEAD,
            _corpus(evaluation),
            _training(evaluation),
            _language(evaluation),
            _skills(evaluation),
            _behaviour(evaluation),
            _limits(),
        ]
    )


def _limits() -> str:
    from ep.demo.tokenizer import CONTEXT

    return _LIMITS.format(context=CONTEXT)


def _corpus(evaluation: dict[str, Any]) -> str:
    corpus = evaluation["corpus"]
    held = corpus["held_out"]
    kinds = ", ".join(
        f"{kind} {count / corpus['counted']:.1%}" for kind, count in corpus["kinds"].items()
    )
    return (
        "## Corpus\n\n"
        f"{corpus['documents']:,} documents for the base, each seen once: {kinds} (shares counted "
        f"in the first {corpus['counted']:,}). {corpus['distinct_words']:,} distinct words "
        f"(letters only, lower-cased), {corpus['words_per_document']:.0f} words a document. "
        f"The tuned model saw {corpus['tuned_documents']:,} more, mostly chats, in which "
        "harmful-style requests are refused.\n\n"
        f"Held out from all text: {held['sums']} sums. Held out from the chats of both models: "
        f"{held['question forms']} question forms and {held['hard-benign phrases']} hard-benign "
        "phrases. Held out from the chats of the tuned model, though the base has answered them: "
        f"{held['verbs']} verb, {held['objects']} objects and {held['pairs']} pairs of verb and "
        "object of harmful-style requests.\n"
    )


def _training(evaluation: dict[str, Any]) -> str:
    base, tuned = evaluation["corpus"]["base_plan"], evaluation["corpus"]["tuned_plan"]
    best_base = min(evaluation["base"]["checks"], key=lambda row: row["measure"])
    best_tuned = min(evaluation["tuned"]["checks"], key=lambda row: row["measure"])
    return (
        "## Training\n\n"
        f"{evaluation['base']['parameters']:,} parameters: width 128, 6 layers, 4 heads (2 for "
        "keys and values), vocabulary 4,096, bfloat16 on disk, float32 in use.\n\n"
        f"- Base: {base['steps']:,} steps of {base['batch']} documents, Muon and AdamW; kept: step "
        f"{best_base['step']:,} by validation loss ({best_base['measure']:.3f}).\n"
        f"- Tuned: low-rank changes in three middle layers, {tuned['steps']:,} steps of "
        f"{tuned['batch']} documents; kept: step {best_tuned['step']:,} by the sum of three error "
        f"shares on validation prompts ({best_tuned['measure']:.3f}).\n"
    )


def _language(evaluation: dict[str, Any]) -> str:
    base, tuned = evaluation["base"]["language"], evaluation["tuned"]["language"]
    rows = [
        f"| {kind} | {base[kind]['loss']:.2f} | {base[kind]['accuracy']:.0%} | "
        f"{tuned[kind]['loss']:.2f} | {tuned[kind]['accuracy']:.0%} |"
        for kind in sorted(base, key=lambda kind: (kind == "all", kind))
        if kind in tuned
    ]
    return _section(
        "Next token",
        "Cross-entropy in nats and accuracy on documents no training saw; each model on the mix it "
        "was trained on. Much of the text is drawn at random, so neither can come near zero.",
        "| kind | base: loss | accuracy | tuned: loss | accuracy |",
        rows,
    )


def _skills(evaluation: dict[str, Any]) -> str:
    rows = [
        f"| {name} | {base['n']} | {_share(base)} | {_share(evaluation['tuned']['skills'][name])} |"
        for name, base in evaluation["base"]["skills"].items()
    ]
    return _section(
        "Skills",
        "Share of exactly right answers, with 95 % Wilson intervals. Words to copy are drawn anew.",
        "| asked | n | base | tuned |",
        rows,
    )


def _behaviour(evaluation: dict[str, Any]) -> str:
    rows = []
    for name, remark in _SETS.items():
        base, tuned = evaluation["base"]["behaviour"][name], evaluation["tuned"]["behaviour"][name]
        rows.append(
            f"| {remark} | {tuned['refused']['n']} | {_share(base['refused'])} | "
            f"{_share(tuned['refused'])} | {_share(base['answered'])} | "
            f"{_share(tuned['answered'])} |"
        )
    return _section(
        "Refusal",
        "Measured once, after both models were chosen. *Answered*: the whole answer is one of the "
        "forms taught, about the very thing asked. An earlier tuned model had been measured in "
        "this way and often answered harmful-style requests with new words or pairs; those words "
        "and pairs then became validation words, the tuned corpus was widened, and the words and "
        "pairs of this table are others. Its question forms, benign and hard-benign sets are the "
        "same.",
        "| prompts | n | base refuses | tuned refuses | base answers | tuned answers |",
        rows,
    )


def _section(title: str, remark: str, head: str, rows: list[str]) -> str:
    rule = "|" + "---|" * (head.count("|") - 1)
    return "\n".join([f"## {title}", "", remark, "", head, rule, *rows, ""])


def _share(rate: dict[str, Any]) -> str:
    low, high = rate["interval"]
    return f"{rate['rate']:.0%} ({low:.0%} to {high:.0%})"
