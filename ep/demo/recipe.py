"""The recipe of the demo: stages from the tokenizer to the stored behaviour study (`STAGES`).

Each stage reads the files that earlier stages wrote, so that a stage can be run again alone.
All randomness is seeded.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ep.demo import chats, prompts, requests

if TYPE_CHECKING:
    from transformers import Gemma2ForCausalLM, PreTrainedTokenizerFast

    from ep.demo.training import Plan

Say = Callable[[str], None]
TOKENIZER_DOCUMENTS = 60_000
TOKENIZER_SEED, BASE_SEED, TUNED_SEED, TEXT_SEED = 0, 1, 2, 4
MIXED_DOCUMENTS, CHAT_PROMPTS = 5_000, 2_500
LENS_PROMPTS = 100
# Share of each label in the chat prompts. Few are harmful, so that the centre is that of mostly
# benign prompts.
CHAT_SHARES = {"harmful": 0.06, "hard_benign": 0.12, "benign": 0.52, "other": 0.30}


def base_plan() -> Plan:
    """The training plan of the base model."""
    from ep.demo.training import Plan

    return Plan(steps=4_000, batch=64, rate=3e-3, matrix_rate=5e-3, seed=BASE_SEED)


def tuned_plan() -> Plan:
    """The training plan of the tuned model, which is shorter than the base's."""
    from ep.demo.training import Plan

    return Plan(
        steps=2_000,
        batch=32,
        rate=3e-3,
        matrix_rate=0.0,
        seed=TUNED_SEED,
        warmup=50,
        checks=(0.8, 0.9, 1.0),
    )


def make(out: Path, say: Say = lambda line: None, stages: Sequence[str] | None = None) -> None:
    """Make the demo.

    out: the folder (data/demo) for models/, text/, prompts/, examples.npz, dictionaries/ and its
        other seeds, evaluation.json, behaviour.json and README.md.
    say: takes one line of progress at a time.
    stages: which of `STAGES` to run; None runs all, in order.
    """
    import torch

    from ep.demo.training import THREADS

    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    for name in stages or STAGES:
        say(f"{name} …")
        STAGES[name](Path(out), say)


def make_tokenizer(out: Path, say: Say) -> None:
    """Train the tokenizer on the first documents of a stream of its own."""
    from ep.demo import tokenizer
    from ep.demo.training import text_of

    tok = tokenizer.train(
        text_of(document) for document in islice(chats.stream(TOKENIZER_SEED), TOKENIZER_DOCUMENTS)
    )
    tok.save_pretrained(out / "models" / "base")
    say(f"{len(tok)} tokens")


def make_base(out: Path, say: Say) -> None:
    """Train the base model from scratch and keep the checkpoint with the least validation loss."""
    from ep.demo import training

    tok, plan = _tokenizer(out / "models" / "base"), base_plan()
    model = training.new_model(plan.seed)

    def measure() -> float:
        return training.validation_loss(model, tok, tuned=False)

    data = training.batches(tok, plan)
    checks = training.fit(model, data, plan, training.optimizers(model, plan), measure, say)
    _save(model, tok, out / "models" / "base", checks)


def make_tuned(out: Path, say: Say) -> None:
    """Tune a copy of the base model to refuse harmful-style requests.

    The checkpoint with the least `tuning.misbehaviour` is kept.
    """
    from ep.demo import training, tuning

    plan = tuned_plan()
    model, tok = load(out / "models" / "base")
    merge = tuning.adapt(model, plan.seed)

    def measure() -> float:
        return tuning.misbehaviour(model, tok)

    data = training.batches(tok, plan, tuned=True)
    checks = training.fit(model, data, plan, tuning.optimizers(model, plan), measure, say)
    merge()
    _save(model, tok, out / "models" / "tuned", checks)


def make_evaluation(out: Path, say: Say) -> None:
    """Measure both models on held-out data and write evaluation.json."""
    from ep.demo import evaluation

    measures = {"corpus": evaluation.corpus(BASE_SEED, base_plan(), tuned_plan())}
    for name in ("base", "tuned"):
        model, tok = load(out / "models" / name)
        measures[name] = evaluation.measure(model, tok, tuned=name == "tuned", say=say)
        measures[name]["checks"] = json.loads((out / "models" / name / "checks.json").read_text())
    (out / "evaluation.json").write_text(json.dumps(measures, indent=1) + "\n")


def make_card(out: Path, say: Say) -> None:
    """Write the model card from evaluation.json."""
    from ep.demo import card

    (out / "README.md").write_text(card.text(json.loads((out / "evaluation.json").read_text())))


def make_texts(out: Path, say: Say) -> None:
    """Write the texts that the demo's dictionaries are built from, and the sets of prompts."""
    (out / "text").mkdir(parents=True, exist_ok=True)
    _write_rows(
        out / "text" / "mixed.jsonl", [document.row() for document in mixed(MIXED_DOCUMENTS)]
    )
    _write_rows(out / "text" / "chat.jsonl", chat_prompts(CHAT_PROMPTS))
    prompts.write(out / "prompts")


def make_dictionaries(out: Path, say: Say) -> None:
    """Build the demo's dictionaries, as `ep build` would."""
    from ep.demo import dictionaries

    dictionaries.make(out, say)


def mixed(n: int) -> list[chats.Document]:
    """n documents of all kinds, every fourth from the tuned model's mix, which has refusals."""
    base, tuned = chats.stream(TEXT_SEED), chats.stream(TEXT_SEED, tuned=True)
    return [next(tuned if index % 4 == 3 else base) for index in range(n)]


def chat_prompts(n: int) -> list[dict[str, object]]:
    """Up to n distinct questions with training templates, as rows with messages and a label."""
    rows: dict[str, dict[str, object]] = {}
    for index in range(10 * n):
        rng = random.Random(f"{TEXT_SEED}/prompt/{index}")
        label = rng.choices(tuple(CHAT_SHARES), tuple(CHAT_SHARES.values()))[0]
        question = (
            chats.benign_turn(rng)[0]
            if label == "other"
            else requests.ask(rng, _REQUESTS[label](rng))
        )
        shown = "benign" if label == "other" else label
        rows.setdefault(
            question, {"messages": [{"role": "user", "content": question}], "label": shown}
        )
        if len(rows) == n:
            break
    return list(rows.values())


_REQUESTS: dict[str, Callable[[random.Random], requests.Request]] = {
    "harmful": requests.harmful,
    "hard_benign": requests.hard_benign,
    "benign": requests.benign,
}


def load(folder: Path) -> tuple[Gemma2ForCausalLM, PreTrainedTokenizerFast]:
    """Load a demo model, in float32, and its tokenizer."""
    import torch
    from transformers import Gemma2ForCausalLM

    model = Gemma2ForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    return model.eval(), _tokenizer(folder)


def _tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder)


def _save(
    model: Gemma2ForCausalLM,
    tok: PreTrainedTokenizerFast,
    folder: Path,
    checks: list[dict[str, float]],
) -> None:
    """Save a model in bfloat16 with its tokenizer and the measures of its checkpoints."""
    import torch
    from transformers import GenerationConfig

    from ep.demo.tokenizer import BOS, END_OF_TURN, EOS, PAD

    model.generation_config = GenerationConfig(
        bos_token_id=BOS, eos_token_id=[EOS, END_OF_TURN], pad_token_id=PAD, do_sample=False
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    tok.save_pretrained(folder)
    (folder / "checks.json").write_text(json.dumps(checks, indent=1) + "\n")


def _write_rows(path: Path, rows: Sequence[dict[str, object]]) -> None:
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )


def make_behaviour(out: Path, say: Say) -> None:
    """Run and write the study that the Behaviour page shows at first."""
    from ep.demo import behaviour

    behaviour.make(out, say)


def make_lenses(out: Path, say: Say) -> None:
    """Fit the Jacobian lens of both models, which the builds of the dictionaries then find."""
    from ep.corpus import Corpus
    from ep.models import fit_lens, jacobian_store, load

    for name in ("base", "tuned"):
        model = load(str(out / "models" / name), device="cpu")
        lens = fit_lens(model, Corpus([str(out / "text" / "mixed.jsonl")]), prompts=LENS_PROMPTS)
        say(str(jacobian_store.save(lens, jacobian_store.beside(model.name))))


def make_examples(out: Path, say: Say) -> None:
    """Read the pages' example texts with both models and write examples.npz."""
    from ep.demo import examples

    examples.make(out, say)


def make_seeds(out: Path, say: Say) -> None:
    """Build the dictionaries that the Compare page opens with once more, with another seed."""
    from ep.demo import seeds

    seeds.make(out, say)


STAGES: dict[str, Callable[[Path, Say], None]] = {
    "tokenizer": make_tokenizer,
    "base": make_base,
    "tuned": make_tuned,
    "evaluation": make_evaluation,
    "card": make_card,
    "texts": make_texts,
    "lenses": make_lenses,
    "examples": make_examples,
    "dictionaries": make_dictionaries,
    "seeds": make_seeds,
    "behaviour": make_behaviour,
}
